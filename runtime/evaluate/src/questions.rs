//! The benchmark as token rows, and its results.

use crate::error::EvaluateError;
use crate::inspect::Inspector;
use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{Metrics, RowResult, Run, ScoreProof};
use dataforge_core::score;
use dataforge_core::significance::{self, Answers};
use dataforge_core::spec::Spec;
use dataforge_core::units::MicroNats;
use std::iter::repeat_n;

/// Every candidate of every hidden row, tokenised: row by row, candidate by candidate.
pub(crate) struct Questions {
    pub(crate) candidates: Vec<TokenRow>,
    answers: Vec<u32>,
    per_row: usize,
}

impl Questions {
    pub(crate) fn new(inspector: &Inspector, benchmark: &Benchmark) -> Result<Self, EvaluateError> {
        let rows = benchmark.rows();
        let per_row = rows.first().map_or(1, |row| row.candidates.len());
        let candidates = tokenise_candidates(inspector, rows)?;
        Ok(Self { candidates, answers: rows.iter().map(|row| row.answer).collect(), per_row })
    }

    /// Groups the candidates' scores by row, and sums them up.
    pub(crate) fn measure(&self, scores: &[MicroNats]) -> (Vec<RowResult>, Metrics) {
        let result = |row: &[MicroNats]| RowResult { log_probabilities: row.to_vec() };
        let rows: Vec<RowResult> = scores.chunks(self.per_row).map(result).collect();
        let metrics = self.metrics(&rows);
        (rows, metrics)
    }

    /// The sums of rows that may be a stranger's.
    pub(crate) fn metrics(&self, rows: &[RowResult]) -> Metrics {
        score::metrics(rows, &self.answers, self.answer_tokens())
    }

    /// The prompts of the first `rows` rows.
    pub(crate) fn prompts(&self, rows: usize) -> Vec<Vec<u32>> {
        let first = self.candidates.iter().step_by(self.per_row).take(rows);
        first.map(|row| row.ids[..row.prompt_tokens as usize].to_vec()).collect()
    }

    /// What a proof's lift is above with the spec's confidence; see [`significance::bound`].
    pub(crate) fn bound(&self, spec: &Spec, proof: &ScoreProof) -> Option<MicroNats> {
        let rows = |run: &Run| run.measured().map(|measured| measured.rows.clone());
        let training = proof.training.as_ref()?;
        let (trained, control) = (rows(&training.model)?, training.control.as_ref());
        let control = control.map(|run| rows(run).ok_or(())).transpose().ok()?;
        let lifts = significance::row_lifts(
            &spec.score,
            spec.benchmark.candidates.get(),
            &training.baseline,
            &trained,
            control.as_deref(),
            Answers { right: &self.answers, tokens: self.answer_tokens() },
        );
        let bound = significance::bound(&lifts, &proof.inputs.seed, proof.inputs.dataset);
        // The gates of the rule hold for the bound as for the lift.
        Some(bound.min(training.lift))
    }

    /// Output tokens of all right answers.
    fn answer_tokens(&self) -> u32 {
        let candidates = self.candidates.chunks(self.per_row).zip(&self.answers);
        let answers = candidates.map(|(row, answer)| &row[*answer as usize]);
        answers.map(|row| row.ids.len() as u32 - row.prompt_tokens).sum()
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
    let tokenised = inspector.tokenise(&pairs, &mut 0, &|| false)?;
    let tokenised = tokenised.map_err(|reason| EvaluateError::Question { row: 0, reason })?;
    let named = tokenised.into_iter().zip(owners);
    named
        .map(|(tokens, row)| tokens.map_err(|reason| EvaluateError::Question { row, reason }))
        .collect()
}
