//! `cargo xtask matrix`: builds the determinism matrix and runs it.
//!
//! The matrix is a program of its own, because it links the engine, which this one does without.

use crate::sh;
use anyhow::Context as _;
use std::env::consts::EXE_SUFFIX;

/// Runs `dataforge-matrix table` with these arguments.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    // The whole workspace with its tests, although one binary is wanted: features are then unified
    // as they are for the tests, and no dependency is compiled a second time.
    sh::cargo(&["build", "--quiet", "--workspace", "--tests", "--bin", "dataforge-matrix"], &[])?;
    let here = std::env::current_exe().context("cannot find this program")?;
    let program = here.with_file_name(format!("dataforge-matrix{EXE_SUFFIX}"));
    let mut all = vec!["table"];
    all.extend(arguments.iter().map(String::as_str));
    sh::run(program.as_os_str(), &all, &[])
}
