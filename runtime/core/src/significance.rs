//! Whether a lift is more than chance: a paired bootstrap over benchmark rows.
//!
//! Each row gives one number, what training gained on it. A mean over rows drawn again with
//! replacement is as good an experiment as the mean over the rows themselves; what all but the
//! lowest of a thousand such means exceed is the bound (the percentile method: Efron and
//! Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3). Integers, and draws by the
//! epoch's seed: everybody finds the same bound.

use crate::hash::{DatasetDigest, EpochSeed};
use crate::proof::{Metrics, RowResult};
use crate::random::SeedStream;
use crate::score::{choice_loss, mean, unit};
use crate::spec::{Measure, ScoreRule};
use crate::units::MicroNats;

/// How often rows are drawn again.
pub const RESAMPLES: usize = 1_000;

/// Means below the bound: two and a half per cent.
const BELOW: usize = 25;

/// What the rows of a benchmark say: the right candidates' indices, and the output tokens of all.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Row by row.
    pub right: &'a [u32],
    /// Of all right candidates together.
    pub tokens: u32,
}

/// What training gained on each row, so that the mean over rows is the lift before its gates; see
/// [`crate::score::lift`].
#[must_use]
pub fn row_lifts(
    rule: &ScoreRule,
    candidates: u32,
    baseline: &Metrics,
    trained: &[RowResult],
    control: Option<&[RowResult]>,
    answers: Answers<'_>,
) -> Vec<MicroNats> {
    let loss = |row: &RowResult, right: u32| match rule.measure() {
        Measure::Choice => choice_loss(&row.log_probabilities, right as usize).0,
        Measure::Nll => {
            row.log_probabilities.get(right as usize).map_or(0, |lp| lp.0.saturating_neg())
        }
    };
    let ignorant = match rule.measure() {
        Measure::Choice => unit(rule, candidates).0,
        Measure::Nll => baseline.answer_nll.0,
    };
    // Nats are counted per token there, and rows differ in length: a row's share of the mean over
    // rows is its share of the tokens' mean.
    let scaled = |gain: i64| match rule.measure() {
        Measure::Choice => gain,
        Measure::Nll => {
            let gain = i128::from(gain).saturating_mul(trained.len() as i128);
            let gain = gain.checked_div(answers.tokens.into()).unwrap_or(0);
            i64::try_from(gain).unwrap_or(if gain < 0 { i64::MIN } else { i64::MAX })
        }
    };
    let gain = |(place, (row, right)): (usize, (&RowResult, &u32))| {
        let reference = match control {
            None => ignorant,
            Some(control) => control.get(place).map_or(ignorant, |row| loss(row, *right)),
        };
        MicroNats(scaled(reference.saturating_sub(loss(row, *right))))
    };
    trained.iter().zip(answers.right).enumerate().map(gain).collect()
}

/// What the mean of `rows` is above with a confidence of 97.5 per cent; zero of no rows.
#[must_use]
pub fn bound(rows: &[MicroNats], seed: &EpochSeed, dataset: DatasetDigest) -> MicroNats {
    let mut stream = SeedStream::new(seed, &format!("bootstrap/{dataset}"));
    let mut draw = || {
        mean(
            (0..rows.len())
                .map(|_| rows.get(stream.index(rows.len())).copied().unwrap_or_default()),
        )
    };
    let mut means: Vec<MicroNats> = (0..RESAMPLES).map(|_| draw()).collect();
    means.sort_unstable();
    means.get(BELOW).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{lift, metrics};
    use crate::units::Ppm;

    fn found(rows: &[i64]) -> i64 {
        let rows: Vec<MicroNats> = rows.iter().copied().map(MicroNats).collect();
        bound(&rows, &EpochSeed([7; 32]), DatasetDigest([1; 32])).0
    }

    #[test]
    fn golden_bounds() {
        assert_eq!(found(&[]), 0);
        assert_eq!(found(&[5; 40]), 5);
        // A mean of 100,000 with a standard error of some 50,000 is more than chance by a little;
        // with one of 100,000 it is not.
        let spread = |by: i64| -> Vec<i64> {
            (0..100).map(|row| 100_000 + if row % 2 == 0 { by } else { -by }).collect()
        };
        assert_eq!(found(&spread(500_000)), 10_000);
        assert_eq!(found(&spread(1_000_000)), -80_000);
    }

    /// The mean of what the rows gained is the lift that is paid.
    #[test]
    fn rows_add_up_to_the_lift() {
        let row =
            |a: i64, b: i64| RowResult { log_probabilities: vec![MicroNats(a), MicroNats(b)] };
        let trained =
            [row(-200_000, -3_000_000), row(-2_500_000, -400_000), row(-900_000, -800_000)];
        let control = [row(-900_000, -1_000_000), row(-1_500_000, -1_400_000), row(-900_000, -1)];
        let right = [0, 1, 0];
        let baseline = Metrics {
            choice_loss: MicroNats(690_000),
            accuracy: Ppm(0),
            answer_nll: MicroNats(2_000_000),
            token_nll: MicroNats(1_000_000),
        };
        let [of_trained, of_control] = [&trained, &control].map(|rows| metrics(rows, &right, 6));
        let margin_micronats = MicroNats(0);
        let answers = Answers { right: &right, tokens: 6 };
        for (rule, control, summed) in [
            (ScoreRule::Choice { margin_micronats }, None, None),
            (
                ScoreRule::Control { measure: Measure::Choice, margin_micronats },
                Some(&control[..]),
                Some(&of_control),
            ),
            (
                ScoreRule::Control { measure: Measure::Nll, margin_micronats },
                Some(&control[..]),
                Some(&of_control),
            ),
        ] {
            let rows = row_lifts(&rule, 2, &baseline, &trained, control, answers);
            let paid = lift(&rule, 2, &baseline, &of_trained, summed);
            assert!(mean(rows).0.abs_diff(paid.0) <= 1, "{rule:?}");
        }
    }
}
