//! From engine floats to integers: logarithms on the host, fixed point, exact means.
//!
//! `ln` and `exp` are the pure-Rust libm's in f64, so they are the same everywhere. Each number is
//! rounded to nano-nats once; all sums after that are integers.

use dataforge_core::units::MicroNats;

/// Billionths of a nat.
pub(crate) type NanoNats = i128;

/// A token's log-probability from the graph's two numbers, or `None` when it is not finite.
pub(crate) fn log_probability(target: f32, normaliser: f32) -> Option<NanoNats> {
    let value = f64::from(target) - libm::log(f64::from(normaliser));
    nano(value)
}

fn nano(value: f64) -> Option<NanoNats> {
    // 10⁹ nats per token is far beyond any f32 logit's log-probability that is not infinite.
    (value.is_finite() && value.abs() < 1e40).then(|| libm::round(value * 1e9) as NanoNats)
}

/// `total / count`, both in nano-nats, to the nearest micro-nat, halves upwards.
pub(crate) fn micro(total: NanoNats, count: u32) -> MicroNats {
    let divisor = 1000 * i128::from(count.max(1));
    let rounded = (2 * total + divisor).div_euclid(2 * divisor);
    MicroNats(rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

/// The mean to the nearest micro-nat, halves upwards; 0 of nothing.
#[must_use]
pub fn mean(values: impl IntoIterator<Item = MicroNats>) -> MicroNats {
    let (mut total, mut count) = (0i128, 0u32);
    for value in values {
        total += i128::from(value.0) * 1000;
        count += 1;
    }
    micro(total, count)
}

/// The sum's share of each of `count` parts, rounded alike.
#[must_use]
pub fn sum_over(values: impl IntoIterator<Item = MicroNats>, count: u32) -> MicroNats {
    micro(values.into_iter().map(|value| i128::from(value.0) * 1000).sum(), count)
}

/// −ln of the answer's share when each candidate weighs e to its log-probability: the choice loss
/// of one row.
///
/// The largest is taken out first and the exponentials are added in candidate order.
#[must_use]
pub fn choice_loss(log_probabilities: &[MicroNats], answer: usize) -> MicroNats {
    let best = log_probabilities.iter().max().map_or(0, |m| m.0);
    let total: f64 = log_probabilities.iter().map(|lp| libm::exp((lp.0 - best) as f64 / 1e6)).sum();
    let answer = log_probabilities.get(answer).map_or(best, |lp| lp.0);
    MicroNats(best - answer + libm::round(libm::log(total) * 1e6) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_costs_ln_k() {
        let even = [MicroNats(-3_000_000); 4];
        assert_eq!(choice_loss(&even, 2), MicroNats(1_386_294));
        assert_eq!(choice_loss(&[MicroNats(0), MicroNats(-90_000_000)], 0), MicroNats(0));
        assert_eq!(choice_loss(&[MicroNats(0), MicroNats(-90_000_000)], 1), MicroNats(90_000_000));
    }

    #[test]
    fn means_round_halves_upwards() {
        assert_eq!(mean([MicroNats(1), MicroNats(2)]), MicroNats(2));
        assert_eq!(mean([MicroNats(-1), MicroNats(-2)]), MicroNats(-1));
        assert_eq!(mean([]), MicroNats(0));
        assert_eq!(sum_over([MicroNats(3), MicroNats(4)], 2), MicroNats(4));
        assert_eq!(sum_over([MicroNats(1)], 3), MicroNats(0));
    }

    #[test]
    fn what_is_not_finite_has_no_log_probability() {
        assert_eq!(log_probability(-1.0, 1.0), Some(-1_000_000_000));
        assert_eq!(log_probability(f32::NAN, 1.0), None);
        assert_eq!(log_probability(0.0, 0.0), None);
    }
}
