//! Our side of comparisons with other engines: workloads, the exact step's time, trained models.
//!
//! `prepare` writes what every party trains into a folder; `serve` takes and times steps when told
//! to; `train` runs a workload to its end and scores it; `export` writes the first step as an ONNX
//! test case. `cargo xtask bench` and `cargo xtask quality` call them, and `step.py` beside this
//! crate. `forward` writes a reference model's forward graph, for `forward.py`; `imported` trains
//! what `exported.py` wrote; `separation` evaluates honest and dishonest datasets. `kernels`,
//! `cold-start`, `twins` and `schema-suite` put the pinned kernels to work for `cargo xtask bench
//! kernels` and `cargo xtask conformance`; `settle` times settlements. No test depends on a time
//! measured here.
#![forbid(unsafe_code)]

mod cold_start;
mod decoder;
mod demonstration;
mod export;
mod forward;
mod imported;
mod kernels;
mod memory;
mod party;
mod prepare;
mod separation;
mod settle;
mod suite;
mod twins;
mod workload;

use clap::{Parser, Subcommand};
use dataforge_engine::Lowering;
use party::{Party, Setting};
use prepare::{Prepare, Unavailable};
use std::io::Write as _;
use std::process::ExitCode;

/// Exit code when this build or machine lacks what was asked for.
const UNAVAILABLE: u8 = 3;

#[derive(Parser)]
#[command(about = "Our side of comparisons with other engines")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a workload: model, weights, batches, hidden rows.
    Prepare(Prepare),
    /// Lists the lowerings that this engine has.
    Lowerings,
    /// Answers `steps N` on standard input with the time of each step.
    Serve(Setting),
    /// Trains a workload to its end and scores the hidden rows.
    Train(Setting),
    /// Writes a workload's first step as an ONNX backend test case.
    Export(Setting),
    /// Writes the forward graph of a reference model.
    Forward(forward::Forward),
    /// Trains the last block of an exported model beside the built-in family's.
    Imported(imported::Imported),
    /// Answers by a pinned kernel and times it: JSON list of seconds.
    Kernels(kernels::Kernels),
    /// Loads a pinned kernel that was compiled before, or compiles it.
    ColdStart(cold_start::ColdStart),
    /// Answers the JSON Schema project's test cases by the schema kernel.
    SchemaSuite(suite::Suite),
    /// Finds near-duplicates among labelled texts.
    Twins(twins::Twins),
    /// Settles an epoch of a market of some size and times it.
    Settle(settle::Settle),
    /// Evaluates honest and dishonest datasets of a spec: one JSON object per evaluation.
    Separation(separation::Separation),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Prepare(prepare) => prepare.run(),
        Command::Lowerings => print(&Lowering::ALL.map(|lowering| lowering.to_string())),
        Command::Serve(setting) => Party::start(&setting).and_then(|mut party| party.serve()),
        Command::Train(setting) => {
            Party::start(&setting).and_then(Party::train).and_then(|trained| print(&trained))
        }
        Command::Export(setting) => export::run(&setting),
        Command::Forward(arguments) => forward::run(&arguments).and_then(|made| print(&made)),
        Command::Imported(arguments) => imported::run(&arguments).and_then(|losses| print(&losses)),
        Command::Kernels(arguments) => kernels::run(&arguments).and_then(|made| print(&made)),
        Command::ColdStart(arguments) => cold_start::run(&arguments).and_then(|made| print(&made)),
        Command::SchemaSuite(arguments) => suite::run(&arguments).and_then(|made| print(&made)),
        Command::Settle(arguments) => settle::run(&arguments).and_then(|made| print(&made)),
        Command::Twins(arguments) => twins::run(&arguments).and_then(|found| print(&found)),
        Command::Separation(arguments) => separation::run(&arguments, print),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let unavailable = error.is::<Unavailable>();
            if unavailable { ExitCode::from(UNAVAILABLE) } else { ExitCode::FAILURE }
        }
    }
}

fn print<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(value)?)?;
    Ok(())
}
