//! `dataforge proof`: what a proof says.

use crate::arguments::ProofAction;
use crate::commands::evaluate::{proof_json, summary};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::Context as _;
use dataforge_core::limits::PROOF_BYTES_MAX;
use dataforge_core::proof::{ScoreProof, StepRecord};
use dataforge_node::fs::read_bounded;
use serde_json::json;
use std::path::Path;

pub(crate) fn read(path: &Path) -> anyhow::Result<ScoreProof> {
    let bytes = read_bounded(path, PROOF_BYTES_MAX)?;
    ScoreProof::from_file(&bytes).with_context(|| path.display().to_string())
}

pub(crate) fn run(context: &Context, action: &ProofAction) -> anyhow::Result<Answer> {
    let ProofAction::Show { proof, steps } = action;
    let proof = read(proof)?;
    let records = proof.training().map_or(&[][..], |training| &training.steps);
    if context.json {
        let mut value = proof_json(&proof);
        if *steps {
            value["step_records"] = json!(records);
            if let Some(run) = proof.control_run() {
                value["control_step_records"] = json!(run.steps);
            }
        }
        output::json(&value)?;
        return Ok(Answer::Yes);
    }
    for line in summary(&proof) {
        output::line(&line)?;
    }
    if *steps {
        print_steps("", records)?;
        print_steps("control ", proof.control_run().map_or(&[], |run| &run.steps))?;
    }
    Ok(Answer::Yes)
}

fn print_steps(whose: &str, records: &[StepRecord]) -> anyhow::Result<()> {
    for StepRecord { step, batch, loss, state } in records {
        let state = state.map_or_else(String::new, |root| root.to_string());
        let (step, loss) = (step.0, loss.display());
        output::line(&format!("{whose}step {step:6}  loss {loss}  batch {batch}  state {state}"))?;
    }
    Ok(())
}
