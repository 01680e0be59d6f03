//! Audits: run an evaluation again, whole or in part, and compare; settle what two proofs dispute.
//!
//! A replay calls the very function that made the proof, and [`Auditor`] takes the same steps. What
//! differs first is named, in the order in which the pipeline computes it, since everything after
//! it follows from it.

use crate::error::EvaluateError;
use crate::evaluator::{Evaluation, Evaluator};
use dataforge_core::benchmark::Benchmark;
use dataforge_core::blind::ListRoot;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::DatasetDigest;
use dataforge_core::proof::check::Fault;
use dataforge_core::proof::{Metrics, PlanRoots, RowResult, Run, ScoreProof, StepRecord, Whose};
use dataforge_core::spec::PinnedSpec;

mod arbiter;
mod bisect;
mod describe;
mod prover;
mod rows;
mod steps;

pub use bisect::{DisputeError, Judgement, judge};
pub use prover::Prover;
pub use steps::{Audited, Auditor, Part, detection};

/// A proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It contradicts itself, or is not what its spec asks for.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It was made for another dataset.
    #[error("the proof is for dataset {proven}, but the file hashes to {given}")]
    Dataset {
        /// In the proof.
        proven: DatasetDigest,
        /// At hand.
        given: DatasetDigest,
    },
    /// There are no steps to audit.
    #[error("the submission was rejected, so nothing was trained")]
    NothingTrained,
    /// There are no scores to audit.
    #[error("the run was not measured")]
    NothingMeasured,
    /// Computed again, something comes out differently.
    #[error("{place}: the proof says {proven}, the replay gives {replayed}")]
    Differs {
        /// Where, in the pipeline's words.
        place: String,
        /// In the proof.
        proven: String,
        /// In the replay.
        replayed: String,
    },
}

/// Checks all that can be checked without an engine: that the proof is about these inputs, is what
/// its spec asks for, and that its metrics follow from its rows.
///
/// # Errors
/// The first [`Refusal`], never [`Refusal::Differs`].
pub fn check(
    proof: &ScoreProof,
    spec: &PinnedSpec,
    dataset: &RawSubmission<'_>,
    benchmark: &Benchmark,
) -> Result<(), Refusal> {
    check_inputs(proof, spec, dataset)?;
    Ok(proof.check_metrics(benchmark)?)
}

/// What of [`check`] needs no benchmark.
fn check_inputs(
    proof: &ScoreProof,
    spec: &PinnedSpec,
    dataset: &RawSubmission<'_>,
) -> Result<(), Refusal> {
    proof.check_against(spec)?;
    let (proven, given) = (proof.inputs.dataset, dataset.digest());
    if proven != given {
        return Err(Refusal::Dataset { proven, given });
    }
    Ok(())
}

/// Re-runs everything and compares.
///
/// # Errors
/// [`EvaluateError`] when the re-run itself fails; a proof that does not hold is the inner
/// [`Refusal`].
pub fn replay(
    evaluator: &mut Evaluator<'_>,
    proof: &ScoreProof,
    bytes: &[u8],
) -> Result<Result<Evaluation, Refusal>, EvaluateError> {
    let raw = RawSubmission::split(bytes)?;
    if let Err(refusal) = check(proof, evaluator.spec(), &raw, evaluator.benchmark()) {
        return Ok(Err(refusal));
    }
    let again = evaluator.evaluate(bytes, proof.inputs.seed)?;
    Ok(match first_difference(proof, &again.proof) {
        Some(refusal) => Err(refusal),
        None => Ok(again),
    })
}

/// The first place at which two proofs of the same inputs differ.
#[must_use]
pub fn first_difference(proven: &ScoreProof, replayed: &ScoreProof) -> Option<Refusal> {
    if proven.digest() == replayed.digest() {
        return None;
    }
    let mut compare = Compare(None);
    compare.both("check report", proven.report, replayed.report);
    compare.both("verdict of the kernels", accepted(proven), accepted(replayed));
    if let (Some(a), Some(b)) = (&proven.training, &replayed.training) {
        compare.both("initial state", a.initial_state, b.initial_state);
        compare.metrics("baseline ", &a.baseline, &b.baseline);
        compare.run(Whose::Model, &a.model, &b.model);
        if let (Some(a), Some(b)) = (&a.control, &b.control) {
            compare.run(Whose::Control, a, b);
        }
    }
    compare.both("verdict", proven.verdict(), replayed.verdict());
    compare.both("lift", proven.lift().0, replayed.lift().0);
    compare.both("proof digest", proven.digest(), replayed.digest());
    compare.0
}

fn accepted(proof: &ScoreProof) -> &'static str {
    if proof.training.is_some() { "accepted" } else { "rejected" }
}

/// Keeps the first difference it is shown.
struct Compare(Option<Refusal>);

impl Compare {
    fn both<T: PartialEq + ToString>(&mut self, place: &str, proven: T, replayed: T) {
        if self.0.is_none() && proven != replayed {
            let (proven, replayed) = (proven.to_string(), replayed.to_string());
            self.0 = Some(Refusal::Differs { place: place.into(), proven, replayed });
        }
    }

    fn run(&mut self, whose: Whose, a: &Run, b: &Run) {
        self.plan(whose, &a.plan, &b.plan);
        for (x, y) in a.steps.iter().zip(&b.steps) {
            self.step(whose, y.step.0, Some(x), Some(y));
        }
        self.both(&format!("{whose}number of steps"), a.steps.len(), b.steps.len());
        if let (Some(a), Some(b)) = (a.measured(), b.measured()) {
            self.both(&format!("{whose}final state"), a.final_state, b.final_state);
            self.rows(whose, &a.rows, &b.rows);
            self.metrics(&whose.to_string(), &a.metrics, &b.metrics);
        }
    }

    fn plan(&mut self, whose: Whose, a: &PlanRoots, b: &PlanRoots) {
        self.list(&format!("{whose}token plan"), a.rows, b.rows);
        self.list(&format!("{whose}batches"), a.batches, b.batches);
    }

    /// One step; none where it diverged.
    fn step(&mut self, whose: Whose, step: u32, a: Option<&StepRecord>, b: Option<&StepRecord>) {
        let place = |what: &str| format!("{whose}step {step}, {what}");
        let loss = |record: Option<&StepRecord>| {
            record.map_or("divergence".into(), |record| record.loss.0.to_string())
        };
        let state = |record: Option<&StepRecord>| {
            record.and_then(|r| r.state).map_or("none".into(), |root| root.to_string())
        };
        self.both(&place("loss in micro-nats"), loss(a), loss(b));
        self.both(&place("state"), state(a), state(b));
    }

    fn list(&mut self, place: &str, a: ListRoot, b: ListRoot) {
        let text = |list: ListRoot| format!("{} entries with root {}", list.count, list.root);
        self.both(place, text(a), text(b));
    }

    fn metrics(&mut self, whose: &str, a: &Metrics, b: &Metrics) {
        self.both(&format!("{whose}choice loss"), a.choice_loss.0, b.choice_loss.0);
        self.both(&format!("{whose}accuracy"), a.accuracy.0, b.accuracy.0);
        self.both(&format!("{whose}answer NLL"), a.answer_nll.0, b.answer_nll.0);
        self.both(&format!("{whose}nats per token"), a.token_nll.0, b.token_nll.0);
    }

    fn row(&mut self, whose: Whose, number: usize, a: Option<&RowResult>, b: Option<&RowResult>) {
        let text = |row: Option<&RowResult>| {
            let scores = row.iter().flat_map(|row| &row.log_probabilities).map(|lp| lp.0);
            format!("{:?}", scores.collect::<Vec<_>>())
        };
        self.both(&format!("{whose}benchmark row {number}"), text(a), text(b));
    }

    fn rows(&mut self, whose: Whose, a: &[RowResult], b: &[RowResult]) {
        for (number, (x, y)) in (1..).zip(a.iter().zip(b)) {
            self.row(whose, number, Some(x), Some(y));
        }
        self.both(&format!("{whose}number of benchmark rows"), a.len(), b.len());
    }
}
