//! A demonstration's spec, weights, token plan and hidden rows, from the pinned artifacts.

use anyhow::{Context as _, ensure};
use dataforge_core::dataset::{RawSubmission, Row};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::spec::{PinnedSpec, Spec};
use dataforge_engine::Weights;
use dataforge_evaluate::{Inspector, World, reference_weights, tokenise_candidates};
use dataforge_node::artifacts::{Artifacts, Silent};
use dataforge_node::benchmarks::PublicSet;
use dataforge_node::demo_data::DemoSets;

/// Everything that a run of training and its scoring start from.
pub struct Material {
    /// The untrained reference.
    pub weights: Weights,
    /// The submission's batches.
    pub plan: TokenPlan,
    /// Every candidate of every hidden row, as tokens.
    pub candidates: Vec<TokenRow>,
    /// The right candidate of each hidden row.
    pub answers: Vec<u32>,
}

impl Material {
    /// The material of `dataset`, one of the demonstration's submissions, with batches in the order
    /// of `seed`.
    ///
    /// # Errors
    /// When an artifact is missing, or the spec does not accept the rows.
    pub fn load(
        world: &dyn World,
        spec: &PinnedSpec,
        artifacts: &Artifacts,
        dataset: &str,
        seed: &EpochSeed,
    ) -> anyhow::Result<Self> {
        let sets = PublicSet::of(spec.spec())?.build(spec.spec(), artifacts)?;
        Self::of_sets(world, spec, &sets, dataset, seed)
    }

    /// As [`Material::load`], from a demonstration that was built already.
    ///
    /// # Errors
    /// When an artifact is missing, or the spec does not accept the rows.
    pub fn of_sets(
        world: &dyn World,
        spec: &PinnedSpec,
        sets: &DemoSets,
        dataset: &str,
        seed: &EpochSeed,
    ) -> anyhow::Result<Self> {
        let submission = sets.submissions.iter().find(|set| set.name == dataset);
        let submission = submission.with_context(|| {
            let names: Vec<_> = sets.submissions.iter().map(|set| set.name).collect();
            format!("no dataset {dataset:?}; there are {}", names.join(", "))
        })?;
        let inspector = Inspector::load(world, spec)?;
        let tokens = tokenise(world, &inspector, &submission.rows)?;
        let recipe = &spec.spec().training;
        Ok(Self {
            weights: reference_weights(world, spec)?,
            plan: TokenPlan::new(tokens, recipe.batch_shape(), recipe.epochs, seed),
            candidates: tokenise_candidates(&inspector, &sets.benchmark)?,
            answers: sets.benchmark.iter().map(|row| row.answer).collect(),
        })
    }
}

/// Fetches everything that a spec with a public set is made of, the engine's library included.
///
/// # Errors
/// When the spec has no public set, or an artifact cannot be had.
pub fn fetch(artifacts: &Artifacts, spec: &PinnedSpec) -> anyhow::Result<()> {
    fetch_with(artifacts, spec.spec(), PublicSet::of(spec.spec())?.artifact)
}

/// As [`fetch`], with the artifact of another public set than the spec's.
///
/// # Errors
/// When an artifact cannot be had.
pub fn fetch_with(artifacts: &Artifacts, spec: &Spec, set: &str) -> anyhow::Result<()> {
    let model = &spec.model;
    artifacts.fetch(&["onnxruntime", &model.weights, &model.tokenizer, set], &Silent)?;
    Ok(())
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
