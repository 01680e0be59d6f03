//! Training: state that stays in the engine, one step at a time.

use crate::error::EngineError;
use crate::fixed;
use crate::runtime::Runtime;
use crate::session::{Feed, Outputs, Program, tensor_proto};
use crate::state::{StateTensor, Weights, all_finite, root};
use crate::trunk::Features;
use dataforge_core::hash::{EpochSeed, StateRoot};
use dataforge_core::plan::Batch;
use dataforge_core::score::{self, NanoNats};
use dataforge_core::spec::Recipe;
use dataforge_core::state::SavedTensor;
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_graph::Graph;
use dataforge_graph::llama::{Parameter, Tuning};
use dataforge_graph::onnx::import::Model;
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::optim::{AdamW, StepScalars};
use dataforge_graph::step::{Forward, next_name, state_names, training};
use std::collections::BTreeSet;

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
    /// Parameters that the graph takes and training leaves alone.
    frozen: Vec<Parameter>,
    adam: AdamW,
    steps: u32,
    state: Vec<StateTensor>,
}

impl Trainer {
    /// Starts from `weights` and, for adapters, `seed`, with zero moments, for a run of `steps`
    /// steps.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(
        runtime: &Runtime,
        tuning: Tuning,
        recipe: &Recipe,
        weights: &Weights,
        seed: &EpochSeed,
        steps: u32,
    ) -> Result<Self, EngineError> {
        let initial = weights.initial(&tuning, seed)?;
        Self::starting_from(initial, runtime, tuning, recipe, weights, steps)
    }

    /// As [`Trainer::new`], with the trained parameters as given, in canonical order.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn starting_from(
        initial: Vec<(Parameter, Vec<f32>)>,
        runtime: &Runtime,
        tuning: Tuning,
        recipe: &Recipe,
        weights: &Weights,
        steps: u32,
    ) -> Result<Self, EngineError> {
        let adam = AdamW::from(recipe);
        let graph = training(&tuning, recipe.batch_shape(), &adam);
        let frozen = tuning.frozen();
        let values = weights.load(&frozen)?;
        Self::start(runtime, &graph, (frozen, values), initial, adam, steps)
    }

    /// Starts on an imported model, from the values in its file: `forward` is its forward pass over
    /// the recipe's batches, with scales per tensor.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn imported(
        runtime: &Runtime,
        model: &Model,
        forward: Forward,
        recipe: &Recipe,
        steps: u32,
    ) -> Result<Self, EngineError> {
        let adam = AdamW::from(recipe);
        let trained: BTreeSet<String> =
            forward.trained.iter().map(|(parameter, _)| parameter.name.clone()).collect();
        let graph = forward.training(&adam);
        let inputs: BTreeSet<&str> = graph.inputs().collect();
        let taken = model.parameters().iter().filter(|(p, _)| inputs.contains(p.name.as_str()));
        let (state, rest): (Vec<_>, Vec<_>) =
            taken.cloned().partition(|(parameter, _)| trained.contains(&parameter.name));
        let frozen = rest.iter().map(|(parameter, _)| parameter.clone()).collect();
        let values: Result<Vec<_>, _> =
            rest.into_iter().map(|(p, data)| StateTensor::new(p.name, &p.shape, data)).collect();
        Self::start(runtime, &graph, (frozen, values?), state, adam, steps)
    }

    fn start(
        runtime: &Runtime,
        graph: &Graph,
        (frozen, values): (Vec<Parameter>, Vec<StateTensor>),
        trained: Vec<(Parameter, Vec<f32>)>,
        adam: AdamW,
        steps: u32,
    ) -> Result<Self, EngineError> {
        let mut program = Program::compile(runtime, graph, &frozen)?;
        program.bind(runtime, values)?;
        Ok(Self { program, frozen, adam, steps, state: initial_state(trained)? })
    }

    /// Takes one step. `features` are the trunk's output for every row of the plan, where there is
    /// a trunk.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn step(
        &mut self,
        step: StepIndex,
        batch: &Batch,
        features: Option<&Features>,
    ) -> Result<StepResult, EngineError> {
        let scalars = self.adam.scalars(step.0, self.steps);
        let feed = step_feed(&self.state, scalars, batch, features)?;
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
        Ok(StepResult::Stepped(score::micro(loss, tokens)))
    }

    /// Runs a step without taking it, and gives every tensor that goes in and comes out. `weights`
    /// are those that training started from.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn case(
        &mut self,
        step: StepIndex,
        batch: &Batch,
        features: Option<&Features>,
        weights: &Weights,
    ) -> Result<StepCase, EngineError> {
        let scalars = self.adam.scalars(step.0, self.steps);
        let feed = step_feed(&self.state, scalars, batch, features)?;
        let frozen = weights.load(&self.frozen)?;
        let mut inputs = feed.tensors()?;
        let frozen = frozen.iter().map(|tensor| tensor_proto(&tensor.name, &tensor.value));
        inputs.extend(frozen.collect::<Result<Vec<_>, _>>()?);
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

    /// A copy of parameters and moments, in canonical order.
    ///
    /// # Errors
    /// [`EngineError::Onnx`] when a tensor cannot be read.
    pub fn save(&self) -> Result<Vec<SavedTensor>, EngineError> {
        self.state.iter().map(StateTensor::save).collect()
    }

    /// Goes on from what [`Trainer::save`] gave; `false`, and of no further use, when these are not
    /// the tensors of this model.
    ///
    /// # Errors
    /// [`EngineError::Onnx`] when a tensor cannot be made.
    pub fn restore(&mut self, tensors: &[SavedTensor]) -> Result<bool, EngineError> {
        let mut fits = tensors.len() == self.state.len();
        for (tensor, saved) in self.state.iter_mut().zip(tensors) {
            fits = fits && tensor.restore(saved)?;
        }
        Ok(fits)
    }

    /// A copy of the trained parameters, without the moments.
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
fn initial_state(trained: Vec<(Parameter, Vec<f32>)>) -> Result<Vec<StateTensor>, EngineError> {
    let mut state = Vec::new();
    for (Parameter { name, shape }, data) in trained {
        let [weight, first, second] = state_names(&name);
        let zeros = vec![0.0; data.len()];
        state.push(StateTensor::new(weight, &shape, data)?);
        state.push(StateTensor::new(first, &shape, zeros.clone())?);
        state.push(StateTensor::new(second, &shape, zeros)?);
    }
    Ok(state)
}

fn step_feed<'s>(
    state: &'s [StateTensor],
    scalars: StepScalars,
    batch: &Batch,
    features: Option<&Features>,
) -> Result<Feed<'s>, EngineError> {
    let mut feed: Feed<'s> = batch_feed(batch, features)?;
    let share = 1.0 / batch.learned_tokens().max(1) as f32;
    let weight = |learned: &bool| if *learned { share } else { 0.0 };
    let weights = batch.learned.iter().map(weight).collect();
    feed.floats("weights", &[batch.shape.slots(), 1], weights)?;
    feed.floats("rate", &[1], vec![scalars.rate])?;
    feed.floats("second", &[1], vec![scalars.second])?;
    feed.floats("keep", &[1], vec![scalars.keep])?;
    for tensor in state {
        feed.borrowed(&tensor.name, &tensor.value);
    }
    Ok(feed)
}

pub(crate) fn batch_feed(
    batch: &Batch,
    features: Option<&Features>,
) -> Result<Feed<'static>, EngineError> {
    let mut feed = Feed::default();
    let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect();
    let shape = batch.shape;
    if let Some(features) = features {
        let width = features.width();
        feed.floats("hidden", &[shape.tokens(), width], features.batch(batch)?)?;
    } else {
        let grid = [shape.rows.get() as usize, shape.positions.get() as usize];
        feed.indices("ids", &grid, wide(&batch.ids))?;
    }
    feed.indices("at", &[shape.slots()], wide(&batch.at))?;
    feed.indices("targets", &[shape.slots(), 1], wide(&batch.targets))?;
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
