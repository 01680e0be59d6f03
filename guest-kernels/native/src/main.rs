//! The kernels as a native program: the same code, compiled for this machine, to compare with.
//!
//! `native KERNEL SETTING INPUT PASSES ANSWERS` answers the whole input on one thread, in the calls
//! that `dataforge-bench kernels` makes, as often as asked, and prints the seconds of each pass as
//! a JSON list. That takes the same arguments and writes the same answers, from WebAssembly.
//! `native schema-suite FOLDER` answers the JSON Schema project's test cases, as does
//! `dataforge-bench schema-suite`. Nothing that a validator, auditor or miner runs is here.

mod parties;
mod suite;

use std::error::Error;
use std::process::ExitCode;

use serde_json::Value;

const USAGE: &str = "usage: native KERNEL SETTING INPUT PASSES ANSWERS\n       \
                            native schema-suite FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(Ok(answer)) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// None if the arguments mean nothing.
fn run(arguments: &[&str]) -> Option<Result<Value, Box<dyn Error>>> {
    match *arguments {
        ["schema-suite", folder] => Some(suite::run(folder)),
        [kernel, setting, input, passes, answers] => {
            Some(parties::run(kernel, setting, input, passes.parse().ok()?, answers))
        }
        _ => None,
    }
}
