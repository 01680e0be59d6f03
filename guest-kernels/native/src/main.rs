//! The kernels as a native program: the same code, compiled for this machine, to compare with.
//!
//! `native KERNEL SETTING INPUT PASSES ANSWERS` answers the whole input in one call on one thread,
//! as often as asked, and prints the seconds of each pass as a JSON list. `dataforge-bench kernels`
//! takes the same arguments and writes the same answers, from WebAssembly. Nothing that a
//! validator, auditor or miner runs is here.

mod parties;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, setting, input, passes, answers] = arguments.as_slice() else {
        eprintln!("usage: native KERNEL SETTING INPUT PASSES ANSWERS");
        return ExitCode::from(2);
    };
    let Ok(passes) = passes.parse() else {
        eprintln!("PASSES is not a number: {passes}");
        return ExitCode::from(2);
    };
    match parties::run(kernel, setting, input, passes, answers) {
        Ok(seconds) => {
            println!("{seconds}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
