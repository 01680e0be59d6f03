//! Activation functions that are sums and products of IR operators, so that differentiation and
//! lowering need no rule for them.

use crate::ir::{Graph, Value};

/// GELU: x Φ(x) = ½ x (1 + erf(x/√2)), Hendrycks & Gimpel 2016. −∞ gives NaN.
pub fn gelu(g: &mut Graph, x: Value) -> Value {
    let share = g.scalar(std::f32::consts::FRAC_1_SQRT_2);
    let scaled = g.mul(x, share);
    let erf = g.erf(scaled);
    half_of_one_plus(g, x, erf)
}

/// The approximation ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) of [`gelu`] by the same authors,
/// which some models were trained with. −∞ gives NaN.
pub fn gelu_tanh(g: &mut Graph, x: Value) -> Value {
    /// √(2/π).
    const SLOPE: f32 = 0.797_884_6;
    let (square, cubic, slope) = (g.mul(x, x), g.scalar(0.044_715), g.scalar(SLOPE));
    let cube = g.mul(square, x);
    let bend = g.mul(cube, cubic);
    let bent = g.add(x, bend);
    let scaled = g.mul(bent, slope);
    let tanh = g.tanh(scaled);
    half_of_one_plus(g, x, tanh)
}

/// ½ x (1 + y).
fn half_of_one_plus(g: &mut Graph, x: Value, y: Value) -> Value {
    let (one, half) = (g.scalar(1.0), g.scalar(0.5));
    let raised = g.add(y, one);
    let halved = g.mul(x, half);
    g.mul(halved, raised)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scales;
    use crate::composite::expand;
    use crate::grad::backward;
    use crate::interp::{Arithmetic, Tensor, run};
    use crate::ir::Element;
    use std::collections::BTreeMap;

    type Function = fn(&mut Graph, Value) -> Value;

    /// The function's values and slopes at `xs`.
    fn apply(function: Function, xs: &[f64], arithmetic: Arithmetic) -> [Vec<f64>; 2] {
        let mut g = Graph::new(20);
        let x = g.input("x", &[xs.len()], Element::F32);
        let y = function(&mut g, x);
        g.output("y", y);
        let one = g.scalar(1.0);
        let slope = backward(&mut g, &[(y, one)], &[x], Scales::Tensor)[0];
        g.output("slope", slope);
        let x = Tensor { shape: vec![xs.len()], data: xs.to_vec() };
        let out = run(&expand(&g), &BTreeMap::from([("x".to_owned(), x)]), arithmetic);
        ["y", "slope"].map(|name| out[name].data.clone())
    }

    fn grid() -> Vec<f64> {
        (-800..=800).map(|i| f64::from(i) / 100.0).collect()
    }

    #[track_caller]
    fn check_values(function: Function, truth: fn(f64) -> f64) {
        let xs = grid();
        let [ys, _] = apply(function, &xs, Arithmetic::Exact);
        for (x, y) in xs.iter().zip(ys) {
            let error = (y - truth(f64::from(*x as f32))).abs();
            assert!(error <= 1e-6 * x.abs().max(1.0), "at {x}: {y}, off by {error}");
        }
    }

    #[track_caller]
    fn check_slopes(function: Function) {
        const STEP: f64 = 1e-4;
        let xs = grid();
        let moved = |by: f64| {
            let xs: Vec<f64> = xs.iter().map(|x| x + by).collect();
            let [ys, _] = apply(function, &xs, Arithmetic::Real);
            ys
        };
        let [_, slopes] = apply(function, &xs, Arithmetic::Real);
        let pairs = moved(STEP).into_iter().zip(moved(-STEP));
        for ((x, slope), (above, below)) in xs.iter().zip(slopes).zip(pairs) {
            let numeric = (above - below) / (2.0 * STEP);
            assert!((slope - numeric).abs() <= 1e-5, "at {x}: {slope} but {numeric}");
        }
    }

    #[test]
    fn gelu_is_x_times_the_normal_distribution() {
        check_values(gelu, |x| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)));
    }

    #[test]
    fn gelu_tanh_is_its_formula() {
        check_values(gelu_tanh, |x| {
            let scaled = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + libm::tanh(scaled))
        });
    }

    #[test]
    fn slopes_match_finite_differences() {
        for function in [gelu, gelu_tanh, Graph::erf, Graph::tanh] {
            check_slopes(function);
        }
    }

    #[test]
    fn slopes_vanish_where_the_function_is_flat_and_pass_nan_on() {
        for function in [Graph::erf, Graph::tanh] {
            let xs = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
            let [_, slopes] = apply(function, &xs, Arithmetic::Exact);
            assert!(slopes[..2] == [0.0, 0.0] && slopes[2].is_nan(), "{slopes:?}");
        }
    }
}
