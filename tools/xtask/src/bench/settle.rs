//! `cargo xtask bench settle`: time and memory of a settlement, as the market grows.

use std::process::Command;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::report::median;
use crate::sh;

/// Settlements of growing markets.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Miners, validators, and those drawn for each submission: a subnet of today, and a curve.
const SIZES: &[[&str; 3]] = &[
    ["256", "64", "3"],
    ["1000", "1000", "10"],
    ["10000", "1000", "10"],
    ["30000", "1000", "10"],
    ["100000", "1000", "10"],
];

/// What `dataforge-bench settle` prints.
#[derive(Debug, Deserialize, Serialize)]
struct Settled {
    miners: u32,
    validators: u32,
    events: u32,
    assignments: u32,
    ms: Vec<f64>,
    peak_mib: Option<f64>,
    report: String,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let build = ["build", "--workspace", "--locked", "--release", "--bin", "dataforge-bench"];
    sh::cargo(&build, &[])?;
    let program = sh::target().join("release/dataforge-bench");
    let rules = sh::root().join("eval-specs/markets/synapse-1.toml");
    let mut found = vec![];
    for [miners, validators, drawn] in SIZES {
        let mut bench = Command::new(&program);
        bench.arg("settle").arg(&rules).args([miners, validators, "--drawn", drawn]);
        found.push(serde_json::from_str::<Settled>(&sh::output(&mut bench)?)?);
    }
    if options.json {
        return sh::print(&serde_json::to_string_pretty(&found)?);
    }
    let mut table = format!(
        "{:>7} {:>10} {:>11} {:>9} {:>9} {:>13} {:>8}",
        "miners", "validators", "assignments", "events", "ms", "ms/1k events", "MiB"
    );
    for of in &found {
        let ms = median(&of.ms);
        table.push_str(&format!(
            "\n{:>7} {:>10} {:>11} {:>9} {ms:>9.1} {:>13.2} {:>8.0}",
            of.miners,
            of.validators,
            of.assignments,
            of.events,
            1e3 * ms / f64::from(of.events),
            of.peak_mib.unwrap_or(f64::NAN),
        ));
    }
    sh::print(&table)
}
