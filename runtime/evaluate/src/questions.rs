//! The benchmark as token rows, and from log-probabilities to metrics and lift.

use crate::error::EvaluateError;
use crate::inspect::Inspector;
use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{Metrics, RowResult};
use dataforge_core::spec::{Measure, ScoreRule};
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_engine::{choice_loss, mean, sum_over};
use std::iter::repeat_n;

/// Every candidate of every hidden row, tokenised: row by row, candidate by candidate.
pub(crate) struct Questions {
    pub(crate) candidates: Vec<TokenRow>,
    answers: Vec<u32>,
    per_row: usize,
}

/// One state of the model on the benchmark.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<RowResult>,
    pub(crate) metrics: Metrics,
    /// Mean −ln p per output token over the right answers.
    pub(crate) token_nll: MicroNats,
}

impl Questions {
    pub(crate) fn new(inspector: &Inspector, benchmark: &Benchmark) -> Result<Self, EvaluateError> {
        let rows = benchmark.rows();
        let per_row = rows.first().map_or(1, |row| row.candidates.len());
        let candidates = tokenise_candidates(inspector, rows)?;
        Ok(Self { candidates, answers: rows.iter().map(|row| row.answer).collect(), per_row })
    }

    /// Groups the candidates' scores by row, and sums them up.
    pub(crate) fn measure(&self, scores: &[MicroNats]) -> Measured {
        let rows: Vec<RowResult> = scores
            .chunks(self.per_row)
            .map(|row| RowResult { log_probabilities: row.to_vec() })
            .collect();
        let answered =
            || rows.iter().zip(&self.answers).map(|(row, answer)| (row, *answer as usize));
        let right =
            answered().filter(|(row, answer)| is_right(&row.log_probabilities, *answer)).count();
        let losses = answered().map(|(row, answer)| choice_loss(&row.log_probabilities, answer));
        let nll = || answered().map(|(row, answer)| MicroNats(-row.log_probabilities[answer].0));
        let metrics = Metrics {
            choice_loss: mean(losses),
            accuracy: Ppm((right * 1_000_000 / rows.len().max(1)) as u32),
            answer_nll: mean(nll()),
        };
        let token_nll = sum_over(nll(), self.answer_tokens());
        Measured { rows, metrics, token_nll }
    }

    /// The prompts of the first `rows` rows.
    pub(crate) fn prompts(&self, rows: usize) -> Vec<Vec<u32>> {
        let first = self.candidates.iter().step_by(self.per_row).take(rows);
        first.map(|row| row.ids[..row.prompt_tokens as usize].to_vec()).collect()
    }

    /// Output tokens of all right answers.
    fn answer_tokens(&self) -> u32 {
        let candidates = self.candidates.chunks(self.per_row).zip(&self.answers);
        let answers = candidates.map(|(row, answer)| &row[*answer as usize]);
        answers.map(|row| row.ids.len() as u32 - row.prompt_tokens).sum()
    }

    /// The paid score by `rule`; see [`ScoreRule`]. `baseline` is the reference that training
    /// started from.
    pub(crate) fn lift(
        &self,
        rule: &ScoreRule,
        baseline: &Measured,
        trained: &Measured,
        control: Option<&Measured>,
    ) -> MicroNats {
        let chance = MicroNats(libm::round(libm::log(self.per_row as f64) * 1e6) as i64);
        let loss = |of: &Measured| match rule.measure() {
            Measure::Choice => of.metrics.choice_loss,
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
            other => unreachable!("no such score rule: {other:?}"),
        };
        let reference = control.map_or(ignorant, loss);
        let lift = MicroNats(reference.0 - loss(trained).0);
        if learned { lift } else { lift.min(MicroNats(0)) }
    }
}

/// Every candidate of benchmark rows as a row of its own: row by row, candidate by candidate.
///
/// # Errors
/// [`EvaluateError::Question`] naming the row whose text does not fit the spec, and what the
/// tokenizer's kernel gives.
pub fn tokenise_candidates(
    inspector: &Inspector,
    rows: &[BenchmarkRow],
) -> Result<Vec<TokenRow>, EvaluateError> {
    let owner = |(at, row): (usize, &BenchmarkRow)| repeat_n(at, row.candidates.len());
    let owners: Vec<usize> = (1..).zip(rows).flat_map(owner).collect();
    let pairs: Vec<(&str, &str)> = rows
        .iter()
        .flat_map(|row| row.candidates.iter().map(|text| (row.input.as_str(), text.as_str())))
        .collect();
    let tokenised = inspector.tokenise(&pairs, &mut 0)?;
    let tokenised = tokenised.map_err(|reason| EvaluateError::Question { row: 0, reason })?;
    let named = tokenised.into_iter().zip(owners);
    named
        .map(|(tokens, row)| tokens.map_err(|reason| EvaluateError::Question { row, reason }))
        .collect()
}

/// Whether the answer is more probable than every other candidate.
fn is_right(log_probabilities: &[MicroNats], answer: usize) -> bool {
    let others = log_probabilities.iter().enumerate().filter(|(at, _)| *at != answer);
    others.into_iter().all(|(_, other)| *other < log_probabilities[answer])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: MicroNats = MicroNats(50_000);

    /// Two rows of two candidates, whose answers have 2 and 3 tokens.
    fn questions() -> Questions {
        let row = |outputs: usize| TokenRow { ids: vec![1; 4 + outputs], prompt_tokens: 4 };
        let candidates = vec![row(2), row(5), row(1), row(3)];
        Questions { candidates, answers: vec![0, 1], per_row: 2 }
    }

    /// The state that gives the answers these log-probabilities, and the others −1 nat.
    fn state(answers: [i64; 2]) -> Measured {
        let others = MicroNats(-1_000_000);
        let [first, second] = answers.map(MicroNats);
        questions().measure(&[first, others, others, second])
    }

    fn lift(rule: &ScoreRule, states: [&Measured; 2], control: Option<&Measured>) -> i64 {
        questions().lift(rule, states[0], states[1], control).0
    }

    #[test]
    fn nats_are_counted_per_token_of_the_answers() {
        let measured = state([-2_000_000, -4_000_000]);
        assert_eq!(measured.token_nll, MicroNats(1_200_000));
        assert_eq!(measured.metrics.answer_nll, MicroNats(3_000_000));
    }

    #[test]
    fn choice_pays_against_chance() {
        let rule = ScoreRule::Choice { margin_micronats: MARGIN };
        let (even, good) = (state([-1_000_000; 2]), state([0, 0]));
        assert_eq!(lift(&rule, [&even, &even], None), 0);
        assert_eq!(lift(&rule, [&even, &good], None), 693_147 - 313_262);
    }

    #[test]
    fn control_pays_against_the_control() {
        let [choice, nll] = [Measure::Choice, Measure::Nll]
            .map(|measure| ScoreRule::Control { measure, margin_micronats: MARGIN });
        let (base, good) = (state([-3_000_000; 2]), state([0, 0]));
        let control = state([-2_000_000; 2]);
        let difference = control.metrics.choice_loss.0 - good.metrics.choice_loss.0;
        assert_eq!(lift(&choice, [&base, &good], Some(&control)), difference);
        assert_eq!(lift(&nll, [&base, &good], Some(&control)), 800_000);
        // Bad, and its control worse: the gate.
        let (bad, worse) = (state([-4_000_000; 2]), state([-9_000_000; 2]));
        assert_eq!(lift(&choice, [&base, &bad], Some(&worse)), 0);
        assert_eq!(lift(&nll, [&base, &bad], Some(&worse)), 0);
        assert!(lift(&nll, [&base, &bad], Some(&good)) < 0);
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
        assert_eq!(lift(&nll, [&warm, &good], None), 100_000);
        assert_eq!(lift(&nll, [&good, &warm], None), -100_000);
        let paid = 693_147 - good.metrics.choice_loss.0;
        assert_eq!(lift(&choice, [&warm, &good], None), paid);
        // Better than chance, but its NLL has not fallen: the gate.
        assert_eq!(lift(&choice, [&good, &warm], None), 0);
    }
}
