//! From engine floats to integers: logarithms on the host, in fixed point.
//!
//! `ln` is the pure-Rust libm's in f64, so it is the same everywhere. Each number is rounded to
//! nano-nats once; all sums after that are integers.

use dataforge_core::score::NanoNats;

/// A token's log-probability from the graph's two numbers, or `None` when it is not finite.
pub(crate) fn log_probability(target: f32, normaliser: f32) -> Option<NanoNats> {
    let value = f64::from(target) - libm::log(f64::from(normaliser));
    nano(value)
}

fn nano(value: f64) -> Option<NanoNats> {
    // 10⁹ nats per token is far beyond any f32 logit's log-probability that is not infinite.
    (value.is_finite() && value.abs() < 1e40).then(|| libm::round(value * 1e9) as NanoNats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_has_no_log_probability() {
        assert_eq!(log_probability(-1.0, 1.0), Some(-1_000_000_000));
        assert_eq!(log_probability(f32::NAN, 1.0), None);
        assert_eq!(log_probability(0.0, 0.0), None);
    }
}
