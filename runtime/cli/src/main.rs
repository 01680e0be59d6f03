//! The `dataforge` command: arguments, output, exit codes and hints. No domain logic.
//!
//! Results go to stdout, as text or with `--json` as one JSON object; everything else goes to
//! stderr.
#![allow(clippy::disallowed_methods, reason = "progress is measured by the clock, results are not")]

mod arguments;
mod commands;
mod context;
mod exit;
mod output;
mod progress;

use arguments::{Arguments, Command};
use clap::Parser as _;
use context::Context;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::start_logging(arguments.verbose);
    let result = Context::new(&arguments).and_then(|context| run(&context, arguments.command));
    match result {
        Ok(answer) => answer.into(),
        Err(error) => exit::report(&error),
    }
}

fn run(context: &Context, command: Command) -> anyhow::Result<exit::Answer> {
    match command {
        Command::Demo(demo) => commands::demo::run(context, &demo),
        Command::Doctor => commands::doctor::run(context),
        Command::Artifacts { action } => commands::artifacts::run(context, &action),
        Command::Spec { action } => commands::spec::run(context, &action),
        Command::Check(check) => commands::check::run(context, &check),
        Command::Index(index) => commands::index::run(context, &index),
        Command::Evaluate(evaluate) => commands::evaluate::run(context, &evaluate),
        Command::Estimate(estimate) => commands::estimate::run(context, &estimate),
        Command::Kernel { action } => commands::kernel::run(context, &action),
        Command::Model { action } => commands::model::run(context, &action),
        Command::Proof { action } => commands::proof::run(context, &action),
        Command::Audit { action } => commands::audit::run(context, &action),
        Command::Settle(settle) => commands::settle::run(context, &settle),
        Command::Simulate(simulate) => commands::simulate::run(context, &simulate),
        Command::Wallet(wallet) => commands::wallet::run(context, &wallet),
        Command::Chain(chain) => commands::chain::run(context, &chain),
    }
}
