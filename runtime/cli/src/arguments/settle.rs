//! The arguments of `dataforge settle`.

use clap::{Args, Subcommand};
use dataforge_core::hash::HotkeyId;
use std::path::PathBuf;

const LAYOUT: &str = "\
An epochs folder has the market's rules.toml and one folder per epoch, named by its number:

  epochs/rules.toml        every number that rewards depend on beside what happened
  epochs/0/events.jsonl    what happened, one event per line; only ever appended to
  epochs/0/report.json     what the epoch came to, with every factor of every reward
  epochs/0/report.html     the same as a page
  epochs/0/weights.json    the miners' weights as the chain takes them
  epochs/0/ledger.json     the state after it, which epoch 1 starts from

All but rules and events are written by settling, and follow from them: everybody who settles the
same events gets the same two digests. Events that cannot be true, and a ledger that was cut short
or altered, are refused with file, line and reason, and nothing is written.

Examples:
  dataforge settle epochs/0
  dataforge settle explain 5f0c9a31 --epoch epochs/0
  dataforge settle rebuild epochs";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = LAYOUT)]
pub(crate) struct Settle {
    #[command(subcommand)]
    pub(crate) action: Option<SettleAction>,

    #[command(flatten)]
    pub(crate) epoch: SettledEpoch,
}

/// An epoch, and the rules that it is settled by.
#[derive(Debug, Args)]
pub(crate) struct SettledEpoch {
    /// The epoch's folder, named by its number. The epochs before it lie beside it.
    #[arg(value_name = "EPOCH_DIR", required = true)]
    pub(crate) folder: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) rules: GivenRules,
}

#[derive(Debug, Args)]
pub(crate) struct GivenRules {
    /// The market's rules. Default: rules.toml in the epoch's folder, else beside the epochs.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettleAction {
    /// Say what a party's reward is made of: every factor, in words and numbers. The epoch is
    /// settled again for it, and must come to what its report says.
    Explain(Explain),
    /// Replay every epoch from its events, beginning with nothing, and compare what each comes to
    /// with its report and ledger. Names the first epoch that differs.
    Rebuild {
        /// The folder of all epochs.
        #[arg(value_name = "EPOCHS_DIR")]
        epochs: PathBuf,

        #[command(flatten)]
        rules: GivenRules,
    },
    /// Say how much of each dataset is in those before it: what the `compared` events of an epoch
    /// are made of.
    Compare(CompareDatasets),
    /// Print the report of a settled epoch, and write its page again.
    Report {
        /// The epoch's folder.
        #[arg(value_name = "EPOCH_DIR")]
        folder: PathBuf,
    },
}

const ALIKE: &str = "\
Rows are alike as the spec's rule about copies says, by its similarity kernel; under a spec without
one, rows are alike that only case, spacing and punctuation tell apart. A row counts as its
dataset's own unless the earlier row that it is most like is another dataset's. With --json, each
entry is what a `compared` event says.

Example, with the datasets of an epoch behind those of earlier ones:
  dataforge settle compare last-week/*.jsonl first.jsonl second.jsonl --spec date@2 --json";

#[derive(Debug, Args)]
#[command(after_help = ALIKE)]
pub(crate) struct CompareDatasets {
    /// Datasets, the earliest commitment first.
    #[arg(value_name = "DATASET", required = true)]
    pub(crate) datasets: Vec<PathBuf>,

    /// The spec that they were submitted for.
    #[arg(long)]
    pub(crate) spec: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The party's key: 64 hexadecimal digits, or the first 8 or more if no other begins so.
    #[arg(value_name = "HOTKEY", value_parser = key_prefix)]
    pub(crate) hotkey: String,

    /// The epoch's folder. Default: the current one, else the latest settled epoch in it.
    #[arg(long, value_name = "EPOCH_DIR")]
    pub(crate) epoch: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) rules: GivenRules,
}

/// Digits of a prefix that is accepted: those that tables show.
const PREFIX_DIGITS_MIN: usize = 8;

fn key_prefix(text: &str) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let whole = 2 * size_of::<HotkeyId>();
    match hexadecimal && (PREFIX_DIGITS_MIN..=whole).contains(&text.len()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("not {PREFIX_DIGITS_MIN} to {whole} hexadecimal digits")),
    }
}
