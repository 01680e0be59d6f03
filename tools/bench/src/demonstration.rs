//! Workloads from eval specs that draw on a public set: what an evaluation of the honest submission
//! trains and scores.

use crate::prepare::{Prepared, Unavailable};
use crate::workload::Workload;
use anyhow::Context as _;
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::TokenPlan;
use dataforge_core::spec::PinnedSpec;
use dataforge_evaluate::Options;
use dataforge_matrix::material::{self, Material};
use dataforge_node::artifacts::Artifacts;
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
    material::fetch_with(artifacts, pinned.spec(), SET)?;
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
    material::fetch(artifacts, &pinned)?;
    let sets = PublicSet::of(pinned.spec())?.build(pinned.spec(), artifacts)?;
    of_sets(specs, artifacts, reference, &pinned, &sets, seed, rows_max)
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
    let material = Material::of_sets(&world, pinned, sets, "honest", seed)?;
    let mut rows = material.plan.rows().to_vec();
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
        candidates: material.candidates,
        answers: material.answers,
        tensors: vec![],
    };
    Ok(Prepared { workload, weights: material.weights })
}
