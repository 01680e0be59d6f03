//! The first step as a test case, and the time of a step.

use crate::material::Material;
use crate::{Step, case};
use anyhow::{Context as _, bail};
use dataforge_core::hash::{EpochSeed, StateRoot};
use dataforge_core::plan::{Batch, TokenPlan, TokenRow};
use dataforge_core::spec::{LlamaShape, PinnedSpec, Recipe};
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_engine::{Options, Runtime, StepResult, Trainer};
use dataforge_evaluate::World;
use dataforge_graph::llama::Tuning;
use dataforge_graph::optim::{AdamW, StepScalars};
use dataforge_graph::{onnx, step::training};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use dataforge_node::benchmarks::PublicSet;
use dataforge_node::fs::write_atomic;
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// What `step` prints.
#[derive(Serialize)]
pub(crate) struct Report {
    spec: String,
    dataset: String,
    engine: String,
    threads: usize,
    steps: u32,
    /// Of the measured steps.
    median_ms: f64,
    fastest_ms: f64,
    /// Positions of a batch, padding included.
    tokens_per_step: usize,
    /// Mean loss of the first batch before the first step.
    first_loss: f64,
    state_root_after_1: StateRoot,
}

/// plan.json: what a peer needs to train and score as DataForge does.
#[derive(Serialize)]
struct Plan<'a> {
    spec: String,
    seed: EpochSeed,
    model: &'a LlamaShape,
    training: &'a Recipe,
    /// The first step's batch and its scalars, as the test case has them.
    batch: &'a Batch,
    scalars: [f32; 3],
    inputs: Vec<case::Named>,
    outputs: Vec<case::Named>,
    plan: &'a TokenPlan,
    candidates: &'a [TokenRow],
    answers: &'a [u32],
}

pub(crate) fn run(arguments: &Step) -> anyhow::Result<Report> {
    let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
    let specs = Specs::discover()?;
    let spec = specs.load(&arguments.spec)?;
    fetch(&artifacts, &spec)?;
    let stop = AtomicBool::new(false);
    let threads = arguments.threads.get();
    let reference = &arguments.spec;
    let options = Options { threads, lowering: arguments.lowering, ..Options::default() };
    let world = NodeWorld::new(&specs, reference, &artifacts, options, &stop, Box::new(|_| ()));

    let material = Material::load(&world, &spec, &artifacts, arguments)?;
    let library = world.engine_library().map_err(anyhow::Error::from_boxed)?;
    let exact = options.lowering.is_exact();
    let load = if exact { Runtime::load } else { Runtime::load_fast };
    let runtime = load(&library, options)?;
    let recipe = &spec.spec().training;
    let total = material.plan.steps();
    let (tuning, weights) = (Tuning::from(spec.spec()), &material.weights);
    let mut trainer = Trainer::new(&runtime, tuning, recipe, weights, &arguments.seed, total)?;
    write_case(arguments, &spec, &material, &runtime, &mut trainer)?;

    let first_loss = stepped(trainer.step(StepIndex(0), &batch(&material.plan, 0)?, None)?)?;
    let state_root_after_1 = trainer.root()?;
    let mut times_ms = measure(&world, &mut trainer, &material.plan, arguments.steps.get())?;
    times_ms.sort_by(f64::total_cmp);
    Ok(Report {
        spec: arguments.spec.clone(),
        dataset: arguments.dataset.clone(),
        engine: runtime.description(),
        threads,
        steps: arguments.steps.get(),
        median_ms: times_ms[times_ms.len() / 2],
        fastest_ms: times_ms[0],
        tokens_per_step: recipe.batch_shape().tokens(),
        first_loss: first_loss.0 as f64 / 1e6,
        state_root_after_1,
    })
}

fn fetch(artifacts: &Artifacts, spec: &PinnedSpec) -> anyhow::Result<()> {
    let model = &spec.spec().model;
    let set = PublicSet::of(spec.spec())?.artifact;
    artifacts.fetch(&["onnxruntime", &model.weights, &model.tokenizer, set], &Silent)?;
    Ok(())
}

fn batch(plan: &TokenPlan, step: u32) -> anyhow::Result<Batch> {
    plan.batch(StepIndex(step)).context("the plan has no steps")
}

fn stepped(result: StepResult) -> anyhow::Result<MicroNats> {
    match result {
        StepResult::Stepped(loss) => Ok(loss),
        StepResult::Diverged => bail!("training diverged"),
    }
}

/// Milliseconds of each step: feeding, running the graph, reading the loss. Without state roots,
/// which the peers do not compute.
fn measure(
    world: &dyn World,
    trainer: &mut Trainer,
    plan: &TokenPlan,
    steps: u32,
) -> anyhow::Result<Vec<f64>> {
    let mut times_ms = Vec::new();
    for step in (1..plan.steps()).chain(0..plan.steps()).cycle().take(steps as usize) {
        let batch = batch(plan, step)?;
        let start = world.elapsed();
        stepped(trainer.step(StepIndex(step), &batch, None)?)?;
        times_ms.push((world.elapsed() - start).as_secs_f64() * 1e3);
    }
    Ok(times_ms)
}

fn write_case(
    arguments: &Step,
    spec: &PinnedSpec,
    material: &Material,
    runtime: &Runtime,
    trainer: &mut Trainer,
) -> anyhow::Result<()> {
    let (shape, recipe) = (&spec.spec().model.llama, &spec.spec().training);
    let adam = AdamW::from(recipe);
    let graph = training(&Tuning::from(spec.spec()), recipe.batch_shape(), &adam);
    let model = onnx::lower(&graph, runtime.lowering());
    let batch = batch(&material.plan, 0)?;
    let step_case = trainer.case(StepIndex(0), &batch, None, &material.weights)?;
    let (inputs, outputs) = case::write(&arguments.out, &model, &step_case)?;

    let StepScalars { rate, second, keep } = adam.scalars(0, material.plan.steps());
    let plan = Plan {
        spec: spec.spec().reference(),
        seed: arguments.seed,
        model: shape,
        training: recipe,
        batch: &batch,
        scalars: [rate, second, keep],
        inputs,
        outputs,
        plan: &material.plan,
        candidates: &material.candidates,
        answers: &material.answers,
    };
    write_atomic(&arguments.out.join("plan.json"), &serde_json::to_vec(&plan)?)?;
    Ok(())
}
