//! How far a spec's score holds honest data apart from the rest, for several seeds.
//!
//! Every dataset is evaluated as a validator would, so the figures are those of score proofs.

use anyhow::{Context as _, ensure};
use clap::Args;
use dataforge_core::dataset::Row;
use dataforge_core::hash::EpochSeed;
use dataforge_evaluate::{Evaluator, Lowering, Options, World as _};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use dataforge_node::benchmarks::{self, PublicSet};
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Different rows of the dataset that repeats itself.
const REPEATED_ROWS: usize = 20;

/// Longest input of an off-domain row: short enough for every spec with a public set.
const OFF_DOMAIN_INPUT_BYTES_MAX: usize = 32;

/// Characters of a garbage row's input and output. Noise makes more tokens than words of the same
/// length do; this much fits every spec with a public set.
const GARBAGE_CHARS_MAX: [usize; 2] = [24, 6];

/// Which spec, under which seeds.
#[derive(Args)]
pub(crate) struct Separation {
    /// A spec that draws on a public set.
    #[arg(long, default_value = "date@1")]
    spec: String,
    /// The public set that off-domain rows are from.
    #[arg(long, default_value = "icd-chapter")]
    other: String,
    /// Epoch seeds.
    #[arg(long, num_args = 1.., default_values_t = [1, 2, 3].map(|byte| EpochSeed([byte; 32])))]
    seeds: Vec<EpochSeed>,
    /// Only these datasets.
    #[arg(long, num_args = 1..)]
    datasets: Vec<String>,
    /// Threads that one operator may use.
    #[arg(long, default_value = "2")]
    threads: usize,
    /// Operators that compute the graphs; every exact one gives the same scores. Default: the
    /// fastest here.
    #[arg(long)]
    lowering: Option<Lowering>,
}

/// One evaluation.
#[derive(Serialize)]
pub(crate) struct Line {
    dataset: &'static str,
    seed: EpochSeed,
    rows: usize,
    verdict: String,
    /// In nats.
    lift: Option<f64>,
    accuracy: Option<f64>,
    seconds: f64,
    trunk_s: f64,
    training_s: f64,
    scoring_s: f64,
    tokens: u64,
}

/// Evaluates every dataset under every seed, calling `line` after each.
pub(crate) fn run(
    arguments: &Separation,
    mut line: impl FnMut(&Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
    let specs = Specs::discover()?;
    let pinned = specs.load(&arguments.spec)?;
    let (spec, model) = (pinned.spec(), &pinned.spec().model);
    let set = PublicSet::of(spec)?;
    let other = PublicSet::named(&arguments.other).context("no such public set")?;
    let needed = ["onnxruntime", &model.weights, &model.tokenizer, set.artifact, other.artifact];
    artifacts.fetch(&needed, &Silent)?;

    let sets = set.build(spec, &artifacts)?;
    let mut datasets: Vec<(&'static str, Vec<Row>)> =
        sets.submissions.into_iter().map(|set| (set.name, set.rows)).collect();
    datasets.retain(|(name, _)| *name != "copy");
    for (_, rows) in datasets.iter_mut().filter(|(name, _)| *name == "garbage") {
        *rows = rows.iter().map(cut_garbage).collect();
    }
    let honest = datasets.iter().find(|(name, _)| *name == "honest");
    let honest = honest.context("the demonstration has honest rows")?.1.clone();
    let repeated = honest.iter().take(REPEATED_ROWS).cycle().take(honest.len());
    datasets.push(("repeated", repeated.cloned().collect()));
    datasets.push(("off-domain", off_domain(&other.rows(&artifacts)?, honest.len())?));
    if !arguments.datasets.is_empty() {
        datasets.retain(|(name, _)| arguments.datasets.iter().any(|wanted| wanted == name));
        ensure!(!datasets.is_empty(), "no such dataset");
    }

    let stop = AtomicBool::new(false);
    let reference = &arguments.spec;
    let options =
        Options { threads: arguments.threads, lowering: arguments.lowering, ..Options::default() };
    let world = NodeWorld::new(&specs, reference, &artifacts, options, &stop, Box::new(|_| ()));
    let benchmark = benchmarks::open_rows(spec, sets.benchmark)?;
    let mut evaluator = Evaluator::prepare(&world, pinned.clone(), benchmark)?;
    for (dataset, rows) in datasets {
        let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        for seed in &arguments.seeds {
            let start = world.elapsed();
            let evaluation = evaluator.evaluate(lines.join("\n").as_bytes(), *seed)?;
            let timings = evaluation.timings;
            let proof = &evaluation.proof;
            let scored = proof.scored();
            let lift = scored.map(|_| proof.lift().0 as f64 / 1e6);
            let accuracy = scored.map(|scored| f64::from(scored.metrics.accuracy.0) / 1e6);
            line(&Line {
                dataset,
                seed: *seed,
                rows: rows.len(),
                verdict: proof.verdict().to_string(),
                lift,
                accuracy,
                seconds: (world.elapsed() - start).as_secs_f64(),
                trunk_s: timings.trunk.as_secs_f64(),
                training_s: timings.training.as_secs_f64(),
                scoring_s: timings.scoring.as_secs_f64(),
                tokens: timings.tokens,
            })?;
        }
    }
    Ok(())
}

fn cut_garbage(row: &Row) -> Row {
    let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let [input, output] = GARBAGE_CHARS_MAX;
    Row { input: cut(&row.input, input), output: cut(&row.output, output) }
}

/// Rows about something else, cut to what specs take: right answers to other questions.
fn off_domain(rows: &[Row], count: usize) -> anyhow::Result<Vec<Row>> {
    let first_word = |row: &Row| Row {
        input: row.input.clone(),
        output: row.output.split([' ', ',']).next().unwrap_or_default().to_owned(),
    };
    let fits = |row: &Row| row.input.len() <= OFF_DOMAIN_INPUT_BYTES_MAX;
    let rows: Vec<Row> = rows.iter().map(first_word).filter(fits).take(count).collect();
    ensure!(rows.len() == count, "the other set has too few rows");
    Ok(rows)
}
