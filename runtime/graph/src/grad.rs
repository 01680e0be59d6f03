//! Reverse-mode differentiation over the IR.
//!
//! [`backward`] appends the adjoint nodes to the graph it is given. Operators that only appear
//! inside composed functions have no rule: composed functions are differentiated before they are
//! expanded.

use crate::ir::{Graph, Op, Scales, Value};
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
        if node.inputs.iter().any(|input| active[input.index()]) {
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

/// Per node: does any of `wrt` influence it?
fn influenced(g: &Graph, wrt: &[Value]) -> Vec<bool> {
    let mut active = Vec::new();
    for (value, node) in g.nodes() {
        let through = node.inputs.iter().any(|input| active[input.index()]);
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
            Op::Softmax(scales) => self.softmax(y, gy, *scales),
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
            Op::ReduceSum { .. } => gy,
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
        let sum = self.g.reduce_sum(full, &axes, self.scales);
        self.g.reshape(sum, &narrow)
    }

    /// y ⊙ (g − Σ g ⊙ y).
    fn softmax(&mut self, y: Value, gy: Value, scales: Scales) -> Value {
        let last = self.g.shape(y).len() - 1;
        let product = self.g.mul(gy, y);
        let sum = self.g.reduce_sum(product, &[last], scales);
        let centred = self.g.sub(gy, sum);
        self.g.mul(y, centred)
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
