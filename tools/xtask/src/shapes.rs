//! `cargo xtask chain-shapes FILE`: what the program uses of a chain, beside what a runtime has.
//!
//! FILE is a listing of a runtime's signatures, or its metadata as a node answers it. The comparing
//! is the program's own (`dataforge chain shapes`), which this builds as the suite does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::sh;

/// What to compare with.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A listing of signatures, or metadata.
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let file: &Path = &options.file;
    sh::cargo(&["build", "--workspace", "--tests", "--bin", "dataforge", "--locked"], &[])?;
    let program = sh::target().join("debug/dataforge");
    let status = Command::new(program).args(["chain", "shapes"]).arg(file).status();
    let status = status.context("cannot start `dataforge chain shapes`")?;
    ensure!(status.success(), "{} differs from what the program uses", file.display());
    Ok(())
}
