//! Auditing parts of a training run: from one committed state to the next, or a single step laid
//! out for other engines.
//!
//! A state that the proof commits to may come from anyone: its root is compared before it is used.
//! So a part costs its own steps, where the world has the state before it, and otherwise those from
//! the last state that it has, or from the start.

use super::{Compare, Refusal, accepted};
use crate::error::EvaluateError;
use crate::inspect::Inspection;
use crate::setup::Setup;
use crate::train::Course;
use crate::world::World;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{End, Run, ScoreProof, Training, Whose};
use dataforge_core::random::SeedStream;
use dataforge_core::spec::PinnedSpec;
use dataforge_core::state::Checkpoint;
use dataforge_core::units::StepIndex;
use dataforge_engine::{StepCase, StepResult};
use dataforge_graph::onnx::{self, LoweringOptions};
use dataforge_graph::optim::AdamW;
use dataforge_graph::step::training;
use std::cell::Cell;
use std::ops::Range;
use std::slice::from_ref;

/// Steps between two committed states of a run: the least that can be audited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Of which run.
    pub whose: Whose,
    /// Which steps.
    pub steps: Range<u32>,
}

/// A proof about to be audited in parts: inputs, check report and plans agree with it.
pub struct Auditor<'w, 'p> {
    pub(super) setup: Setup<'w>,
    pub(super) proof: &'p ScoreProof,
    pub(super) training: &'p Training,
    rows: Vec<TokenRow>,
    taken: Cell<u32>,
}

/// Where a step audit's answer comes in two layers: could it be done, and does the proof hold.
pub type Audited<T> = Result<Result<T, Refusal>, EvaluateError>;

impl<'w, 'p> Auditor<'w, 'p> {
    /// Checks all of the proof that needs no training: against its spec, the dataset, and what the
    /// kernels say of it.
    ///
    /// # Errors
    /// [`EvaluateError`] when that cannot be done; a proof that does not hold, or that has no run
    /// to audit, is the inner [`Refusal`].
    pub fn prepare(
        world: &'w dyn World,
        spec: PinnedSpec,
        proof: &'p ScoreProof,
        bytes: &[u8],
    ) -> Audited<Self> {
        let raw = RawSubmission::split(bytes)?;
        if let Err(refusal) = super::check_inputs(proof, &spec, &raw) {
            return Ok(Err(refusal));
        }
        let setup = Setup::exact(world, spec)?;
        let Inspection { report, accepted: rows, .. } = setup.inspector.inspect(world, &raw)?;
        let mut compare = Compare(None);
        compare.both("check report", proof.report, report.digest());
        let verdict = if rows.is_some() { "accepted" } else { "rejected" };
        compare.both("verdict of the kernels", accepted(proof), verdict);
        let (Some(training), Some(rows)) = (&proof.training, rows) else {
            return Ok(Err(compare.0.unwrap_or(Refusal::NothingTrained)));
        };
        let rows = rows.tokens().to_vec();
        for (whose, run) in training.runs() {
            let plan = setup.plan(&rows, whose, &proof.inputs.seed).roots();
            compare.plan(whose, &run.plan, &plan);
        }
        Ok(match compare.0 {
            Some(refusal) => Err(refusal),
            None => Ok(Self { setup, proof, training, rows, taken: Cell::new(0) }),
        })
    }

    /// Steps taken again so far, whatever came of it: more than were asked for, where the world
    /// lacked a state.
    #[must_use]
    pub fn steps_taken(&self) -> u32 {
        self.taken.get()
    }

    /// Every part of every run.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.training.runs().flat_map(|(whose, run)| parts(whose, run)).collect()
    }

    /// The part that a step of a run belongs to; the step that diverged counts as one.
    #[must_use]
    pub fn part(&self, whose: Whose, step: StepIndex) -> Option<Part> {
        self.parts().into_iter().find(|part| part.whose == whose && part.steps.contains(&step.0))
    }

    /// So many parts, all when there are fewer, chosen by randomness that is public only after the
    /// proof is: stream `spot/` and the proof's digest.
    #[must_use]
    pub fn draw(&self, samples: usize, randomness: &EpochSeed) -> Vec<Part> {
        let mut parts = self.parts();
        let purpose = format!("spot/{}", self.proof.digest());
        SeedStream::new(randomness, &purpose).shuffle(&mut parts);
        parts.truncate(samples);
        parts
    }

    /// Takes the steps of `parts` again and compares each loss and each committed state.
    ///
    /// # Errors
    /// [`EvaluateError`] when a step cannot be taken; what differs is the inner [`Refusal`].
    pub fn audit(&self, parts: &[Part]) -> Audited<()> {
        for (whose, run) in self.training.runs() {
            let mut ranges: Vec<Range<u32>> = parts
                .iter()
                .filter(|part| part.whose == whose)
                .map(|part| part.steps.clone())
                .collect();
            ranges.sort_by_key(|range| range.start);
            if let Err(refusal) = self.walk(whose, run, &ranges, |_| Ok(()))? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Takes the steps of `ranges`, in order, with what the world lacks before each; then asks
    /// `end` about where that led.
    pub(super) fn walk<T>(
        &self,
        whose: Whose,
        run: &Run,
        ranges: &[Range<u32>],
        end: impl FnOnce(&mut Course<'_>) -> Result<T, EvaluateError>,
    ) -> Audited<T> {
        let legs = self.legs(run, ranges);
        let seed = &self.proof.inputs.seed;
        let mut needed = legs.clone();
        // A range of no steps is for whoever asks about the batch that comes next.
        let next = ranges.iter().filter(|range| range.is_empty());
        needed.extend(next.map(|range| range.end..range.end + 1));
        let plan = self.setup.plan(&self.rows, whose, seed).excerpt(&needed);
        let features = self.setup.features(&plan)?;
        let initial = self.setup.initial(seed)?;
        let mut course = self.setup.course(&plan, features.as_ref(), initial)?;
        let mut compare = Compare(None);
        compare.both("initial state", self.training.initial_state, course.root());
        for leg in legs {
            if course.steps().len() as u32 != leg.start {
                let found = self.checkpoint(run, leg.start).filter(|c| c.taken() == leg.start);
                let fits = found.map(|checkpoint| course.resume(checkpoint)).transpose()?;
                if fits != Some(true) {
                    return Err(EvaluateError::Checkpoint);
                }
            }
            for step in leg {
                if compare.0.is_some() {
                    break;
                }
                compare_step(&mut compare, whose, run, step, &mut course)?;
                self.taken.set(self.taken.get() + 1);
            }
        }
        match compare.0 {
            Some(refusal) => Ok(Err(refusal)),
            None => Ok(Ok(end(&mut course)?)),
        }
    }

    /// One step of a run with every tensor that goes in and comes out, as an ONNX backend test:
    /// stock operators, so that any engine can check it. `None` when the run has no such step.
    ///
    /// # Errors
    /// [`EvaluateError`] when it cannot be taken; what differs on the way to it is the inner
    /// [`Refusal`].
    pub fn export(&self, whose: Whose, step: StepIndex) -> Audited<Option<Vec<onnx::File>>> {
        let Some(run) = self.training.run(whose).filter(|run| step.0 < run.plan.batches.count)
        else {
            return Ok(Ok(None));
        };
        if step.0 as usize > run.steps.len() {
            return Ok(Ok(None));
        }
        let Setup { spec, weights, .. } = &self.setup;
        let recipe = &spec.spec().training;
        let graph = training(&self.setup.tuning(), recipe.batch_shape(), &AdamW::from(recipe));
        let model = onnx::lower(&graph, LoweringOptions::default());
        let here = step.0..step.0;
        let case = self.walk(whose, run, from_ref(&here), |course| course.case(weights))?;
        let files = |case: StepCase| onnx::backend_test(&model, &case.inputs, &case.outputs);
        Ok(case.map(|case| case.and_then(files)))
    }

    /// Which steps to take: each range with what lies between it and the nearest state before it.
    fn legs(&self, run: &Run, ranges: &[Range<u32>]) -> Vec<Range<u32>> {
        let mut at = 0;
        let mut legs = vec![];
        for range in ranges {
            let kept = self.checkpoint(run, range.start).map_or(0, |kept| kept.taken());
            legs.push(at.max(kept)..range.end);
            at = range.end;
        }
        legs
    }

    /// The world's last checkpoint of a run after at most `taken` steps, if the proof commits to
    /// its state.
    fn checkpoint(&self, run: &Run, taken: u32) -> Option<Checkpoint> {
        let id = self.setup.run_id(run.plan, self.training.initial_state);
        let kept = self.setup.world.checkpoint(&id, taken)?;
        let last = kept.steps.last()?;
        let proven = run.steps.get(last.step.0 as usize)?;
        (proven.state.is_some() && proven.state == last.state).then_some(kept)
    }
}

/// Takes one step and compares it with its record, or with the run's divergence.
fn compare_step(
    compare: &mut Compare,
    whose: Whose,
    run: &Run,
    step: u32,
    course: &mut Course<'_>,
) -> Result<(), EvaluateError> {
    let result = course.advance()?;
    let record = match result {
        Some(StepResult::Stepped(_)) => course.steps().last(),
        Some(StepResult::Diverged) | None => None,
    };
    compare.step(whose, step, run.steps.get(step as usize), record);
    Ok(())
}

/// A run cut after each committed state. Where it diverged while steps were left, the last part
/// ends with the step that did.
fn parts(whose: Whose, run: &Run) -> Vec<Part> {
    let taken = run.steps.len() as u32;
    let early = matches!(run.end, End::Diverged) && taken < run.plan.batches.count;
    let end = taken + u32::from(early);
    let committed = run.steps.iter().filter(|record| record.state.is_some());
    let mut start = 0;
    let mut parts = vec![];
    for to in committed.map(|record| record.step.0 + 1).chain([end]) {
        if start < to {
            parts.push(Part { whose, steps: start..to });
        }
        start = to;
    }
    parts
}

/// The chance that `drawn` of `parts` parts show a fault when `faulty` of them have one:
/// 1 − C(parts − faulty, drawn) / C(parts, drawn). For people; nothing is decided by it.
#[must_use]
pub fn detection(parts: usize, faulty: usize, drawn: usize) -> f64 {
    let missed = (0..drawn).map(|i| {
        let sound = parts.saturating_sub(faulty + i) as f64;
        sound / parts.saturating_sub(i).max(1) as f64
    });
    1.0 - missed.product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_is_the_hypergeometric_chance() {
        for (parts, faulty, drawn, expected) in
            [(10, 1, 3, 0.3), (10, 1, 10, 1.0), (10, 0, 5, 0.0), (4, 2, 2, 1.0 - 1.0 / 6.0)]
        {
            assert!((detection(parts, faulty, drawn) - expected).abs() < 1e-12);
        }
    }
}
