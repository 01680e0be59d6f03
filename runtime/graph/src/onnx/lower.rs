//! From IR nodes to ONNX nodes.
//!
//! Composed operators are expanded, then each primitive one becomes one stock operator, except
//! exact sums, which [`sums`] and [`slices`] compute. The fast lowering keeps composed operators
//! and adds in f32: [`plain`].

mod plain;
mod slices;
mod sums;

use super::fused;
use super::proto::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto, attribute_type, data_type,
};
use crate::composite;
use crate::ir::{Element, Graph, Node, Op, Scales, Value, count};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;

/// Opset: the newest that ONNX Runtime 1.20 and `onnx.reference` both take for every operator used
/// here.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Which operators compute a graph. All give the same bits, but for [`Lowering::Fast`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Lowering {
    /// Stock operators, exact sums in f64.
    #[default]
    Stock,
    /// Stock operators; exact products as products of 8-bit slices, summed in i32.
    Slices,
    /// Operators of our own, which the engine must have: few passes over memory, exact products as
    /// products of 16-bit slices, summed in i32.
    Fused,
    /// Plain f32 and the engine's own functions: for a quick look. Its bits are the engine's.
    Fast,
}

impl Lowering {
    /// Every lowering.
    pub const ALL: [Self; 4] = [Self::Stock, Self::Slices, Self::Fused, Self::Fast];

    /// Whether it gives the bits that the IR defines.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self != Self::Fast
    }
}

impl std::fmt::Display for Lowering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stock => "stock",
            Self::Slices => "slices",
            Self::Fused => "fused",
            Self::Fast => "fast",
        })
    }
}

/// No lowering has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no lowering {0:?}; there are stock, slices, fused and fast")]
pub struct UnknownLowering(String);

impl std::str::FromStr for Lowering {
    type Err = UnknownLowering;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|lowering| lowering.to_string() == name);
        found.ok_or_else(|| UnknownLowering(name.to_owned()))
    }
}

/// How a graph becomes a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoweringOptions {
    /// Which operators.
    pub lowering: Lowering,
    /// Takes f32 square roots in f64, for engines whose own are not correctly rounded. The two
    /// roundings give what one would (Figueroa 1995: 53 ≥ 2·24 + 2).
    pub wide_sqrt: bool,
    /// Keeps both operands of a product of slices signed, for engines that take no others (CUDA).
    /// Without it the left one is unsigned, which is quicker on x86-64.
    pub signed_slices: bool,
}

/// The model of a graph. Its inputs and outputs carry the graph's names.
#[must_use]
pub fn lower(graph: &Graph, options: LoweringOptions) -> ModelProto {
    let graph = match options.lowering {
        Lowering::Fast => Cow::Borrowed(graph),
        Lowering::Stock | Lowering::Slices => Cow::Owned(composite::expand(graph)),
        Lowering::Fused => return fused::lower(&composite::expand(graph), options),
    };
    let graph = graph.as_ref();
    let mut out = Emitter::new(graph, options);
    for (value, node) in graph.nodes() {
        out.node(value, node);
    }
    for (name, value) in graph.outputs() {
        let node = graph.node(*value);
        out.emit("Identity", &[&out.name(*value)], name, vec![]);
        out.proto.output.push(value_info(name, node.element, &node.shape));
    }
    out.model(vec![])
}

pub(super) struct Emitter<'g> {
    graph: &'g Graph,
    options: LoweringOptions,
    pub(super) proto: GraphProto,
    snapped: BTreeMap<sums::SnapKey, sums::Snapped>,
    sliced: BTreeMap<slices::SliceKey, slices::Sliced>,
    units: BTreeMap<String, slices::Unit>,
    constants: BTreeMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// Names of values that are not called by their number.
    pub(super) names: BTreeMap<Value, String>,
}

impl<'g> Emitter<'g> {
    pub(super) fn new(graph: &'g Graph, options: LoweringOptions) -> Self {
        Self {
            graph,
            options,
            proto: GraphProto { name: "dataforge".into(), ..GraphProto::default() },
            snapped: BTreeMap::new(),
            sliced: BTreeMap::new(),
            units: BTreeMap::new(),
            constants: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// The model of the nodes so far.
    pub(super) fn model(self, other_operators: Vec<OperatorSetIdProto>) -> ModelProto {
        let stock = OperatorSetIdProto { domain: String::new(), version: OPSET };
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "dataforge".into(),
            graph: Some(self.proto),
            opset_import: [vec![stock], other_operators].concat(),
            ..Default::default()
        }
    }

    pub(super) fn name(&self, value: Value) -> String {
        if let Some(name) = self.names.get(&value) {
            return name.clone();
        }
        match &self.graph.node(value).op {
            Op::Input(name) => name.clone(),
            _ => format!("v{}", value.index()),
        }
    }

    pub(super) fn emit(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: op_type.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    fn constant(&mut self, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims: Vec<i64> = dims.iter().map(|d| *d as i64).collect();
        let next = format!("c{}", self.constants.len());
        let key = (data_type, dims.clone(), raw_data.clone());
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        self.constants.insert(key, next.clone());
        let name = next.clone();
        self.proto.initializer.push(TensorProto {
            dims,
            data_type,
            name,
            raw_data,
            ..Default::default()
        });
        next
    }

    pub(super) fn integers(&mut self, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect();
        self.constant(data_type::INT64, &[values.len()], bytes)
    }

    pub(super) fn node(&mut self, value: Value, node: &Node) {
        let names: Vec<String> = node.inputs.iter().map(|v| self.name(*v)).collect();
        let operands: Vec<&str> = names.iter().map(String::as_str).collect();
        let result = self.name(value);
        let graph = self.graph;
        // Counted from the front: not every engine takes a negative axis for every operator.
        let last = || graph.shape(node.inputs[0]).len() - 1;
        let (op_type, extra, attributes) = match &node.op {
            Op::Input(name) => {
                self.proto.input.push(value_info(name, node.element, &node.shape));
                return;
            }
            Op::Constant(bits) => {
                let raw = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
                return self.initializer(result, data_type::FLOAT, &node.shape, raw);
            }
            Op::Indices(data) => {
                let raw = data.iter().flat_map(|i| i.to_le_bytes()).collect();
                return self.initializer(result, data_type::INT64, &node.shape, raw);
            }
            Op::MatMul { ta, tb, scales, bits } => {
                return self.matmul(&result, node, (*ta, *tb), *scales, *bits);
            }
            Op::ReduceSum(axes) => return self.reduce_sum(&result, node, axes),
            Op::ScatterAdd => return self.scatter_add(&result, node),
            Op::Softmax => ("Softmax", None, vec![integer("axis", last() as i64)]),
            Op::Exp => ("Exp", None, vec![]),
            Op::Sigmoid => ("Sigmoid", None, vec![]),
            Op::Erf => ("Erf", None, vec![]),
            Op::Tanh => ("Tanh", None, vec![]),
            Op::Sqrt if self.options.wide_sqrt => return self.wide_sqrt(&result, operands[0]),
            Op::Add => ("Add", None, vec![]),
            Op::Sub => ("Sub", None, vec![]),
            Op::Mul => ("Mul", None, vec![]),
            Op::Div => ("Div", None, vec![]),
            Op::Max => ("Max", None, vec![]),
            Op::Neg => ("Neg", None, vec![]),
            Op::Abs => ("Abs", None, vec![]),
            Op::Sqrt => ("Sqrt", None, vec![]),
            Op::Floor => ("Floor", None, vec![]),
            Op::Less => ("Less", None, vec![]),
            Op::Equal => ("Equal", None, vec![]),
            Op::Select => ("Where", None, vec![]),
            Op::ToIndex => ("Cast", None, vec![integer("to", i64::from(data_type::INT64))]),
            Op::Reshape => ("Reshape", Some(self.integers(&node.shape)), vec![]),
            Op::Expand => ("Expand", Some(self.integers(&node.shape)), vec![]),
            Op::Transpose(perm) => ("Transpose", None, vec![integers("perm", perm)]),
            Op::PermuteLast(order) => {
                ("Gather", Some(self.integers(order)), vec![integer("axis", last() as i64)])
            }
            Op::Concat(axis) => ("Concat", None, vec![integer("axis", *axis as i64)]),
            Op::Slice { axis, start, step } => {
                return self.slice(&result, node, *axis, *start, *step);
            }
            Op::ToFloat => ("Cast", None, vec![integer("to", i64::from(data_type::FLOAT))]),
            Op::Gather => ("Gather", None, vec![integer("axis", 0)]),
            Op::TakeLast => ("GatherElements", None, vec![integer("axis", last() as i64)]),
            Op::MaxLast => ("ReduceMax", None, vec![integers("axes", &[last()])]),
        };
        let inputs: Vec<&str> = operands.into_iter().chain(extra.as_deref()).collect();
        self.emit(op_type, &inputs, &result, attributes);
    }

    fn slice(&mut self, result: &str, node: &Node, axis: usize, start: usize, step: usize) {
        let end = start + (node.shape[axis] - 1) * step + 1;
        let bounds = [start, end, axis, step].map(|bound| self.integers(&[bound]));
        let x = self.name(node.inputs[0]);
        let inputs: Vec<&str> = iter::once(&x).chain(&bounds).map(String::as_str).collect();
        self.emit("Slice", &inputs, result, vec![]);
    }

    fn initializer(&mut self, name: String, data_type: i32, dims: &[usize], raw_data: Vec<u8>) {
        let dims = dims.iter().map(|d| *d as i64).collect();
        self.proto.initializer.push(TensorProto {
            dims,
            data_type,
            name,
            raw_data,
            ..Default::default()
        });
    }

    fn cast(&mut self, x: &str, result: &str, element: i32) {
        self.emit("Cast", &[x], result, vec![integer("to", i64::from(element))]);
    }

    fn widen(&mut self, x: &str, wide: &str) {
        self.cast(x, wide, data_type::DOUBLE);
    }

    fn narrow(&mut self, wide: &str, result: &str) {
        self.cast(wide, result, data_type::FLOAT);
    }

    fn wide_sqrt(&mut self, result: &str, x: &str) {
        let [wide, root] = ["wide", "root"].map(|part| format!("{result}.{part}"));
        self.widen(x, &wide);
        self.emit("Sqrt", &[&wide], &root, vec![]);
        self.narrow(&root, result);
    }

    fn matmul(
        &mut self,
        result: &str,
        node: &Node,
        flips: (bool, bool),
        scales: Scales,
        bits: u32,
    ) {
        match self.options.lowering {
            Lowering::Stock | Lowering::Fused => {
                self.wide_product(result, node, flips, scales, bits)
            }
            Lowering::Slices => self.sliced_product(result, node, flips, scales, bits),
            Lowering::Fast => self.plain_product(result, node, flips),
        }
    }

    fn reduce_sum(&mut self, result: &str, node: &Node, axes: &[usize]) {
        match self.options.lowering {
            Lowering::Fast => self.plain_sum(result, node, axes),
            _ => self.wide_sum(result, node, axes),
        }
    }

    fn scatter_add(&mut self, result: &str, node: &Node) {
        match self.options.lowering {
            Lowering::Fast => self.plain_scatter(result, node),
            _ => self.wide_scatter(result, node),
        }
    }

    /// The product of two matrices, or of two stacks of them, as the engine computes it.
    fn product(&mut self, result: &str, a: String, b: String, rank: usize, (ta, tb): (bool, bool)) {
        if rank == 2 {
            let flags = vec![integer("transA", i64::from(ta)), integer("transB", i64::from(tb))];
            self.emit("Gemm", &[&a, &b], result, flags);
        } else {
            let left = self.flipped(a, rank, ta, &format!("{result}.left"));
            let right = self.flipped(b, rank, tb, &format!("{result}.right"));
            self.emit("MatMul", &[&left, &right], result, vec![]);
        }
    }

    /// The matrix `[r, classes]` whose row i is 1 at the index i of `ids` `[r, 1]` and 0 elsewhere.
    fn one_hot(&mut self, result: &str, ids: Value, classes: usize, element: i32) -> String {
        let bytes = (0i64..).take(classes).flat_map(i64::to_le_bytes).collect();
        let classes = self.constant(data_type::INT64, &[1, classes], bytes);
        let [hit, one_hot] = ["hit", "one_hot"].map(|part| format!("{result}.{part}"));
        self.emit("Equal", &[&self.name(ids), &classes], &hit, vec![]);
        self.cast(&hit, &one_hot, element);
        one_hot
    }

    fn flipped(&mut self, x: String, rank: usize, flip: bool, name: &str) -> String {
        if !flip {
            return x;
        }
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 1, rank - 2);
        self.emit("Transpose", &[&x], name, vec![integers("perm", &perm)]);
        name.to_owned()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: Some(value),
        r#type: attribute_type::INT,
        ..Default::default()
    }
}

pub(super) fn integers(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|v| *v as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: attribute_type::INTS, ..Default::default() }
}

pub(super) fn value_info(name: &str, element: Element, shape: &[usize]) -> ValueInfoProto {
    debug_assert!(count(shape) > 0, "{name} is empty");
    let elem_type = match element {
        Element::F32 => data_type::FLOAT,
        Element::I64 => data_type::INT64,
        Element::Bool => panic!("truth values do not leave a graph"),
    };
    let dim =
        shape.iter().map(|d| Dimension { dim_value: Some(*d as i64), dim_param: None }).collect();
    let tensor_type = Some(TypeProtoTensor { elem_type, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}
