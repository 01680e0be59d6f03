//! Workloads from eval specs that draw on a public set: what an evaluation of the honest submission
//! trains and scores.

use crate::prepare::{Prepared, Unavailable};
use crate::workload::Workload;
use anyhow::{Context as _, ensure};
use dataforge_core::benchmark::BenchmarkRow;
use dataforge_core::dataset::{RawSubmission, Row};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::spec::{PinnedSpec, Spec};
use dataforge_evaluate::{Inspector, Options, World, reference_weights};
use dataforge_node::artifacts::{Artifacts, Silent};
use dataforge_node::benchmarks::{PublicSet, SPLIT_SEED};
use dataforge_node::demo_data::{DemoPlan, DemoSets};
use dataforge_node::fs::read_bounded;
use dataforge_node::public_sets::{SET_BYTES_MAX, icd_chapter_rows};
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;

/// The spec whose model and kernels the demonstrations use.
const DATE: &str = "date@1";

/// How the weights of the realistic reference model are named in specs.
const SMOLLM2: &str = "smollm2";

/// The spec `date@1`.
pub(crate) fn date(
    specs: &Specs,
    artifacts: &Artifacts,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    of_spec(specs, artifacts, DATE, seed, rows_max)
}

/// The first spec whose reference model is SmolLM2.
pub(crate) fn smollm2(
    specs: &Specs,
    artifacts: &Artifacts,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    for reference in specs.references()? {
        if specs.load(&reference)?.spec().model.weights.starts_with(SMOLLM2) {
            return of_spec(specs, artifacts, &reference, seed, rows_max);
        }
    }
    Err(Unavailable("no eval spec has SmolLM2 as its reference model".into()).into())
}

/// Diagnosis to chapter of the ICD-10-CM, with the model and kernels of `date@1`: batches of 8, two
/// passes. Diagnoses longer than a row of `date@1` may be are left out.
pub(crate) fn icd_chapter(
    specs: &Specs,
    artifacts: &Artifacts,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    const INPUT_BYTES_MAX: usize = 64;
    const SET: &str = "icd10cm-tabular";
    let pinned = specs.load(DATE)?;
    let mut spec = pinned.spec().clone();
    let count = |n: u32| NonZeroU32::new(n).context("a count of 0: this is our bug");
    spec.name = "icd-chapter".into();
    spec.training.epochs = count(2)?;
    spec.training.batch_rows = count(8)?;
    spec.training.positions = count(48)?;
    spec.training.output_tokens = count(8)?;
    let pinned = PinnedSpec::new(spec, pinned.lock().clone())?;
    fetch(artifacts, pinned.spec(), SET)?;
    let mut rows = icd_chapter_rows(&read_bounded(&artifacts.path(SET)?, SET_BYTES_MAX)?)?;
    rows.retain(|row| row.input.is_ascii() && row.input.len() <= INPUT_BYTES_MAX);
    let sets = DemoSets::build(&rows, &SPLIT_SEED, &DemoPlan::default())?;
    of_sets(specs, artifacts, DATE, &pinned, &sets, seed, rows_max)
}

fn of_spec(
    specs: &Specs,
    artifacts: &Artifacts,
    reference: &str,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    let pinned = specs.load(reference)?;
    let set = PublicSet::of(pinned.spec())?;
    fetch(artifacts, pinned.spec(), set.artifact)?;
    let sets = set.build(pinned.spec(), artifacts)?;
    of_sets(specs, artifacts, reference, &pinned, &sets, seed, rows_max)
}

fn fetch(artifacts: &Artifacts, spec: &Spec, set: &str) -> anyhow::Result<()> {
    let model = &spec.model;
    artifacts.fetch(&["onnxruntime", &model.weights, &model.tokenizer, set], &Silent)?;
    Ok(())
}

fn of_sets(
    specs: &Specs,
    artifacts: &Artifacts,
    reference: &str,
    pinned: &PinnedSpec,
    sets: &DemoSets,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    let stop = AtomicBool::new(false);
    let options = Options::default();
    let world = NodeWorld::new(specs, reference, artifacts, options, &stop, Box::new(|_| ()));
    let inspector = Inspector::load(&world, pinned)?;
    let honest = sets.submissions.iter().find(|set| set.name == "honest");
    let honest = honest.context("the demonstration has no honest submission: this is our bug")?;
    let mut rows = tokenise(&world, &inspector, &honest.rows)?;
    rows.truncate(rows_max);
    let spec = pinned.spec();
    let recipe = spec.training;
    let workload = Workload {
        name: spec.reference(),
        seed: *seed,
        model: spec.model.llama,
        training: recipe,
        operand_bits: spec.numerics.operand_bits,
        plan: TokenPlan::new(rows, recipe.batch_shape(), recipe.epochs, seed),
        candidates: tokenise(&world, &inspector, &candidate_rows(&sets.benchmark))?,
        answers: sets.benchmark.iter().map(|row| row.answer).collect(),
        tensors: vec![],
    };
    Ok(Prepared { workload, weights: reference_weights(&world, pinned)? })
}

/// Each candidate as if it were a submission's row: it is tokenised in the same way.
fn candidate_rows(benchmark: &[BenchmarkRow]) -> Vec<Row> {
    let row = |input: &str, output: &str| Row { input: input.into(), output: output.into() };
    let rows = benchmark.iter().flat_map(|question| {
        question.candidates.iter().map(|candidate| row(&question.input, candidate))
    });
    rows.collect()
}

fn tokenise(
    world: &dyn World,
    inspector: &Inspector,
    rows: &[Row],
) -> anyhow::Result<Vec<TokenRow>> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?.join("\n");
    let inspection = inspector.inspect(world, &RawSubmission::split(lines.as_bytes())?)?;
    let faults = &inspection.report.faults;
    ensure!(inspection.accepted.is_some(), "the spec does not accept these rows: {faults:?}");
    Ok(inspection.accepted.map(|accepted| accepted.tokens().to_vec()).unwrap_or_default())
}
