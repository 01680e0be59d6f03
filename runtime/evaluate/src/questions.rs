//! The benchmark as token rows, and from log-probabilities to metrics and lift.

use crate::error::EvaluateError;
use crate::inspect::Inspector;
use dataforge_core::benchmark::Benchmark;
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{Metrics, RowResult};
use dataforge_core::spec::ScoreRule;
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_engine::{choice_loss, mean};

/// Every candidate of every hidden row, tokenised: row by row, candidate by candidate.
pub(crate) struct Questions {
    pub(crate) candidates: Vec<TokenRow>,
    answers: Vec<u32>,
    per_row: usize,
}

impl Questions {
    pub(crate) fn new(inspector: &Inspector, benchmark: &Benchmark) -> Result<Self, EvaluateError> {
        let rows = benchmark.rows();
        let pairs: Vec<(&str, &str)> = rows
            .iter()
            .flat_map(|row| {
                row.candidates.iter().map(|candidate| (row.input.as_str(), candidate.as_str()))
            })
            .collect();
        let per_row = rows.first().map_or(1, |row| row.candidates.len());
        let tokenised = inspector.tokenise(&pairs, &mut 0)?;
        let tokenised = tokenised.map_err(|reason| EvaluateError::Question { row: 0, reason })?;
        let mut candidates = Vec::with_capacity(tokenised.len());
        for (at, tokens) in tokenised.into_iter().enumerate() {
            let row = at / per_row + 1;
            candidates.push(tokens.map_err(|reason| EvaluateError::Question { row, reason })?);
        }
        Ok(Self { candidates, answers: rows.iter().map(|row| row.answer).collect(), per_row })
    }

    /// Groups the candidates' scores by row.
    pub(crate) fn rows(&self, scores: &[MicroNats]) -> Vec<RowResult> {
        let rows = scores.chunks(self.per_row);
        rows.map(|row| RowResult { log_probabilities: row.to_vec() }).collect()
    }

    pub(crate) fn metrics(&self, rows: &[RowResult]) -> Metrics {
        let answered =
            || rows.iter().zip(&self.answers).map(|(row, answer)| (row, *answer as usize));
        let right =
            answered().filter(|(row, answer)| is_right(&row.log_probabilities, *answer)).count();
        let losses = answered().map(|(row, answer)| choice_loss(&row.log_probabilities, answer));
        let nll = answered().map(|(row, answer)| MicroNats(-row.log_probabilities[answer].0));
        Metrics {
            choice_loss: mean(losses),
            accuracy: Ppm((right * 1_000_000 / rows.len().max(1)) as u32),
            answer_nll: mean(nll),
        }
    }

    /// The paid score: for the choice rule, `ln K − CL`.
    pub(crate) fn lift(&self, rule: ScoreRule, trained: &Metrics) -> MicroNats {
        match rule {
            ScoreRule::Choice { .. } => {
                let chance = libm::round(libm::log(self.per_row as f64) * 1e6) as i64;
                MicroNats(chance - trained.choice_loss.0)
            }
            other => unreachable!("no such score rule: {other:?}"),
        }
    }
}

/// Whether the answer is more probable than every other candidate.
fn is_right(log_probabilities: &[MicroNats], answer: usize) -> bool {
    let others = log_probabilities.iter().enumerate().filter(|(at, _)| *at != answer);
    others.into_iter().all(|(_, other)| *other < log_probabilities[answer])
}
