//! Audits: run the evaluation again and compare.
//!
//! A replay calls the very function that made the proof. What differs first is named, in the order
//! in which the pipeline computes it, since everything after it follows from it.

use crate::error::EvaluateError;
use crate::evaluator::{Evaluation, Evaluator};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{BenchmarkRoot, DatasetDigest, PlanDigest, SpecId};
use dataforge_core::proof::{Metrics, RowResult, ScoreProof, Scored, StepRecord, Training};

/// A proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It was made under another spec.
    #[error("the proof is for spec {proven}, not {given}")]
    Spec {
        /// In the proof.
        proven: SpecId,
        /// At hand.
        given: SpecId,
    },
    /// It was made for another dataset.
    #[error("the proof is for dataset {proven}, but the file hashes to {given}")]
    Dataset {
        /// In the proof.
        proven: DatasetDigest,
        /// At hand.
        given: DatasetDigest,
    },
    /// It was made against another benchmark.
    #[error("the proof is for benchmark {proven}, not {given}")]
    Benchmark {
        /// In the proof.
        proven: BenchmarkRoot,
        /// At hand.
        given: BenchmarkRoot,
    },
    /// The replay gives another result.
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

/// Checks that a proof is about these inputs: cheap, no engine.
///
/// # Errors
/// [`Refusal::Spec`], [`Refusal::Dataset`] or [`Refusal::Benchmark`].
pub fn check_inputs(
    proof: &ScoreProof,
    spec: SpecId,
    dataset: &RawSubmission<'_>,
    benchmark: BenchmarkRoot,
) -> Result<(), Refusal> {
    let inputs = &proof.inputs;
    let dataset = dataset.digest();
    if inputs.spec != spec {
        return Err(Refusal::Spec { proven: inputs.spec, given: spec });
    }
    if inputs.dataset != dataset {
        return Err(Refusal::Dataset { proven: inputs.dataset, given: dataset });
    }
    if inputs.benchmark != benchmark {
        return Err(Refusal::Benchmark { proven: inputs.benchmark, given: benchmark });
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
    let (spec, benchmark) = (evaluator.spec().id(), evaluator.benchmark().root());
    if let Err(refusal) = check_inputs(proof, spec, &raw, benchmark) {
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
    if let (Some(a), Some(b)) = (proven.training(), replayed.training()) {
        compare.training(a, b);
    }
    if let (Some(a), Some(b)) = (proven.control_run(), replayed.control_run()) {
        compare.steps("control, ", (a.plan, &a.steps), (b.plan, &b.steps));
    }
    compare.both("verdict", proven.verdict(), replayed.verdict());
    if let (Some(a), Some(b)) = (proven.scored(), replayed.scored()) {
        compare.scores(&a, &b);
    }
    compare.both("proof digest", proven.digest(), replayed.digest());
    compare.0
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

    fn training(&mut self, a: &Training, b: &Training) {
        self.both("initial state", a.initial_state, b.initial_state);
        self.metrics("baseline ", &a.baseline, &b.baseline);
        self.steps("", (a.plan, &a.steps), (b.plan, &b.steps));
    }

    /// `whose` is put before the places of a run other than the trained model's.
    fn steps(
        &mut self,
        whose: &str,
        (plan_a, a): (PlanDigest, &[StepRecord]),
        (plan_b, b): (PlanDigest, &[StepRecord]),
    ) {
        self.both(&format!("{whose}token plan"), plan_a, plan_b);
        for (x, y) in a.iter().zip(b) {
            let place = |what: &str| format!("{whose}step {}, {what}", y.step.0);
            let state =
                |step: &StepRecord| step.state.map_or("none".into(), |root| root.to_string());
            self.both(&place("number"), x.step.0, y.step.0);
            self.both(&place("batch"), x.batch, y.batch);
            self.both(&place("loss in micro-nats"), x.loss.0, y.loss.0);
            self.both(&place("state"), state(x), state(y));
        }
        self.both(&format!("{whose}number of steps"), a.len(), b.len());
    }

    fn metrics(&mut self, whose: &str, a: &Metrics, b: &Metrics) {
        self.both(&format!("{whose}choice loss"), a.choice_loss.0, b.choice_loss.0);
        self.both(&format!("{whose}accuracy"), a.accuracy.0, b.accuracy.0);
        self.both(&format!("{whose}answer NLL"), a.answer_nll.0, b.answer_nll.0);
    }

    fn rows(&mut self, whose: &str, a: &[RowResult], b: &[RowResult]) {
        for (number, (x, y)) in (1..).zip(a.iter().zip(b)) {
            let text = |row: &RowResult| {
                format!("{:?}", row.log_probabilities.iter().map(|lp| lp.0).collect::<Vec<_>>())
            };
            self.both(&format!("{whose}benchmark row {number}"), text(x), text(y));
        }
        self.both(&format!("{whose}number of benchmark rows"), a.len(), b.len());
    }

    fn scores(&mut self, a: &Scored<'_>, b: &Scored<'_>) {
        self.both("final state", a.final_state, b.final_state);
        self.rows("", a.rows, b.rows);
        self.metrics("", a.trained, b.trained);
        if let (Some(x), Some(y)) = (a.token_nll, b.token_nll) {
            self.both("baseline nats per token", x.baseline.0, y.baseline.0);
            self.both("nats per token", x.trained.0, y.trained.0);
        }
        if let (Some(x), Some(y)) = (a.control, b.control) {
            self.both("control, final state", x.final_state, y.final_state);
            self.rows("control, ", &x.rows, &y.rows);
            self.metrics("control, ", &x.metrics, &y.metrics);
            self.both("control, nats per token", x.token_nll.0, y.token_nll.0);
        }
        self.both("lift", a.lift.0, b.lift.0);
    }
}
