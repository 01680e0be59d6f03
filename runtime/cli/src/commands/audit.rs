//! `dataforge audit`: does a proof hold?

use crate::arguments::{AuditAction, Replay};
use crate::commands::evaluate::{read_dataset, timings_json};
use crate::commands::proof;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::{Context as _, anyhow};
use dataforge_core::hash::SpecId;
use dataforge_core::spec::PinnedSpec;
use dataforge_evaluate::Evaluator;
use dataforge_evaluate::audit::{self, Refusal};
use dataforge_node::specs::Specs;
use serde_json::json;

pub(crate) fn run(context: &Context, action: &AuditAction) -> anyhow::Result<Answer> {
    let AuditAction::Replay(arguments) = action;
    let result = replay(context, arguments);
    // With --json a refusal is an answer, and so goes to stdout.
    match result {
        Err(error) if context.json && error.chain().any(|e| e.is::<Refusal>()) => {
            output::json(&json!({ "holds": false, "reason": format!("{error:#}") }))?;
            Ok(Answer::No)
        }
        result => result,
    }
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
    audit::check_inputs(&proof, pinned.id(), &raw, benchmark.root())
        .with_context(|| name.clone())?;
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

/// The local spec with this id.
fn find_spec(specs: &Specs, id: SpecId) -> anyhow::Result<PinnedSpec> {
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
