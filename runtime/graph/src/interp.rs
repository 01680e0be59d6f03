//! The reference engine: what each primitive operator means, written to be read.
//!
//! Values are held as f64. In [`Arithmetic::Exact`] every elementwise result is rounded to f32,
//! which for +, −, ·, / and √ equals one rounding of the true result (Figueroa 1995: 53 ≥ 2·24 +
//! 2), and sums follow [`crate::exact`]. In [`Arithmetic::Real`] nothing is rounded or snapped: the
//! function that the graph approximates, for checking gradients by finite differences. It is slow
//! and single-threaded on purpose.

use crate::exact;
use crate::ir::{Graph, Node, Op, Scales, Shape, Value, count, keep_one, matrix};
use std::collections::BTreeMap;

/// How results are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The exact profile.
    Exact,
    /// f64 throughout, nothing snapped.
    Real,
}

/// A tensor of any element type; indices and truth values are held as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Shape,
    /// Elements, row-major.
    pub data: Vec<f64>,
}

impl Tensor {
    /// From f32 elements.
    #[must_use]
    pub fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self { shape: shape.to_vec(), data: data.iter().map(|x| f64::from(*x)).collect() }
    }

    /// From indices below 2^53.
    #[must_use]
    pub fn from_indices(shape: &[usize], data: &[i64]) -> Self {
        Self { shape: shape.to_vec(), data: data.iter().map(|x| *x as f64).collect() }
    }
}

/// Evaluates an expanded graph.
///
/// # Panics
/// When an input is missing or a composed operator is left: our bug.
#[must_use]
pub fn run(
    graph: &Graph,
    inputs: &BTreeMap<String, Tensor>,
    arithmetic: Arithmetic,
) -> BTreeMap<String, Tensor> {
    let mut values: Vec<Tensor> = Vec::new();
    for (_, node) in graph.nodes() {
        let operands: Vec<&Tensor> =
            node.inputs.iter().map(|v: &Value| &values[v.index()]).collect();
        let data = match &node.op {
            Op::Input(name) => inputs[name].data.clone(),
            _ => evaluate(node, &operands, arithmetic),
        };
        assert_eq!(data.len(), count(&node.shape), "{:?}", node.op);
        values.push(Tensor { shape: node.shape.clone(), data });
    }
    graph.outputs().iter().map(|(name, v)| (name.clone(), values[v.index()].clone())).collect()
}

fn evaluate(node: &Node, x: &[&Tensor], mode: Arithmetic) -> Vec<f64> {
    let round = |v: f64| if mode == Arithmetic::Exact { f64::from(v as f32) } else { v };
    let unary = |f: fn(f64) -> f64| x[0].data.iter().map(|v| round(f(*v))).collect();
    let binary = |f: fn(f64, f64) -> f64| {
        let (a, b) = (repeat(x[0], &node.shape), repeat(x[1], &node.shape));
        a.iter().zip(&b).map(|(a, b)| round(f(*a, *b))).collect()
    };
    match &node.op {
        Op::Constant(bits) => bits.iter().map(|b| f64::from(f32::from_bits(*b))).collect(),
        Op::Indices(data) => data.iter().map(|i| *i as f64).collect(),
        Op::Add => binary(|a, b| a + b),
        Op::Sub => binary(|a, b| a - b),
        Op::Mul => binary(|a, b| a * b),
        Op::Div => binary(|a, b| a / b),
        Op::Max => binary(f64::max),
        Op::Less => binary(|a, b| f64::from(u8::from(a < b))),
        #[expect(clippy::float_cmp, reason = "indices held as numbers compare exactly")]
        Op::Equal => binary(|a, b| f64::from(u8::from(a == b))),
        Op::Neg => unary(|a| -a),
        Op::Abs => unary(f64::abs),
        Op::Sqrt => unary(f64::sqrt),
        Op::Floor => unary(f64::floor),
        Op::ToIndex | Op::Reshape => x[0].data.clone(),
        Op::ToFloat => unary(|a| a),
        Op::Concat(axis) => concat(x, *axis),
        Op::Slice { axis, start, step } => slice(x[0], *axis, *start, *step, node.shape[*axis]),
        Op::Expand => repeat(x[0], &node.shape),
        Op::Select => {
            let [which, a, b] = [0, 1, 2].map(|i| repeat(x[i], &node.shape));
            (0..which.len()).map(|i| if which[i] == 0.0 { b[i] } else { a[i] }).collect()
        }
        Op::Transpose(perm) => transpose(x[0], perm),
        Op::PermuteLast(order) => {
            x[0].data.chunks(order.len()).flat_map(|row| order.iter().map(|j| row[*j])).collect()
        }
        Op::Gather => {
            let row = count(&x[0].shape[1..]);
            x[1].data
                .iter()
                .flat_map(|id| x[0].data[*id as usize * row..][..row].iter().copied())
                .collect()
        }
        Op::TakeLast => {
            let n = x[0].shape[x[0].shape.len() - 1];
            x[0].data.chunks(n).zip(&x[1].data).map(|(row, id)| row[*id as usize]).collect()
        }
        Op::MaxLast => {
            let n = x[0].shape[x[0].shape.len() - 1];
            x[0].data
                .chunks(n)
                .map(|row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max))
                .collect()
        }
        Op::MatMul { ta, tb, scales, bits } => matmul(x[0], x[1], (*ta, *tb), *scales, *bits, mode),
        Op::ReduceSum(axes) => reduce_sum(x[0], axes, mode),
        Op::ScatterAdd => scatter_add(x[0], x[1], &node.shape, mode),
        Op::Input(_) | Op::Exp | Op::Sigmoid | Op::Erf | Op::Tanh | Op::Softmax => {
            panic!("{:?} is not primitive", node.op)
        }
    }
}

/// `(x ⊕ C) ⊖ C` with one scale for all of `xs`.
fn snap<'a>(xs: impl IntoIterator<Item = &'a mut f64>, bits: u32, mode: Arithmetic) {
    if mode == Arithmetic::Real {
        return;
    }
    let mut xs: Vec<&mut f64> = xs.into_iter().collect();
    let max = xs.iter().map(|x| x.abs()).fold(0.0, f64::max) as f32;
    let c = max * exact::snap_factor(bits);
    for x in &mut xs {
        **x = f64::from((**x as f32 + c) - c);
    }
}

/// The index of the group that each element of `shape` falls into when `axes` are summed.
pub(crate) fn groups(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let kept = keep_one(shape, axes);
    let ids = Tensor { shape: kept.clone(), data: (0..count(&kept)).map(|i| i as f64).collect() };
    repeat(&ids, shape).into_iter().map(|i| i as usize).collect()
}

fn snap_groups(data: &mut [f64], group: &[usize], bits: u32, mode: Arithmetic) {
    let mut members: BTreeMap<usize, Vec<&mut f64>> = BTreeMap::new();
    for (x, id) in data.iter_mut().zip(group) {
        members.entry(*id).or_default().push(x);
    }
    for slice in members.into_values() {
        snap(slice, bits, mode);
    }
}

fn to_f32(x: f64, mode: Arithmetic) -> f64 {
    if mode == Arithmetic::Exact { f64::from(x as f32) } else { x }
}

fn reduce_sum(x: &Tensor, axes: &[usize], mode: Arithmetic) -> Vec<f64> {
    let group = groups(&x.shape, axes);
    let mut data = x.data.clone();
    snap_groups(&mut data, &group, exact::SUM_BITS, mode);
    let mut sums = vec![0.0; count(&keep_one(&x.shape, axes))];
    for (value, id) in data.iter().zip(group) {
        sums[id] += value;
    }
    sums.into_iter().map(|s| to_f32(s, mode)).collect()
}

fn scatter_add(rows: &Tensor, ids: &Tensor, shape: &[usize], mode: Arithmetic) -> Vec<f64> {
    let mut data = rows.data.clone();
    snap(&mut data, exact::SUM_BITS, mode);
    let mut table = vec![0.0; count(shape)];
    for (row, id) in data.chunks(shape[1]).zip(&ids.data) {
        for (cell, value) in table[*id as usize * shape[1]..].iter_mut().zip(row) {
            *cell += value;
        }
    }
    table.into_iter().map(|s| to_f32(s, mode)).collect()
}

fn matmul(
    a: &Tensor,
    b: &Tensor,
    (ta, tb): (bool, bool),
    scales: Scales,
    bits: u32,
    mode: Arithmetic,
) -> Vec<f64> {
    let (lead, m, k) = matrix(&a.shape, ta);
    let (_, _, n) = matrix(&b.shape, tb);
    // The contracted dimension is the last of an untransposed a and the one before of an
    // untransposed b.
    let rank = a.shape.len();
    let a_data = snapped(a, if ta { rank - 2 } else { rank - 1 }, bits, scales, mode);
    let b_data = snapped(b, if tb { rank - 1 } else { rank - 2 }, bits, scales, mode);
    let mut out = Vec::with_capacity(count(lead) * m * n);
    for page in 0..count(lead) {
        let (pa, pb) = (&a_data[page * m * k..], &b_data[page * k * n..]);
        for i in 0..m {
            for j in 0..n {
                let at = |t: usize| {
                    let x = if ta { pa[t * m + i] } else { pa[i * k + t] };
                    let y = if tb { pb[j * k + t] } else { pb[t * n + j] };
                    x * y
                };
                // From +0: std's sum starts from −0.
                out.push(to_f32((0..k).map(at).fold(0.0, |sum, x| sum + x), mode));
            }
        }
    }
    out
}

fn snapped(x: &Tensor, contracted: usize, bits: u32, scales: Scales, mode: Arithmetic) -> Vec<f64> {
    let mut data = x.data.clone();
    match scales {
        Scales::Tensor => snap(&mut data, bits, mode),
        Scales::Slice => snap_groups(&mut data, &groups(&x.shape, &[contracted]), bits, mode),
    }
    data
}

/// Joins along `axis`.
pub(crate) fn concat(parts: &[&Tensor], axis: usize) -> Vec<f64> {
    let pages: usize = parts[0].shape[..axis].iter().product();
    let page = |part: &Tensor| count(&part.shape[axis..]);
    (0..pages)
        .flat_map(|i| parts.iter().flat_map(move |part| &part.data[i * page(part)..][..page(part)]))
        .copied()
        .collect()
}

/// Every `step`-th element along `axis` from `start` on, `len` of them.
pub(crate) fn slice(x: &Tensor, axis: usize, start: usize, step: usize, len: usize) -> Vec<f64> {
    let inner = count(&x.shape[axis + 1..]);
    let pages: usize = x.shape[..axis].iter().product();
    let rows = (0..pages)
        .flat_map(|page| (0..len).map(move |i| (page * x.shape[axis] + start + i * step) * inner));
    rows.flat_map(|at| x.data[at..at + inner].iter().copied()).collect()
}

/// `x` broadcast to `shape`.
pub(crate) fn repeat(x: &Tensor, shape: &[usize]) -> Vec<f64> {
    if x.shape == shape {
        return x.data.clone();
    }
    let lead = shape.len() - x.shape.len();
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for (i, d) in x.shape.iter().enumerate().rev() {
        strides[lead + i] = if *d == 1 { 0 } else { stride };
        stride *= d;
    }
    walk(shape, &strides).map(|at| x.data[at]).collect()
}

pub(crate) fn transpose(x: &Tensor, perm: &[usize]) -> Vec<f64> {
    let stride_of = |axis: usize| count(&x.shape[axis + 1..]);
    let shape: Shape = perm.iter().map(|p| x.shape[*p]).collect();
    let strides: Vec<usize> = perm.iter().map(|p| stride_of(*p)).collect();
    walk(&shape, &strides).map(|at| x.data[at]).collect()
}

/// The operand offset of every element of a result of `shape`, row-major.
fn walk<'a>(shape: &'a [usize], strides: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    (0..count(shape)).map(move |mut flat| {
        let mut at = 0;
        for (d, stride) in shape.iter().zip(strides).rev() {
            at += flat % d * stride;
            flat /= d;
        }
        at
    })
}
