//! From log-probabilities to metrics, and from metrics to the paid score.
//!
//! Integers in, integers out. `ln` and `exp` between them are the pure-Rust libm's in f64, the same
//! everywhere, and rounded once.

use crate::proof::{Metrics, RowResult};
use crate::spec::{Measure, ScoreRule};
use crate::units::{MicroNats, Ppm};

/// Billionths of a nat.
pub type NanoNats = i128;

/// The benchmark summed up: `answers` are the right candidates' indices, row by row, and
/// `answer_tokens` the output tokens of all of them.
#[must_use]
pub fn metrics(rows: &[RowResult], answers: &[u32], answer_tokens: u32) -> Metrics {
    let answered = || {
        let pairs = rows.iter().zip(answers);
        pairs.map(|(row, answer)| (&row.log_probabilities[..], *answer as usize))
    };
    let nll = || answered().map(|(row, answer)| at(row, answer).saturating_neg()).map(MicroNats);
    let right = answered().filter(|(row, answer)| is_right(row, *answer)).count();
    let share = (right as u64).saturating_mul(1_000_000).checked_div(rows.len() as u64);
    Metrics {
        choice_loss: mean(answered().map(|(row, answer)| choice_loss(row, answer))),
        accuracy: Ppm(share.map_or(0, |share| u32::try_from(share).unwrap_or(u32::MAX))),
        answer_nll: mean(nll()),
        token_nll: sum_over(nll(), answer_tokens),
    }
}

/// The score that `rule` pays for, over rows of `candidates` candidates; see [`ScoreRule`].
/// `baseline` is the reference that training started from.
#[must_use]
pub fn lift(
    rule: &ScoreRule,
    candidates: u32,
    baseline: &Metrics,
    trained: &Metrics,
    control: Option<&Metrics>,
) -> MicroNats {
    let chance = chance(candidates);
    let loss = |of: &Metrics| match rule.measure() {
        Measure::Choice => of.choice_loss,
        Measure::Nll => of.token_nll,
    };
    // What an ignorant model loses.
    let ignorant = match rule.measure() {
        Measure::Choice => chance,
        Measure::Nll => baseline.token_nll,
    };
    let learned = match rule {
        ScoreRule::Choice { .. } => true,
        ScoreRule::Control { .. } => loss(trained) < ignorant,
        ScoreRule::Warmed { .. } => trained.token_nll < baseline.token_nll,
    };
    let reference = control.map_or(ignorant, loss);
    let lift = MicroNats(reference.0.saturating_sub(loss(trained).0));
    if learned { lift } else { lift.min(MicroNats(0)) }
}

/// The choice loss of guessing: ln of the number of candidates.
fn chance(candidates: u32) -> MicroNats {
    MicroNats(round(libm::log(f64::from(candidates)) * 1e6))
}

/// The lift that counts as one where specs are paid for side by side: all that there is to learn
/// about candidates, or one nat per token.
#[must_use]
pub fn unit(rule: &ScoreRule, candidates: u32) -> MicroNats {
    match rule.measure() {
        Measure::Choice => chance(candidates),
        Measure::Nll => MicroNats(1_000_000),
    }
}

/// −ln of the answer's share when each candidate weighs e to its log-probability: the choice loss
/// of one row.
///
/// The largest is taken out first and the exponentials are added in candidate order.
#[must_use]
pub fn choice_loss(log_probabilities: &[MicroNats], answer: usize) -> MicroNats {
    let best = log_probabilities.iter().max().map_or(0, |m| m.0);
    let weight = |lp: &MicroNats| libm::exp(lp.0.saturating_sub(best) as f64 / 1e6);
    let total: f64 = log_probabilities.iter().map(weight).sum();
    let normaliser = best.saturating_add(round(libm::log(total) * 1e6));
    MicroNats(normaliser.saturating_sub(at(log_probabilities, answer)))
}

/// `total / count`, both in nano-nats, to the nearest micro-nat, halves upwards.
#[must_use]
pub fn micro(total: NanoNats, count: u32) -> MicroNats {
    let half = i128::from(count.max(1)).saturating_mul(1000);
    let rounded = total.saturating_mul(2).saturating_add(half).div_euclid(half.saturating_mul(2));
    let bound = if rounded < 0 { i64::MIN } else { i64::MAX };
    MicroNats(i64::try_from(rounded).unwrap_or(bound))
}

/// The mean to the nearest micro-nat, halves upwards; 0 of nothing.
#[must_use]
pub fn mean(values: impl IntoIterator<Item = MicroNats>) -> MicroNats {
    let (mut total, mut count) = (0i128, 0u32);
    for value in values {
        total = total.saturating_add(nano(value));
        count = count.saturating_add(1);
    }
    micro(total, count)
}

/// The sum's share of each of `count` parts, rounded alike.
fn sum_over(values: impl IntoIterator<Item = MicroNats>, count: u32) -> MicroNats {
    micro(values.into_iter().map(nano).fold(0, i128::saturating_add), count)
}

fn nano(value: MicroNats) -> NanoNats {
    i128::from(value.0).saturating_mul(1000)
}

/// A candidate's log-probability; 0 for one that is not there.
fn at(log_probabilities: &[MicroNats], candidate: usize) -> i64 {
    log_probabilities.get(candidate).map_or(0, |lp| lp.0)
}

/// Whether the answer is more probable than every other candidate.
fn is_right(log_probabilities: &[MicroNats], answer: usize) -> bool {
    let own = at(log_probabilities, answer);
    let mut others = log_probabilities.iter().enumerate().filter(|(other, _)| *other != answer);
    others.all(|(_, other)| other.0 < own)
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates, and NaN is 0")]
fn round(value: f64) -> i64 {
    libm::round(value) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: MicroNats = MicroNats(50_000);

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
    fn no_number_of_a_stranger_overflows() {
        for lp in [i64::MIN, i64::MAX, 0] {
            let row = RowResult { log_probabilities: vec![MicroNats(lp), MicroNats(0)] };
            let metrics = metrics(&[row.clone(), row], &[0, 9], 0);
            let rule = ScoreRule::Choice { margin_micronats: MARGIN };
            assert_eq!(lift(&rule, u32::MAX, &metrics, &metrics, Some(&metrics)), MicroNats(0));
        }
    }

    /// Two rows of two candidates, whose answers have 2 and 3 tokens; the others have −1 nat.
    fn state(answers: [i64; 2]) -> Metrics {
        let others = MicroNats(-1_000_000);
        let [first, second] = answers.map(MicroNats);
        let row = |log_probabilities| RowResult { log_probabilities };
        metrics(&[row(vec![first, others]), row(vec![others, second])], &[0, 1], 5)
    }

    fn paid(rule: &ScoreRule, states: [&Metrics; 2], control: Option<&Metrics>) -> i64 {
        lift(rule, 2, states[0], states[1], control).0
    }

    #[test]
    fn nats_are_counted_per_token_of_the_answers() {
        let measured = state([-2_000_000, -4_000_000]);
        assert_eq!(measured.token_nll, MicroNats(1_200_000));
        assert_eq!(measured.answer_nll, MicroNats(3_000_000));
    }

    #[test]
    fn choice_pays_against_chance() {
        let rule = ScoreRule::Choice { margin_micronats: MARGIN };
        let (even, good) = (state([-1_000_000; 2]), state([0, 0]));
        assert_eq!(paid(&rule, [&even, &even], None), 0);
        assert_eq!(paid(&rule, [&even, &good], None), 693_147 - 313_262);
        assert_eq!((even.accuracy, good.accuracy), (Ppm(0), Ppm(1_000_000)));
    }

    #[test]
    fn control_pays_against_the_control() {
        let [choice, nll] = [Measure::Choice, Measure::Nll]
            .map(|measure| ScoreRule::Control { measure, margin_micronats: MARGIN });
        let (base, good) = (state([-3_000_000; 2]), state([0, 0]));
        let control = state([-2_000_000; 2]);
        let difference = control.choice_loss.0 - good.choice_loss.0;
        assert_eq!(paid(&choice, [&base, &good], Some(&control)), difference);
        assert_eq!(paid(&nll, [&base, &good], Some(&control)), 800_000);
        // Bad, and its control worse: the gate.
        let (bad, worse) = (state([-4_000_000; 2]), state([-9_000_000; 2]));
        assert_eq!(paid(&choice, [&base, &bad], Some(&worse)), 0);
        assert_eq!(paid(&nll, [&base, &bad], Some(&worse)), 0);
        assert!(paid(&nll, [&base, &bad], Some(&good)) < 0);
    }

    #[test]
    fn warmed_pays_against_the_warmed_reference() {
        let rule = |measure| ScoreRule::Warmed {
            measure,
            rows: "warm.jsonl".into(),
            epochs: 1.try_into().unwrap(),
            margin_micronats: MARGIN,
        };
        let (nll, choice) = (rule(Measure::Nll), rule(Measure::Choice));
        let (warm, good) = (state([-500_000; 2]), state([-250_000; 2]));
        assert_eq!(paid(&nll, [&warm, &good], None), 100_000);
        assert_eq!(paid(&nll, [&good, &warm], None), -100_000);
        assert_eq!(paid(&choice, [&warm, &good], None), 693_147 - good.choice_loss.0);
        // Better than chance, but its NLL has not fallen: the gate.
        assert_eq!(paid(&choice, [&good, &warm], None), 0);
    }
}
