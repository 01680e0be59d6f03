//! `cargo xtask quality`: does exact training reach the loss of ordinary training?
//!
//! Each workload is trained to its end for each seed by the exact engine at several operand widths,
//! and by PyTorch in f32 and f64 from the same weights over the same batches; all score the same
//! hidden rows. The f64 run is the yardstick: two runs that differ in rounding alone differ by
//! about as much as PyTorch's f32 and f64 do. Losses do not depend on the machine's load, so a
//! result that is there is not computed again; delete the folder of results to start anew.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::peers::{self, Available, Peers};
use crate::sh;
use table::{Row, Table};

/// What is in the plot's folder: the data and the plot itself.
const CSV: &str = "quality.csv";
const PLOT: &str = "widths.svg";

/// Losses of exact training beside PyTorch's.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Workloads, as `dataforge-bench prepare` names them.
    #[arg(long, value_delimiter = ',', default_value = "date,icd-chapter,decoder,smollm2")]
    cases: Vec<String>,
    /// Seeds: 1 is the epoch seed of 32 bytes 01, and so on.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u8>,
    /// Operand widths in bits.
    #[arg(long, value_delimiter = ',', default_value = "8,10,12,13,14,15,16,18,20,22")]
    widths: Vec<u32>,
    /// Element types that PyTorch trains in.
    #[arg(long, value_delimiter = ',', default_value = "float32,float64")]
    torch: Vec<String>,
    /// The width that the table compares with PyTorch.
    #[arg(long, default_value_t = 20)]
    width: u32,
    /// Folder of results; default: `quality` in the build folder.
    #[arg(long)]
    results: Option<PathBuf>,
    /// Folder for quality.csv and widths.svg; default: they are not written.
    #[arg(long)]
    out: Option<PathBuf>,
    /// A Python with torch, numpy and, for --out, matplotlib, instead of one made under the build
    /// folder.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Trains, scores, compares and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(!options.seeds.contains(&0), "--seeds must be at least 1");
    let peers = Peers::new(options.python.as_deref())?;
    let results = options.results.clone().unwrap_or_else(|| sh::target().join("quality"));
    let mut table = Table::default();
    for case in &options.cases {
        for seed in &options.seeds {
            let folder = results.join(format!("{case}-seed{seed}"));
            if let Err(why) = prepare(&peers, &folder, case, *seed)? {
                eprintln!("skipped: {case}: {why}");
                table.skipped.insert(case.clone(), why);
                break;
            }
            for (party, command) in parties(&peers, &folder, options) {
                let trained = trained(&folder, &party, command)?;
                table.rows.push(Row::new(case, *seed, &party, &trained)?);
            }
        }
    }
    if let Some(out) = &options.out {
        publish(&peers, &table, out)?;
    }
    let text = if options.json { table.json(options.width)? } else { table.text(options.width) };
    sh::print(&text)
}

fn prepare(peers: &Peers, folder: &Path, case: &str, seed: u8) -> anyhow::Result<Available<()>> {
    // Written last.
    if folder.join("workload.json").is_file() {
        return Ok(Ok(()));
    }
    let seed = hex::encode([seed; 32]);
    peers.prepare(folder, &[case.to_owned(), "--seed".into(), seed])
}

/// Everyone who trains, by the name of the result. One thread each.
fn parties(peers: &Peers, folder: &Path, options: &Options) -> Vec<(String, Command)> {
    let torch = |kind: &str| {
        let mut command = peers.torch();
        command.arg("train").arg(folder).args(["--dtype", kind]);
        (format!("torch-{kind}"), command)
    };
    let exact = |bits: u32| {
        let mut command = peers.ours();
        command.arg("train").arg(folder).args(["--operand-bits", &bits.to_string()]);
        (format!("exact-b{bits}"), command)
    };
    let mut widths = options.widths.clone();
    widths.push(options.width);
    widths.sort_unstable();
    widths.dedup();
    let torch = options.torch.iter().map(|kind| torch(kind));
    torch.chain(widths.into_iter().map(exact)).collect()
}

/// The result of a party, computed if it is not there.
fn trained(folder: &Path, party: &str, mut command: Command) -> anyhow::Result<String> {
    let path = PathBuf::from(format!("{}-{party}.json", folder.display()));
    if !path.is_file() {
        eprintln!("training {}", path.display());
        let text = peers::output(&mut command)?.map_err(anyhow::Error::msg)?;
        let fresh = path.with_extension("tmp");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn publish(peers: &Peers, table: &Table, out: &Path) -> anyhow::Result<()> {
    let csv = out.join(CSV);
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    fs::write(&csv, table.csv()).with_context(|| format!("cannot write {}", csv.display()))?;
    let mut plot = peers.script("plot.py");
    peers::output(plot.arg(&csv).arg(out.join(PLOT)))?.map_err(anyhow::Error::msg)?;
    Ok(())
}
