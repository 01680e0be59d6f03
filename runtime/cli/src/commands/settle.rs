//! `dataforge settle`: from an epoch's events to who is paid, who is slashed, and why.
//!
//! What an epoch comes to is said by `dataforge-settle`, and kept by `dataforge_node::epochs`. Here
//! it is asked for and shown.

mod compare;
mod explain;
mod explain_text;
mod page;
pub(super) mod plot;
mod table;
mod words;

use crate::arguments::{GivenRules, Settle, SettleAction};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::{Context as _, anyhow};
use dataforge_core::hash::{LedgerDigest, SettlementDigest};
use dataforge_node::epochs::{EpochFolder, EpochsError};
use dataforge_settle::{Epoch, Ledger, Report, Settled};
use serde::Serialize;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(context: &Context, arguments: &Settle) -> anyhow::Result<Answer> {
    match &arguments.action {
        Some(SettleAction::Explain(explain)) => explain::run(context, explain),
        Some(SettleAction::Rebuild { epochs, rules }) => rebuild(context, epochs, rules),
        Some(SettleAction::Report { folder }) => report(context, folder),
        Some(SettleAction::Compare(compare)) => compare::run(context, compare),
        None => {
            let folder = arguments.epoch.folder.as_deref();
            let folder = folder.context("clap asks for the folder")?;
            settle(context, folder, &arguments.epoch.rules)
        }
    }
}

/// What the program prints of a report.
#[derive(Serialize)]
struct Shown<'a> {
    epoch: Epoch,
    /// Whether it had been settled before.
    settled_before: bool,
    digest: SettlementDigest,
    ledger: LedgerDigest,
    report: &'a Report,
}

fn show(context: &Context, report: &Report, settled_before: bool) -> anyhow::Result<()> {
    let (digest, ledger) = (report.digest(), report.after);
    if context.json {
        let epoch = report.epoch;
        return output::json(&Shown { epoch, settled_before, digest, ledger, report });
    }
    for line in table::lines(report) {
        output::line(&line)?;
    }
    Ok(())
}

fn settle(context: &Context, folder: &Path, rules: &GivenRules) -> anyhow::Result<Answer> {
    let epoch = EpochFolder::at(folder)?;
    let settled = settled_in(&epoch, rules.rules.as_deref())?;
    let before = epoch.is_settled_as(&settled)?;
    if !before {
        epoch.write(&settled, &page::of(&settled.report))?;
    }
    show(context, &settled.report, before)?;
    if !context.json {
        let page = epoch.page();
        output::line("")?;
        output::line(&match before {
            true => "the epoch was settled before, and came to the same".to_owned(),
            false => format!("written to {}; the page is {}", folder.display(), page.display()),
        })?;
    }
    Ok(Answer::Yes)
}

/// What an epoch's events come to after the epoch before it.
fn settled_in(epoch: &EpochFolder, rules: Option<&Path>) -> Result<Settled, EpochsError> {
    let rules = epoch.rules(rules)?;
    let before = epoch.before()?;
    epoch.settle(&rules, &before, &epoch.events()?)
}

fn report(context: &Context, folder: &Path) -> anyhow::Result<Answer> {
    let epoch = EpochFolder::at(folder)?;
    let not_settled = || EpochsError::NotSettled { path: folder.to_owned() };
    let report = epoch.report()?.ok_or_else(not_settled)?;
    epoch.write_page(&page::of(&report))?;
    show(context, &report, true)?;
    Ok(Answer::Yes)
}

/// One epoch that was replayed.
#[derive(Serialize)]
struct Rebuilt {
    epoch: Epoch,
    events: usize,
    digest: SettlementDigest,
    ledger: LedgerDigest,
    /// Whether the folder says so too; nothing where it says nothing.
    holds: Option<bool>,
    /// What differs.
    reason: Option<String>,
}

fn rebuild(context: &Context, epochs: &Path, rules: &GivenRules) -> anyhow::Result<Answer> {
    let mut ledger = Ledger::default();
    let mut rebuilt = Vec::new();
    for epoch in EpochFolder::all(epochs)? {
        tracing::info!("replaying epoch {}", epoch.number());
        let rules = epoch.rules(rules.rules.as_deref())?;
        let events = epoch.events()?;
        let settled = epoch.settle(&rules, &ledger, &events)?;
        let (holds, reason) = match epoch.is_settled_as(&settled) {
            Ok(true) => (Some(true), None),
            Ok(false) => (None, None),
            Err(error) => (Some(false), Some(error.to_string())),
        };
        let (digest, after) = (settled.report.digest(), settled.report.after);
        let events = events.len();
        let epoch = epoch.number();
        rebuilt.push(Rebuilt { epoch, events, digest, ledger: after, holds, reason });
        if holds == Some(false) {
            break;
        }
        ledger = settled.ledger;
    }
    let differs = rebuilt.last().filter(|last| last.holds == Some(false));
    if context.json {
        output::json(&json!({ "holds": differs.is_none(), "epochs": rebuilt }))?;
    } else {
        output::line(&rebuilt_table(&rebuilt))?;
        if let Some(Rebuilt { epoch, reason: Some(reason), .. }) = differs {
            output::line(&format!("\nepoch {epoch} is the first that differs\n{reason}"))?;
        }
    }
    Ok(differs.is_none().into())
}

fn rebuilt_table(rebuilt: &[Rebuilt]) -> String {
    let row = |of: &Rebuilt| {
        let says = match of.holds {
            Some(true) => "the same",
            Some(false) => "DIFFERS",
            None => "nothing",
        };
        let (epoch, events) = (of.epoch.to_string(), of.events.to_string());
        vec![epoch, events, of.digest.to_string(), of.ledger.to_string(), says.to_owned()]
    };
    let header = ["epoch", "events", "settlement", "ledger", "folder says"];
    output::table(&header, &rebuilt.iter().map(row).collect::<Vec<_>>())
}

/// The epoch in a folder, or the latest settled one in a folder of epochs.
fn latest(folder: &Path) -> anyhow::Result<EpochFolder> {
    match EpochFolder::at(folder) {
        Err(EpochsError::NotAnEpoch { .. }) => {}
        epoch => return Ok(epoch?),
    }
    let epochs = EpochFolder::all(folder).unwrap_or_default();
    let settled = epochs.into_iter().rev().find(EpochFolder::has_ledger);
    settled.ok_or_else(|| {
        anyhow!("no settled epoch in {}; name one with --epoch EPOCH_DIR", folder.display())
    })
}
