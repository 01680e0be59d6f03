//! `imported`: the last block of a model that another program exported, trained beside the built-in
//! family's on a workload's batches.

use crate::workload::Workload;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::{Method, Recipe};
use dataforge_core::units::{Bytes, StepIndex};
use dataforge_engine::{Features, Options, Runtime, StepResult, Trainer, trunk};
use dataforge_graph::Scales;
use dataforge_graph::llama::Tuning;
use dataforge_graph::onnx::import::{LanguageModel, Model, Role};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use dataforge_node::fs::read_bounded;
use serde::Serialize;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// As large as an ONNX file can be: its encoding counts bytes in 31 bits.
const MODEL_BYTES_MAX: Bytes = Bytes(1 << 31);

#[derive(Args)]
pub(crate) struct Imported {
    /// Folder of a workload whose model the file holds too.
    folder: PathBuf,
    /// The ONNX file: from `ids`, rows of positions, and `at`, slots, to `logits`.
    #[arg(long)]
    model: PathBuf,
    /// What is trained: tensors of the file whose names hold one of these. For the comparison,
    /// those of the last block and of the last norm.
    #[arg(long, num_args = 1.., required = true)]
    trained: Vec<String>,
    /// Training steps.
    #[arg(long, default_value_t = 5)]
    steps: u32,
}

/// Mean loss of each step's output tokens before the step, in micronats.
#[derive(Serialize)]
pub(crate) struct Losses {
    built_in: Vec<i64>,
    imported: Vec<i64>,
    /// The largest difference between the two as a share of the loss.
    largest_difference: f64,
    trained_tensors: usize,
}

pub(crate) fn run(arguments: &Imported) -> anyhow::Result<Losses> {
    let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
    let runtime = Runtime::load(&artifacts.path("onnxruntime")?, Options::default())?;
    let (workload, weights) = Workload::read(&arguments.folder)?;
    let method = Method::LastLayers { layers: NonZeroU32::MIN };
    let (recipe, bits) = (Recipe { method, ..workload.training }, workload.operand_bits);
    let (shape, steps) = (recipe.batch_shape(), workload.plan.steps());
    ensure!(arguments.steps <= steps, "the workload has {steps} steps");

    let tuning = Tuning { method, ..workload.tuning(bits) };
    let features = trunk(&runtime, &tuning, &weights, workload.plan.rows(), shape, &mut |_| true)?;
    let trainer = Trainer::new(&runtime, tuning, &recipe, &weights, &workload.seed, steps)?;
    let built_in = losses(trainer, &workload, features.as_ref(), arguments.steps)?;
    drop((features, weights));

    let file = Model::decode(&read_bounded(&arguments.model, MODEL_BYTES_MAX)?)?;
    let model = language_model(&file, &arguments.trained)?;
    let trained_tensors = model.trained.len();
    let trainer = of_file(&runtime, &model, shape, bits, &recipe, steps)?;
    let imported = losses(trainer, &workload, None, arguments.steps)?;
    let share = |(a, b): (&i64, &i64)| (a - b).abs() as f64 / *a as f64;
    let largest_difference = built_in.iter().zip(&imported).map(share).fold(0.0, f64::max);
    Ok(Losses { built_in, imported, largest_difference, trained_tensors })
}

fn language_model<'m>(model: &'m Model, trained: &[String]) -> anyhow::Result<LanguageModel<'m>> {
    let role = |name: &str| match name {
        "ids" => Ok(Role::Ids),
        "at" => Ok(Role::At),
        other => bail!("the file has an input {other:?}; there should be \"ids\" and \"at\""),
    };
    let inputs = model.inputs().iter().map(|input| Ok((input.name.clone(), role(&input.name)?)));
    let names = model.parameters().iter().map(|(parameter, _)| &parameter.name);
    let chosen = names.filter(|name| trained.iter().any(|part| name.contains(part)));
    let trained = chosen.cloned().collect();
    Ok(LanguageModel {
        model,
        inputs: inputs.collect::<anyhow::Result<_>>()?,
        logits: "logits".into(),
        trained,
    })
}

fn of_file(
    runtime: &Runtime,
    model: &LanguageModel<'_>,
    shape: BatchShape,
    bits: u32,
    recipe: &Recipe,
    steps: u32,
) -> anyhow::Result<Trainer> {
    let forward = model.forward(shape, bits, Scales::Tensor)?;
    Ok(Trainer::imported(runtime, model.model, forward, recipe, steps)?)
}

fn losses(
    mut trainer: Trainer,
    workload: &Workload,
    features: Option<&Features>,
    steps: u32,
) -> anyhow::Result<Vec<i64>> {
    let mut step = |step| {
        let batch = workload.plan.batch(step).context("the plan lacks a step: this is our bug")?;
        match trainer.step(step, &batch, features)? {
            StepResult::Stepped(loss) => Ok(loss.0),
            StepResult::Diverged => bail!("training diverged"),
        }
    };
    (0..steps).map(StepIndex).map(&mut step).collect()
}
