//! Auditing benchmark rows: scored again from the state that training ended with.

use super::steps::{Audited, Auditor};
use super::{Compare, Refusal};
use crate::error::EvaluateError;
use crate::features;
use crate::questions::tokenise_candidates;
use crate::setup::Setup;
use crate::warm::Trained;
use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::proof::{RowResult, Run, Whose};
use dataforge_engine::{Score, Scorer};
use std::slice::from_ref;

impl Auditor<'_, '_> {
    /// Scores rows of the benchmark again and compares them. They count from 1 among those that
    /// the seed draws, as the proof has their results. Which rows share a batch makes no
    /// difference. The state is the world's, if the proof commits to it; else the steps to it are
    /// taken again.
    ///
    /// # Errors
    /// [`EvaluateError`] when it cannot be done; what differs is the inner [`Refusal`].
    pub fn audit_rows(
        &self,
        whose: Whose,
        benchmark: &Benchmark,
        numbers: &[usize],
    ) -> Audited<()> {
        if let Err(fault) = self.proof.check_metrics(benchmark) {
            return Ok(Err(fault.into()));
        }
        let Some((run, measured)) =
            self.training.run(whose).and_then(|run| Some((run, run.measured()?)))
        else {
            return Ok(Err(Refusal::NothingMeasured));
        };
        let end = run.steps.len() as u32;
        let walked = self.walk(whose, run, from_ref(&(end..end)), |course| course.weights())?;
        let trained = match walked {
            Ok(trained) => trained,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let setup = &self.setup;
        let drawn = benchmark.measured(&self.proof.inputs.seed);
        let rows: Vec<_> =
            numbers.iter().filter_map(|number| drawn.get(number - 1)).copied().collect();
        let Some(again) = score_rows(setup, trained, &rows)? else {
            return Ok(Err(Refusal::NothingMeasured));
        };
        let mut compare = Compare(None);
        for (number, result) in numbers.iter().zip(&again) {
            compare.row(whose, *number, measured.rows.get(number - 1), Some(result));
        }
        Ok(compare.0.map_or(Ok(()), Err))
    }

    /// Benchmark rows of a run, for choosing some.
    #[must_use]
    pub fn measured_rows(&self, whose: Whose) -> usize {
        self.training.run(whose).and_then(Run::measured).map_or(0, |measured| measured.rows.len())
    }
}

/// What a trained state makes of benchmark rows; nothing when a score is not finite.
pub(super) fn score_rows(
    setup: &Setup<'_>,
    trained: Trained,
    rows: &[&BenchmarkRow],
) -> Result<Option<Vec<RowResult>>, EvaluateError> {
    let candidates = tokenise_candidates(&setup.inspector, rows)?;
    let features = features::compute(setup, &candidates)?;
    let mut scorer = Scorer::new(&setup.runtime, setup.tuning(), setup.forward_shape())?;
    scorer.bind(&setup.runtime, &setup.weights, trained)?;
    let mut watch = |_| !setup.world.cancelled();
    let mut scores = match scorer.score(&candidates, features.as_ref(), &mut watch)? {
        Score::Finite(scores) => scores.into_iter(),
        Score::Stopped => return Err(EvaluateError::Cancelled),
        Score::NotFinite => return Ok(None),
    };
    let result = |row: &&BenchmarkRow| RowResult {
        log_probabilities: scores.by_ref().take(row.candidates.len()).collect(),
    };
    Ok(Some(rows.iter().map(result).collect()))
}
