//! `dataforge proof disclose`, and what `proof verify` says of such a part.

use super::{find_spec, read_file};
use crate::arguments::Disclose;
use crate::commands::evaluate::read_dataset;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::{Context as _, bail};
use dataforge_core::benchmark::benchmark_tree;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::ValidatorKey;
use dataforge_core::proof::{Disclosure, ProofFile, Shown, Whose};
use dataforge_node::fs::write_atomic;
use serde_json::json;
use std::num::NonZeroU32;

pub(super) fn write(context: &Context, arguments: &Disclose) -> anyhow::Result<Answer> {
    let file = read_file(&arguments.proof)?;
    let name = arguments.proof.display().to_string();
    let disclosure = disclose(context, arguments, &file).with_context(|| name.clone())?;
    let disclosure = disclosure.with_context(|| format!("{name}: there is no such part"))?;
    let bytes = disclosure.to_bytes();
    // Whatever is wrong with the dataset or the benchmark at hand, nothing false is written.
    disclosure.verify().with_context(|| name.clone())?;
    write_atomic(&arguments.out, &bytes)?;
    if context.json {
        let shown = disclosure.shown.to_string();
        output::json(&json!({ "file": arguments.out, "bytes": bytes.len(), "shows": shown }))?;
    } else {
        let (shown, out) = (&disclosure.shown, arguments.out.display());
        output::line(&format!("{shown}: {} bytes in {out}", bytes.len()))?;
    }
    Ok(Answer::Yes)
}

fn disclose(
    context: &Context,
    arguments: &Disclose,
    file: &ProofFile,
) -> anyhow::Result<Option<Disclosure>> {
    let whose = if arguments.control { Whose::Control } else { Whose::Model };
    let part = &arguments.part;
    let from_zero = |number: NonZeroU32| number.get() - 1;
    if let Some(step) = part.step {
        return Ok(Disclosure::step(file, whose, step));
    }
    if let Some(row) = part.result {
        return Ok(Disclosure::result(file, whose, from_zero(row)));
    }
    if let (Some(row), Some(dataset)) = (part.dataset_row, &arguments.dataset) {
        let bytes = read_dataset(dataset)?;
        let raw = RawSubmission::split(&bytes)?;
        return Ok(Disclosure::dataset_row(file, &raw, from_zero(row)));
    }
    let Some(row) = part.benchmark_row else { bail!("nothing is to be shown") };
    let pinned = find_spec(&context.specs()?, file.proof.inputs.spec)?;
    let benchmark = context.provision_benchmark(pinned.spec(), arguments.benchmark.as_deref())?;
    let rows = benchmark.rows();
    Ok(Disclosure::benchmark_row(file, rows, &benchmark_tree(rows), from_zero(row)))
}

/// What a part shows, and of whose proof.
pub(super) fn verify(
    context: &Context,
    bytes: &[u8],
    expected: Option<ValidatorKey>,
) -> anyhow::Result<Answer> {
    let disclosure = Disclosure::from_bytes(bytes)?;
    if let Some(expected) = expected {
        disclosure.signed.signed_by(expected)?;
    }
    let signer = disclosure.verify()?;
    let (digest, shown) = (disclosure.signed.outline.digest(), &disclosure.shown);
    if context.json {
        output::json(&json!({
            "holds": true,
            "digest": digest,
            "signer": signer,
            "shows": shown.to_string(),
            "content": content(shown),
        }))?;
        return Ok(Answer::Yes);
    }
    output::line(&format!("holds     {digest}"))?;
    let signer = signer.map_or("nobody".to_owned(), |key| key.to_string());
    output::line(&format!("signed by {signer}"))?;
    output::line(&format!("shows     {shown}: {}", content(shown)))?;
    Ok(Answer::Yes)
}

fn content(shown: &Shown) -> serde_json::Value {
    match shown {
        Shown::Step { record, .. } => json!(record),
        Shown::Result { result, .. } => json!(result),
        Shown::DatasetRow { line, .. } => json!(String::from_utf8_lossy(line)),
        Shown::BenchmarkRow { row, .. } => json!(row),
    }
}
