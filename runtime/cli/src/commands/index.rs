//! `dataforge index`: documents into what `check --known` and specs look rows up in.

use crate::arguments::Index;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::Context as _;
use dataforge_core::limits::DATASET_BYTES_MAX;
use dataforge_evaluate::index;
use dataforge_node::code::KernelCode;
use dataforge_node::fs::{read_bounded, write_atomic};
use dataforge_node::rows::Rows;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn run(context: &Context, arguments: &Index) -> anyhow::Result<Answer> {
    let mut documents = vec![];
    for path in &arguments.documents {
        if arguments.rows {
            read_rows(path, &mut documents)?;
            continue;
        }
        let text = String::from_utf8(read_bounded(path, DATASET_BYTES_MAX)?);
        documents.push(text.with_context(|| format!("{}: not UTF-8", path.display()))?);
    }
    let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
    let code = KernelCode::of(context.home.path());
    let made = index(Some(&code), arguments.words, &texts)?;
    write_atomic(&arguments.out, &made)?;
    let (path, count, bytes) = (arguments.out.display().to_string(), texts.len(), made.len());
    if context.json {
        output::json(&json!({"index": path, "documents": count, "bytes": bytes}))?;
    } else {
        output::line(&format!("{path}: {count} documents, {bytes} bytes"))?;
    }
    Ok(Answer::Yes)
}

/// The strings of each row, one after the other, are a document, as `check` reads rows.
fn read_rows(path: &Path, documents: &mut Vec<String>) -> anyhow::Result<()> {
    for (row, number) in Rows::open(path)?.zip(1..) {
        let bad = || format!("{}: row {number}", path.display());
        let row: Value = serde_json::from_slice(&row?).with_context(bad)?;
        let mut texts = vec![];
        strings(&row, &mut texts);
        documents.push(texts.join("\n"));
    }
    Ok(())
}

fn strings<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, texts)),
        Value::Object(members) => members.values().for_each(|member| strings(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
