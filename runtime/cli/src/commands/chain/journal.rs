//! `dataforge chain journal`: what was signed, kept and carried.

use crate::arguments::{JournalAction, JournalFile};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use dataforge_chain::journal::{Entry, Journal};
use dataforge_node::Home;
use serde_json::json;
use std::path::PathBuf;

pub(super) fn open(file: &JournalFile) -> anyhow::Result<Journal> {
    Ok(Journal::open(&path(file)?)?)
}

fn path(file: &JournalFile) -> anyhow::Result<PathBuf> {
    match &file.journal {
        Some(path) => Ok(path.clone()),
        None => Ok(Home::discover_state()?.path().join("journal.db")),
    }
}

pub(super) fn run(context: &Context, action: &JournalAction) -> anyhow::Result<Answer> {
    match action {
        JournalAction::Init { journal } => {
            let path = path(journal)?;
            let head = Journal::create(&path)?.head()?;
            let said = format!("made      {}", path.display());
            say(context, &json!({ "journal": path, "head": head }), &[said])
        }
        JournalAction::Show { journal, hotkey, since } => {
            let journal = open(journal)?;
            since.map_or(Ok(()), |noted| journal.check_continues(noted))?;
            let (head, mut entries) = (journal.head()?, journal.entries()?);
            entries.retain(|entry| hotkey.is_none_or(|hotkey| entry.hotkey == hotkey));
            let header = ["row", "epoch", "subnet", "mechanism", "hotkey", "weights", "sent"];
            let rows: Vec<_> = entries.iter().map(row).collect();
            let last = format!("last row  {}", head.tip);
            let table = output::table(&header, &rows);
            say(context, &json!({ "head": head, "signed": entries }), &[last, table])
        }
        JournalAction::Export { journal, file } => {
            let journal = open(journal)?;
            let rows = journal.export(file)?;
            let said = format!("exported  {rows} rows to {}", file.display());
            say(context, &json!({ "rows": rows, "head": journal.head()? }), &[said])
        }
        JournalAction::Import { journal, file } => {
            let mut journal = open(journal)?;
            let imported = journal.import(file)?;
            let said = format!("imported  {} rows; {} were known", imported.added, imported.known);
            say(context, &json!({ "imported": imported, "head": journal.head()? }), &[said])
        }
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let sent = entry.sent.iter().map(|sent| format!("{} in block {}", sent.call, sent.block));
    vec![
        entry.number.to_string(),
        entry.epoch.to_string(),
        entry.netuid.to_string(),
        entry.mechanism.to_string(),
        entry.hotkey.to_string(),
        entry.weights.pairs().len().to_string(),
        sent.collect::<Vec<_>>().join(", "),
    ]
}

fn say(context: &Context, value: &serde_json::Value, lines: &[String]) -> anyhow::Result<Answer> {
    if context.json {
        output::json(value)?;
        return Ok(Answer::Yes);
    }
    for line in lines {
        output::line(line)?;
    }
    Ok(Answer::Yes)
}
