//! The schema kernel, version 2: checks rows of four shapes and takes out the two texts.
//!
//! A line passes, in this order: UTF-8; one JSON value (nesting bounded by `serde_json`, no member
//! name twice in one object); the schema; the shape; the sizes of input and output; the scripts of
//! their letters. The first rule that fails is the fault. It does not count rows or compare them:
//! that needs the whole dataset and belongs to the host.
//!
//! Invariant: the outcome of a line depends on the rules and that line alone.

mod check;
mod fault;
mod json;
mod scripts;
mod shape;

pub use bindings::exports::dataforge::kernel::rows::{Fault, Guest, Row, RowOutcome, Rules, Shape};
use dataforge_kernel_sdk::bounded;

dataforge_kernel_sdk::kernel!("schema" in "../../wit/2.0.0");
dataforge_guest_heap::global!();

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn check(rules: Rules, lines: Vec<Vec<u8>>) -> Result<Vec<RowOutcome>, String> {
        let checker = check::Checker::new(&rules)?;
        // By value: the memory of a line is free for the texts of the rows behind it.
        Ok(lines.into_iter().map(|line| outcome(checker.check(&line))).collect())
    }
}

fn outcome(checked: Result<Row, Fault>) -> RowOutcome {
    match checked {
        Ok(row) => RowOutcome::Ok(row),
        Err(Fault { pointer, reason }) => {
            RowOutcome::Fault(Fault { pointer: bounded(pointer), reason: bounded(reason) })
        }
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
