//! Training: state that stays in the engine, one step at a time.

use crate::error::EngineError;
use crate::fixed::{self, NanoNats};
use crate::runtime::Runtime;
use crate::session::{Feed, Outputs, Program};
use crate::state::{StateTensor, Weights, all_finite, root};
use dataforge_core::hash::StateRoot;
use dataforge_core::plan::Batch;
use dataforge_core::spec::{LlamaShape, Recipe};
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_graph::llama::Parameter;
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::optim::{AdamW, StepScalars};
use dataforge_graph::step::{next_name, state_names, training};

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// The state is updated; the mean loss over the batch's output tokens was this before the
    /// update.
    Stepped(MicroNats),
    /// Something is not finite; the state is as before the step.
    Diverged,
}

/// The tensors of one step as ONNX holds them, for another engine to check.
#[derive(Debug, Clone, PartialEq)]
pub struct StepCase {
    /// What the training graph is given, named as its inputs, in no particular order.
    pub inputs: Vec<TensorProto>,
    /// What it gives, named as its outputs, in no particular order.
    pub outputs: Vec<TensorProto>,
}

/// A model in training.
pub struct Trainer {
    program: Program,
    adam: AdamW,
    steps: u32,
    state: Vec<StateTensor>,
}

impl Trainer {
    /// Starts from `weights` with zero moments, for a run of `steps` steps.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(
        runtime: &Runtime,
        shape: &LlamaShape,
        recipe: &Recipe,
        weights: &Weights,
        steps: u32,
    ) -> Result<Self, EngineError> {
        let adam = AdamW::from(recipe);
        let program = Program::compile(runtime, &training(shape, recipe.batch_shape(), &adam))?;
        Ok(Self { program, adam, steps, state: initial_state(weights)? })
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn step(&mut self, step: StepIndex, batch: &Batch) -> Result<StepResult, EngineError> {
        let feed = step_feed(&self.state, self.adam.scalars(step.0, self.steps), batch)?;
        let tokens = batch.learned_tokens();
        let mut outputs = self.program.run(feed)?;
        let Some(loss) = batch_loss(batch, &outputs)? else { return Ok(StepResult::Diverged) };
        let mut next = Vec::with_capacity(self.state.len());
        for tensor in &self.state {
            let name = next_name(&tensor.name);
            if !all_finite(outputs.floats(&name)?) {
                return Ok(StepResult::Diverged);
            }
            next.push(outputs.take(&name)?);
        }
        for (tensor, value) in self.state.iter_mut().zip(next) {
            tensor.value = value;
        }
        Ok(StepResult::Stepped(fixed::micro(loss, tokens)))
    }

    /// Runs a step without taking it, and gives every tensor that goes in and comes out.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn case(&mut self, step: StepIndex, batch: &Batch) -> Result<StepCase, EngineError> {
        let feed = step_feed(&self.state, self.adam.scalars(step.0, self.steps), batch)?;
        let inputs = feed.tensors()?;
        let outputs = self.program.run(feed)?.tensors()?;
        Ok(StepCase { inputs, outputs })
    }

    /// Commits to parameters and moments.
    ///
    /// # Errors
    /// [`EngineError::Onnx`] when a tensor cannot be read.
    pub fn root(&self) -> Result<StateRoot, EngineError> {
        root(&self.state)
    }

    /// A copy of the parameters, without the moments.
    ///
    /// # Errors
    /// [`EngineError::Onnx`] when a tensor cannot be read.
    pub fn weights(&self) -> Result<Vec<(Parameter, Vec<f32>)>, EngineError> {
        let parameters = self.state.iter().step_by(3);
        parameters
            .map(|tensor| {
                let parameter =
                    Parameter { name: tensor.name.clone(), shape: tensor.shape.clone() };
                Ok((parameter, tensor.data()?.to_vec()))
            })
            .collect()
    }
}

/// Parameters with their moments, in the order of state roots: weight, first, second for each
/// parameter.
fn initial_state(weights: &Weights) -> Result<Vec<StateTensor>, EngineError> {
    let mut state = Vec::new();
    for (parameter, data) in weights.tensors() {
        let [weight, first, second] = state_names(&parameter.name);
        state.push(StateTensor::new(weight, &parameter.shape, data.clone())?);
        state.push(StateTensor::new(first, &parameter.shape, vec![0.0; data.len()])?);
        state.push(StateTensor::new(second, &parameter.shape, vec![0.0; data.len()])?);
    }
    Ok(state)
}

fn step_feed<'s>(
    state: &'s [StateTensor],
    scalars: StepScalars,
    batch: &Batch,
) -> Result<Feed<'s>, EngineError> {
    let mut feed: Feed<'s> = batch_feed(batch)?;
    let share = 1.0 / batch.learned_tokens().max(1) as f32;
    let weight = |learned: &bool| if *learned { share } else { 0.0 };
    let weights = batch.learned.iter().map(weight).collect();
    feed.floats("weights", &[batch.shape.tokens(), 1], weights)?;
    feed.floats("rate", &[1], vec![scalars.rate])?;
    feed.floats("second", &[1], vec![scalars.second])?;
    feed.floats("keep", &[1], vec![scalars.keep])?;
    for tensor in state {
        feed.borrowed(&tensor.name, &tensor.value);
    }
    Ok(feed)
}

pub(crate) fn batch_feed(batch: &Batch) -> Result<Feed<'static>, EngineError> {
    let mut feed = Feed::default();
    let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect();
    let grid = [batch.shape.rows.get() as usize, batch.shape.positions.get() as usize];
    feed.indices("ids", &grid, wide(&batch.ids))?;
    feed.indices("targets", &[batch.shape.tokens(), 1], wide(&batch.targets))?;
    Ok(feed)
}

/// The summed loss of the learned positions, or `None` when one is not finite.
fn batch_loss(batch: &Batch, outputs: &Outputs) -> Result<Option<NanoNats>, EngineError> {
    let (targets, normalisers) = (outputs.floats("target")?, outputs.floats("normaliser")?);
    let mut total = 0;
    for ((target, normaliser), learned) in targets.iter().zip(normalisers).zip(&batch.learned) {
        if *learned {
            match fixed::log_probability(*target, *normaliser) {
                Some(log_probability) => total -= log_probability,
                None => return Ok(None),
            }
        }
    }
    Ok(Some(total))
}
