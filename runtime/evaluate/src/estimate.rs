//! A miner's quick look: the same path as an evaluation, in the engine's plain f32.
//!
//! What comes out depends on the engine and the machine. It proves nothing, so there is no proof in
//! it and nothing that one could be made of.

use crate::error::EvaluateError;
use crate::evaluator::{Evaluator, Findings, Timings};
use crate::setup::Setup;
use crate::world::World;
use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::{CheckReport, RawSubmission};
use dataforge_core::hash::EpochSeed;
use dataforge_core::proof::Metrics;
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_engine::Runtime;

/// About what an evaluation would give.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// What the kernels found: exact.
    pub report: CheckReport,
    /// How training went: not exact.
    pub ending: Ending,
    /// Which engine computed it, and how.
    pub engine: String,
    /// How long each stage took.
    pub timings: Timings,
}

/// How an estimate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The kernels did not accept the submission.
    Rejected,
    /// Something was not finite at this step.
    Diverged(StepIndex),
    /// Trained and measured.
    Scored {
        /// The untrained reference on the benchmark.
        baseline: Metrics,
        /// The trained model on the benchmark.
        trained: Metrics,
        /// About what would be paid for.
        lift: MicroNats,
    },
}

/// Checks, trains and scores one submission in the fast lowering.
///
/// # Errors
/// [`EvaluateError`], as [`Evaluator::evaluate`].
pub fn estimate(
    world: &dyn World,
    spec: PinnedSpec,
    benchmark: Benchmark,
    bytes: &[u8],
    seed: &EpochSeed,
) -> Result<Estimate, EvaluateError> {
    let setup = Setup::load(world, spec, Runtime::load_fast)?;
    let mut evaluator = Evaluator::with(setup, benchmark)?;
    let Findings { report, training, timings, .. } =
        evaluator.run(&RawSubmission::split(bytes)?, seed)?;
    let ending = training.map_or(Ending::Rejected, |training| {
        let diverged = training.runs().find_map(|(_, run)| run.diverged_at());
        match (diverged, training.model.measured()) {
            (None, Some(measured)) => Ending::Scored {
                baseline: training.baseline,
                trained: measured.metrics,
                lift: training.lift,
            },
            (at, _) => Ending::Diverged(at.unwrap_or_default()),
        }
    });
    Ok(Estimate { report, ending, engine: evaluator.engine(), timings })
}
