//! `cargo xtask bench`: a training step of each engine side by side; `bench kernels`: the pinned
//! kernels beside the same code natively; `bench check`: `dataforge check` on a million rows;
//! `bench settle`: settlements of growing markets.
//!
//! Every party is a process of its own, so that neither threads nor memory mix. All load the same
//! workload and wait; in each round every party takes some steps, one party after the other, so
//! that all see the same machine. Reported are medians over all steps and their ratios. On a
//! machine that others use, only the ratios mean something.

mod check;
mod kernels;
mod party;
mod report;
mod settle;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use crate::peers::Peers;
use crate::sh;
use party::{Kind, Party};
use report::{Case, Report};

/// Rows that are enough for every step that is timed: trunk features are computed for them only.
const ROWS_MAX: usize = 64;

/// Steps that every party takes before those that count.
const WARM_STEPS: usize = 3;

/// Engines side by side.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also time the decoder at other widths, depths, lengths and batches.
    #[arg(long)]
    scaling: bool,
    /// Workloads, as `dataforge-bench prepare` names them.
    #[arg(long, value_delimiter = ',', default_value = "date,decoder,smollm2")]
    cases: Vec<String>,
    /// Thread counts.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Ways to compute exact sums; those that the engine lacks are named and left out.
    #[arg(long, value_delimiter = ',', default_value = "stock,slices,fused")]
    lowerings: Vec<String>,
    /// Turns that each party takes.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Steps of a turn.
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// Leave `torch.compile` out: compiling takes a minute per case.
    #[arg(long)]
    no_compile: bool,
    /// A Python with torch and numpy, instead of one made under the build folder.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// What else can be timed.
#[derive(Debug, Subcommand)]
enum Other {
    /// Time the pinned kernels beside the same code natively, and how soon a kept one is loaded.
    Kernels(kernels::Options),
    /// Measure memory and time of `dataforge check` on large datasets.
    Check(check::Options),
    /// Measure time and memory of a settlement, as the market grows.
    Settle(settle::Options),
}

/// One row of the report to be: a workload at a thread count.
struct Plan {
    name: String,
    threads: usize,
    prepare: Vec<String>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.other {
        Some(Other::Kernels(options)) => return kernels::run(options),
        Some(Other::Check(options)) => return check::run(options),
        Some(Other::Settle(options)) => return settle::run(options),
        None => {}
    }
    ensure!(options.rounds > 0 && options.steps > 0, "--rounds and --steps must be at least 1");
    ensure!(!options.threads.contains(&0), "--threads must be at least 1");
    let peers = Peers::new(options.python.as_deref())?;
    let scratch = sh::target().join("bench");
    let mut report = Report::default();
    let lowerings = lowerings(&peers, options, &mut report)?;
    for plan in plans(options) {
        eprintln!("{}, {} threads", plan.name, plan.threads);
        let folder = scratch.join(&plan.name);
        if let Err(why) = peers.prepare(&folder, &plan.prepare)? {
            report.skip(format!("{}, {} threads", plan.name, plan.threads), why);
            continue;
        }
        let kinds = kinds(options, &lowerings);
        let parties = measure(&peers, &folder, &plan, kinds, options, &mut report)?;
        report.cases.extend(Case::of(&plan.name, plan.threads, &parties));
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    sh::print(&if options.json { report.json()? } else { report.table() })
}

/// Of the wanted lowerings those that the engine has; the others are skipped, and so is `fast`.
fn lowerings(peers: &Peers, options: &Options, report: &mut Report) -> anyhow::Result<Vec<Kind>> {
    let listed = peers.run(["lowerings"])?.map_err(anyhow::Error::msg)?;
    let there: Vec<String> = serde_json::from_str(&listed)?;
    let wanted = options.lowerings.iter().cloned().map(Kind::Exact).chain([Kind::Fast]);
    let (found, missing) =
        wanted.partition(|kind| there.iter().any(|name| name == kind.lowering()));
    let missing: Vec<Kind> = missing;
    for kind in missing {
        report.skip(kind.to_string(), "this engine does not have it".into());
    }
    Ok(found)
}

fn kinds(options: &Options, lowerings: &[Kind]) -> Vec<Kind> {
    let mut kinds = lowerings.to_vec();
    kinds.push(Kind::Torch { compiled: false });
    if !options.no_compile {
        kinds.push(Kind::Torch { compiled: true });
    }
    kinds
}

/// Every case at every thread count, then the scaling curve at the first thread count.
fn plans(options: &Options) -> Vec<Plan> {
    let rows = |name: &str| vec![name.to_owned(), "--rows-max".into(), ROWS_MAX.to_string()];
    let mut plans = Vec::new();
    for name in &options.cases {
        let plan = |threads| Plan { name: name.clone(), threads, prepare: rows(name) };
        plans.extend(options.threads.iter().copied().map(plan));
    }
    if options.scaling {
        let threads = options.threads.first().copied().unwrap_or(1);
        for (setting, values) in SCALING {
            plans.extend(values.iter().map(|value| Plan {
                name: format!("decoder {setting} {value}"),
                threads,
                prepare:
                    [rows("decoder"), vec![format!("--{setting}"), value.to_string()]].concat(),
            }));
        }
    }
    plans
}

/// The decoder's settings that the scaling curve changes, one at a time.
const SCALING: &[(&str, &[u32])] = &[
    ("width", &[64, 128, 256, 384]),
    ("layers", &[2, 4, 8]),
    ("positions", &[32, 64, 128, 256]),
    ("batch-rows", &[4, 8, 16, 32]),
];

/// Starts every party, then lets them take turns. A party that cannot start is skipped.
fn measure(
    peers: &Peers,
    folder: &Path,
    plan: &Plan,
    kinds: Vec<Kind>,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<Vec<Party>> {
    let mut parties = Vec::new();
    for kind in kinds {
        let started = Party::start(peers, kind.clone(), folder, plan.threads);
        match started.and_then(|mut party| party.warm(WARM_STEPS).map(|()| party)) {
            Ok(party) => parties.push(party),
            // Compiling needs a C++ compiler and Python's headers; ours must work.
            Err(error) if matches!(kind, Kind::Torch { compiled: true }) => {
                report.skip(format!("{kind}, {}", plan.name), format!("{error:#}"));
            }
            Err(error) => return Err(error.context(format!("{kind}, {}", plan.name))),
        }
    }
    take_turns(&mut parties, options)?;
    let exact = parties.iter().filter(|party| matches!(party.kind, Kind::Exact(_)));
    let roots: BTreeSet<_> = exact.map(|party| party.state_root.as_deref()).collect();
    ensure!(roots.len() < 2, "{}: the lowerings give different bits: {roots:?}", plan.name);
    Ok(parties)
}

fn take_turns(parties: &mut [Party], options: &Options) -> anyhow::Result<()> {
    for round in 0..options.rounds {
        eprintln!("  round {} of {}", round + 1, options.rounds);
        for party in &mut *parties {
            party.turn(options.steps)?;
        }
    }
    Ok(())
}
