//! `dataforge evaluate`: a dataset all the way to its proof.

use crate::arguments::{Evaluate, KeepStates};
use crate::commands::check::{print_report, report_json};
use crate::commands::wallet;
use crate::context::Context;
use crate::exit::Answer;
use crate::output::{self, nats};
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_core::hash::EpochSeed;
use dataforge_core::limits::DATASET_BYTES_MAX;
use dataforge_core::proof::{Measurement, Metrics, Run, ScoreProof, Verdict, Whose};
use dataforge_core::units::{Bytes, MicroNats};
use dataforge_evaluate::{Evaluation, Evaluator, Timings};
use dataforge_node::fs::{read_bounded, write_atomic};
use dataforge_node::states::StateStore;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub(crate) fn read_dataset(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(read_bounded(path, DATASET_BYTES_MAX)?)
}

pub(crate) fn run(context: &Context, arguments: &Evaluate) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let benchmark = context.provision_for(pinned.spec(), arguments.benchmark.as_deref())?;
    let name = arguments.dataset.display().to_string();
    let stage = Stage::new(&name);
    let KeepStates { checkpoint_mib, checkpoint_seconds, states } = &arguments.states;
    let budget = Bytes(checkpoint_mib.saturating_mul(1 << 20));
    let interval = Duration::from_secs(*checkpoint_seconds);
    let states = StateStore::new(context.states(states.as_deref()), budget, interval);
    let world = context.world(&specs, &pinned, &stage).with_states(states);
    let hotkey =
        arguments.hotkey.as_deref().map(|path| wallet::signer(context, path)).transpose()?;
    let mut evaluator = Evaluator::prepare(&world, pinned, benchmark)?;
    evaluator.answer_rows(arguments.answers);
    let evaluation = evaluator.evaluate(&bytes, arguments.seed).context(name)?;
    stage.finish();
    let proof = evaluation.proof.clone();
    let file = match hotkey {
        Some(hotkey) => hotkey.sign_proof(proof),
        None => proof.into(),
    };
    write_atomic(&arguments.out, &file.to_bytes())?;
    world.finish(&file.proof);
    let bound = evaluator.bound(&evaluation.proof);
    let hidden = Hidden::new(&evaluator, &evaluation.proof, &arguments.earlier_seeds);
    if context.json {
        output::json(&evaluation_json(&evaluation, bound, hidden.as_ref()))?;
    } else {
        print_evaluation(&arguments.dataset, &evaluation, bound, hidden.as_ref())?;
        output::line(&format!("proof written to {}", arguments.out.display()))?;
    }
    Ok((evaluation.proof.verdict() != Verdict::Rejected).into())
}

/// What those rows say that no earlier epoch revealed.
struct Hidden {
    lift: Option<MicroNats>,
    /// Measured rows that were hidden, and all that were measured.
    rows: [usize; 2],
}

impl Hidden {
    /// Nothing unless there were earlier epochs.
    fn new(evaluator: &Evaluator<'_>, proof: &ScoreProof, earlier: &[EpochSeed]) -> Option<Self> {
        let rows = |earlier| evaluator.benchmark().hidden(&proof.inputs.seed, earlier).len();
        (!earlier.is_empty()).then(|| Self {
            lift: evaluator.hidden(proof, earlier),
            rows: [rows(earlier), rows(&[])],
        })
    }
}

fn print_evaluation(
    dataset: &Path,
    evaluation: &Evaluation,
    bound: Option<MicroNats>,
    hidden: Option<&Hidden>,
) -> anyhow::Result<()> {
    let Evaluation { proof, report, timings, .. } = evaluation;
    if proof.verdict() == Verdict::Rejected {
        print_report(dataset, report)?;
    }
    for line in summary(proof) {
        output::line(&line)?;
    }
    if let Some(bound) = bound {
        let bound = bound.display();
        output::line(&format!("bound     {bound} nats: what the lift is above, at 97.5 %"))?;
    }
    if let Some(Hidden { lift: Some(lift), rows: [hidden, all] }) = hidden {
        let lift = lift.display();
        let rows = format!("the lift over {hidden} of {all} rows, drawn by no earlier seed");
        output::line(&format!("hidden    {lift} nats: {rows}"))?;
    }
    if let Some(answers) = &evaluation.answers {
        output::line(&format!(
            "answers   {} rows: exact match {:.1} %, token F1 {:.1} %, ROUGE-L {:.1} %, chrF {:.1} \
             (reported, not in the proof)",
            answers.texts.len(),
            f64::from(answers.exact_match.0) / 1e4,
            f64::from(answers.token_f1.0) / 1e4,
            f64::from(answers.rouge_l.0) / 1e4,
            f64::from(answers.chrf.0) / 1e4
        ))?;
    }
    output::line(&format!("engine    {}", evaluation.engine))?;
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
    let Some(training) = &proof.training else { return lines };
    lines.push(format!("rows      {}", training.model.plan.rows.count));
    lines.push(format!("steps     {}", training.model.steps.len()));
    lines.push(format!("baseline  {}", metrics_line(&training.baseline)));
    for (whose, run) in training.runs() {
        lines.extend(run_lines(whose, run));
    }
    if proof.verdict() == Verdict::Scored {
        lines.push(format!("lift      {} nats", proof.lift().display()));
    }
    lines
}

fn metrics_line(metrics: &Metrics) -> String {
    let (choice, token) = (metrics.choice_loss.display(), metrics.token_nll.display());
    let accuracy = f64::from(metrics.accuracy.0) / 1e4;
    format!("choice loss {choice} nats, per token {token} nats, accuracy {accuracy:.1} %")
}

fn run_lines(whose: Whose, run: &Run) -> Vec<String> {
    let name = match whose {
        Whose::Model => "trained",
        Whose::Control => "control",
    };
    match (run.measured(), run.diverged_at()) {
        (Some(Measurement { final_state, metrics, .. }), _) => vec![
            format!("{name}   {}", metrics_line(metrics)),
            format!("{name}   state {final_state}"),
        ],
        (None, at) => {
            let at = at.unwrap_or_default().0;
            vec![format!("{name}   diverged at step {at}; lift 0")]
        }
    }
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
    let Some(training) = &proof.training else { return value };
    value["initial_state"] = json!(training.initial_state);
    value["baseline"] = metrics_json(&training.baseline);
    value["model"] = run_json(&training.model);
    value["control"] = json!(training.control.as_ref().map(run_json));
    value
}

fn run_json(run: &Run) -> Value {
    json!({
        "plan": run.plan,
        "steps": run.steps.len(),
        "diverged_at": run.diverged_at(),
        "final_state": run.measured().map(|measured| measured.final_state),
        "metrics": run.measured().map(|measured| metrics_json(&measured.metrics)),
    })
}

fn metrics_json(metrics: &Metrics) -> Value {
    json!({
        "choice_loss": nats(metrics.choice_loss),
        "accuracy": f64::from(metrics.accuracy.0) / 1e6,
        "answer_nll": nats(metrics.answer_nll),
        "token_nll": nats(metrics.token_nll),
    })
}

fn evaluation_json(
    evaluation: &Evaluation,
    bound: Option<MicroNats>,
    hidden: Option<&Hidden>,
) -> Value {
    let mut value = proof_json(&evaluation.proof);
    value["bound"] = json!(bound.map(nats));
    if let Some(Hidden { lift, rows: [rows, _] }) = hidden {
        value["hidden"] = json!(lift.map(nats));
        value["hidden_rows"] = json!(rows);
    }
    value["check"] = report_json(&evaluation.report);
    value["engine"] = json!(evaluation.engine);
    value["answers"] = json!(evaluation.answers.as_ref().map(|answers| {
        json!({
            "texts": answers.texts,
            "exact_match": f64::from(answers.exact_match.0) / 1e6,
            "token_f1": f64::from(answers.token_f1.0) / 1e6,
            "rouge_l": f64::from(answers.rouge_l.0) / 1e6,
            "chrf": f64::from(answers.chrf.0) / 1e4,
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
