//! Cases of the built-in family of decoders: a spec's model, trained by its recipe on its public
//! rows.

use super::Built;
use crate::case::Case;
use anyhow::{Context as _, bail};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{Batch, BatchShape, TokenPlan, TokenRow};
use dataforge_core::spec::{Method, PinnedSpec};
use dataforge_core::units::StepIndex;
use dataforge_engine::{Features, Options, Runtime, StepResult, Trainer, trunk};
use dataforge_evaluate::World as _;
use dataforge_graph::llama::{Tuning, block_parameters};
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::optim::AdamW;
use dataforge_graph::step::{next_name, scoring, training, trunk_block};
use dataforge_matrix::material::{self, Material};
use dataforge_matrix::tensors::{self, floats};
use dataforge_node::artifacts::Artifacts;
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;

/// What is run: the spec's model, trained by its recipe.
pub(super) struct Run {
    pub(super) spec: &'static str,
    /// Instead of the recipe's.
    pub(super) method: Option<Method>,
    /// Rows of a batch, instead of the recipe's.
    pub(super) rows: Option<NonZeroU32>,
    /// Every byte of the epoch's seed.
    pub(super) seed: u8,
    pub(super) part: Part,
}

pub(super) enum Part {
    /// So many training steps.
    Train(u32),
    /// Three batches of hidden rows after so many training steps.
    Score(u32),
    /// The model's first blocks as a trunk, on one batch: no more than [`TRUNK_BLOCKS`].
    Trunk,
}

/// Enough for what one block does to reach the next.
const TRUNK_BLOCKS: u32 = 4;

/// Rows of the plan where batches are not the recipe's: the frozen blocks run for them only.
const FEW_ROWS: usize = 4;

impl Run {
    pub(super) fn build(&self, artifacts: &Artifacts) -> anyhow::Result<Built> {
        let source = Source::open(artifacts, self)?;
        match self.part {
            Part::Train(steps) => source.train(steps),
            Part::Score(after) => source.score(after),
            Part::Trunk => source.trunk(),
        }
    }
}

/// A spec's material and a trainer that stands before its first step.
struct Source {
    spec: PinnedSpec,
    tuning: Tuning,
    runtime: Runtime,
    material: Material,
    features: Option<Features>,
    trainer: Trainer,
}

impl Source {
    fn open(artifacts: &Artifacts, run: &Run) -> anyhow::Result<Self> {
        let specs = Specs::discover()?;
        let pinned = specs.load(run.spec)?;
        let mut spec = pinned.spec().clone();
        spec.training.method = run.method.unwrap_or(spec.training.method);
        spec.training.batch_rows = run.rows.unwrap_or(spec.training.batch_rows);
        let spec = PinnedSpec::new(spec, pinned.lock().clone())?;
        material::fetch(artifacts, &spec)?;
        let stop = AtomicBool::new(false);
        let options = Options { threads: 1, ..Options::default() };
        let world = NodeWorld::new(&specs, run.spec, artifacts, options, &stop, Box::new(|_| ()));
        let seed = EpochSeed([run.seed; 32]);
        let mut material = Material::load(&world, &spec, artifacts, "honest", &seed)?;
        if run.rows.is_some() {
            let rows = material.plan.rows().iter().take(FEW_ROWS).cloned().collect();
            let (shape, epochs) = (spec.spec().training.batch_shape(), spec.spec().training.epochs);
            material.plan = TokenPlan::new(rows, shape, epochs, &seed);
        }
        let library = world.engine_library().map_err(anyhow::Error::from_boxed)?;
        let runtime = Runtime::load(&library, options)?;

        let tuning = Tuning::from(spec.spec());
        let features = features(&runtime, &tuning, &material, material.plan.rows(), &spec)?;
        let (recipe, steps) = (&spec.spec().training, material.plan.steps());
        let weights = &material.weights;
        let trainer = Trainer::new(&runtime, tuning, recipe, weights, &seed, steps)?;
        Ok(Self { spec, tuning, runtime, material, features, trainer })
    }

    fn shape(&self) -> BatchShape {
        self.spec.spec().training.batch_shape()
    }

    /// The batch of a step, and everything that the step is given.
    fn step(&mut self, step: u32) -> anyhow::Result<(Batch, Vec<TensorProto>)> {
        let batch = self.material.plan.batch(StepIndex(step)).context("the plan is shorter")?;
        let (features, weights) = (self.features.as_ref(), &self.material.weights);
        let case = self.trainer.case(StepIndex(step), &batch, features, weights)?;
        Ok((batch, case.inputs))
    }

    fn train(mut self, count: u32) -> anyhow::Result<Built> {
        let adam = AdamW::from(&self.spec.spec().training);
        let graph = training(&self.tuning, self.shape(), &adam);
        let (_, first) = self.step(0)?;
        let outputs: Vec<&str> = graph.outputs().iter().map(|(name, _)| name.as_str()).collect();
        let carry: BTreeMap<String, String> = first
            .iter()
            .map(|tensor| (tensor.name.clone(), next_name(&tensor.name)))
            .filter(|(_, next)| outputs.contains(&next.as_str()))
            .collect();
        let kept: Vec<String> = self.tuning.frozen().into_iter().map(|p| p.name).collect();
        let mut steps = vec![first];
        for step in 1..count {
            // The batch and the scalars; they are the same whatever the state.
            let (_, mut inputs) = self.step(step)?;
            inputs.retain(|t| !carry.contains_key(&t.name) && !kept.contains(&t.name));
            steps.push(inputs);
        }
        Ok(Built { graph, case: Case { steps, carry } })
    }

    fn score(mut self, after: u32) -> anyhow::Result<Built> {
        for step in 0..after {
            let (batch, _) = self.step(step)?;
            let done = self.trainer.step(StepIndex(step), &batch, self.features.as_ref())?;
            if done == StepResult::Diverged {
                bail!("training diverged at step {step}");
            }
        }
        let parameters = [self.tuning.frozen(), self.tuning.trained()].concat();
        let (_, mut first) = self.step(0)?;
        first.retain(|tensor| parameters.iter().any(|p| p.name == tensor.name));

        let (shape, rows) = (self.shape(), &self.material.candidates);
        let members: Vec<u32> = (0..).take(3 * shape.rows.get() as usize).collect();
        let rows = rows.get(..members.len()).context("too few rows to score")?;
        let features = features(&self.runtime, &self.tuning, &self.material, rows, &self.spec)?;
        let batches = members.chunks(shape.rows.get() as usize);
        let width = self.tuning.shape.width.get() as usize;
        let inputs =
            |members| tensors::batch(&Batch::pack(rows, members, shape), features.as_ref(), width);
        let mut steps: Vec<_> = batches.map(inputs).collect();
        first.append(&mut steps[0]);
        steps[0] = first;
        let graph = scoring(&self.tuning, shape);
        Ok(Built { graph, case: Case { steps, carry: BTreeMap::new() } })
    }

    /// A step for each block, with the block's weights under the names of the first block's.
    fn trunk(mut self) -> anyhow::Result<Built> {
        let (batch, _) = self.step(0)?;
        let weights = &self.material.weights;
        let width = self.tuning.shape.width.get() as usize;
        let table = weights.get("embedding")?;
        let row = |id: &u32| &table[*id as usize * width..][..width];
        let hidden: Vec<f32> = batch.ids.iter().flat_map(row).copied().collect();
        let shape = [self.shape().tokens(), width];
        let mut steps = Vec::new();
        for layer in 0..self.tuning.shape.layers.get().min(TRUNK_BLOCKS) {
            let here = block_parameters(&self.tuning.shape, layer);
            let names = block_parameters(&self.tuning.shape, 0).into_iter().map(|p| p.name);
            let renamed = here.iter().zip(names);
            let renamed =
                renamed.map(|(p, name)| Ok(floats(&name, &p.shape, weights.get(&p.name)?)));
            steps.push(renamed.collect::<anyhow::Result<Vec<_>>>()?);
        }
        steps[0].push(floats("hidden", &shape, &hidden));
        let carry = BTreeMap::from([("hidden".to_owned(), "next".to_owned())]);
        Ok(Built { graph: trunk_block(&self.tuning, self.shape()), case: Case { steps, carry } })
    }
}

/// What the trunk makes of `rows`, where there is one.
fn features(
    runtime: &Runtime,
    tuning: &Tuning,
    material: &Material,
    rows: &[TokenRow],
    spec: &PinnedSpec,
) -> anyhow::Result<Option<Features>> {
    let shape = spec.spec().training.batch_shape();
    Ok(match tuning.trunk() {
        Some(_) => trunk(runtime, tuning, &material.weights, rows, shape, &mut |_| true)?,
        None => None,
    })
}
