//! What other engines need to check the exact training step, and its own time.
//!
//! `step` writes one real step of a demonstration spec as an ONNX backend test case, with the plan
//! that the step is from, and measures steps; `decoder` measures steps of a model of any size, one
//! lowering beside the other. `step.py`, `train.py` and `decoder.py` beside this crate call them and
//! do the comparing. `separation` evaluates honest and dishonest datasets. No test depends on a time
//! measured here.
#![forbid(unsafe_code)]

mod case;
mod decoder;
mod material;
mod separation;
mod step;

use clap::{Args, Parser, Subcommand};
use dataforge_core::hash::EpochSeed;
use dataforge_engine::Lowering;
use std::io::Write as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Checks and measures the training step beside other engines")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the first step of a run as an ONNX test case, then measures steps.
    Step(Step),
    /// Evaluates honest and dishonest datasets of a spec: one JSON object per evaluation.
    Separation(separation::Separation),
    /// Runs steps of a decoder with random weights, each by the lowering that a line of standard
    /// input names.
    Decoder(decoder::Decoder),
}

/// What to measure, and where to write.
#[derive(Args)]
struct Step {
    /// Folder for model.onnx, test_data_set_0 and plan.json.
    #[arg(long)]
    out: PathBuf,
    /// Steps to measure; after the run's last one, its first batches come again.
    #[arg(long, default_value = "20")]
    steps: NonZeroU32,
    /// Threads that one operator may use.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// Which operators compute the step: stock, slices or fast.
    #[arg(long, default_value_t)]
    lowering: Lowering,
    /// A spec that draws on a public set.
    #[arg(long, default_value = "date@1")]
    spec: String,
    /// Which of the demonstration's submissions is trained on.
    #[arg(long, default_value = "honest")]
    dataset: String,
    /// The epoch's seed, which orders the batches.
    #[arg(long, default_value_t = EpochSeed([1; 32]))]
    seed: EpochSeed,
}

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match Arguments::parse().command {
        Command::Step(arguments) => {
            writeln!(out, "{}", serde_json::to_string_pretty(&step::run(&arguments)?)?)?;
        }
        Command::Separation(arguments) => separation::run(&arguments, |line| {
            Ok(writeln!(out, "{}", serde_json::to_string(line)?)?)
        })?,
        Command::Decoder(arguments) => decoder::run(&arguments)?,
    }
    Ok(())
}
