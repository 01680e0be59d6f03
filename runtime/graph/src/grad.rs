//! Reverse-mode differentiation over the IR.
//!
//! [`backward`] appends the adjoint nodes to the graph it is given. Composed functions are
//! differentiated before they are expanded. What gives indices or truth values, and ⌊x⌋, whose
//! derivative is 0 where it has one, passes nothing on. Where a maximum is shared, `max(a, b)`
//! passes all to a, and the maximum of a row an equal part to each.

use crate::ir::{Element, Graph, Op, Scales, Value};
use std::collections::BTreeMap;

/// The gradients of a scalar whose derivative by each `seeds.0` is `seeds.1`, with respect to
/// `wrt`.
///
/// A value's adjoint is the sum of what its users contribute, added in descending order of user.
/// Each result has the shape of its `wrt`.
///
/// # Panics
/// When a `wrt` does not influence a seed or an operator on the way has no rule: our bug.
pub fn backward(
    g: &mut Graph,
    seeds: &[(Value, Value)],
    wrt: &[Value],
    scales: Scales,
) -> Vec<Value> {
    let active = influenced(g, wrt);
    let mut tape = Tape { g, scales, adjoints: seeds.iter().copied().collect() };
    let last = seeds.iter().map(|(value, _)| value.index()).max().unwrap_or(0);
    let nodes: Vec<_> =
        tape.g.nodes().take(last + 1).map(|(value, node)| (value, node.clone())).collect();
    for (value, node) in nodes.into_iter().rev() {
        let Some(adjoint) = tape.adjoints.get(&value).copied() else { continue };
        if active[value.index()] {
            tape.visit(&node.op, &node.inputs, value, adjoint, &active);
        }
    }
    wrt.iter()
        .map(|value| {
            let adjoint = tape.adjoints.get(value).copied();
            let adjoint =
                adjoint.unwrap_or_else(|| panic!("{value:?} does not influence the loss"));
            let shape = tape.g.shape(*value).to_vec();
            tape.g.expand(adjoint, &shape)
        })
        .collect()
}

/// Per node: does any of `wrt` influence it, in a way that has a derivative?
pub(crate) fn influenced(g: &Graph, wrt: &[Value]) -> Vec<bool> {
    let mut active = Vec::new();
    for (value, node) in g.nodes() {
        let smooth = node.element == Element::F32 && node.op != Op::Floor;
        let through = smooth && node.inputs.iter().any(|input| active[input.index()]);
        active.push(through || wrt.contains(&value));
    }
    active
}

struct Tape<'g> {
    g: &'g mut Graph,
    scales: Scales,
    /// Adjoints so far. One may be smaller than its value: it then broadcasts to the value's shape.
    adjoints: BTreeMap<Value, Value>,
}

impl Tape<'_> {
    fn visit(&mut self, op: &Op, inputs: &[Value], y: Value, gy: Value, active: &[bool]) {
        for (slot, x) in inputs.iter().enumerate() {
            if active[x.index()] {
                let contribution = self.rule(op, inputs, slot, y, gy);
                self.accumulate(*x, contribution);
            }
        }
    }

    fn accumulate(&mut self, x: Value, contribution: Value) {
        let sum = match self.adjoints.get(&x) {
            Some(so_far) => self.g.add(*so_far, contribution),
            None => contribution,
        };
        self.adjoints.insert(x, sum);
    }

    /// The adjoint of operand `slot`, given the result `y` and its adjoint `gy`.
    fn rule(&mut self, op: &Op, inputs: &[Value], slot: usize, y: Value, gy: Value) -> Value {
        let x = inputs[slot];
        let g = &mut *self.g;
        match op {
            Op::Add => self.sum_to(gy, y, x),
            Op::Sub if slot == 0 => self.sum_to(gy, y, x),
            Op::Sub => {
                let minus = g.neg(gy);
                self.sum_to(minus, y, x)
            }
            Op::Mul => {
                let product = g.mul(gy, inputs[1 - slot]);
                self.sum_to(product, y, x)
            }
            Op::Div => {
                let quotient = g.div(gy, inputs[1]);
                if slot == 0 {
                    return self.sum_to(quotient, y, x);
                }
                let product = g.mul(quotient, y);
                let minus = g.neg(product);
                self.sum_to(minus, y, x)
            }
            Op::Neg => g.neg(gy),
            Op::Sqrt => {
                let half = g.scalar(0.5);
                let halved = g.mul(gy, half);
                g.div(halved, y)
            }
            Op::Exp => g.mul(gy, y),
            Op::Sigmoid => {
                let one = g.scalar(1.0);
                let rest = g.sub(one, y);
                let slope = g.mul(y, rest);
                g.mul(gy, slope)
            }
            Op::Erf => {
                let square = g.mul(x, x);
                let falling = g.neg(square);
                let bell = g.exp(falling);
                let height = g.scalar(std::f32::consts::FRAC_2_SQRT_PI);
                let slope = g.mul(bell, height);
                g.mul(gy, slope)
            }
            Op::Tanh => {
                let square = g.mul(y, y);
                let one = g.scalar(1.0);
                let slope = g.sub(one, square);
                g.mul(gy, slope)
            }
            Op::Softmax => self.softmax(y, gy),
            Op::Abs => {
                let (minus, zero) = (g.neg(gy), g.scalar(0.0));
                let (below, above) = (g.less(x, zero), g.less(zero, x));
                let upper = g.select(above, gy, zero);
                g.select(below, minus, upper)
            }
            Op::Max => {
                let (less, zero) = (g.less(inputs[0], inputs[1]), g.scalar(0.0));
                let part =
                    if slot == 0 { g.select(less, zero, gy) } else { g.select(less, gy, zero) };
                self.sum_to(part, y, x)
            }
            Op::Select => {
                let zero = g.scalar(0.0);
                let part = if slot == 1 {
                    g.select(inputs[0], gy, zero)
                } else {
                    g.select(inputs[0], zero, gy)
                };
                self.sum_to(part, y, x)
            }
            Op::MaxLast => self.max_last(x, y, gy),
            Op::TakeLast => {
                let n = g.shape(x)[g.shape(x).len() - 1];
                let classes: Vec<i64> = (0i64..).take(n).collect();
                let (classes, zero) = (g.indices(&[n], &classes), g.scalar(0.0));
                let hit = g.equal(classes, inputs[1]);
                g.select(hit, gy, zero)
            }
            Op::Concat(axis) => {
                let part = |x: &Value| g.shape(*x)[*axis];
                let (start, len) = (inputs[..slot].iter().map(part).sum(), part(&x));
                let full = self.full(gy, y);
                self.g.slice(full, *axis, start, 1, len)
            }
            Op::Slice { axis, start, step } => self.slice(x, y, gy, *axis, *start, *step),
            Op::Reshape => {
                let full = self.full(gy, y);
                let shape = self.g.shape(x).to_vec();
                self.g.reshape(full, &shape)
            }
            Op::Transpose(perm) => {
                let full = self.full(gy, y);
                self.g.transpose(full, &inverse(perm))
            }
            Op::PermuteLast(order) => {
                let full = self.full(gy, y);
                self.g.permute_last(full, &inverse(order))
            }
            Op::Expand => self.sum_to(gy, y, x),
            Op::ReduceSum(_) => gy,
            Op::MatMul { ta, tb, .. } => self.matmul(inputs, slot, *ta, *tb, y, gy),
            Op::Gather => self.gather(inputs, y, gy),
            other => panic!("{other:?} has no gradient rule"),
        }
    }

    fn full(&mut self, adjoint: Value, of: Value) -> Value {
        let shape = self.g.shape(of).to_vec();
        self.g.expand(adjoint, &shape)
    }

    /// Sums an adjoint of `from` over the dimensions along which `to` was repeated to give `from`.
    fn sum_to(&mut self, adjoint: Value, from: Value, to: Value) -> Value {
        let (wide, narrow) = (self.g.shape(from).to_vec(), self.g.shape(to).to_vec());
        if wide == narrow {
            return adjoint;
        }
        let full = self.g.expand(adjoint, &wide);
        let lead = wide.len() - narrow.len();
        let repeated = |i: &usize| *i < lead || (narrow[i - lead] == 1 && wide[*i] != 1);
        let axes: Vec<usize> = (0..wide.len()).filter(repeated).collect();
        let sum = self.g.reduce_sum(full, &axes);
        self.g.reshape(sum, &narrow)
    }

    /// y ⊙ (g − Σ g ⊙ y).
    fn softmax(&mut self, y: Value, gy: Value) -> Value {
        let last = self.g.shape(y).len() - 1;
        let product = self.g.mul(gy, y);
        let sum = self.g.reduce_sum(product, &[last]);
        let centred = self.g.sub(gy, sum);
        self.g.mul(y, centred)
    }

    /// The adjoint in equal parts to every element of a row that is its maximum.
    fn max_last(&mut self, x: Value, y: Value, gy: Value) -> Value {
        let g = &mut *self.g;
        let last = g.shape(x).len() - 1;
        let (smaller, zero, one) = (g.less(x, y), g.scalar(0.0), g.scalar(1.0));
        let hit = g.select(smaller, zero, one);
        let hits = g.reduce_sum(hit, &[last]);
        let part = g.div(gy, hits);
        g.mul(hit, part)
    }

    /// The adjoint of a slice, with zeros where nothing was taken.
    fn slice(
        &mut self,
        x: Value,
        y: Value,
        gy: Value,
        axis: usize,
        start: usize,
        step: usize,
    ) -> Value {
        let mut spread = self.full(gy, y);
        let (shape, n) = (self.g.shape(y).to_vec(), self.g.shape(x)[axis]);
        let len = shape[axis];
        if step > 1 {
            // [… len …] → [… len, 1 …] → [… len, step …] → [… len · step …]
            let mut wide = shape.clone();
            wide.insert(axis + 1, 1);
            spread = self.g.reshape(spread, &wide);
            spread = self.pad(spread, axis + 1, 0, step - 1);
            wide = shape;
            wide[axis] = len * step;
            spread = self.g.reshape(spread, &wide);
            spread = self.g.slice(spread, axis, 0, 1, (len - 1) * step + 1);
        }
        let used = (len - 1) * step + 1;
        self.pad(spread, axis, start, n - start - used)
    }

    /// `before` and `after` zeros along `axis`.
    fn pad(&mut self, x: Value, axis: usize, before: usize, after: usize) -> Value {
        let mut shape = self.g.shape(x).to_vec();
        let mut zeros = |g: &mut Graph, n: usize| {
            shape[axis] = n;
            let zero = g.scalar(0.0);
            g.expand(zero, &shape)
        };
        let mut parts = Vec::new();
        if before > 0 {
            parts.push(zeros(self.g, before));
        }
        parts.push(x);
        if after > 0 {
            parts.push(zeros(self.g, after));
        }
        if parts.len() == 1 { x } else { self.g.concat(&parts, axis) }
    }

    fn matmul(
        &mut self,
        inputs: &[Value],
        slot: usize,
        ta: bool,
        tb: bool,
        y: Value,
        gy: Value,
    ) -> Value {
        let gy = self.full(gy, y);
        let (a, b, scales) = (inputs[0], inputs[1], self.scales);
        match (slot, ta, tb) {
            (0, false, _) => self.g.matmul(gy, b, false, !tb, scales),
            (0, true, _) => self.g.matmul(b, gy, tb, true, scales),
            (_, _, false) => self.g.matmul(a, gy, !ta, false, scales),
            (_, _, true) => self.g.matmul(gy, a, true, ta, scales),
        }
    }

    fn gather(&mut self, inputs: &[Value], y: Value, gy: Value) -> Value {
        let gy = self.full(gy, y);
        let [n, d] = *self.g.shape(inputs[0]) else { panic!("gather from a matrix only") };
        let count: usize = self.g.shape(inputs[1]).iter().product();
        let rows = self.g.reshape(gy, &[count, d]);
        let ids = self.g.reshape(inputs[1], &[count, 1]);
        self.g.scatter_add(rows, ids, n)
    }
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (i, p) in perm.iter().enumerate() {
        inverse[*p] = i;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite;
    use crate::interp::{Arithmetic, Tensor, run};
    use crate::ir::Value;
    use dataforge_core::hash::EpochSeed;
    use dataforge_core::random::SeedStream;

    /// The gradient of Σ wᵢ · yᵢ for `y = op(a, b)`, a and b `[3, 4]`, against central differences
    /// in real arithmetic.
    #[track_caller]
    fn check(op: impl Fn(&mut Graph, Value, Value) -> Value) {
        let mut g = Graph::new(20);
        let [a, b] = ["a", "b"].map(|name| g.input(name, &[3, 4], Element::F32));
        let y = op(&mut g, a, b);
        let shape = g.shape(y).to_vec();
        let weights: Vec<f32> =
            (0..shape.iter().product()).map(|i| (i * 7 % 5) as f32 - 1.5).collect();
        let seed = g.constant(&shape, &weights);
        // b takes part in every case, if only here.
        let tie = g.mul(b, a);
        let one = g.expand_scalar(&[3, 4]);
        for (name, gradient) in ["a", "b"].iter().zip(backward(
            &mut g,
            &[(y, seed), (tie, one)],
            &[a, b],
            Scales::Tensor,
        )) {
            g.output(*name, gradient);
        }
        let (loss_y, loss_tie) = (g.mul(y, seed), tie);
        g.output("y", loss_y);
        g.output("tie", loss_tie);
        let graph = composite::expand(&g);

        let mut random = SeedStream::new(&EpochSeed([9; 32]), "gradient rules");
        let mut inputs = BTreeMap::new();
        for name in ["a", "b"] {
            let data = (0..12).map(|_| random.below(4000) as f64 / 1000.0 - 2.0).collect();
            inputs.insert(name.to_owned(), Tensor { shape: vec![3, 4], data });
        }
        let loss = |inputs: &BTreeMap<String, Tensor>| {
            let out = run(&graph, inputs, Arithmetic::Real);
            out["y"].data.iter().chain(&out["tie"].data).sum::<f64>()
        };
        let analytic = run(&graph, &inputs, Arithmetic::Real);
        for name in ["a", "b"] {
            for at in 0..12 {
                let moved = |by: f64| {
                    let mut inputs = inputs.clone();
                    inputs.get_mut(name).unwrap().data[at] += by;
                    loss(&inputs)
                };
                let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let found = analytic[name].data[at];
                let error = (numeric - found).abs();
                assert!(error <= 1e-6 * (1.0 + found.abs()), "{name}[{at}]: {found}, {numeric}");
            }
        }
    }

    impl Graph {
        /// Ones.
        fn expand_scalar(&mut self, shape: &[usize]) -> Value {
            let one = self.scalar(1.0);
            self.expand(one, shape)
        }
    }

    #[test]
    fn elementwise_rules() {
        check(|g, a, b| g.max(a, b));
        check(|g, a, _| g.abs(a));
        check(|g, a, b| {
            let less = g.less(a, b);
            let square = g.mul(a, a);
            g.select(less, square, b)
        });
        check(|g, a, _| {
            let floor = g.floor(a);
            g.mul(a, floor)
        });
    }

    #[test]
    fn movement_rules() {
        check(|g, a, b| g.concat(&[a, b, a], 0));
        check(|g, a, b| g.concat(&[a, b, a], 1));
        check(|g, a, _| g.slice(a, 0, 1, 1, 2));
        check(|g, a, _| g.slice(a, 1, 0, 2, 2));
        check(|g, a, _| g.slice(a, 1, 1, 2, 2));
        check(|g, a, _| g.slice(a, 1, 0, 3, 2));
        check(|g, a, _| g.max_last(a));
        check(|g, a, _| {
            let ids = g.indices(&[3, 1], &[2, 0, 3]);
            g.take_last(a, ids)
        });
    }

    #[test]
    fn a_shared_maximum_is_shared() {
        let mut g = Graph::new(20);
        let a = g.input("a", &[1, 4], Element::F32);
        let max = g.max_last(a);
        let one = g.scalar(1.0);
        let gradient = backward(&mut g, &[(max, one)], &[a], Scales::Tensor)[0];
        g.output("a", gradient);
        let input = Tensor { shape: vec![1, 4], data: vec![1.0, 3.0, 3.0, 2.0] };
        let inputs = BTreeMap::from([("a".to_owned(), input)]);
        assert_eq!(run(&g, &inputs, Arithmetic::Exact)["a"].data, [0.0, 0.5, 0.5, 0.0]);
    }
}
