//! Composed functions as fixed sequences of primitive operators.
//!
//! [`expand`] rewrites a graph so that no composed operator is left; the sequences here are part of
//! the numeric profile and may never change under one profile name. A NaN operand always yields a
//! NaN, so that a run that diverges is seen to diverge on every engine.

use crate::ir::{Graph, Op, Value};

/// Powers of two that [`Op::Exp`] scales by: 2^n for n from −150 (which rounds to 0) to 128
/// (infinity).
pub const EXPONENT_MIN: i16 = -150;
/// The largest of these exponents.
pub const EXPONENT_MAX: i16 = 128;

/// ln 2 split so that n · `LN2_HIGH` is exact in f32 for |n| ≤ 2^9 (Cody & Waite 1980, chapter 6).
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// An odd function that tends to ±1, as t · P(t²) / Q(t²) with t = min(|x|, `limit`). Coefficients
/// rise with the power of t².
struct BoundedOdd<const P: usize, const Q: usize> {
    /// From here on the function rounds to 1.
    limit: f32,
    numerator: [f32; P],
    denominator: [f32; Q],
}

/// Relative minimax fit on [0, 3.92]; error of the fit 1.9·10⁻⁸. As composed, within 7 units in
/// the last place of erf and 4.1·10⁻⁷ of it everywhere.
const ERF: BoundedOdd<6, 6> = BoundedOdd {
    limit: 3.92,
    numerator: [
        std::f32::consts::FRAC_2_SQRT_PI,
        0.190_404_67,
        5.274_849_3e-2,
        3.765_541_1e-3,
        2.848_812e-4,
        2.050_104e-6,
    ],
    denominator: [1.0, 0.502_074_5, 0.114_108_376, 1.496_906_6e-2, 1.162_517_4e-3, 3.809_180_8e-5],
};

/// Relative minimax fit on [0, 9.02]; error of the fit 2.1·10⁻⁸. As composed, within 7 units in
/// the last place of tanh and 4.2·10⁻⁷ of it everywhere.
const TANH: BoundedOdd<5, 5> = BoundedOdd {
    limit: 9.02,
    numerator: [1.0, 0.133_797_3, 3.494_048_4e-3, 2.058_369_3e-5, 1.331_933_6e-8],
    denominator: [1.0, 0.467_130_45, 2.587_112_7e-2, 3.283_115e-4, 7.762_134e-7],
};

/// The graph with every composed operator replaced.
#[must_use]
pub fn expand(graph: &Graph) -> Graph {
    let mut out = Graph::new(graph.operand_bits());
    let mut map: Vec<Value> = Vec::new();
    for (_, node) in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|v| map[v.index()]).collect();
        let value = match &node.op {
            Op::Exp => exp(&mut out, inputs[0]),
            Op::Sigmoid => sigmoid(&mut out, inputs[0]),
            Op::Erf => bounded_odd(&mut out, inputs[0], &ERF),
            Op::Tanh => bounded_odd(&mut out, inputs[0], &TANH),
            Op::Softmax => softmax(&mut out, inputs[0]),
            op => out.push(op.clone(), inputs, node.shape.clone(), node.element),
        };
        map.push(value);
    }
    for (name, value) in graph.outputs() {
        out.output(name.clone(), map[value.index()]);
    }
    out
}

/// eˣ: x = n ln 2 + r with |r| ≤ 0.35, then the Taylor polynomial of degree 7 in r (relative error
/// of the truncation below 6·10⁻⁹), times 2ⁿ from a table. Below −104 the result is 0, above 88.4
/// it is infinite.
fn exp(g: &mut Graph, x: Value) -> Value {
    let (low, high) = (g.scalar(-104.0), g.scalar(89.0));
    let below = g.less(x, low);
    let x = g.select(below, low, x);
    let above = g.less(high, x);
    let x = g.select(above, high, x);

    let (log2_e, half) = (g.scalar(std::f32::consts::LOG2_E), g.scalar(0.5));
    let scaled = g.mul(x, log2_e);
    let shifted = g.add(scaled, half);
    let n = g.floor(shifted);

    let (ln2_high, ln2_low) = (g.scalar(LN2_HIGH), g.scalar(LN2_LOW));
    let coarse = g.mul(n, ln2_high);
    let r = g.sub(x, coarse);
    let fine = g.mul(n, ln2_low);
    let r = g.sub(r, fine);

    let power = power_of_two(g, n);
    let mut p = g.scalar(1.0 / 5040.0);
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        let (product, coefficient) = (g.mul(p, r), g.scalar(factor));
        p = g.add(product, coefficient);
    }
    g.mul(p, power)
}

/// 2ⁿ for integers n in the table's range; a NaN takes the first entry, so that no engine is handed
/// an index it might read out of bounds.
fn power_of_two(g: &mut Graph, n: Value) -> Value {
    let table: Vec<f32> = powers().collect();
    let table = g.constant(&[table.len()], &table);
    let first = g.scalar(f32::from(EXPONENT_MIN));
    let before_first = g.scalar(f32::from(EXPONENT_MIN) - 1.0);
    let known = g.less(before_first, n);
    let n = g.select(known, n, first);
    let offset = g.sub(n, first);
    let index = g.to_index(offset);
    g.gather(table, index)
}

/// The table of powers of two, from 2 to the [`EXPONENT_MIN`].
fn powers() -> impl Iterator<Item = f32> {
    (EXPONENT_MIN..=EXPONENT_MAX).map(exact_power_of_two)
}

/// Whether a constant is the table of powers of two.
pub(crate) fn is_powers(bits: &[u32]) -> bool {
    powers().map(f32::to_bits).eq(bits.iter().copied())
}

fn exact_power_of_two(n: i16) -> f32 {
    match n {
        128.. => f32::INFINITY,
        -126..=127 => f32::from_bits(u32::from((n + 127).unsigned_abs()) << 23),
        -149..=-127 => f32::from_bits(1 << (n + 149).unsigned_abs()),
        _ => 0.0,
    }
}

/// σ(x) from e^−|x|, which never overflows: 1/(1+e) for x ≥ 0, e/(1+e) below.
fn sigmoid(g: &mut Graph, x: Value) -> Value {
    let magnitude = g.abs(x);
    let negative = g.neg(magnitude);
    let e = exp(g, negative);
    let (one, zero) = (g.scalar(1.0), g.scalar(0.0));
    let below = g.less(x, zero);
    let top = g.select(below, e, one);
    let bottom = g.add(one, e);
    g.div(top, bottom)
}

/// See [`BoundedOdd`]. The sign is put back by a product: a selection between x and a bound would
/// leave the sign of a zero to the engine. Both zeros give +0.
fn bounded_odd<const P: usize, const Q: usize>(
    g: &mut Graph,
    x: Value,
    function: &BoundedOdd<P, Q>,
) -> Value {
    let (zero, one, minus_one) = (g.scalar(0.0), g.scalar(1.0), g.scalar(-1.0));
    let magnitude = g.abs(x);
    let t = at_most(g, magnitude, function.limit);
    let square = g.mul(t, t);
    let numerator = polynomial(g, square, &function.numerator);
    let denominator = polynomial(g, square, &function.denominator);
    let top = g.mul(t, numerator);
    let quotient = g.div(top, denominator);
    let bounded = at_most(g, quotient, 1.0);
    let below = g.less(x, zero);
    let sign = g.select(below, minus_one, one);
    g.mul(bounded, sign)
}

/// min(x, bound), and NaN for NaN.
fn at_most(g: &mut Graph, x: Value, bound: f32) -> Value {
    let bound = g.scalar(bound);
    let above = g.less(bound, x);
    g.select(above, bound, x)
}

/// Σ cᵢ xⁱ by Horner's rule.
fn polynomial(g: &mut Graph, x: Value, coefficients: &[f32]) -> Value {
    let mut highest_first = coefficients.iter().rev().copied();
    let mut sum = g.scalar(highest_first.next().unwrap_or(0.0));
    for coefficient in highest_first {
        let (product, coefficient) = (g.mul(sum, x), g.scalar(coefficient));
        sum = g.add(product, coefficient);
    }
    sum
}

fn softmax(g: &mut Graph, x: Value) -> Value {
    let (e, z) = shifted_exp(g, x);
    g.div(e, z)
}

/// e^(x − max x) over the last dimension and its exact sum: the two halves of a softmax.
fn shifted_exp(g: &mut Graph, x: Value) -> (Value, Value) {
    let last = g.shape(x).len() - 1;
    let max = g.max_last(x);
    let shifted = g.sub(x, max);
    let e = exp(g, shifted);
    let z = g.reduce_sum(e, &[last]);
    (e, z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::{Arithmetic, Tensor, run};
    use crate::ir::Element;
    use std::collections::BTreeMap;

    fn apply(op: fn(&mut Graph, Value) -> Value, xs: &[f32]) -> Vec<f32> {
        let mut g = Graph::new(20);
        let x = g.input("x", &[xs.len()], Element::F32);
        let y = op(&mut g, x);
        g.output("y", y);
        let inputs = BTreeMap::from([("x".to_owned(), Tensor::from_f32(&[xs.len()], xs))]);
        let out = run(&expand(&g), &inputs, Arithmetic::Exact);
        out["y"].data.iter().map(|v| *v as f32).collect()
    }

    #[test]
    fn exp_is_within_two_units_of_the_true_value() {
        let xs: Vec<f32> = (-8700..8800).map(|i| i as f32 * 0.01).collect();
        for (x, y) in xs.iter().zip(apply(Graph::exp, &xs)) {
            let truth = libm::exp(f64::from(*x));
            let unit =
                f64::from(f32::from_bits((truth as f32).to_bits() + 1)) - f64::from(truth as f32);
            assert!((f64::from(y) - truth).abs() <= 2.0 * unit, "exp({x}) = {y}, truth {truth}");
        }
    }

    #[test]
    fn exp_keeps_its_edges() {
        let ys = apply(
            Graph::exp,
            &[0.0, -0.0, -1e30, f32::NEG_INFINITY, f32::INFINITY, f32::NAN, -104.5],
        );
        assert_eq!(ys[..5], [1.0, 1.0, 0.0, 0.0, f32::INFINITY]);
        assert!(ys[5].is_nan() && ys[6] == 0.0);
    }

    /// `op` against `truth` over every exponent and sign, up to where it is flat.
    #[track_caller]
    fn check_bounded(op: fn(&mut Graph, Value) -> Value, truth: fn(f64) -> f64) {
        let bits = (0x0080_0000..12f32.to_bits()).step_by(65_521);
        let xs: Vec<f32> = bits.map(f32::from_bits).flat_map(|x| [x, -x]).collect();
        for (x, y) in xs.iter().zip(apply(op, &xs)) {
            let truth = truth(f64::from(*x));
            let below = f32::from_bits((truth as f32).to_bits() - 1);
            let unit = (truth - f64::from(below)).abs().max(f64::from(f32::MIN_POSITIVE) / 4e6);
            let error = (f64::from(y) - truth).abs();
            assert!(error <= 8.0 * unit && error <= 4.2e-7 && y.abs() <= 1.0, "at {x}: {y}");
        }
    }

    #[test]
    fn erf_and_tanh_are_near_the_true_value() {
        check_bounded(Graph::erf, libm::erf);
        check_bounded(Graph::tanh, libm::tanh);
    }

    #[test]
    fn erf_and_tanh_keep_their_edges() {
        for op in [Graph::erf, Graph::tanh] {
            let ys = apply(op, &[0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e30, f32::NAN]);
            assert_eq!(ys[..5], [0.0, 0.0, 1.0, -1.0, 1.0]);
            assert!(ys[1].is_sign_positive() && ys[5].is_nan());
        }
    }

    #[test]
    fn sigmoid_is_symmetric_enough_and_bounded() {
        let ys = apply(Graph::sigmoid, &[-200.0, -1.0, 0.0, 1.0, 200.0]);
        assert_eq!((ys[0], ys[2], ys[4]), (0.0, 0.5, 1.0));
        assert!((ys[1] + ys[3] - 1.0).abs() < 1e-6);
    }
}
