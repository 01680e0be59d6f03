//! `dataforge audit`: does a proof hold?

mod bisect;

use crate::arguments::{AuditAction, AuditRows, AuditStep, AuditedSteps, ExportStep, Replay};
use crate::commands::evaluate::{read_dataset, timings_json};
use crate::commands::proof::{self, find_spec, refusal_as_answer};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::{Context as _, bail};
use dataforge_core::proof::Whose;
use dataforge_core::units::{Bytes, StepIndex};
use dataforge_evaluate::Evaluator;
use dataforge_evaluate::audit::{self, Auditor, Part, detection};
use dataforge_node::fs::write_atomic;
use dataforge_node::states::StateStore;
use serde_json::json;
use std::time::Duration;

pub(crate) fn run(context: &Context, action: &AuditAction) -> anyhow::Result<Answer> {
    let answer = match action {
        AuditAction::Replay(arguments) => replay(context, arguments),
        AuditAction::Step(arguments) => {
            with_auditor(context, &arguments.proof, |auditor| step(context, arguments, auditor))
        }
        AuditAction::Spot(arguments) => with_auditor(context, &arguments.proof, |auditor| {
            let chosen = auditor.draw(arguments.samples, &arguments.randomness);
            parts(context, auditor, &chosen)
        }),
        AuditAction::Rows(arguments) => rows(context, arguments),
        AuditAction::Bisect(arguments) => bisect::judge(context, arguments),
        AuditAction::Serve(arguments) => bisect::serve(context, arguments),
        AuditAction::ExportStep(arguments) => {
            with_auditor(context, &arguments.step.proof, |auditor| {
                export(context, arguments, auditor)
            })
        }
    };
    refusal_as_answer(context, answer, json!({}))
}

/// What is done with a proof whose inputs hold.
fn with_auditor(
    context: &Context,
    arguments: &AuditedSteps,
    audit: impl FnOnce(&Auditor<'_, '_>) -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    let proof = proof::read(&arguments.proof)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let specs = context.specs()?;
    let pinned = find_spec(&specs, proof.inputs.spec)?;
    context.provision_engine_for(pinned.spec())?;
    let name = arguments.proof.display().to_string();
    let stage = Stage::new(&name);
    let states = context.states(arguments.states.as_deref());
    let states = StateStore::new(states, Bytes(0), Duration::MAX);
    let world = context.world(&specs, &pinned, &stage).with_states(states);
    let auditor =
        Auditor::prepare(&world, pinned, &proof, &bytes)?.with_context(|| name.clone())?;
    let outcome = audit(&auditor).map(|()| Answer::Yes).with_context(|| name.clone());
    stage.finish();
    let cost = json!({ "steps_taken": auditor.steps_taken() });
    refusal_as_answer(context, outcome, cost)
}

fn run_of(control: bool) -> Whose {
    if control { Whose::Control } else { Whose::Model }
}

fn step(context: &Context, arguments: &AuditStep, auditor: &Auditor<'_, '_>) -> anyhow::Result<()> {
    let whose = run_of(arguments.control);
    let part = auditor.part(whose, StepIndex(arguments.step));
    let part = part.with_context(|| not_taken(whose, arguments.step))?;
    parts(context, auditor, &[part])
}

fn not_taken(whose: Whose, step: u32) -> String {
    format!("{whose}step {step} was not taken")
}

/// Takes parts of the runs again, and says what that bought.
fn parts(context: &Context, auditor: &Auditor<'_, '_>, chosen: &[Part]) -> anyhow::Result<()> {
    auditor.audit(chosen)??;
    report(context, auditor, chosen)
}

fn rows(context: &Context, arguments: &AuditRows) -> anyhow::Result<Answer> {
    let proof = proof::read(&arguments.proof.proof)?;
    let pinned = find_spec(&context.specs()?, proof.inputs.spec)?;
    let benchmark = context.provision_for(pinned.spec(), arguments.benchmark.as_deref())?;
    let numbers: Vec<usize> = arguments.rows.iter().map(|number| number.get()).collect();
    let (whose, all) = (run_of(arguments.control), benchmark.places(&proof.inputs.seed).len());
    if let Some(number) = numbers.iter().find(|number| **number > all) {
        bail!("there is no benchmark row {number}: there are {all}");
    }
    with_auditor(context, &arguments.proof, |auditor| {
        auditor.audit_rows(whose, &benchmark, &numbers)??;
        let taken = auditor.steps_taken();
        if context.json {
            return output::json(
                &json!({ "holds": true, "rows": numbers, "rows_total": all, "steps_taken": taken }),
            );
        }
        output::line(&format!("holds     {} of {all} benchmark rows", numbers.len()))?;
        output::line(&format!("taken     {taken} training steps"))
    })
}

fn export(
    context: &Context,
    arguments: &ExportStep,
    auditor: &Auditor<'_, '_>,
) -> anyhow::Result<()> {
    let (whose, step) = (run_of(arguments.step.control), arguments.step.step);
    let files = auditor.export(whose, StepIndex(step))??;
    let files = files.with_context(|| not_taken(whose, step))?;
    for (name, bytes) in &files {
        write_atomic(&arguments.out.join(name), bytes)?;
    }
    if context.json {
        let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
        return output::json(&json!({ "folder": arguments.out, "files": names }));
    }
    let (count, folder) = (files.len(), arguments.out.display());
    output::line(&format!("{whose}step {step}: {count} files in {folder}"))
}

fn report(context: &Context, auditor: &Auditor<'_, '_>, chosen: &[Part]) -> anyhow::Result<()> {
    let steps = |parts: &[Part]| parts.iter().map(|part| part.steps.len()).sum::<usize>();
    let (parts, taken) = (auditor.parts(), auditor.steps_taken());
    let (all, drawn, total) = (parts.len(), chosen.len(), steps(&parts));
    // One false part, and a hundredth of them, at least one.
    let chances = [1, all.div_ceil(100)].map(|faulty| detection(all, faulty, drawn));
    if context.json {
        let shown: Vec<_> = chosen
            .iter()
            .map(|Part { whose, steps }| {
                json!({ "run": whose.name(), "from": steps.start, "to": steps.end })
            })
            .collect();
        return output::json(&json!({
            "holds": true,
            "parts": shown,
            "parts_total": all,
            "steps_asked": steps(chosen),
            "steps_taken": taken,
            "steps_total": total,
            "detection": { "one_part": chances[0], "one_in_a_hundred": chances[1] },
        }));
    }
    for Part { whose, steps } in chosen {
        output::line(&format!("holds     {whose}steps {} to {}", steps.start, steps.end - 1))?;
    }
    output::line(&format!("taken     {taken} of {total} steps"))?;
    output::line(&format!(
        "chance    {:.1} % to find one false part of {all}, {:.1} % if one in a hundred is false",
        100.0 * chances[0],
        100.0 * chances[1]
    ))
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
