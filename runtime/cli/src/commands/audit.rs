//! `dataforge audit`: does a proof hold?

use crate::arguments::{AuditAction, Replay};
use crate::commands::evaluate::{read_dataset, timings_json};
use crate::commands::proof::{self, find_spec, refusal_as_answer};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_evaluate::Evaluator;
use dataforge_evaluate::audit;
use serde_json::json;

pub(crate) fn run(context: &Context, action: &AuditAction) -> anyhow::Result<Answer> {
    let AuditAction::Replay(arguments) = action;
    refusal_as_answer(context, replay(context, arguments))
}

fn replay(context: &Context, arguments: &Replay) -> anyhow::Result<Answer> {
    let proof = proof::read(&arguments.proof)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let specs = context.specs()?;
    let pinned = find_spec(&specs, proof.inputs.spec)?;
    let benchmark = context.provision_for(pinned.spec(), arguments.benchmark.as_deref())?;
    let name = arguments.proof.display().to_string();
    let stage = Stage::new(&name);
    let world = context.world(&specs, &pinned, &stage);
    let dataset = || arguments.dataset.display().to_string();
    let raw = dataforge_core::dataset::RawSubmission::split(&bytes).with_context(dataset)?;
    audit::check(&proof, &pinned, &raw, &benchmark).with_context(|| name.clone())?;
    let mut evaluator = Evaluator::prepare(&world, pinned, benchmark)?;
    let evaluation =
        audit::replay(&mut evaluator, &proof, &bytes)?.with_context(|| name.clone())?;
    stage.finish();
    if context.json {
        let timings = timings_json(&evaluation.timings);
        output::json(&json!({ "holds": true, "digest": proof.digest(), "timings": timings }))?;
    } else {
        output::line(&format!("holds: the replay gives the same digest {}", proof.digest()))?;
    }
    Ok(Answer::Yes)
}
