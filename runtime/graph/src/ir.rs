//! The tensor IR: values, operators, shape rules and the builder.
//!
//! A graph is a list of nodes in evaluation order; equal nodes are stored once. Shapes are static.
//! Building a graph whose shapes do not fit is our bug and panics: shapes come from validated
//! specs.
//!
//! Invariants: a node's inputs come before it; every f32 sum of more than two terms is one of
//! [`Op::MatMul`], [`Op::ReduceSum`], [`Op::ScatterAdd`], whose results are exact sums of snapped
//! operands ([`crate::exact`]) rounded once.

use crate::exact;
use dataforge_core::limits::OPERAND_BITS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Dimensions, outermost first.
pub type Shape = Vec<usize>;

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// IEEE 754 binary32, subnormals included.
    F32,
    /// Indices.
    I64,
    /// Truth values.
    Bool,
}

/// A node of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(u32);

/// Over what the snapping scale `max|x|` of a product's operand is taken. Every [`Op::ReduceSum`]
/// takes its own: what it adds up, squares of activations among them, may be large in a single row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scales {
    /// The whole tensor: one snapped copy serves forward and backward. For training.
    Tensor,
    /// Each slice that is summed: a row of the result depends on nothing outside its own operands.
    /// For evaluation, where a benchmark row's bits must not depend on what shares its batch.
    Slice,
}

/// An operator. Elementwise ones broadcast as NumPy and ONNX do; each is rounded once, to nearest
/// even.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A tensor given at run time.
    Input(String),
    /// A constant, by the bits of its elements.
    Constant(Arc<[u32]>),
    /// Constant indices.
    Indices(Arc<[i64]>),
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// max(a, b); neither may be NaN unless the run has already diverged.
    Max,
    /// −a.
    Neg,
    /// |a|.
    Abs,
    /// √a, correctly rounded.
    Sqrt,
    /// ⌊a⌋. The sign of a zero is not kept by every engine.
    Floor,
    /// a < b, as truth values; false when either is NaN.
    Less,
    /// a = b over indices, as truth values.
    Equal,
    /// Where a then b else c. The sign of a zero is not kept by every engine: for use where it
    /// cannot matter.
    Select,
    /// f32 to index, exact integers only.
    ToIndex,
    /// Index to f32, rounded to nearest even beyond 2^24.
    ToFloat,
    /// Same elements, other dimensions.
    Reshape,
    /// Dimension i of the result is dimension `perm[i]` of the operand.
    Transpose(Vec<usize>),
    /// Repeats along dimensions of size 1.
    Expand,
    /// Element j along the last dimension is element `order[j]` of the operand.
    PermuteLast(Vec<usize>),
    /// Joins along a dimension.
    Concat(usize),
    /// Every `step`-th element along a dimension from `start` on, as many as the result has.
    Slice {
        /// The dimension.
        axis: usize,
        /// First element.
        start: usize,
        /// At least 1.
        step: usize,
    },
    /// Rows of a table `[n, …]` by indices of any shape.
    Gather,
    /// `[…, n]` by one index per row `[…, 1]`.
    TakeLast,
    /// Maximum over the last dimension, kept as size 1.
    MaxLast,
    /// Exact product of `[…, m, k]` and `[…, k, n]`, either transposed in its last two dimensions.
    MatMul {
        /// Transpose a.
        ta: bool,
        /// Transpose b.
        tb: bool,
        /// Snapping scales.
        scales: Scales,
        /// Bits that the operands keep.
        bits: u32,
    },
    /// Exact sum over dimensions, ascending, kept as size 1. Each sum has a scale of its own.
    ReduceSum(Vec<usize>),
    /// Exact sum of rows `[r, d]` into a table of zeros `[n, d]` at indices `[r, 1]`; one scale.
    ScatterAdd,
    /// eᵃ, composed; see [`crate::composite`].
    Exp,
    /// 1 / (1 + e⁻ᵃ), composed.
    Sigmoid,
    /// The error function 2/√π ∫₀ᵃ e^−t² dt, composed.
    Erf,
    /// Hyperbolic tangent, composed.
    Tanh,
    /// Softmax over the last dimension, composed.
    Softmax,
}

/// A node: operator, operands, result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Operator.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<Value>,
    /// Result's dimensions.
    pub shape: Shape,
    /// Result's elements.
    pub element: Element,
}

/// A graph under construction or finished.
#[derive(Debug, Clone)]
pub struct Graph {
    operand_bits: u32,
    nodes: Vec<Node>,
    known: BTreeMap<Node, Value>,
    outputs: Vec<(String, Value)>,
}

impl Graph {
    /// An empty graph, whose products keep at most `operand_bits` of each operand.
    ///
    /// # Panics
    /// When the width is not one of [`OPERAND_BITS`]: specs are validated.
    #[must_use]
    pub fn new(operand_bits: u32) -> Self {
        assert!(OPERAND_BITS.contains(&operand_bits), "operands of {operand_bits} bits");
        Self { operand_bits, nodes: vec![], known: BTreeMap::new(), outputs: vec![] }
    }

    /// Most bits that an operand of a product keeps.
    #[must_use]
    pub fn operand_bits(&self) -> u32 {
        self.operand_bits
    }

    /// Every node with its value, operands first.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (Value, &Node)> {
        (0u32..).zip(&self.nodes).map(|(i, node)| (Value(i), node)).collect::<Vec<_>>().into_iter()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// A value's dimensions.
    #[must_use]
    pub fn shape(&self, value: Value) -> &[usize] {
        &self.node(value).shape
    }

    /// Names of the tensors given at run time, in the order they were declared.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Input(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Named results, in the order they were declared.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// Declares a result.
    pub fn output(&mut self, name: impl Into<String>, value: Value) {
        self.outputs.push((name.into(), value));
    }

    /// Adds a node, or finds the equal one that is there.
    pub(crate) fn push(
        &mut self,
        op: Op,
        inputs: Vec<Value>,
        shape: Shape,
        element: Element,
    ) -> Value {
        let node = Node { op, inputs, shape, element };
        if let Some(value) = self.known.get(&node) {
            return *value;
        }
        let value = Value(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.known.insert(node.clone(), value);
        self.nodes.push(node);
        value
    }

    /// A tensor given at run time.
    pub fn input(&mut self, name: impl Into<String>, shape: &[usize], element: Element) -> Value {
        self.push(Op::Input(name.into()), vec![], shape.to_vec(), element)
    }

    /// A constant tensor.
    pub fn constant(&mut self, shape: &[usize], data: &[f32]) -> Value {
        assert_eq!(count(shape), data.len(), "constant of shape {shape:?}");
        let bits = data.iter().map(|x| x.to_bits()).collect();
        self.push(Op::Constant(bits), vec![], shape.to_vec(), Element::F32)
    }

    /// A constant of one element that broadcasts against anything.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.constant(&[1], &[value])
    }

    /// Constant indices.
    pub fn indices(&mut self, shape: &[usize], data: &[i64]) -> Value {
        assert_eq!(count(shape), data.len(), "indices of shape {shape:?}");
        self.push(Op::Indices(data.into()), vec![], shape.to_vec(), Element::I64)
    }

    fn unary(&mut self, op: Op, a: Value) -> Value {
        let node = self.node(a);
        let (shape, element) = (node.shape.clone(), node.element);
        self.push(op, vec![a], shape, element)
    }

    fn binary(&mut self, op: Op, a: Value, b: Value, element: Element) -> Value {
        let shape = broadcast(self.shape(a), self.shape(b));
        self.push(op, vec![a, b], shape, element)
    }

    /// a + b.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Add, a, b, Element::F32)
    }

    /// a − b.
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Sub, a, b, Element::F32)
    }

    /// a · b.
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Mul, a, b, Element::F32)
    }

    /// a / b.
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Div, a, b, Element::F32)
    }

    /// max(a, b).
    pub fn max(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Max, a, b, Element::F32)
    }

    /// −a.
    pub fn neg(&mut self, a: Value) -> Value {
        self.unary(Op::Neg, a)
    }

    /// |a|.
    pub fn abs(&mut self, a: Value) -> Value {
        self.unary(Op::Abs, a)
    }

    /// √a.
    pub fn sqrt(&mut self, a: Value) -> Value {
        self.unary(Op::Sqrt, a)
    }

    /// ⌊a⌋.
    pub fn floor(&mut self, a: Value) -> Value {
        self.unary(Op::Floor, a)
    }

    /// eᵃ.
    pub fn exp(&mut self, a: Value) -> Value {
        self.unary(Op::Exp, a)
    }

    /// 1 / (1 + e⁻ᵃ).
    pub fn sigmoid(&mut self, a: Value) -> Value {
        self.unary(Op::Sigmoid, a)
    }

    /// The error function 2/√π ∫₀ᵃ e^−t² dt.
    pub fn erf(&mut self, a: Value) -> Value {
        self.unary(Op::Erf, a)
    }

    /// Hyperbolic tangent.
    pub fn tanh(&mut self, a: Value) -> Value {
        self.unary(Op::Tanh, a)
    }

    /// Softmax over the last dimension.
    pub fn softmax(&mut self, a: Value) -> Value {
        self.unary(Op::Softmax, a)
    }

    /// a < b.
    pub fn less(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Less, a, b, Element::Bool)
    }

    /// a = b, over indices.
    pub fn equal(&mut self, a: Value, b: Value) -> Value {
        self.binary(Op::Equal, a, b, Element::Bool)
    }

    /// Where `which` then a else b.
    pub fn select(&mut self, which: Value, a: Value, b: Value) -> Value {
        let shape = broadcast(self.shape(which), &broadcast(self.shape(a), self.shape(b)));
        self.push(Op::Select, vec![which, a, b], shape, Element::F32)
    }

    /// Exact integers held as f32, as indices.
    pub fn to_index(&mut self, a: Value) -> Value {
        let shape = self.shape(a).to_vec();
        self.push(Op::ToIndex, vec![a], shape, Element::I64)
    }

    /// Indices as f32.
    pub fn to_float(&mut self, a: Value) -> Value {
        let shape = self.shape(a).to_vec();
        self.push(Op::ToFloat, vec![a], shape, Element::F32)
    }

    /// Same elements, other dimensions.
    pub fn reshape(&mut self, a: Value, shape: &[usize]) -> Value {
        let node = self.node(a);
        assert_eq!(count(&node.shape), count(shape), "reshape {:?} to {shape:?}", node.shape);
        if node.shape == shape {
            return a;
        }
        let element = node.element;
        self.push(Op::Reshape, vec![a], shape.to_vec(), element)
    }

    /// Dimension i of the result is dimension `perm[i]` of a.
    pub fn transpose(&mut self, a: Value, perm: &[usize]) -> Value {
        let node = self.node(a);
        let shape = perm.iter().map(|p| node.shape[*p]).collect();
        let element = node.element;
        self.push(Op::Transpose(perm.to_vec()), vec![a], shape, element)
    }

    /// Repeats along dimensions of size 1 until the shape is `shape`.
    pub fn expand(&mut self, a: Value, shape: &[usize]) -> Value {
        assert_eq!(broadcast(self.shape(a), shape), shape, "expand {:?}", self.shape(a));
        if self.shape(a) == shape {
            return a;
        }
        let element = self.node(a).element;
        self.push(Op::Expand, vec![a], shape.to_vec(), element)
    }

    /// Element j along the last dimension becomes element `order[j]`.
    pub fn permute_last(&mut self, a: Value, order: &[usize]) -> Value {
        assert_eq!(self.shape(a).last(), Some(&order.len()), "permutation of another length");
        self.unary(Op::PermuteLast(order.to_vec()), a)
    }

    /// Joins along `axis`; the other dimensions are equal.
    pub fn concat(&mut self, parts: &[Value], axis: usize) -> Value {
        let first = self.node(parts[0]);
        let (mut shape, element) = (first.shape.clone(), first.element);
        shape[axis] = parts.iter().map(|part| self.shape(*part)[axis]).sum();
        for part in parts {
            let mut wide = self.shape(*part).to_vec();
            wide[axis] = shape[axis];
            assert_eq!(wide, shape, "concat along {axis}");
        }
        self.push(Op::Concat(axis), parts.to_vec(), shape, element)
    }

    /// Elements `start`, `start + step`, … along `axis`, `len` of them.
    pub fn slice(&mut self, a: Value, axis: usize, start: usize, step: usize, len: usize) -> Value {
        let node = self.node(a);
        let (mut shape, element) = (node.shape.clone(), node.element);
        let last = start + (len - 1) * step;
        assert!(step > 0 && last < shape[axis], "slice of {shape:?} along {axis} up to {last}");
        if len == shape[axis] {
            return a;
        }
        shape[axis] = len;
        self.push(Op::Slice { axis, start, step }, vec![a], shape, element)
    }

    /// Rows of `table` `[n, …]` at `ids`: shape of ids, then the table's other dimensions.
    pub fn gather(&mut self, table: Value, ids: Value) -> Value {
        let shape = [self.shape(ids), &self.shape(table)[1..]].concat();
        self.push(Op::Gather, vec![table, ids], shape, Element::F32)
    }

    /// One element per row: a `[…, n]`, ids `[…, 1]`.
    pub fn take_last(&mut self, a: Value, ids: Value) -> Value {
        let shape = self.shape(ids).to_vec();
        self.push(Op::TakeLast, vec![a, ids], shape, Element::F32)
    }

    /// Maximum over the last dimension, kept as size 1.
    pub fn max_last(&mut self, a: Value) -> Value {
        let shape = keep_one(self.shape(a), &[self.shape(a).len() - 1]);
        self.push(Op::MaxLast, vec![a], shape, Element::F32)
    }

    /// Exact matrix product over the last two dimensions; leading dimensions are equal.
    pub fn matmul(&mut self, a: Value, b: Value, ta: bool, tb: bool, scales: Scales) -> Value {
        let (sa, sb) = (self.shape(a), self.shape(b));
        let (lead_a, m, ka) = matrix(sa, ta);
        let (lead_b, kb, n) = matrix(sb, tb);
        assert!(lead_a == lead_b && ka == kb, "matmul of {sa:?} (t {ta}) and {sb:?} (t {tb})");
        let bits = exact::product_bits(ka, self.operand_bits);
        let shape = [lead_a, &[m, n]].concat();
        self.push(Op::MatMul { ta, tb, scales, bits }, vec![a, b], shape, Element::F32)
    }

    /// Exact sum over `axes` (ascending), kept as size 1.
    pub fn reduce_sum(&mut self, a: Value, axes: &[usize]) -> Value {
        let full = self.shape(a);
        let terms: usize = axes.iter().map(|axis| full[*axis]).product();
        assert!(terms <= exact::SUM_TERMS_MAX, "no exact sum over {terms} terms");
        let shape = keep_one(full, axes);
        self.push(Op::ReduceSum(axes.to_vec()), vec![a], shape, Element::F32)
    }

    /// Exact sum of rows `[r, d]` into zeros `[n, d]` at `ids` `[r, 1]`.
    pub fn scatter_add(&mut self, rows: Value, ids: Value, n: usize) -> Value {
        let [r, d] = *self.shape(rows) else { panic!("scatter_add takes a matrix") };
        assert!(self.shape(ids) == [r, 1] && r <= exact::SUM_TERMS_MAX, "scatter_add of {r} rows");
        self.push(Op::ScatterAdd, vec![rows, ids], vec![n, d], Element::F32)
    }
}

impl Value {
    /// Position in the graph's node list.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The value at a position in the graph's node list.
    pub(crate) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Number of elements of a shape.
#[must_use]
pub fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// NumPy broadcasting of two shapes.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Shape {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |j| shape[j]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => panic!("shapes {a:?} and {b:?} do not broadcast"),
        })
        .collect()
}

/// `shape` with the given axes set to 1.
pub(crate) fn keep_one(shape: &[usize], axes: &[usize]) -> Shape {
    shape.iter().enumerate().map(|(i, d)| if axes.contains(&i) { 1 } else { *d }).collect()
}

/// Leading dimensions, rows and columns of a matrix operand after its optional transposition.
pub(crate) fn matrix(shape: &[usize], transposed: bool) -> (&[usize], usize, usize) {
    let (lead, last) = shape.split_at(shape.len() - 2);
    if transposed { (lead, last[1], last[0]) } else { (lead, last[0], last[1]) }
}
