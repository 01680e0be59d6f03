//! Settling a dispute: two parties, one outline each, and the first thing in which they part.
//!
//! The outlines are compared in the order of the pipeline, and what differs first is computed here:
//! whoever says otherwise is at fault. In a run's steps and rows it is found by bisection, and only
//! the steps from the last state that both agree on are taken again.

use super::arbiter::{Agreed, Arbiter, Stepped};
use super::describe;
use crate::error::EvaluateError;
use crate::inspect::Inspection;
use crate::setup::Setup;
use crate::world::World;
use dataforge_core::benchmark::Benchmark;
use dataforge_core::bisect::{List, Party, Witness, WitnessError, first_difference};
use dataforge_core::blind::ListRoot;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::DatasetDigest;
use dataforge_core::merkle::NodeHash;
use dataforge_core::proof::{
    End, Measurement, Metrics, RowResult, Run, StepRecord, Training, Whose,
};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::state::SavedTensor;

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
    pub(super) fn new(place: impl Into<String>, said: [String; 2], found: String) -> Self {
        Self { place: place.into(), said, found, tensors: [None, None], taken: 0 }
    }

    pub(super) fn after(self, taken: u32) -> Self {
        Self { taken, ..self }
    }

    /// Which of the parties are at fault: the first, the second.
    #[must_use]
    pub fn at_fault(&self) -> [bool; 2] {
        [&self.said[0], &self.said[1]].map(|said| *said != self.found)
    }

    /// Unless both parties are right.
    fn unless_agreed(self) -> Option<Self> {
        (self.at_fault() != [false, false]).then_some(self)
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
    /// They part in what only the benchmark decides.
    #[error("they part in {0}: who is right takes the benchmark to tell")]
    Benchmark(String),
}

pub(super) type Judged<T, P> = Result<T, DisputeError<<P as Party>::Error>>;

/// An outline's.
type TrainingOutline = Training<ListRoot, ListRoot>;
type RunOutline = Run<ListRoot, ListRoot>;

/// Who is right, or `None` when the proofs are the same. The benchmark decides what is said of
/// scores; a dispute about training does without it.
///
/// # Errors
/// [`DisputeError`].
pub fn judge<P>(
    world: &dyn World,
    spec: PinnedSpec,
    bytes: &[u8],
    benchmark: Option<&Benchmark>,
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
    let reports = [left.report, right.report].map(|report| report.to_string());
    let found = Judgement::new("check report", reports, report.digest().to_string());
    if let Some(judgement) = found.unless_agreed() {
        return Ok(Some(judgement));
    }
    let verdict = |accepted| if accepted { "accepted" } else { "rejected" }.to_owned();
    let verdicts = [&left, &right].map(|outline| verdict(outline.training.is_some()));
    let found = Judgement::new("verdict of the kernels", verdicts, verdict(accepted.is_some()));
    if let Some(judgement) = found.unless_agreed() {
        return Ok(Some(judgement));
    }
    let (Some(x), Some(y), Some(rows)) = (&left.training, &right.training, accepted) else {
        // Rejected, with the same report: the same proof.
        return Ok(None);
    };
    let arbiter = Arbiter { setup: &setup, rows: rows.tokens(), seed: left.inputs.seed, benchmark };
    Dispute { arbiter, a, b }.training(x, y)
}

struct Dispute<'d, 'w, P> {
    arbiter: Arbiter<'d, 'w>,
    a: &'d mut Witness<P>,
    b: &'d mut Witness<P>,
}

impl<P: Party<Error: std::error::Error>> Dispute<'_, '_, P> {
    fn training(
        &mut self,
        x: &TrainingOutline,
        y: &TrainingOutline,
    ) -> Judged<Option<Judgement>, P> {
        let states = [x, y].map(|training| training.initial_state.to_string());
        if states[0] != states[1] {
            let found = self.arbiter.initial_state()?.to_string();
            return Ok(Some(Judgement::new("initial state", states, found)));
        }
        if x.baseline != y.baseline {
            let baselines = [x.baseline, y.baseline].map(describe::metrics);
            let found = describe::metrics(self.arbiter.baseline()?);
            return Ok(Some(Judgement::new("baseline", baselines, found)));
        }
        for ((whose, x_run), (_, y_run)) in x.runs().zip(y.runs()) {
            if x_run != y_run {
                let agreed = Agreed { whose, plan: x_run.plan, initial_state: x.initial_state };
                return self.run(&agreed, x_run, y_run).map(Some);
            }
        }
        let spec = self.arbiter.setup.spec.spec();
        let controls = [x, y].map(|training| training.control.is_some());
        if controls[0] != controls[1] {
            let text = |there| if there { "there" } else { "none" }.to_owned();
            let due = text(x.control_due(spec));
            return Ok(Some(Judgement::new("control", controls.map(text), due)));
        }
        let lifts = [x, y].map(|training| training.lift.display().to_string());
        let due = x.lift_due(spec).display().to_string();
        Ok(Some(Judgement::new("lift", lifts, due)))
    }

    fn first_difference(&mut self, whose: Whose, list: List) -> Judged<Option<u32>, P> {
        first_difference(self.a, self.b, whose, list).map_err(|error| match error {
            Ok(error) => DisputeError::First(error),
            Err(error) => DisputeError::Second(error),
        })
    }

    /// Two runs that differ, from the same initial state.
    fn run(&mut self, agreed: &Agreed, x: &RunOutline, y: &RunOutline) -> Judged<Judgement, P> {
        let whose = agreed.whose;
        if x.plan != y.plan {
            let plans = [x, y].map(|run| describe::plan(run.plan));
            let found = describe::plan(self.arbiter.plan(whose).roots());
            return Ok(Judgement::new(format!("{whose}plan"), plans, found));
        }
        if let Some(step) = self.first_difference(whose, List::Steps)? {
            return self.step(agreed, step);
        }
        let (End::Measured(x_end), End::Measured(y_end)) = (&x.end, &y.end) else {
            let ends = [x, y].map(|run| describe::end(run.measured().is_some()));
            let (found, taken) = self.arbiter.end(agreed, x.steps.count, self.a)?;
            return Ok(Judgement::new(format!("{whose}end"), ends, found).after(taken));
        };
        if x_end.final_state != y_end.final_state {
            let states = [x_end, y_end].map(|end| end.final_state.to_string());
            let last = match x.steps.count.checked_sub(1) {
                Some(last) => self.a.step(whose, last).map_err(DisputeError::First)?.state,
                None => Some(agreed.initial_state),
            };
            let found = last.map_or("none".into(), |state| state.to_string());
            return Ok(Judgement::new(format!("{whose}final state"), states, found));
        }
        if let Some(row) = self.first_difference(whose, List::Rows)? {
            return self.row(agreed, x, x_end, row);
        }
        let metrics = [x_end, y_end].map(|end| describe::metrics(end.metrics));
        let found = describe::metrics(self.metrics(whose)?);
        Ok(Judgement::new(format!("{whose}metrics"), metrics, found))
    }

    fn step(&mut self, agreed: &Agreed, step: u32) -> Judged<Judgement, P> {
        let whose = agreed.whose;
        let records = [
            record(self.a, whose, step).map_err(DisputeError::First)?,
            record(self.b, whose, step).map_err(DisputeError::Second)?,
        ];
        let Stepped { record: found, tensors, taken } = self.arbiter.step(agreed, step, self.a)?;
        let said = records.map(describe::step);
        let mut judgement =
            Judgement::new(format!("{whose}step {step}"), said, describe::step(found)).after(taken);
        let Some(root) = found.and_then(|record| record.state) else { return Ok(judgement) };
        let wrong = records.map(|record| record?.state.filter(|state| *state != root));
        // Who has no such state to show, or shows another, is convicted all the same.
        if let Some(state) = wrong[0] {
            let shown = self.a.state(whose, step + 1, state).ok().flatten();
            judgement.tensors[0] = shown.and_then(|shown| first_other(&shown, &tensors));
        }
        if let Some(state) = wrong[1] {
            let shown = self.b.state(whose, step + 1, state).ok().flatten();
            judgement.tensors[1] = shown.and_then(|shown| first_other(&shown, &tensors));
        }
        Ok(judgement)
    }

    /// A benchmark row, from 0 among those that the seed draws.
    fn row(
        &mut self,
        agreed: &Agreed,
        run: &RunOutline,
        end: &Measurement<ListRoot>,
        row: u32,
    ) -> Judged<Judgement, P> {
        let whose = agreed.whose;
        let said = [
            result(self.a, whose, row).map_err(DisputeError::First)?,
            result(self.b, whose, row).map_err(DisputeError::Second)?,
        ];
        let place = format!("{whose}benchmark row {}", row + 1);
        let scored = self.arbiter.row(agreed, (run.steps.count, row as usize), self.a)?;
        if scored.state != end.final_state {
            // Both end with the same state, and it is not the one that their steps lead to.
            let said = [end.final_state.to_string(), end.final_state.to_string()];
            let found = scored.state.to_string();
            let place = format!("{whose}final state");
            return Ok(Judgement::new(place, said, found).after(scored.taken));
        }
        let found = describe::row(scored.result.as_ref());
        let said = said.map(|result| describe::row(result.as_ref()));
        Ok(Judgement::new(place, said, found).after(scored.taken))
    }

    /// What follows from the rows, on which both agree.
    fn metrics(&mut self, whose: Whose) -> Judged<Metrics, P> {
        let rows = self.a.rows(whose).map_err(DisputeError::First)?;
        self.arbiter.metrics(&format!("{whose}metrics"), &rows)
    }
}

/// A party's record of a step; none when its run ended before.
fn record<P: Party>(
    witness: &mut Witness<P>,
    whose: Whose,
    step: u32,
) -> Result<Option<StepRecord>, WitnessError<P::Error>> {
    (step < witness.count(whose, List::Steps)).then(|| witness.step(whose, step)).transpose()
}

/// A party's result of a benchmark row, from 0; none when it has fewer.
fn result<P: Party>(
    witness: &mut Witness<P>,
    whose: Whose,
    row: u32,
) -> Result<Option<RowResult>, WitnessError<P::Error>> {
    (row < witness.count(whose, List::Rows)).then(|| witness.row(whose, row)).transpose()
}

/// The first of our tensors that a party has otherwise. Where it shows more or fewer, as a state's
/// root would let it, nothing is said.
fn first_other(shown: &[NodeHash], tensors: &[SavedTensor]) -> Option<String> {
    if shown.len() != tensors.len() {
        return None;
    }
    let other = tensors.iter().zip(shown).find(|(tensor, hash)| tensor.hash() != **hash);
    other.map(|(tensor, _)| tensor.name.clone())
}
