//! Sums in f32, as the engine computes them. Nothing here is exact.

use super::{Emitter, data_type};
use crate::ir::Node;

impl Emitter<'_> {
    pub(super) fn plain_product(&mut self, result: &str, node: &Node, flips: (bool, bool)) {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let rank = self.graph.shape(a).len();
        self.product(result, self.name(a), self.name(b), rank, flips);
    }

    pub(super) fn plain_sum(&mut self, result: &str, node: &Node, axes: &[usize]) {
        let axes = self.integers(axes);
        self.emit("ReduceSum", &[&self.name(node.inputs[0]), &axes], result, vec![]);
    }

    pub(super) fn plain_scatter(&mut self, result: &str, node: &Node) {
        let (rows, ids) = (self.name(node.inputs[0]), node.inputs[1]);
        let one_hot = self.one_hot(result, ids, node.shape[0], data_type::FLOAT);
        self.product(result, one_hot, rows, 2, (true, false));
    }
}
