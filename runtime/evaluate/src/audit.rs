//! Audits: run the evaluation again and compare.
//!
//! A replay calls the very function that made the proof. What differs first is named, in the order
//! in which the pipeline computes it, since everything after it follows from it.

use crate::error::EvaluateError;
use crate::evaluator::{Evaluation, Evaluator};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{BenchmarkRoot, DatasetDigest, SpecId};
use dataforge_core::proof::{Outcome, ScoreProof, StepRecord, Training};

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
    compare.both("verdict", proven.verdict(), replayed.verdict());
    compare.scores(&proven.outcome, &replayed.outcome);
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
        self.both("baseline choice loss", a.baseline.choice_loss.0, b.baseline.choice_loss.0);
        self.both("baseline accuracy", a.baseline.accuracy.0, b.baseline.accuracy.0);
        self.both("baseline answer NLL", a.baseline.answer_nll.0, b.baseline.answer_nll.0);
        self.both("token plan", a.plan, b.plan);
        for (x, y) in a.steps.iter().zip(&b.steps) {
            self.step(x, y);
        }
        self.both("number of steps", a.steps.len(), b.steps.len());
    }

    fn step(&mut self, a: &StepRecord, b: &StepRecord) {
        let place = |what: &str| format!("step {}, {what}", b.step.0);
        let state = |step: &StepRecord| step.state.map_or("none".into(), |root| root.to_string());
        self.both(&place("number"), a.step.0, b.step.0);
        self.both(&place("batch"), a.batch, b.batch);
        self.both(&place("loss in micro-nats"), a.loss.0, b.loss.0);
        self.both(&place("state"), state(a), state(b));
    }

    fn scores(&mut self, a: &Outcome, b: &Outcome) {
        let (
            Outcome::Scored {
                final_state: state_a,
                rows: rows_a,
                trained: trained_a,
                lift: lift_a,
                ..
            },
            Outcome::Scored {
                final_state: state_b,
                rows: rows_b,
                trained: trained_b,
                lift: lift_b,
                ..
            },
        ) = (a, b)
        else {
            return;
        };
        self.both("final state", state_a, state_b);
        for (number, (x, y)) in (1..).zip(rows_a.iter().zip(rows_b)) {
            let text = |row: &dataforge_core::proof::RowResult| {
                format!("{:?}", row.log_probabilities.iter().map(|lp| lp.0).collect::<Vec<_>>())
            };
            self.both(&format!("benchmark row {number}"), text(x), text(y));
        }
        self.both("number of benchmark rows", rows_a.len(), rows_b.len());
        self.both("choice loss", trained_a.choice_loss.0, trained_b.choice_loss.0);
        self.both("accuracy", trained_a.accuracy.0, trained_b.accuracy.0);
        self.both("answer NLL", trained_a.answer_nll.0, trained_b.answer_nll.0);
        self.both("lift", lift_a.0, lift_b.0);
    }
}
