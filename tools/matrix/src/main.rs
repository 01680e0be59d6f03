//! The determinism matrix: real cases under every setting that must not change a bit.
//!
//! `table` builds the cases, runs them under each setting in a process of its own, since a process
//! loads one library, and prints one table of digests. `run` is that process for ONNX Runtime
//! through `ort`; `run_case.py` beside this crate is the one for other machines and engines.
#![forbid(unsafe_code)]

mod case;
mod cases;
mod provision;
mod run;
mod runner;
mod setting;
mod table;

use clap::{Args, Parser, Subcommand};
use dataforge_engine::Lowering;
use setting::Level;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Real cases under every setting that must not change a bit")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the matrix; exits with 1 when two digests of a case differ, with 2 when it cannot.
    Table(Table),
    /// Runs written cases in one ONNX Runtime library; one JSON object per case.
    #[command(hide = true)]
    Run(Run),
}

#[derive(Args)]
struct Table {
    /// Only what takes a few minutes; a setting that cannot run is then a failure.
    #[arg(long)]
    quick: bool,
    /// Print {"cells": [{"case", "setting", "digest", "skipped"}]} instead of a table.
    #[arg(long)]
    json: bool,
    /// Only settings whose name contains this, and the base; may be repeated.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Write the cases here and leave them, for other engines.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

#[derive(Args)]
struct Run {
    #[arg(long)]
    library: PathBuf,
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    optimisation: Level,
    /// What the models are lowered to: fused operators are the engine's own.
    #[arg(long, default_value_t)]
    lowering: Lowering,
    /// File name of the model in each folder.
    #[arg(long)]
    model: String,
    folders: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Table(arguments) => table::run(&arguments),
        Command::Run(arguments) => run::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        log(&format!("error: {error:#}"));
        ExitCode::from(2)
    })
}

#[expect(clippy::print_stderr, reason = "progress and faults are for a person")]
fn log(line: &str) {
    eprintln!("{line}");
}
