//! The cases of the matrix: the known-answer graph, and real models on real rows.
//!
//! A case is one entry of [`CASES`]; a model family needs a spec and nothing here.

use crate::case::Case;
use anyhow::{Context as _, bail};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_core::spec::{Method, PinnedSpec};
use dataforge_core::units::{Micro, StepIndex};
use dataforge_engine::{Features, Options, Runtime, StepResult, Trainer, trunk};
use dataforge_evaluate::World as _;
use dataforge_graph::llama::{Tuning, block_parameters};
use dataforge_graph::onnx::proto::{TensorProto, data_type};
use dataforge_graph::onnx::{Lowering, LoweringOptions, lower};
use dataforge_graph::optim::AdamW;
use dataforge_graph::step::{next_name, scoring, training, trunk_block};
use dataforge_graph::{Graph, known_answer};
use dataforge_matrix::material::{self, Material};
use dataforge_matrix::tensors::{self, floats, indices, tensor};
use dataforge_node::artifacts::Artifacts;
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Ways to lower a graph exactly; each gives one model file of a case.
pub(crate) const LOWERINGS: &[(&str, LoweringOptions)] = &[
    ("stock", STOCK),
    ("wide-sqrt", LoweringOptions { wide_sqrt: true, ..STOCK }),
    ("fused", LoweringOptions { lowering: Lowering::Fused, ..STOCK }),
    ("slices", LoweringOptions { lowering: Lowering::Slices, ..STOCK }),
    ("signed-slices", LoweringOptions { lowering: Lowering::Slices, signed_slices: true, ..STOCK }),
];

const STOCK: LoweringOptions =
    LoweringOptions { lowering: Lowering::Stock, wide_sqrt: false, signed_slices: false };

/// A column of the table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    make: Make,
}

enum Make {
    /// The graph of the known-answer test: whoever differs here is refused.
    KnownAnswer,
    /// A run on a spec's public rows.
    Run(Run),
}

/// What is run: the spec's model, trained by its recipe.
struct Run {
    spec: &'static str,
    /// Instead of the recipe's.
    method: Option<Method>,
    /// Every byte of the epoch's seed.
    seed: u8,
    part: Part,
}

enum Part {
    /// So many training steps.
    Train(u32),
    /// Three batches of hidden rows after so many training steps.
    Score(u32),
    /// All of the model's blocks as a trunk, on one batch.
    Trunk,
}

const DATE: Run = Run { spec: "date@1", method: None, seed: 1, part: Part::Train(STEPS) };
const STEPS: u32 = 5;
const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const ADAPTERS: Method = Method::Lora { layers: TWO, rank: TWO, scale_micro: Micro(2_000_000) };

/// The known answer comes first.
pub(crate) const CASES: &[Entry] = &[
    Entry { name: "known-answer", make: Make::KnownAnswer },
    Entry { name: "train-1", make: Make::Run(DATE) },
    Entry { name: "train-2", make: Make::Run(Run { seed: 2, ..DATE }) },
    Entry { name: "train-lora", make: Make::Run(Run { method: Some(ADAPTERS), seed: 3, ..DATE }) },
    Entry { name: "score", make: Make::Run(Run { part: Part::Score(0), ..DATE }) },
    Entry { name: "score-trained", make: Make::Run(Run { part: Part::Score(STEPS), ..DATE }) },
    Entry {
        name: "score-lora",
        make: Make::Run(Run { method: Some(ADAPTERS), seed: 3, part: Part::Score(STEPS), ..DATE }),
    },
    Entry { name: "trunk", make: Make::Run(Run { part: Part::Trunk, ..DATE }) },
];

/// A case, ready to run.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) case: Case,
}

impl Built {
    /// Writes the case with a model for each lowering.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let model = |(name, options): &(&str, _)| (model_file(name), lower(&self.graph, *options));
        self.case.write(folder, &LOWERINGS.iter().map(model).collect::<Vec<_>>())
    }
}

/// The options of a lowering of this name.
pub(crate) fn lowering(name: &str) -> LoweringOptions {
    LOWERINGS.iter().find(|(known, _)| *known == name).map_or(STOCK, |(_, options)| *options)
}

/// The file that holds a case's model under a lowering.
pub(crate) fn model_file(lowering: &str) -> String {
    if lowering == "stock" { "model.onnx".into() } else { format!("model.{lowering}.onnx") }
}

impl Entry {
    pub(crate) fn build(&self, artifacts: &Artifacts) -> anyhow::Result<Built> {
        match &self.make {
            Make::KnownAnswer => Ok(known_answer()),
            Make::Run(run) => {
                let source = Source::open(artifacts, run)?;
                match run.part {
                    Part::Train(steps) => source.train(steps),
                    Part::Score(after) => source.score(after),
                    Part::Trunk => source.trunk(),
                }
            }
        }
    }
}

fn known_answer() -> Built {
    let tensor = |(name, tensor): (String, dataforge_graph::interp::Tensor)| {
        if known_answer::INDICES.contains(&name.as_str()) {
            let data: Vec<i64> = tensor.data.iter().map(|x| *x as i64).collect();
            indices(&name, &tensor.shape, &data)
        } else {
            let data: Vec<f32> = tensor.data.iter().map(|x| *x as f32).collect();
            floats(&name, &tensor.shape, &data)
        }
    };
    let steps = vec![known_answer::inputs().into_iter().map(tensor).collect()];
    Built { graph: known_answer::graph(), case: Case { steps, carry: BTreeMap::new() } }
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
        let spec = specs.load(run.spec)?;
        material::fetch(artifacts, &spec)?;
        let stop = AtomicBool::new(false);
        let options = Options { threads: 1, ..Options::default() };
        let world = NodeWorld::new(&specs, run.spec, artifacts, options, &stop, Box::new(|_| ()));
        let seed = EpochSeed([run.seed; 32]);
        let material = Material::load(&world, &spec, artifacts, "honest", &seed)?;
        let library = world.engine_library().map_err(anyhow::Error::from_boxed)?;
        let runtime = Runtime::load(&library, options)?;

        let mut tuning = Tuning::from(spec.spec());
        tuning.method = run.method.unwrap_or(tuning.method);
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
        let (batch, weights) = self.step(0)?;
        let find = |name: &str| weights.iter().find(|tensor| tensor.name == name);
        let width = self.tuning.shape.width.get() as usize;
        let table = &find("embedding").context("a model without an embedding")?.raw_data;
        let row = |id: &u32| &table[*id as usize * 4 * width..][..4 * width];
        let hidden: Vec<u8> = batch.ids.iter().flat_map(row).copied().collect();
        let shape = [self.shape().tokens(), width];
        let mut steps = Vec::new();
        for layer in 0..self.tuning.shape.layers.get() {
            let here = block_parameters(&self.tuning.shape, layer);
            let names = block_parameters(&self.tuning.shape, 0).into_iter().map(|p| p.name);
            let renamed = here.iter().zip(names).map(|(p, name)| {
                let tensor = find(&p.name).with_context(|| format!("no weights {:?}", p.name))?;
                Ok(TensorProto { name, ..tensor.clone() })
            });
            steps.push(renamed.collect::<anyhow::Result<Vec<_>>>()?);
        }
        steps[0].push(tensor("hidden", &shape, data_type::FLOAT, hidden));
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
