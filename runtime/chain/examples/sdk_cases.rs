//! Answers cases of the comparison with the Bittensor SDK: a line of JSON in, a line out.
//!
//! `cargo xtask sdk` runs it. It is no tool for operators: who asks chooses the random bytes.

#[path = "../tests/timelock_cases/mod.rs"]
mod timelock_cases;

use std::io::{BufRead as _, Write as _};

use timelock_cases::{NoCase, answer};

fn main() -> Result<(), NoCase> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}
