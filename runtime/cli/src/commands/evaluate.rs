//! `dataforge check` and `dataforge evaluate`: a dataset through the kernels, or all the way to its
//! proof.

use crate::arguments::{Check, Evaluate};
use crate::context::Context;
use crate::exit::Answer;
use crate::output::{self, nats};
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_core::dataset::{CheckReport, RawSubmission};
use dataforge_core::limits::DATASET_BYTES_MAX;
use dataforge_core::proof::{Control, Outcome, ScoreProof, Scored, TokenNll};
use dataforge_evaluate::{Evaluation, Evaluator, Inspector, Timings};
use dataforge_node::fs::{read_bounded, write_atomic};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn read_dataset(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(read_bounded(path, DATASET_BYTES_MAX)?)
}

pub(crate) fn check(context: &Context, arguments: &Check) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let name = arguments.dataset.display();
    let raw = RawSubmission::split(&bytes).with_context(|| name.to_string())?;
    context.provision(&[&pinned.spec().model.tokenizer])?;
    let stage = Stage::new(&name.to_string());
    let world = context.world(&specs, &pinned, &stage);
    let report = Inspector::load(&world, &pinned)?.inspect(&world, &raw)?.report;
    stage.finish();
    if context.json {
        output::json(&report_json(&report))?;
    } else {
        print_report(&arguments.dataset, &report)?;
    }
    Ok(report.accepted().into())
}

pub(crate) fn run(context: &Context, arguments: &Evaluate) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let benchmark = context.provision_for(pinned.spec(), arguments.benchmark.as_deref())?;
    let name = arguments.dataset.display().to_string();
    let stage = Stage::new(&name);
    let world = context.world(&specs, &pinned, &stage);
    let mut evaluator = Evaluator::prepare(&world, pinned, benchmark)?;
    evaluator.answer_rows(arguments.answers);
    let evaluation = evaluator.evaluate(&bytes, arguments.seed).context(name)?;
    stage.finish();
    write_atomic(&arguments.out, &evaluation.proof.to_file())?;
    if context.json {
        output::json(&evaluation_json(&evaluation))?;
    } else {
        print_evaluation(&arguments.dataset, &evaluation)?;
        output::line(&format!("proof written to {}", arguments.out.display()))?;
    }
    Ok((evaluation.proof.outcome != Outcome::Rejected).into())
}

pub(crate) fn print_report(dataset: &Path, report: &CheckReport) -> anyhow::Result<()> {
    for fault in &report.faults {
        output::line(&format!("{}: {fault}", dataset.display()))?;
    }
    let kept = report.faults.len();
    if report.faults_total as usize > kept {
        output::line(&format!("… and {} more faults", report.faults_total as usize - kept))?;
    }
    let verdict = if report.accepted() { "accepted" } else { "rejected" };
    output::line(&format!("{verdict}: {} rows, {} faults", report.rows, report.faults_total))
}

fn print_evaluation(dataset: &Path, evaluation: &Evaluation) -> anyhow::Result<()> {
    let Evaluation { proof, report, timings, .. } = evaluation;
    if proof.outcome == Outcome::Rejected {
        print_report(dataset, report)?;
    }
    for line in summary(proof) {
        output::line(&line)?;
    }
    if let Some(answers) = &evaluation.answers {
        output::line(&format!(
            "answers   {} rows: exact match {:.1} %, token F1 {:.1} % (reported, not in the proof)",
            answers.texts.len(),
            f64::from(answers.exact_match.0) / 1e4,
            f64::from(answers.token_f1.0) / 1e4
        ))?;
    }
    output::line(&format!("engine    {}", evaluation.engine))?;
    let committed = proof.scored().is_some_and(|scored| scored.token_nll.is_some());
    if let Some(nll) = evaluation.token_nll.filter(|_| !committed) {
        output::line(&format!("{} (reported, not in the proof)", token_nll_line(nll)))?;
    }
    output::line(&format!("time      {}", timing_line(timings)))
}

/// How long each stage took, for people.
pub(crate) fn timing_line(timings: &Timings) -> String {
    let checking = format!("checked in {:.3} s", timings.checking.as_secs_f64());
    if timings.steps == 0 {
        return checking;
    }
    let training = timings.training.as_secs_f64();
    let trunk = timings.trunk.as_secs_f64();
    let trunk = if trunk < 0.01 { String::new() } else { format!(" frozen layers {trunk:.2} s,") };
    format!(
        "{checking}, tokenised in {:.3} s,{trunk} trained {} steps in {training:.2} s \
         ({:.0} ms per step, {:.0} tokens/s), scored in {:.2} s",
        timings.tokenising.as_secs_f64(),
        timings.steps,
        1e3 * training / f64::from(timings.steps),
        timings.tokens as f64 / training,
        timings.scoring.as_secs_f64(),
    )
}

/// What a proof says, for people.
pub(crate) fn summary(proof: &ScoreProof) -> Vec<String> {
    let mut lines = vec![
        format!("verdict   {}", proof.verdict()),
        format!("digest    {}", proof.digest()),
        format!("spec      {}", proof.inputs.spec),
        format!("dataset   {}", proof.inputs.dataset),
        format!("benchmark {}", proof.inputs.benchmark),
        format!("seed      {}", proof.inputs.seed),
    ];
    if let Some(training) = proof.training() {
        let baseline = training.baseline.choice_loss.display();
        lines.push(format!("steps     {}", training.steps.len()));
        lines.push(format!("baseline  choice loss {baseline} nats"));
    }
    if let Some(scored) = proof.scored() {
        lines.push(format!(
            "trained   choice loss {} nats over {} rows",
            scored.trained.choice_loss.display(),
            scored.rows.len()
        ));
        lines.push(format!(
            "accuracy  {:.1} % (reported, not paid)",
            f64::from(scored.trained.accuracy.0) / 1e4
        ));
        lines.extend(scored.token_nll.map(token_nll_line));
        lines.push(format!("state     {}", scored.final_state));
        lines.extend(scored.control.into_iter().flat_map(control_lines));
        lines.push(format!("lift      {} nats", scored.lift.display()));
    }
    match &proof.outcome {
        Outcome::Diverged { at, .. } => {
            lines.push(format!("diverged  at step {}; lift 0", at.0));
        }
        Outcome::ControlDiverged { at, .. } => {
            lines.push(format!("diverged  the control, at step {}; lift 0", at.0));
        }
        _ => {}
    }
    lines
}

fn token_nll_line(nll: TokenNll) -> String {
    let (baseline, trained) = (nll.baseline.display(), nll.trained.display());
    format!("per token baseline {baseline}, trained {trained} nats")
}

fn control_lines(control: &Control) -> Vec<String> {
    let Control { run, final_state, metrics, token_nll, .. } = control;
    vec![
        format!(
            "control   {} steps, choice loss {} nats, per token {} nats",
            run.steps.len(),
            metrics.choice_loss.display(),
            token_nll.display()
        ),
        format!("control   state {final_state}"),
    ]
}

pub(crate) fn report_json(report: &CheckReport) -> Value {
    json!({
        "accepted": report.accepted(),
        "rows": report.rows,
        "faults_total": report.faults_total,
        "faults": report.faults,
        "fuel": report.fuel,
    })
}

/// What a proof says, for programs.
pub(crate) fn proof_json(proof: &ScoreProof) -> Value {
    let mut value = json!({
        "verdict": proof.verdict(),
        "digest": proof.digest(),
        "inputs": proof.inputs,
        "report": proof.report,
        "lift": nats(proof.lift()),
    });
    if let Some(training) = proof.training() {
        value["steps"] = json!(training.steps.len());
        value["plan"] = json!(training.plan);
        value["initial_state"] = json!(training.initial_state);
        value["baseline"] = json!(nats(training.baseline.choice_loss));
    }
    if let Some(Scored { trained, final_state, token_nll, control, .. }) = proof.scored() {
        value["trained"] = json!(nats(trained.choice_loss));
        value["accuracy"] = json!(f64::from(trained.accuracy.0) / 1e6);
        value["answer_nll"] = json!(nats(trained.answer_nll));
        value["final_state"] = json!(final_state);
        if let Some(nll) = token_nll {
            value["token_nll"] = token_nll_json(nll);
        }
        if let Some(control) = control {
            value["control"] = json!({
                "steps": control.run.steps.len(),
                "plan": control.run.plan,
                "final_state": control.final_state,
                "choice_loss": nats(control.metrics.choice_loss),
                "token_nll": nats(control.token_nll),
            });
        }
    }
    value
}

fn token_nll_json(nll: TokenNll) -> Value {
    json!({ "baseline": nats(nll.baseline), "trained": nats(nll.trained) })
}

fn evaluation_json(evaluation: &Evaluation) -> Value {
    let mut value = proof_json(&evaluation.proof);
    value["check"] = report_json(&evaluation.report);
    value["engine"] = json!(evaluation.engine);
    value["token_nll"] = json!(evaluation.token_nll.map(token_nll_json));
    value["answers"] = json!(evaluation.answers.as_ref().map(|answers| {
        json!({
            "texts": answers.texts,
            "exact_match": f64::from(answers.exact_match.0) / 1e6,
            "token_f1": f64::from(answers.token_f1.0) / 1e6,
        })
    }));
    value["timings"] = timings_json(&evaluation.timings);
    value
}

/// Advisory timings, in seconds.
pub(crate) fn timings_json(timings: &Timings) -> Value {
    json!({
        "checking_s": timings.checking.as_secs_f64(),
        "tokenising_s": timings.tokenising.as_secs_f64(),
        "trunk_s": timings.trunk.as_secs_f64(),
        "training_s": timings.training.as_secs_f64(),
        "scoring_s": timings.scoring.as_secs_f64(),
        "steps": timings.steps,
        "tokens": timings.tokens,
    })
}
