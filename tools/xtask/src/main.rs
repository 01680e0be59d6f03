//! The single door for chores: `cargo xtask <command>`.
//!
//! Each command lives in its own module and returns an error that says what to mend. This crate is
//! for people who change the repository; nothing that a validator, auditor or miner runs is here.

mod bench;
mod calibrate;
mod ci;
mod conformance;
mod devchain;
mod fuzz;
mod kernels;
mod matrix;
mod peers;
mod quality;
mod report;
mod sdk;
mod sh;
mod shapes;
mod sides;
mod tidy;
mod venv;
mod verifier;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check that the tests do not: formatting, lints, docs, dependencies, tidiness,
    /// kernels.
    Ci,
    /// Time a training step beside other engines, or the pinned kernels beside native code.
    Bench(bench::Options),
    /// Measure the lifts of datasets of several qualities, for simulations.
    Calibrate(calibrate::Options),
    /// Check the pinned kernels against the field's references.
    Conformance(conformance::Options),
    /// Compare what the program uses of a chain with a runtime's signatures or metadata.
    ChainShapes(shapes::Options),
    /// Build, run or remove a chain of our own, for tests.
    #[command(subcommand)]
    Devchain(devchain::Options),
    /// Train to the end beside PyTorch, at several operand widths, and compare the losses.
    Quality(quality::Options),
    /// Give hostile inputs to every decoder for a bounded time.
    Fuzz(fuzz::Options),
    /// Open the page of a settled epoch in a browser and look at what is seen.
    Report,
    /// Check what is made for the chain against the Bittensor SDK.
    Sdk(sdk::Options),
    /// Check what the compiler does not: layout, file sizes, module docs, leftovers.
    Tidy,
    /// Build the guest kernels that eval specs pin.
    Kernels {
        /// Compare with the committed kernels instead of writing them.
        #[arg(long)]
        check: bool,
    },
    /// Check the golden proofs, and a step exported from one, by the verifiers in Python.
    Verifier,
    /// Run real cases under every setting that must not change a bit.
    Matrix {
        /// `--quick`, `--json`, `--only TEXT`, `--keep FOLDER`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Ci => ci::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Calibrate(options) => calibrate::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::ChainShapes(options) => shapes::run(&options),
        Command::Devchain(options) => devchain::run(&options),
        Command::Quality(options) => quality::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Report => report::run(),
        Command::Sdk(options) => sdk::run(&options),
        Command::Tidy => tidy::run(),
        Command::Kernels { check } => kernels::run(check),
        Command::Verifier => verifier::run(),
        Command::Matrix { arguments } => matrix::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Not by returning the error: that would print a backtrace about a fault in the tree.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
