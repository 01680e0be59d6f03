//! Whether a lift is more than chance, and more than knowing rows that were revealed before.
//!
//! [`bound`] is a paired bootstrap over benchmark rows. Each row gives one number, what training
//! gained on it. A mean over rows drawn again with replacement is as good an experiment as the mean
//! over the rows themselves; what all but the lowest of a thousand such means exceed is the bound
//! (the percentile method: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
//! 13.3). [`hidden`] is the lift over the rows that were never revealed. Integers, and draws by the
//! epoch's seed: everybody finds the same.

use crate::hash::{DatasetDigest, EpochSeed};
use crate::proof::{Metrics, RowResult};
use crate::random::SeedStream;
use crate::score::{self, choice_loss, mean, unit};
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

/// Results of the same rows, row by row, by three states of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The reference that training started from.
    pub baseline: Vec<RowResult>,
    /// The trained model.
    pub trained: Vec<RowResult>,
    /// Its control, where the rule has one.
    pub control: Option<Vec<RowResult>>,
}

/// What a rule pays for `results` alone, which are of those measured rows that nobody outside had
/// seen when miners submitted ([`crate::benchmark::Benchmark::hidden`]): the lift of a proof that
/// was measured on nothing else, its gates included. `lift` is that over all measured rows; where
/// it is not positive, the result is at most as much, since its gates hold for a part as for the
/// whole. Zero of no rows, by which nothing is shown.
#[must_use]
pub fn hidden(
    rule: &ScoreRule,
    candidates: u32,
    lift: MicroNats,
    results: &Results,
    answers: Answers<'_>,
) -> MicroNats {
    if results.trained.is_empty() {
        return MicroNats(0);
    }
    let metrics = |rows: &Vec<RowResult>| score::metrics(rows, answers.right, answers.tokens);
    let [baseline, trained] = [&results.baseline, &results.trained].map(metrics);
    let control = results.control.as_ref().map(metrics);
    let found = score::lift(rule, candidates, &baseline, &trained, control.as_ref());
    if lift.0 > 0 { found } else { found.min(lift) }
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

    fn results(rows: &[[i64; 2]]) -> Vec<RowResult> {
        let row = |row: &[i64; 2]| RowResult {
            log_probabilities: row.iter().copied().map(MicroNats).collect(),
        };
        rows.iter().map(row).collect()
    }

    const MARGIN: MicroNats = MicroNats(0);

    /// Of the same rows, the lift over those that are hidden is the lift itself, by every rule, and
    /// what it is over fewer is what the rule makes of these.
    #[test]
    fn what_is_hidden_counts_by_the_rule() {
        let baseline = results(&[[-2_000_000, -2_000_000], [-1_500_000, -1_000_000]]);
        let trained = results(&[[-200_000, -3_000_000], [-900_000, -800_000]]);
        let control = results(&[[-900_000, -1_000_000], [-1_400_000, -1_500_000]]);
        let rules = [
            ScoreRule::Choice { margin_micronats: MARGIN },
            ScoreRule::Control { measure: Measure::Choice, margin_micronats: MARGIN },
            ScoreRule::Control { measure: Measure::Nll, margin_micronats: MARGIN },
        ];
        for rule in rules {
            let over = |rows: std::ops::Range<usize>, tokens: u32| {
                let paired = matches!(rule, ScoreRule::Control { .. });
                let right = &[0, 0][rows.clone()];
                let control = paired.then(|| control[rows.clone()].to_vec());
                let trained = trained[rows.clone()].to_vec();
                let found = Results { baseline: baseline[rows].to_vec(), trained, control };
                let [of_baseline, of_trained] =
                    [&found.baseline, &found.trained].map(|rows| metrics(rows, right, tokens));
                let of_control = found.control.as_ref().map(|rows| metrics(rows, right, tokens));
                let paid = lift(&rule, 2, &of_baseline, &of_trained, of_control.as_ref());
                let answers = Answers { right, tokens };
                (paid, hidden(&rule, 2, MicroNats(1), &found, answers))
            };
            let ((whole, all), (_, one)) = (over(0..2, 7), over(0..1, 3));
            assert_eq!(whole, all, "{rule:?}");
            assert_ne!(one, all, "{rule:?}");
        }
    }

    #[test]
    fn without_hidden_rows_or_a_lift_nothing_is_hidden() {
        let rule = ScoreRule::Choice { margin_micronats: MARGIN };
        let of = |rows: &[[i64; 2]], lift: i64| {
            let trained = results(rows);
            let found = Results { baseline: trained.clone(), trained, control: None };
            let right = vec![0; rows.len()];
            hidden(&rule, 2, MicroNats(lift), &found, Answers { right: &right, tokens: 5 }).0
        };
        let good = [[-1, -20_000_000]];
        assert_eq!(of(&good, 500_000), 693_147);
        assert_eq!(of(&good, 0), 0, "the gates of the whole hold");
        assert_eq!(of(&good, -3), -3);
        assert!(of(&[[-2_000_000, -1]], -3) < -3);
        assert_eq!(of(&[], 500_000), 0);
    }
}
