//! A demonstration's spec, weights, token plan and hidden rows, from the pinned artifacts.

use crate::Step;
use anyhow::{Context as _, ensure};
use dataforge_core::benchmark::BenchmarkRow;
use dataforge_core::dataset::{RawSubmission, Row};
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::spec::PinnedSpec;
use dataforge_engine::Weights;
use dataforge_evaluate::{Inspector, World, reference_weights};
use dataforge_node::artifacts::Artifacts;
use dataforge_node::benchmarks::PublicSet;

/// Everything that a run of training and its scoring start from.
pub(crate) struct Material {
    pub(crate) weights: Weights,
    pub(crate) plan: TokenPlan,
    /// Every candidate of every hidden row, as tokens.
    pub(crate) candidates: Vec<TokenRow>,
    pub(crate) answers: Vec<u32>,
}

impl Material {
    pub(crate) fn load(
        world: &dyn World,
        spec: &PinnedSpec,
        artifacts: &Artifacts,
        arguments: &Step,
    ) -> anyhow::Result<Self> {
        let sets = PublicSet::of(spec.spec())?.build(spec.spec(), artifacts)?;
        let submission = sets.submissions.iter().find(|set| set.name == arguments.dataset);
        let submission = submission.with_context(|| {
            let names: Vec<_> = sets.submissions.iter().map(|set| set.name).collect();
            format!("no dataset {:?}; there are {}", arguments.dataset, names.join(", "))
        })?;
        let inspector = Inspector::load(world, spec)?;
        let tokens = tokenise(world, &inspector, &submission.rows)?;
        let recipe = &spec.spec().training;
        Ok(Self {
            weights: reference_weights(world, spec)?,
            plan: TokenPlan::new(tokens, recipe.batch_shape(), recipe.epochs, &arguments.seed),
            candidates: tokenise(world, &inspector, &candidate_rows(&sets.benchmark))?,
            answers: sets.benchmark.iter().map(|row| row.answer).collect(),
        })
    }
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
