//! `dataforge proof`: what a proof says, whether it contradicts itself, and who signs it.

mod disclose;

use crate::arguments::ProofAction;
use crate::commands::evaluate::{proof_json, summary};
use crate::commands::wallet;
use crate::context::Context;
use crate::exit::{Answer, is_refusal};
use crate::output;
use anyhow::{Context as _, anyhow};
use dataforge_core::hash::{SpecId, ValidatorKey};
use dataforge_core::limits::PROOF_BYTES_MAX;
use dataforge_core::proof::{Disclosure, ProofFile, ScoreProof, StepRecord, Training, Whose};
use dataforge_core::spec::PinnedSpec;
use dataforge_node::benchmarks;
use dataforge_node::fs::{read_bounded, write_atomic};
use dataforge_node::specs::Specs;
use serde_json::json;
use std::path::Path;

/// Reads a proof whose signature, where there is one, is good.
pub(crate) fn read(path: &Path) -> anyhow::Result<ScoreProof> {
    let file = read_file(path)?;
    file.signer().with_context(|| path.display().to_string())?;
    Ok(file.proof)
}

pub(crate) fn read_file(path: &Path) -> anyhow::Result<ProofFile> {
    let bytes = read_bounded(path, PROOF_BYTES_MAX)?;
    ProofFile::from_bytes(&bytes).with_context(|| path.display().to_string())
}

pub(crate) fn run(context: &Context, action: &ProofAction) -> anyhow::Result<Answer> {
    match action {
        ProofAction::Show { proof, steps } => show(context, proof, *steps),
        ProofAction::Disclose(arguments) => disclose::write(context, arguments),
        ProofAction::Verify { proof, signer, benchmark } => {
            let bytes = read_bounded(proof, PROOF_BYTES_MAX)?;
            let result = if Disclosure::is_one(&bytes) {
                disclose::verify(context, &bytes, *signer)
            } else {
                verify(context, &bytes, *signer, benchmark.as_deref())
            };
            let result = result.with_context(|| proof.display().to_string());
            refusal_as_answer(context, result, json!({}))
        }
        ProofAction::Sign { proof, hotkey, out } => {
            let signed = wallet::signer(context, hotkey)?.sign_proof(read(proof)?);
            write_atomic(out.as_deref().unwrap_or(proof), &signed.to_bytes())?;
            let (digest, signer) = (signed.proof.digest(), signed.signer()?);
            match context.json {
                true => output::json(&json!({ "digest": digest, "signer": signer }))?,
                false => output::line(&format!("signed    {digest}"))?,
            }
            Ok(Answer::Yes)
        }
    }
}

/// With `--json` a refusal is an answer, and so goes to stdout, with the fields of `more`.
pub(crate) fn refusal_as_answer(
    context: &Context,
    result: anyhow::Result<Answer>,
    mut more: serde_json::Value,
) -> anyhow::Result<Answer> {
    match result {
        Err(error) if context.json && error.chain().any(is_refusal) => {
            more["holds"] = json!(false);
            more["reason"] = json!(format!("{error:#}"));
            output::json(&more)?;
            Ok(Answer::No)
        }
        result => result,
    }
}

fn verify(
    context: &Context,
    bytes: &[u8],
    signer: Option<ValidatorKey>,
    benchmark: Option<&Path>,
) -> anyhow::Result<Answer> {
    let file = ProofFile::from_bytes(bytes)?;
    if let Some(expected) = signer {
        file.signed_by(expected)?;
    }
    let signer = file.signer()?;
    let proof = &file.proof;
    let pinned = find_spec(&context.specs()?, proof.inputs.spec)?;
    proof.check_against(&pinned)?;
    let spec = pinned.spec();
    if let Some(path) = benchmark {
        proof.check_metrics(&benchmarks::read(spec, path)?)?;
    }
    let (digest, reference) = (proof.digest(), spec.reference());
    if context.json {
        output::json(&json!({
            "holds": true,
            "digest": digest,
            "signer": signer,
            "spec": reference,
            "metrics_checked": benchmark.is_some(),
        }))?;
        return Ok(Answer::Yes);
    }
    let signer = signer.map_or("nobody".to_owned(), |key| key.to_string());
    output::line(&format!("holds     {digest}"))?;
    output::line(&format!("signed by {signer}"))?;
    output::line(&format!("spec      {reference}"))?;
    if benchmark.is_none() {
        output::line("metrics   not checked against the rows: no --benchmark")?;
    }
    output::line("computed  not checked: `dataforge audit` does that")?;
    Ok(Answer::Yes)
}

/// The local spec with this id.
pub(crate) fn find_spec(specs: &Specs, id: SpecId) -> anyhow::Result<PinnedSpec> {
    for reference in specs.references()? {
        match specs.load(&reference) {
            Ok(pinned) if pinned.id() == id => return Ok(pinned),
            Ok(_) => {}
            // Another spec's fault must not keep this proof from being checked.
            Err(error) => tracing::warn!("{reference} is passed over: {error}"),
        }
    }
    Err(anyhow!("no spec here has the proof's id {id}; `dataforge spec list` shows what is there"))
}

fn show(context: &Context, path: &Path, steps: bool) -> anyhow::Result<Answer> {
    let file = read_file(path)?;
    let signer = file.signer().with_context(|| path.display().to_string())?;
    let proof = &file.proof;
    let runs = || proof.training.iter().flat_map(Training::runs);
    if context.json {
        let mut value = proof_json(proof);
        value["signer"] = json!(signer);
        if steps {
            for (whose, run) in runs() {
                value[whose.name()]["step_records"] = json!(run.steps);
            }
        }
        output::json(&value)?;
        return Ok(Answer::Yes);
    }
    for line in summary(proof) {
        output::line(&line)?;
    }
    output::line(&format!(
        "signed by {}",
        signer.map_or("nobody".to_owned(), |key| key.to_string())
    ))?;
    if steps {
        for (whose, run) in runs() {
            print_steps(whose, &run.steps)?;
        }
    }
    Ok(Answer::Yes)
}

fn print_steps(whose: Whose, records: &[StepRecord]) -> anyhow::Result<()> {
    for StepRecord { step, loss, state } in records {
        let state = state.map_or_else(String::new, |root| root.to_string());
        output::line(&format!("{whose}step {:6}  loss {}  state {state}", step.0, loss.display()))?;
    }
    Ok(())
}
