//! Exact sums in f64, with stock operators.
//!
//! Operands are snapped by `Abs, ReduceMax, Mul, Add, Sub` and cast to double, one copy per
//! operand, bits and scale; the engine sums them in double in whatever order, and the sum is cast
//! back.

use super::{Emitter, data_type, integers};
use crate::exact;
use crate::ir::{Node, Scales, Value};

/// Which snapped double copy of a value: its bits, and the dimensions that share one scale.
pub(super) type SnapKey = (Value, u32, Vec<usize>);

/// A snapped double copy.
#[derive(Clone)]
pub(super) struct Snapped {
    pub(super) wide: String,
    /// The snapping constant C of each slice, f32.
    pub(super) scale: String,
}

impl Emitter<'_> {
    /// The dimensions of `value` that share one scale when `axes` are summed.
    pub(super) fn scale_axes(&self, value: Value, axes: &[usize], scales: Scales) -> Vec<usize> {
        match scales {
            Scales::Tensor => (0..self.graph.shape(value).len()).collect(),
            Scales::Slice => axes.to_vec(),
        }
    }

    /// `value` snapped to `bits` with one scale per slice along `axes`.
    pub(super) fn snap(&mut self, value: Value, bits: u32, axes: Vec<usize>) -> Snapped {
        let key = (value, bits, axes);
        if let Some(snapped) = self.snapped.get(&key) {
            return snapped.clone();
        }
        let x = self.name(value);
        let part = |what: &str| format!("{x}.{what}{}", self.snapped.len());
        let [abs, max, scale, up, down, wide] =
            ["abs", "max", "scale", "up", "snap", "wide"].map(part);
        let factor =
            self.constant(data_type::FLOAT, &[1], exact::snap_factor(bits).to_le_bytes().into());
        self.emit("Abs", &[&x], &abs, vec![]);
        self.emit("ReduceMax", &[&abs], &max, vec![integers("axes", &key.2)]);
        self.emit("Mul", &[&max, &factor], &scale, vec![]);
        self.emit("Add", &[&x, &scale], &up, vec![]);
        self.emit("Sub", &[&up, &scale], &down, vec![]);
        self.widen(&down, &wide);
        let snapped = Snapped { wide, scale };
        self.snapped.insert(key, snapped.clone());
        snapped
    }

    pub(super) fn wide_product(
        &mut self,
        result: &str,
        node: &Node,
        (ta, tb): (bool, bool),
        scales: Scales,
        bits: u32,
    ) {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let rank = self.graph.shape(a).len();
        let [axes_a, axes_b] = contracted(rank, (ta, tb));
        let axes_a = self.scale_axes(a, &axes_a, scales);
        let axes_b = self.scale_axes(b, &axes_b, scales);
        let wide_a = self.snap(a, bits, axes_a).wide;
        let wide_b = self.snap(b, bits, axes_b).wide;
        let product = format!("{result}.wide");
        self.product(&product, wide_a, wide_b, rank, (ta, tb));
        self.narrow(&product, result);
    }

    pub(super) fn wide_sum(&mut self, result: &str, node: &Node, axes: &[usize]) {
        let wide = self.snap(node.inputs[0], exact::SUM_BITS, axes.to_vec()).wide;
        let axes = self.integers(axes);
        let sum = format!("{result}.wide");
        self.emit("ReduceSum", &[&wide, &axes], &sum, vec![]);
        self.narrow(&sum, result);
    }

    /// As a product with the one-hot matrix of the indices: ONNX Runtime's ScatterND adds duplicate
    /// rows from several threads without a lock, and loses some.
    pub(super) fn wide_scatter(&mut self, result: &str, node: &Node) {
        let (rows, ids) = (node.inputs[0], node.inputs[1]);
        let axes = self.scale_axes(rows, &[], Scales::Tensor);
        let wide = self.snap(rows, exact::SUM_BITS, axes).wide;
        let one_hot = self.one_hot(result, ids, node.shape[0], data_type::DOUBLE);
        let sum = format!("{result}.wide");
        self.product(&sum, one_hot, wide, 2, (true, false));
        self.narrow(&sum, result);
    }
}

/// The contracted dimension of each operand of a product.
pub(super) fn contracted(rank: usize, (ta, tb): (bool, bool)) -> [[usize; 1]; 2] {
    let (row, column) = (rank - 2, rank - 1);
    [[if ta { row } else { column }], [if tb { column } else { row }]]
}
