//! The schema kernel: checks rows against a JSON Schema and takes out the two texts.
//!
//! A line passes, in this order: UTF-8; one JSON value (nesting bounded by `serde_json`, no member
//! name twice in one object); the schema; the two fields present, strings, not empty, not too long.
//! The first rule that fails is the fault. It does not count rows or compare them: that needs the
//! whole dataset and belongs to the host.
//!
//! Invariant: the outcome of a line depends on the rules and that line alone.

mod check;
mod json;

pub use bindings::exports::dataforge::kernel::rows::{Fault, Guest, Row, RowOutcome, Rules};
use dataforge_kernel_sdk::bounded;

dataforge_kernel_sdk::kernel!("schema" in "../../wit/1.0.0");

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn check(rules: Rules, lines: Vec<Vec<u8>>) -> Result<Vec<RowOutcome>, String> {
        let checker = check::Checker::new(&rules)?;
        Ok(lines.iter().map(|line| outcome(checker.check(line))).collect())
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
