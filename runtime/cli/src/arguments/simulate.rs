//! The arguments of `dataforge simulate`.

use clap::Args;
use std::path::PathBuf;

const ABOUT: &str = "\
A scenario is a TOML file: the market's rules, who is in it, what work costs, what datasets of each
quality teach, how often somebody replays, and what a coalition does. Every replication plays the
market twice with the same seeds, once with the coalition working honestly; the difference is what
the attack earns more. Shares are in parts per million, of the stake and of the honest profit; low
and high bound the 95 % interval over replications. An attack pays where the whole interval is above
zero. The same scenario has the same digest on every machine.

Examples:
  dataforge simulate eval-specs/markets/scenarios/lazy.toml
  dataforge simulate eval-specs/markets/scenarios --json";

#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub(crate) struct Simulate {
    /// Scenarios, or folders of them.
    #[arg(value_name = "SCENARIO", required = true)]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Write the results as a page with plots.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
