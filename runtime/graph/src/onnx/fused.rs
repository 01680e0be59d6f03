//! From IR nodes to our own operators, and stock ones where nothing is to be gained.
//!
//! Operators of the domain [`DOMAIN`] take and give plain f32 tensors (and indices), see only how
//! many elements there are, and have every size in their attributes. Each may give, after its
//! results, max|x| of some of them as `[1]`: the snapping scales of what comes next. Not finite
//! where an element is not.
//!
//! | operator | inputs | attributes |
//! |---|---|---|
//! | `Elementwise` | as the program says | `program`: [`Program::to_words`]; `maxima`: results whose maximum is given |
//! | `Pack` | b, and its maximum with one scale | `sizes`: k, n; `flags`: transposed, scale per slice; `bits` |
//! | `MatMul` | a, b, and with one scale each their maxima; with one page b is packed and comes without | `sizes`: pages, m, k, n; `flags`: a transposed, b transposed, scale per slice, maximum given; `bits` |
//! | `ReduceSum` | x | `sizes` of x; `axes` |
//! | `ScatterAdd` | rows, indices, maximum of rows | `sizes`: rows, width, rows of the result |
//! | `MaxLast` | x | `sizes`: rows, width |
//! | `MaxAbs` | x | none |
//!
//! All but `Pack` and `MaxAbs` have `shapes`: for each result its rank and dimensions. A packed
//! operand is a vector of i32 that only `MatMul` reads.
//!
//! [`Program::to_words`]: crate::fused::program::Program::to_words

use super::lower::{Emitter, LoweringOptions, integers, value_info};
use super::proto::{AttributeProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::fused::narrow;
use crate::fused::plan::{Plan, Step, plan};
use crate::fused::program::Program;
use crate::ir::{Graph, Node, Op, Scales, Value, count, matrix};
use std::collections::{BTreeMap, BTreeSet};

/// The domain of our operators.
pub const DOMAIN: &str = "dataforge";

/// An operator of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A lane program.
    Elementwise,
    /// A matrix made ready to be the right operand of products.
    Pack,
    /// Exact matrix product.
    MatMul,
    /// Exact sum over dimensions.
    ReduceSum,
    /// Exact sum of rows into a table.
    ScatterAdd,
    /// Maximum of each row.
    MaxLast,
    /// Largest magnitude.
    MaxAbs,
}

impl Kind {
    /// Every operator.
    pub const ALL: [Self; 7] = [
        Self::Elementwise,
        Self::Pack,
        Self::MatMul,
        Self::ReduceSum,
        Self::ScatterAdd,
        Self::MaxLast,
        Self::MaxAbs,
    ];

    /// The `op_type` of its nodes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elementwise => "Elementwise",
            Self::Pack => "Pack",
            Self::MatMul => "MatMul",
            Self::ReduceSum => "ReduceSum",
            Self::ScatterAdd => "ScatterAdd",
            Self::MaxLast => "MaxLast",
            Self::MaxAbs => "MaxAbs",
        }
    }
}

/// The model of an expanded graph for an engine that has our operators. Its inputs and outputs
/// carry the graph's names.
pub(super) fn lower(graph: &Graph, options: LoweringOptions) -> ModelProto {
    let graph = &narrow(graph);
    let plan = plan(graph);
    let mut out = Fused {
        graph,
        maxima_given: scaled(graph, &plan),
        plan: &plan,
        out: Emitter::new(graph, options),
        maxima: BTreeMap::new(),
        packed: BTreeMap::new(),
        shaped: BTreeSet::new(),
    };
    out.name_outputs();
    for (value, node) in graph.nodes() {
        if matches!(node.op, Op::Input(_) | Op::Constant(_) | Op::Indices(_)) {
            out.out.node(value, node);
        }
    }
    for step in &plan.steps {
        match step {
            Step::Elementwise { program, inputs, outputs } => {
                out.elementwise(program, inputs, outputs);
            }
            Step::Node(value) => out.node(*value),
        }
    }
    for (name, value) in graph.outputs() {
        let node = graph.node(*value);
        if out.out.name(*value) != *name {
            let from = out.shaped(*value);
            out.out.emit("Identity", &[&from], name, vec![]);
        }
        out.out.proto.output.push(value_info(name, node.element, &node.shape));
    }
    let mut model = out.out.model(vec![OperatorSetIdProto { domain: DOMAIN.into(), version: 1 }]);
    if let Some(graph) = &mut model.graph {
        let used: BTreeSet<String> = graph.node.iter().flat_map(|n| n.input.clone()).collect();
        graph.initializer.retain(|tensor| used.contains(&tensor.name));
    }
    model
}

/// The values in memory that something snaps with one scale.
fn scaled(graph: &Graph, plan: &Plan) -> BTreeSet<Value> {
    let operands = graph.nodes().flat_map(|(_, node)| scaled_operands(node).to_vec());
    operands.map(|value| plan.memory(value)).collect()
}

fn scaled_operands(node: &Node) -> &[Value] {
    match &node.op {
        Op::MatMul { scales: Scales::Tensor, .. } => &node.inputs,
        Op::ScatterAdd => &node.inputs[..1],
        _ => &[],
    }
}

/// A value in memory as a matrix `[k, n]`, transposed or not, its scales and its bits.
type PackKey = (Value, [usize; 2], bool, Scales, u32);

struct Fused<'g> {
    graph: &'g Graph,
    plan: &'g Plan,
    out: Emitter<'g>,
    /// Values in memory whose maxima are needed.
    maxima_given: BTreeSet<Value>,
    /// Names of maxima so far.
    maxima: BTreeMap<Value, String>,
    /// Names of packed operands so far.
    packed: BTreeMap<PackKey, String>,
    /// Aliases that have a name of their own.
    shaped: BTreeSet<Value>,
}

impl Fused<'_> {
    /// Results that leave the graph are called what the graph calls them, so that nothing copies
    /// them.
    fn name_outputs(&mut self) {
        for (name, value) in self.graph.outputs() {
            let leaf = matches!(
                self.graph.node(*value).op,
                Op::Input(_) | Op::Constant(_) | Op::Indices(_)
            );
            if self.plan.memory(*value) == *value && !leaf {
                self.out.names.entry(*value).or_insert_with(|| name.clone());
            }
        }
    }

    /// The name of the elements of `value`, in whatever shape.
    fn flat(&self, value: Value) -> String {
        self.out.name(self.plan.memory(value))
    }

    /// The name of `value` in its own shape.
    fn shaped(&mut self, value: Value) -> String {
        if self.plan.memory(value) != value && self.shaped.insert(value) {
            let shape = self.out.integers(self.graph.shape(value));
            let (from, to) = (self.flat(value), self.out.name(value));
            self.out.emit("Reshape", &[&from, &shape], &to, vec![]);
        }
        self.out.name(value)
    }

    /// The name of max|x|.
    fn maximum(&mut self, value: Value) -> String {
        let value = self.plan.memory(value);
        if let Some(name) = self.maxima.get(&value) {
            return name.clone();
        }
        let (name, result) = (self.out.name(value), self.maximum_name(value));
        self.emit(Kind::MaxAbs, vec![name], vec![result.clone()], vec![]);
        result
    }

    /// Says that the node being written gives max|x| under this name.
    fn maximum_name(&mut self, value: Value) -> String {
        let name = format!("{}.max", self.out.name(value));
        self.maxima.insert(value, name.clone());
        name
    }

    fn emit(
        &mut self,
        kind: Kind,
        input: Vec<String>,
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let name = output[0].clone();
        let (op_type, domain) = (kind.name().to_owned(), DOMAIN.to_owned());
        let node = NodeProto { input, output, name, op_type, attribute, domain };
        self.out.proto.node.push(node);
    }

    fn shapes<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> AttributeProto {
        let words = values.into_iter().flat_map(|value| {
            let shape = self.graph.shape(*value);
            [&[shape.len()], shape].concat()
        });
        integers("shapes", &words.collect::<Vec<_>>())
    }

    fn elementwise(&mut self, program: &Program, inputs: &[Value], outputs: &[Value]) {
        let input: Vec<String> = inputs.iter().map(|value| self.flat(*value)).collect();
        let mut output: Vec<String> = outputs.iter().map(|value| self.out.name(*value)).collect();
        let needed = |value: &&Value| self.maxima_given.contains(*value);
        let given: Vec<Value> = outputs.iter().filter(needed).copied().collect();
        let at = |value: &Value| outputs.iter().position(|output| output == value);
        let maxima: Vec<usize> = given.iter().filter_map(at).collect();
        output.extend(given.into_iter().map(|value| self.maximum_name(value)));
        let words = AttributeProto { ints: program.to_words(), ..integers("program", &[]) };
        let attributes = vec![words, integers("maxima", &maxima), self.shapes(outputs)];
        self.emit(Kind::Elementwise, input, output, attributes);
    }

    fn node(&mut self, value: Value) {
        let node = self.graph.node(value);
        match &node.op {
            Op::MatMul { ta, tb, scales, bits } => {
                self.matmul(value, node, (*ta, *tb), *scales, *bits);
            }
            Op::ReduceSum(axes) => {
                let input = node.inputs[0];
                let attributes = vec![
                    integers("sizes", self.graph.shape(input)),
                    integers("axes", axes),
                    self.shapes([&value]),
                ];
                let (input, result) = (self.flat(input), self.out.name(value));
                self.emit(Kind::ReduceSum, vec![input], vec![result], attributes);
            }
            Op::ScatterAdd => {
                let [rows, ids] = [0, 1].map(|i| self.flat(node.inputs[i]));
                let maximum = self.maximum(node.inputs[0]);
                let shape = self.graph.shape(node.inputs[0]);
                let sizes = integers("sizes", &[shape[0], shape[1], node.shape[0]]);
                let attributes = vec![sizes, self.shapes([&value])];
                let result = self.out.name(value);
                self.emit(Kind::ScatterAdd, vec![rows, ids, maximum], vec![result], attributes);
            }
            Op::MaxLast => {
                let rows = count(&node.shape);
                let width = count(self.graph.shape(node.inputs[0])) / rows;
                let attributes = vec![integers("sizes", &[rows, width]), self.shapes([&value])];
                let (input, result) = (self.flat(node.inputs[0]), self.out.name(value));
                self.emit(Kind::MaxLast, vec![input], vec![result], attributes);
            }
            _ => {
                for input in &node.inputs {
                    let _ = self.shaped(*input);
                }
                self.out.node(value, node);
            }
        }
    }

    fn matmul(
        &mut self,
        value: Value,
        node: &Node,
        (ta, tb): (bool, bool),
        scales: Scales,
        bits: u32,
    ) {
        let [a, b] = [node.inputs[0], node.inputs[1]];
        let (lead, m, k) = matrix(self.graph.shape(a), ta);
        let (_, _, n) = matrix(self.graph.shape(b), tb);
        let pages = count(lead);
        let right =
            if pages == 1 { self.packed(b, [k, n], tb, scales, bits) } else { self.flat(b) };
        let mut names = vec![self.flat(a), right];
        if scales == Scales::Tensor {
            names.push(self.maximum(a));
            if pages > 1 {
                names.push(self.maximum(b));
            }
        }
        let gives = self.maxima_given.contains(&value);
        let mut results = vec![self.out.name(value)];
        if gives {
            results.push(self.maximum_name(value));
        }
        let flags = [ta, tb, scales == Scales::Slice, gives].map(usize::from);
        let attributes = vec![
            integers("sizes", &[pages, m, k, n]),
            integers("flags", &flags),
            integers("bits", &[bits as usize]),
            self.shapes([&value]),
        ];
        self.emit(Kind::MatMul, names, results, attributes);
    }

    /// The name of a packed right operand.
    fn packed(
        &mut self,
        value: Value,
        sizes: [usize; 2],
        tb: bool,
        scales: Scales,
        bits: u32,
    ) -> String {
        let key = (self.plan.memory(value), sizes, tb, scales, bits);
        if let Some(name) = self.packed.get(&key) {
            return name.clone();
        }
        let from = self.flat(value);
        let name = format!("{from}.packed{}", self.packed.len());
        let mut inputs = vec![from];
        if scales == Scales::Tensor {
            inputs.push(self.maximum(value));
        }
        let attributes = vec![
            integers("sizes", &sizes),
            integers("flags", &[tb, scales == Scales::Slice].map(usize::from)),
            integers("bits", &[bits as usize]),
        ];
        self.emit(Kind::Pack, inputs, vec![name.clone()], attributes);
        self.packed.insert(key, name.clone());
        name
    }
}
