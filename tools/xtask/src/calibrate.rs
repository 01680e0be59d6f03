//! `cargo xtask calibrate`: the lifts of datasets of several qualities, by real evaluations.
//!
//! What it prints is what scenarios of `dataforge simulate` take for their response model. What was
//! evaluated is not evaluated again; delete the folder to start anew.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::sh;

/// Lifts by quality.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Datasets of each quality, with a seed each.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
    /// Folder of datasets and proofs; default: `calibration` in the build folder.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Evaluates and prints JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let build = ["build", "--workspace", "--locked", "--release", "--bin", "dataforge"];
    sh::cargo(&build, &[])?;
    let folder = options.folder.clone().unwrap_or_else(|| sh::target().join("calibration"));
    let mut python = Command::new("python3");
    python
        .arg(sh::root().join("tools/market/calibrate.py"))
        .arg(sh::target().join("release/dataforge"))
        .arg(folder)
        .arg(options.repeats.to_string());
    sh::print(sh::output(&mut python)?.trim())
}
