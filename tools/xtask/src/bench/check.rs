//! `cargo xtask bench check`: memory and time of `dataforge check` on a million rows of real text.

use clap::Args;

use crate::sh;
use crate::sides::{Profile, Sides};

/// Large datasets through `check`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rows of the largest.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
}

/// Measures and prints JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let sides = Sides::new(Profile::Release)?;
    let [texts, folder] = ["texts.jsonl", "rows"].map(|name| sides.corpus(name));
    let (program, rows) = (sides.program(), options.rows.to_string());
    let arguments = [program.as_os_str(), texts.as_os_str(), rows.as_ref(), folder.as_os_str()];
    sh::print(sides.script("check_rows.py", arguments)?.trim())
}
