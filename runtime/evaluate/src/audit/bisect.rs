//! Settling a dispute: two parties, one outline each, and the first thing in which they part.
//!
//! The outlines are compared in the order of the pipeline, and what differs first is computed here:
//! whoever says otherwise is at fault. In a run's steps it is found by bisection, and only the steps
//! from the last state that both agree on are taken again.

use crate::error::EvaluateError;
use crate::inspect::Inspection;
use crate::setup::{self, Setup};
use crate::world::World;
use dataforge_core::bisect::{
    Answer, List, Party, Question, SignedOutline, Witness, WitnessError, first_difference,
};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{DatasetDigest, RunId};
use dataforge_core::merkle::{NodeHash, split};
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{
    PlanRoots, ProofFile, Run, StepRecord, Training, Whose, row_tree, step_tree,
};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::state::{Checkpoint, SavedTensor};
use dataforge_engine::StepResult;
use std::convert::Infallible;

/// What a dispute came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Where the proofs part, in the pipeline's words.
    pub place: String,
    /// What each party says of it.
    pub said: [String; 2],
    /// What comes out here.
    pub found: String,
    /// The first tensor of the state after the step that differs, for each party that is wrong
    /// about the state and showed it.
    pub tensors: [Option<String>; 2],
    /// Training steps that were taken to find out.
    pub taken: u32,
}

impl Judgement {
    fn new(place: impl Into<String>, said: [String; 2], found: String) -> Self {
        Self { place: place.into(), said, found, tensors: [None, None], taken: 0 }
    }

    /// Which of the parties are at fault: the first, the second.
    #[must_use]
    pub fn at_fault(&self) -> [bool; 2] {
        [&self.said[0], &self.said[1]].map(|said| *said != self.found)
    }
}

/// A dispute cannot be settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisputeError<E: std::error::Error + 'static> {
    /// What decides it cannot be computed.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The first party's word is not to be had, or not to be trusted.
    #[error("the first party: {0}")]
    First(WitnessError<E>),
    /// The second party's.
    #[error("the second party: {0}")]
    Second(WitnessError<E>),
    /// The proofs are about other things, so that nothing is in dispute.
    #[error("the proofs are not of the same spec, dataset, benchmark and seed")]
    Inputs,
    /// The dataset at hand is another.
    #[error("the proofs are for dataset {proven}, but the file hashes to {given}")]
    Dataset {
        /// In the proofs.
        proven: DatasetDigest,
        /// At hand.
        given: DatasetDigest,
    },
    /// They part in something that is not decided by taking steps.
    #[error("they part in {0}, which `audit rows` or `audit replay` settles")]
    Elsewhere(String),
}

type Judged<T, P> = Result<T, DisputeError<<P as Party>::Error>>;

/// Who is right, or `None` when the proofs are the same.
///
/// # Errors
/// [`DisputeError`].
pub fn judge<P>(
    world: &dyn World,
    spec: PinnedSpec,
    bytes: &[u8],
    a: &mut Witness<P>,
    b: &mut Witness<P>,
) -> Judged<Option<Judgement>, P>
where
    P: Party<Error: std::error::Error>,
{
    let [left, right] = [a.outline().clone(), b.outline().clone()];
    if left.inputs != right.inputs || left.inputs.spec != spec.id() {
        return Err(DisputeError::Inputs);
    }
    if a.digest() == b.digest() {
        return Ok(None);
    }
    let raw = RawSubmission::split(bytes).map_err(EvaluateError::from)?;
    let (proven, given) = (left.inputs.dataset, raw.digest());
    if proven != given {
        return Err(DisputeError::Dataset { proven, given });
    }
    let setup = Setup::exact(world, spec)?;
    let Inspection { report, accepted, .. } = setup.inspector.inspect(world, &raw)?;
    let both = |place: &str, said: [String; 2], found: String| {
        (said[0] != said[1]).then(|| Judgement::new(place, said, found))
    };
    let reports = [left.report, right.report].map(|report| report.to_string());
    if let Some(judgement) = both("check report", reports, report.digest().to_string()) {
        return Ok(Some(judgement));
    }
    let verdict = |accepted| if accepted { "accepted" } else { "rejected" }.to_owned();
    let verdicts = [&left, &right].map(|outline| verdict(outline.training.is_some()));
    if let Some(judgement) = both("verdict of the kernels", verdicts, verdict(accepted.is_some())) {
        return Ok(Some(judgement));
    }
    let (Some(x), Some(y), Some(rows)) = (&left.training, &right.training, accepted) else {
        return Err(DisputeError::Elsewhere("a rejected submission".into()));
    };
    let states = [x, y].map(|training| training.initial_state.to_string());
    let seed = left.inputs.seed;
    let arbiter = Arbiter { setup: &setup, rows: rows.tokens(), seed };
    if states[0] != states[1] {
        let found = arbiter.initial_state()?;
        return Ok(Some(Judgement::new("initial state", states, found)));
    }
    if x.baseline != y.baseline {
        return Err(DisputeError::Elsewhere("the baseline".into()));
    }
    for ((whose, x_run), (_, y_run)) in x.runs().zip(y.runs()) {
        let plans = [x_run.plan, y_run.plan].map(plan_text);
        if plans[0] != plans[1] {
            let found = setup.plan(rows.tokens(), whose, &seed).roots();
            return Ok(Some(Judgement::new(format!("{whose}plan"), plans, plan_text(found))));
        }
        let step = first_difference(a, b, whose, List::Steps).map_err(|error| match error {
            Ok(error) => DisputeError::First(error),
            Err(error) => DisputeError::Second(error),
        })?;
        if let Some(step) = step {
            let course = Disputed { whose, plan: x_run.plan, initial: x, step };
            return arbiter.step(&course, a, b).map(Some);
        }
        if x_run != y_run {
            return Err(DisputeError::Elsewhere(format!("{whose}scores")));
        }
    }
    Err(DisputeError::Elsewhere("the control or the lift".into()))
}

fn plan_text(plan: PlanRoots) -> String {
    let text =
        |list: dataforge_core::blind::ListRoot| format!("{} with root {}", list.count, list.root);
    format!("{} rows, {} batches", text(plan.rows), text(plan.batches))
}

/// A step about which two parties disagree, while they agree on all before it.
struct Disputed<'o, S, R> {
    whose: Whose,
    plan: PlanRoots,
    initial: &'o Training<S, R>,
    step: u32,
}

struct Arbiter<'a, 'w> {
    setup: &'a Setup<'w>,
    rows: &'a [TokenRow],
    seed: dataforge_core::hash::EpochSeed,
}

impl Arbiter<'_, '_> {
    fn initial_state(&self) -> Result<String, EvaluateError> {
        let plan = self.setup.plan(self.rows, Whose::Model, &self.seed).excerpt(&[]);
        let course = self.setup.course(&plan, None, self.setup.initial(&self.seed)?)?;
        Ok(course.root().to_string())
    }

    fn step<P, S, R>(
        &self,
        disputed: &Disputed<'_, S, R>,
        a: &mut Witness<P>,
        b: &mut Witness<P>,
    ) -> Judged<Judgement, P>
    where
        P: Party<Error: std::error::Error>,
    {
        let Disputed { whose, plan, initial, step } = *disputed;
        let (setup, recipe) = (self.setup, &self.setup.spec.spec().training);
        let whole = setup.plan(self.rows, whose, &self.seed);
        let total = whole.steps();
        let committed = (1..=step).rev().find(|taken| recipe.commits_after(*taken, total));
        let kept = match committed {
            Some(taken) => {
                self.agreed(setup.run_id(plan, initial.initial_state), taken, whose, a)?
            }
            None => None,
        };
        let start = kept.as_ref().map_or(0, Checkpoint::taken);
        let excerpt = whole.excerpt(std::slice::from_ref(&(start..step + 1)));
        let features = setup.features(&excerpt)?;
        let mut course = setup.course(&excerpt, features.as_ref(), setup.initial(&self.seed)?)?;
        if let Some(kept) = kept
            && !course.resume(kept)?
        {
            return Err(EvaluateError::Checkpoint.into());
        }
        let mut found = None;
        for _ in start..=step {
            found = match course.advance()? {
                Some(StepResult::Stepped(_)) => course.steps().last().copied(),
                Some(StepResult::Diverged) | None => None,
            };
        }
        let records = [
            record(a, whose, step).map_err(DisputeError::First)?,
            record(b, whose, step).map_err(DisputeError::Second)?,
        ];
        let place = format!("{whose}step {step}");
        let mut judgement = Judgement::new(place, records.map(record_text), record_text(found));
        judgement.taken = step + 1 - start;
        if let Some(root) = found.and_then(|record| record.state) {
            let tensors = course.save()?;
            let wrong = |record: Option<StepRecord>| {
                record.and_then(|record| record.state).filter(|state| *state != root)
            };
            if let Some(state) = wrong(records[0]) {
                let shown = a.state(whose, step + 1, state).map_err(DisputeError::First)?;
                judgement.tensors[0] = shown.and_then(|shown| first_other(&shown, &tensors));
            }
            if let Some(state) = wrong(records[1]) {
                let shown = b.state(whose, step + 1, state).map_err(DisputeError::Second)?;
                judgement.tensors[1] = shown.and_then(|shown| first_other(&shown, &tensors));
            }
        }
        Ok(judgement)
    }

    /// The world's last checkpoint after at most `taken` steps whose state the parties agree on.
    fn agreed<P>(
        &self,
        run: RunId,
        taken: u32,
        whose: Whose,
        a: &mut Witness<P>,
    ) -> Judged<Option<Checkpoint>, P>
    where
        P: Party<Error: std::error::Error>,
    {
        let Some(kept) = self.setup.world.checkpoint(&run, taken) else { return Ok(None) };
        let Some(last) = kept.steps.last().copied() else { return Ok(None) };
        let agreed = a.step(whose, last.step.0).map_err(DisputeError::First)?;
        Ok((agreed.state.is_some() && agreed.state == last.state).then_some(kept))
    }
}

/// A party's record of a step; none when its run ended before.
fn record<P: Party>(
    witness: &mut Witness<P>,
    whose: Whose,
    step: u32,
) -> Result<Option<StepRecord>, WitnessError<P::Error>> {
    if step < witness.count(whose, List::Steps) {
        witness.step(whose, step).map(Some)
    } else {
        Ok(None)
    }
}

fn record_text(record: Option<StepRecord>) -> String {
    let Some(StepRecord { loss, state, .. }) = record else { return "divergence".into() };
    let state = state.map_or("none".into(), |root| root.to_string());
    format!("loss {} micro-nats, state {state}", loss.0)
}

fn first_other(shown: &[NodeHash], tensors: &[SavedTensor]) -> Option<String> {
    let other = tensors.iter().zip(shown).find(|(tensor, hash)| tensor.hash() != **hash);
    other.map(|(tensor, _)| tensor.name.clone())
}

/// A run's last checkpoint after at most so many steps.
type Kept<'s> = dyn Fn(&RunId, u32) -> Option<Checkpoint> + 's;

/// Who answers for a proof at hand, with the checkpoints that were kept of its runs.
pub struct Prover<'s> {
    file: ProofFile,
    states: Box<Kept<'s>>,
}

impl<'s> Prover<'s> {
    /// `states` gives a run's last checkpoint after at most so many steps.
    #[must_use]
    pub fn new(file: ProofFile, states: impl Fn(&RunId, u32) -> Option<Checkpoint> + 's) -> Self {
        Self { file, states: Box::new(states) }
    }

    fn answer(&self, question: &Question) -> Option<Answer> {
        let training = self.file.proof.training.as_ref();
        let run = |whose: Whose| -> Option<&Run> {
            training?.runs().find(|(of, _)| *of == whose).map(|(_, run)| run)
        };
        Some(match question {
            Question::Outline => Answer::Outline(Box::new(SignedOutline {
                outline: self.file.proof.outline(),
                signature: self.file.signature,
            })),
            Question::Children { whose, list, leaves } => {
                if leaves.len() < 2 {
                    return None;
                }
                let tree = match list {
                    List::Steps => step_tree(&run(*whose)?.steps),
                    List::Rows => row_tree(&run(*whose)?.measured()?.rows),
                };
                let middle = split(leaves);
                let node = |part| tree.node(&part);
                Answer::Children([node(leaves.start..middle)?, node(middle..leaves.end)?])
            }
            Question::Step { whose, step } => {
                Answer::Step(*run(*whose)?.steps.get(*step as usize)?)
            }
            Question::Row { whose, row } => {
                Answer::Row(run(*whose)?.measured()?.rows.get(*row as usize)?.clone())
            }
            Question::State { whose, taken } => {
                let run = run(*whose)?;
                let spec = self.file.proof.inputs.spec;
                let id = setup::run_id(spec, run.plan, training?.initial_state);
                let kept = (self.states)(&id, *taken).filter(|kept| kept.taken() == *taken)?;
                Answer::State(kept.tensors.iter().map(SavedTensor::hash).collect())
            }
        })
    }
}

impl Party for Prover<'_> {
    type Error = Infallible;

    fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
        Ok(self.answer(question).unwrap_or(Answer::Missing))
    }
}
