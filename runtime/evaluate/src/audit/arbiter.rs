//! What a dispute asks for, computed: each from what both parties agree on, by the fewest steps.

use super::bisect::{DisputeError, Judged};
use super::describe;
use super::rows::score_rows;
use crate::error::EvaluateError;
use crate::questions::{Pool, Questions};
use crate::setup::Setup;
use crate::train::Course;
use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::bisect::{Party, Witness};
use dataforge_core::hash::{EpochSeed, StateRoot};
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::proof::{Metrics, PlanRoots, RowResult, StepRecord, Whose};
use dataforge_core::state::{Checkpoint, SavedTensor};
use dataforge_engine::StepResult;

/// What is computed with.
pub(super) struct Arbiter<'a, 'w> {
    pub(super) setup: &'a Setup<'w>,
    /// The submission's.
    pub(super) rows: &'a [TokenRow],
    pub(super) seed: EpochSeed,
    pub(super) benchmark: Option<&'a Benchmark>,
}

/// What the parties to a dispute about a run agree on, besides the steps before the disputed one.
pub(super) struct Agreed {
    pub(super) whose: Whose,
    pub(super) plan: PlanRoots,
    pub(super) initial_state: StateRoot,
}

/// What a disputed step came to; the tensors are those of the state after it.
pub(super) struct Stepped {
    pub(super) record: Option<StepRecord>,
    pub(super) tensors: Vec<SavedTensor>,
    pub(super) taken: u32,
}

/// What a disputed benchmark row came to, and the state it was scored from.
pub(super) struct Scored {
    pub(super) state: StateRoot,
    pub(super) result: Option<RowResult>,
    pub(super) taken: u32,
}

impl Arbiter<'_, '_> {
    pub(super) fn plan(&self, whose: Whose) -> TokenPlan {
        self.setup.plan(self.rows, whose, &self.seed)
    }

    pub(super) fn initial_state(&self) -> Result<StateRoot, EvaluateError> {
        let plan = self.plan(Whose::Model).excerpt(&[]);
        Ok(self.setup.course(&plan, None, self.setup.initial(&self.seed)?)?.root())
    }

    pub(super) fn baseline<E: std::error::Error>(&self) -> Result<Metrics, DisputeError<E>> {
        let benchmark = self.revealed("the baseline")?;
        let (pool, _) = Pool::new(self.setup, benchmark)?;
        Ok(pool.baseline(&benchmark.places(&self.seed)))
    }

    /// What results sum up to.
    pub(super) fn metrics<E: std::error::Error>(
        &self,
        place: &str,
        rows: &[RowResult],
    ) -> Result<Metrics, DisputeError<E>> {
        let benchmark = self.revealed(place)?;
        let questions = Questions::new(&self.setup.inspector, benchmark)?;
        Ok(questions.metrics(&benchmark.places(&self.seed), rows))
    }

    /// The rows that results are of, in their order.
    fn measured<E: std::error::Error>(
        &self,
        place: &str,
    ) -> Result<Vec<&BenchmarkRow>, DisputeError<E>> {
        Ok(self.revealed(place)?.measured(&self.seed))
    }

    fn revealed<E: std::error::Error>(&self, place: &str) -> Result<&Benchmark, DisputeError<E>> {
        self.benchmark.ok_or_else(|| DisputeError::Benchmark(place.to_owned()))
    }

    /// A step, from the steps before it.
    pub(super) fn step<P>(
        &self,
        agreed: &Agreed,
        step: u32,
        witness: &mut Witness<P>,
    ) -> Judged<Stepped, P>
    where
        P: Party<Error: std::error::Error>,
    {
        let (stepped, taken) = self.reach(agreed, step, witness, |course| {
            let record = match course.advance()? {
                Some(StepResult::Stepped(_)) => course.steps().last().copied(),
                Some(StepResult::Diverged) | None => None,
            };
            Ok((record, course.save()?))
        })?;
        let (record, tensors) = stepped;
        Ok(Stepped { record, tensors, taken: taken + 1 })
    }

    /// How a run of so many steps ended, and how many were taken to find out.
    pub(super) fn end<P>(
        &self,
        agreed: &Agreed,
        steps: u32,
        witness: &mut Witness<P>,
    ) -> Judged<(String, u32), P>
    where
        P: Party<Error: std::error::Error>,
    {
        if steps < agreed.plan.batches.count {
            let Stepped { record, taken, .. } = self.step(agreed, steps, witness)?;
            let found = match record {
                None => describe::end(false),
                Some(_) => format!("a further step: {}", describe::step(record)),
            };
            return Ok((found, taken));
        }
        let rows = self.measured(&format!("{}end", agreed.whose))?;
        let (trained, taken) = self.reach(agreed, steps, witness, |course| course.weights())?;
        let scores = score_rows(self.setup, trained, &rows)?;
        Ok((describe::end(scores.is_some()), taken))
    }

    /// A benchmark row, from the state after so many steps. It counts from 0 among those that the
    /// seed draws.
    pub(super) fn row<P>(
        &self,
        agreed: &Agreed,
        (steps, row): (u32, usize),
        witness: &mut Witness<P>,
    ) -> Judged<Scored, P>
    where
        P: Party<Error: std::error::Error>,
    {
        let place = format!("{}benchmark row {}", agreed.whose, row + 1);
        let rows = self.measured(&place)?;
        let ((trained, state), taken) =
            self.reach(agreed, steps, witness, |course| Ok((course.weights()?, course.root())))?;
        let asked = rows.get(row).map_or(&[][..], std::slice::from_ref);
        let result = score_rows(self.setup, trained, asked)?.and_then(|mut results| results.pop());
        Ok(Scored { state, result, taken })
    }

    /// Takes the first `steps` steps, from the last state before them that the parties agree on and
    /// the world has; then asks `end` about where that led. Gives how many were taken.
    fn reach<P, T>(
        &self,
        agreed: &Agreed,
        steps: u32,
        witness: &mut Witness<P>,
        end: impl FnOnce(&mut Course<'_>) -> Result<T, EvaluateError>,
    ) -> Judged<(T, u32), P>
    where
        P: Party<Error: std::error::Error>,
    {
        let setup = self.setup;
        let kept = self.checkpoint(agreed, steps, witness)?;
        let start = kept.as_ref().map_or(0, Checkpoint::taken);
        let whole = self.plan(agreed.whose);
        // The step after is for whoever asks what comes of it.
        let needed = start..whole.steps().min(steps.saturating_add(1));
        let plan = whole.excerpt(std::slice::from_ref(&needed));
        let features = setup.features(&plan)?;
        let mut course = setup.course(&plan, features.as_ref(), setup.initial(&self.seed)?)?;
        if let Some(kept) = kept
            && !course.resume(kept)?
        {
            return Err(EvaluateError::Checkpoint.into());
        }
        for _ in start..steps {
            course.advance()?;
        }
        Ok((end(&mut course)?, steps.saturating_sub(start)))
    }

    /// The world's last checkpoint after at most so many steps, if the parties agree on its state.
    fn checkpoint<P>(
        &self,
        agreed: &Agreed,
        taken: u32,
        witness: &mut Witness<P>,
    ) -> Judged<Option<Checkpoint>, P>
    where
        P: Party<Error: std::error::Error>,
    {
        let run = self.setup.run_id(agreed.plan, agreed.initial_state);
        let Some(kept) = self.setup.world.checkpoint(&run, taken) else { return Ok(None) };
        let Some(last) = kept.steps.last().copied() else { return Ok(None) };
        let said = witness.step(agreed.whose, last.step.0).map_err(DisputeError::First)?;
        Ok((said.state.is_some() && said.state == last.state).then_some(kept))
    }
}
