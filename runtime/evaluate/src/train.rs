//! The training stage: from a token plan to a trace of committed steps.

use crate::error::EvaluateError;
use crate::warm::Trained;
use crate::world::{Progress, World};
use dataforge_core::hash::{RunId, StateRoot};
use dataforge_core::plan::TokenPlan;
use dataforge_core::proof::StepRecord;
use dataforge_core::spec::Recipe;
use dataforge_core::state::{Checkpoint, SavedTensor};
use dataforge_core::units::StepIndex;
use dataforge_engine::{Features, StepCase, StepResult, Trainer, Weights};

/// A run under way.
pub(crate) struct Course<'a> {
    world: &'a dyn World,
    recipe: &'a Recipe,
    plan: &'a TokenPlan,
    features: Option<&'a Features>,
    trainer: Trainer,
    /// Every step taken.
    steps: Vec<StepRecord>,
    /// After the last committed step, or before the first.
    root: StateRoot,
}

/// How a run ended.
pub(crate) struct TrainTrace {
    /// Every step taken.
    pub(crate) steps: Vec<StepRecord>,
    /// The model after the last step with its root, unless something was not finite before that.
    pub(crate) finished: Option<(Box<Trainer>, StateRoot)>,
}

impl<'a> Course<'a> {
    /// A run that starts with what `trainer` holds.
    pub(crate) fn new(
        world: &'a dyn World,
        recipe: &'a Recipe,
        plan: &'a TokenPlan,
        features: Option<&'a Features>,
        trainer: Trainer,
    ) -> Result<Self, EvaluateError> {
        let root = trainer.root()?;
        Ok(Self { world, recipe, plan, features, trainer, steps: vec![], root })
    }

    /// The root of the present state, where the last step was committed to.
    pub(crate) fn root(&self) -> StateRoot {
        self.root
    }

    /// Every step taken.
    pub(crate) fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// Goes on from a checkpoint instead; `false`, and of no further use, when it is not one of
    /// this model.
    pub(crate) fn resume(&mut self, checkpoint: Checkpoint) -> Result<bool, EvaluateError> {
        let fits = self.trainer.restore(&checkpoint.tensors)?;
        self.root = self.trainer.root()?;
        self.steps = checkpoint.steps;
        Ok(fits)
    }

    /// Takes the next step; `None` when there is none, `Diverged` leaves all as it was.
    pub(crate) fn advance(&mut self) -> Result<Option<StepResult>, EvaluateError> {
        let (taken, total) = (self.steps.len() as u32, self.plan.steps());
        let index = StepIndex(taken);
        let Some(batch) = self.plan.batch(index) else { return Ok(None) };
        if self.world.cancelled() {
            return Err(EvaluateError::Cancelled);
        }
        let result = self.trainer.step(index, &batch, self.features)?;
        if let StepResult::Stepped(loss) = result {
            let done = taken + 1;
            let due = self.recipe.commits_after(done, total);
            if due {
                self.root = self.trainer.root()?;
            }
            self.steps.push(StepRecord { step: index, loss, state: due.then_some(self.root) });
            let tokens = u64::from(done) * self.recipe.batch_shape().tokens() as u64;
            self.world.progress(Progress::Trained { steps: done, total, tokens });
        }
        Ok(Some(result))
    }

    /// Parameters and moments as they are now.
    pub(crate) fn save(&self) -> Result<Vec<SavedTensor>, EvaluateError> {
        Ok(self.trainer.save()?)
    }

    /// The trained parameters as they are now.
    pub(crate) fn weights(&self) -> Result<Trained, EvaluateError> {
        Ok(self.trainer.weights()?)
    }

    /// The next step's tensors, without taking it; none when there is no next step.
    pub(crate) fn case(&mut self, weights: &Weights) -> Result<Option<StepCase>, EvaluateError> {
        let index = StepIndex(self.steps.len() as u32);
        let Some(batch) = self.plan.batch(index) else { return Ok(None) };
        Ok(Some(self.trainer.case(index, &batch, self.features, weights)?))
    }

    /// Takes all steps that are left. Now and then, when the world wants it, a checkpoint is kept
    /// under `run`.
    pub(crate) fn finish(mut self, run: Option<&RunId>) -> Result<TrainTrace, EvaluateError> {
        while let Some(result) = self.advance()? {
            if result == StepResult::Diverged {
                return Ok(TrainTrace { steps: self.steps, finished: None });
            }
            let last = self.steps.len() as u32 == self.plan.steps();
            let committed = self.steps.last().is_some_and(|record| record.state.is_some());
            if let Some(run) = run
                && committed
                && self.world.checkpoint_due(last)
            {
                let tensors = self.trainer.save()?;
                let steps = self.steps.clone();
                self.world.keep_checkpoint(run, &Checkpoint { steps, tensors });
            }
        }
        Ok(TrainTrace { steps: self.steps, finished: Some((Box::new(self.trainer), self.root)) })
    }
}
