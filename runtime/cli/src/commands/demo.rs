//! `dataforge demo`: the whole path once, on real data, ending with what must be refused.

mod market;
mod refusals;

use crate::arguments::Demo;
use crate::commands::evaluate::{timing_line, timings_json};
use crate::context::Context;
use crate::exit::Answer;
use crate::output::{self, nats};
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_core::hash::EpochSeed;
use dataforge_core::proof::ProofFile;
use dataforge_core::spec::{PinnedSpec, Spec};
use dataforge_core::units::MicroNats;
use dataforge_evaluate::{Evaluation, Evaluator, audit};
use dataforge_node::benchmarks::{self, PublicSet};
use dataforge_node::demo_data::DemoPaths;
use dataforge_node::fs::write_atomic;
use dataforge_settle::Standing;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// One submission after its evaluation.
struct Entry {
    name: &'static str,
    bytes: Vec<u8>,
    evaluation: Evaluation,
}

/// What a submission earns.
struct Award {
    verdict: String,
    /// Of all that miners earn.
    share: f64,
}

pub(crate) fn run(context: &Context, arguments: &Demo) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let spec = pinned.spec();
    let set = PublicSet::of(spec)?;
    context.provision(context.engine_parts())?;
    context.provision(&[&spec.model.weights, &spec.model.tokenizer, set.artifact])?;

    let folder = arguments.out.clone().unwrap_or_else(|| folder_of(context, spec));
    let sets = set.build(spec, &context.artifacts)?;
    let paths = sets.write(&folder)?;
    say(context, &format!("datasets  {}", folder.display()))?;
    if arguments.prepare_only {
        return prepared(context, &paths);
    }
    say(context, &format!("spec      {} {}", spec.reference(), pinned.id()))?;
    say(context, &format!("seed      {}", arguments.seed))?;

    let stage = Stage::new("baseline");
    let world = context.world(&specs, &pinned, &stage);
    let benchmark = benchmarks::open_rows(spec, sets.benchmark)?;
    let mut evaluator = Evaluator::prepare(&world, pinned.clone(), benchmark)?;
    let entries = evaluate_all(context, &mut evaluator, &stage, &paths, arguments.seed)?;
    let awards = settle(&evaluator, arguments.seed, &entries)?;
    if !context.json {
        print_table(&entries, &awards)?;
    }

    let (replayed, refused) = prove(context, &mut evaluator, &stage, &world, &pinned, &entries)?;
    let seconds = start.elapsed().as_secs_f64();
    if context.json {
        let submissions: Vec<Value> =
            entries.iter().zip(&awards).map(|(entry, award)| entry_json(entry, award)).collect();
        output::json(&json!({
            "spec": pinned.id(),
            "seed": arguments.seed,
            "submissions": submissions,
            "folder": folder,
            "replay": replayed,
            "refusals": refused,
            "seconds": seconds,
        }))?;
    } else {
        output::line(&format!(
            "\ndone in {seconds:.1} s; datasets and proofs are in {}",
            folder.display()
        ))?;
    }
    Ok(refused.iter().all(|refusal| refusal.refused).into())
}

fn say(context: &Context, line: &str) -> anyhow::Result<()> {
    if context.json { Ok(()) } else { output::line(line) }
}

fn folder_of(context: &Context, spec: &Spec) -> PathBuf {
    context.home.path().join("demo").join(spec.reference())
}

fn prepared(context: &Context, paths: &DemoPaths) -> anyhow::Result<Answer> {
    if context.json {
        let submissions: Vec<_> = paths
            .submissions
            .iter()
            .map(|(name, path)| json!({ "name": name, "path": path }))
            .collect();
        output::json(&json!({ "benchmark": paths.benchmark, "submissions": submissions }))?;
    }
    Ok(Answer::Yes)
}

fn evaluate_all(
    context: &Context,
    evaluator: &mut Evaluator<'_>,
    stage: &Stage,
    paths: &DemoPaths,
    seed: EpochSeed,
) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (name, path) in &paths.submissions {
        stage.rename(name);
        let bytes = super::evaluate::read_dataset(path)?;
        let evaluation = evaluator.evaluate(&bytes, seed).context(*name)?;
        stage.finish();
        write_atomic(
            &path.with_extension("proof"),
            &ProofFile::from(evaluation.proof.clone()).to_bytes(),
        )?;
        let rows = evaluation.report.rows;
        let line = format!("{name:9} {rows} rows: {}", timing_line(&evaluation.timings));
        say(context, &line)?;
        entries.push(Entry { name, bytes, evaluation });
    }
    Ok(entries)
}

/// What each submission earns, in the order of `entries`.
fn settle(
    evaluator: &Evaluator<'_>,
    seed: EpochSeed,
    entries: &[Entry],
) -> anyhow::Result<Vec<Award>> {
    let report = market::settled(evaluator, seed, entries)?;
    let award = |entry: &Entry| {
        let line = market::line(&report, entry.name).context(entry.name)?;
        let verdict = verdict(&line.standing, entries);
        Ok(Award { verdict, share: line.reward.0 as f64 / market::POOL.0 as f64 })
    };
    entries.iter().map(award).collect()
}

/// Choice loss before and after training; none where nothing was trained or scored.
fn losses(evaluation: &Evaluation) -> (Option<MicroNats>, Option<MicroNats>) {
    let training = evaluation.proof.training.as_ref();
    let baseline = training.map(|training| training.baseline.choice_loss);
    let trained = evaluation.proof.scored().map(|measured| measured.metrics.choice_loss);
    (baseline, trained)
}

fn verdict(standing: &Standing, entries: &[Entry]) -> String {
    match standing {
        Standing::Paid => "paid".into(),
        Standing::BelowMargin => "below margin".into(),
        Standing::NotSignificant => "not significant".into(),
        Standing::Copy { of } => {
            format!("copy of {}", market::name_of(entries, *of).unwrap_or("an earlier one"))
        }
        Standing::Rejected => "rejected".into(),
        Standing::Diverged => "diverged".into(),
        Standing::Unscored => "unscored".into(),
        Standing::NotRevealed | Standing::Mismatch => "not revealed".into(),
    }
}

fn print_table(entries: &[Entry], awards: &[Award]) -> anyhow::Result<()> {
    let text = |loss: Option<MicroNats>| loss.map_or_else(|| "-".into(), MicroNats::display);
    let row = |(entry, award): (&Entry, &Award)| {
        let (baseline, trained) = losses(&entry.evaluation);
        let proof = &entry.evaluation.proof;
        vec![
            entry.name.into(),
            award.verdict.clone(),
            entry.evaluation.report.rows.to_string(),
            text(baseline),
            text(trained),
            proof.lift().display(),
            format!("{:.2} %", 100.0 * award.share),
            proof.digest().to_string(),
        ]
    };
    let rows: Vec<_> = entries.iter().zip(awards).map(row).collect();
    let header =
        ["submission", "verdict", "rows", "baseline", "trained", "lift", "share", "proof digest"];
    output::line(&format!("\n{}", output::table(&header, &rows)))?;
    output::line(
        "baseline, trained: choice loss in nats; lift: ln of the number of candidates less trained",
    )
}

fn entry_json(entry: &Entry, award: &Award) -> Value {
    let (baseline, trained) = losses(&entry.evaluation);
    let proof = &entry.evaluation.proof;
    json!({
        "name": entry.name,
        "verdict": award.verdict,
        "rows": entry.evaluation.report.rows,
        "baseline": baseline.map(nats),
        "trained": trained.map(nats),
        "lift": nats(proof.lift()),
        "share": award.share,
        "proof_digest": proof.digest(),
        "proof_bytes": ProofFile::from(proof.clone()).to_bytes().len(),
        "timings": timings_json(&entry.evaluation.timings),
    })
}

/// Replays the first proof, then shows what is refused.
fn prove(
    context: &Context,
    evaluator: &mut Evaluator<'_>,
    stage: &Stage,
    world: &dyn dataforge_evaluate::World,
    pinned: &PinnedSpec,
    entries: &[Entry],
) -> anyhow::Result<(Value, Vec<refusals::Refused>)> {
    let first = entries.first().context("the demonstration has submissions")?;
    stage.rename(&format!("replaying {}", first.name));
    let start = Instant::now();
    let replayed = audit::replay(evaluator, &first.evaluation.proof, &first.bytes)?;
    stage.finish();
    let replayed = replayed.with_context(|| format!("the replay of {}", first.name))?;
    let (digest, seconds) = (replayed.proof.digest(), start.elapsed().as_secs_f64());
    say(context, &format!("\nreplay    {}: same digest {digest} in {seconds:.1} s", first.name))?;

    let refused = refusals::show(
        world,
        pinned,
        evaluator.benchmark(),
        &first.evaluation.proof,
        &first.bytes,
    )?;
    for refusal in &refused {
        let word = if refusal.refused { "refused" } else { "ACCEPTED" };
        say(context, &format!("{word:9} {}: {}", refusal.what, refusal.reason))?;
    }
    Ok((json!({ "submission": first.name, "proof_digest": digest, "seconds": seconds }), refused))
}
