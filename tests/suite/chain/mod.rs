//! `dataforge chain`: nodes that misbehave, and a real node with a chain of our own.

mod forks;
mod journals;
mod market;
mod nodes;
mod refusals;
mod subnet;

use std::process::Command;

use dataforge_tests::{Answer, dataforge};

/// A run of `dataforge chain` with one node, which is tried once.
fn chain(endpoint: &str, arguments: &[&str]) -> Answer {
    Answer::of(&mut command(endpoint, arguments))
}

fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = dataforge();
    command.args(["chain", "--network", "local", "--endpoint", endpoint, "--tries", "1"]);
    command.args(arguments);
    command
}
