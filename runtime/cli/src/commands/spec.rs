//! `dataforge spec`: the eval specs on disk.

use crate::arguments::SpecAction;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use dataforge_core::spec::{BenchmarkCommitment, Measure, Method, ScoreRule};
use dataforge_node::specs::Specs;
use serde_json::json;

pub(crate) fn run(context: &Context, action: &SpecAction) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    match action {
        SpecAction::List => list(context, &specs),
        SpecAction::Show { spec } => show(context, &specs, spec),
        SpecAction::Verify { spec } => verify(context, &specs, spec),
        SpecAction::Lock { spec } => {
            let pinned = specs.lock(spec, &context.artifacts)?;
            output::line(&format!("{spec}  {}", pinned.id()))?;
            Ok(Answer::Yes)
        }
    }
}

fn list(context: &Context, specs: &Specs) -> anyhow::Result<Answer> {
    let mut found = Vec::new();
    for reference in specs.references()? {
        found.push((specs.load(&reference)?, reference));
    }
    if context.json {
        let rows = found.iter().map(|(pinned, reference)| {
            let spec = pinned.spec();
            json!({
                "spec": reference,
                "id": pinned.id(),
                "title": spec.title,
                "domain": spec.domain,
            })
        });
        output::json(&json!({ "specs": rows.collect::<Vec<_>>() }))?;
    } else {
        for (pinned, reference) in &found {
            output::line(&format!("{reference}  {}  {}", pinned.id(), pinned.spec().title))?;
        }
    }
    Ok(Answer::Yes)
}

fn show(context: &Context, specs: &Specs, reference: &str) -> anyhow::Result<Answer> {
    let pinned = specs.load(reference)?;
    if context.json {
        output::json(&json!({ "id": pinned.id(), "spec": pinned.spec(), "lock": pinned.lock() }))?;
        return Ok(Answer::Yes);
    }
    let (spec, lock) = (pinned.spec(), pinned.lock());
    let (model, training) = (&spec.model.llama, &spec.training);
    let lines = [
        ("spec", format!("{reference}: {}", spec.title)),
        ("id", pinned.id().to_string()),
        (
            "rows",
            format!(
                "{} to {}, checked by {}",
                spec.rows.count_min, spec.rows.count_max, spec.kernels.schema
            ),
        ),
        (
            "model",
            format!("{}: {} layers of width {}", spec.model.weights, model.layers, model.width),
        ),
        (
            "training",
            format!(
                "{}, {} epochs, {} rows of {} positions per step, AdamW at {}",
                method(training.method),
                training.epochs,
                training.batch_rows,
                training.positions,
                training.learning_rate_micro.to_f64()
            ),
        ),
        ("numerics", format!("exact, operands of {} bits", spec.numerics.operand_bits)),
        ("benchmark", benchmark(&spec.benchmark)),
        ("score", score(&spec.score)),
    ];
    for (name, value) in lines {
        output::line(&format!("{name:10} {value}"))?;
    }
    for (name, digest) in lock.files.iter().chain(&lock.kernels).chain(&lock.artifacts) {
        output::line(&format!("{:10} {digest}  {name}", "pinned"))?;
    }
    Ok(Answer::Yes)
}

/// What is measured on, for people.
fn benchmark(benchmark: &BenchmarkCommitment) -> String {
    let BenchmarkCommitment { rows, drawn, candidates, root, .. } = benchmark;
    let drawn = drawn.map(|drawn| format!(", of which each seed draws {drawn}"));
    format!("{rows} rows of {candidates} candidates{}, root {root}", drawn.unwrap_or_default())
}

/// What a rule pays, for people.
fn score(rule: &ScoreRule) -> String {
    let of = match rule.measure() {
        Measure::Choice => "choice loss",
        Measure::Nll => "nats per output token",
    };
    let against = match rule {
        ScoreRule::Choice { .. } => "chance".into(),
        ScoreRule::Control { .. } => "a control trained on shuffled outputs".into(),
        ScoreRule::Warmed { rows, epochs, .. } => {
            format!("the reference warmed on {rows} for {epochs} epochs")
        }
        _ => "an unknown rule".into(),
    };
    format!("{of} against {against}, margin {} nats", rule.margin().display())
}

/// What a method trains, for people.
fn method(method: Method) -> String {
    match method {
        Method::Full => "every parameter".into(),
        Method::LastLayers { layers } => format!("the last {layers} layers"),
        Method::Lora { layers, rank, .. } => {
            format!("adapters of rank {rank} on the last {layers} layers")
        }
    }
}

fn verify(context: &Context, specs: &Specs, reference: &str) -> anyhow::Result<Answer> {
    let checks = specs.verify(reference, &context.artifacts)?;
    let ok = checks.iter().all(|check| check.pinned == check.found);
    if context.json {
        let rows = checks.iter().map(
            |check| json!({ "what": check.what, "pinned": check.pinned, "found": check.found }),
        );
        output::json(&json!({ "ok": ok, "checks": rows.collect::<Vec<_>>() }))?;
        return Ok(ok.into());
    }
    for check in checks {
        if check.pinned == check.found {
            output::line(&format!("ok       {}", check.what))?;
        } else {
            let (found, pinned) = (check.found, check.pinned);
            output::line(&format!(
                "DIFFERS  {}: found {found}, spec.lock says {pinned}",
                check.what
            ))?;
        }
    }
    Ok(ok.into())
}
