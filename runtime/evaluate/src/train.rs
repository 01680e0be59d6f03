//! The training stage: from a token plan to a trace of committed steps.

use crate::error::EvaluateError;
use crate::world::{Progress, World};
use dataforge_core::hash::StateRoot;
use dataforge_core::plan::TokenPlan;
use dataforge_core::proof::StepRecord;
use dataforge_core::spec::Spec;
use dataforge_core::units::StepIndex;
use dataforge_engine::{Features, Runtime, StepResult, Trainer, Weights};
use dataforge_graph::llama::{Parameter, Tuning};

/// A finished run. Built by [`run`] alone.
pub(crate) struct TrainTrace {
    /// Every step taken.
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) initial_state: StateRoot,
    /// The model after the last step with its root, unless something was not finite before that.
    pub(crate) finished: Option<(Box<Trainer>, StateRoot)>,
}

/// Trains on a plan, from the given values of the trained parameters.
pub(crate) fn run(
    world: &dyn World,
    runtime: &Runtime,
    spec: &Spec,
    weights: &Weights,
    initial: Vec<(Parameter, Vec<f32>)>,
    plan: &TokenPlan,
    features: Option<&Features>,
) -> Result<TrainTrace, EvaluateError> {
    let total = plan.steps();
    let tuning = Tuning::from(spec);
    let recipe = &spec.training;
    let mut trainer = Trainer::starting_from(initial, runtime, tuning, recipe, weights, total)?;
    let initial_state = trainer.root()?;
    let mut steps: Vec<StepRecord> = Vec::with_capacity(total as usize);
    let mut root = initial_state;
    for (index, batch) in (0..).map(|k| (StepIndex(k), plan.batch(StepIndex(k)))) {
        let Some(batch) = batch else { break };
        if world.cancelled() {
            return Err(EvaluateError::Cancelled);
        }
        let loss = match trainer.step(index, &batch, features)? {
            StepResult::Stepped(loss) => loss,
            StepResult::Diverged => {
                return Ok(TrainTrace { steps, initial_state, finished: None });
            }
        };
        let done = index.0 + 1;
        let due = done.is_multiple_of(spec.training.state_root_every.get()) || done == total;
        if due {
            root = trainer.root()?;
        }
        steps.push(StepRecord { step: index, loss, state: due.then_some(root) });
        let tokens = u64::from(done) * spec.training.batch_shape().tokens() as u64;
        world.progress(Progress::Trained { steps: done, total, tokens });
    }
    Ok(TrainTrace { steps, initial_state, finished: Some((Box::new(trainer), root)) })
}
