//! The one path from a submission's bytes to its score proof.

use crate::error::EvaluateError;
use crate::features;
use crate::inspect::{Inspection, Inspector};
use crate::questions::Questions;
use crate::train::{self, End};
use crate::weights::reference_weights;
use crate::world::{Progress, World};
use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::{CheckReport, RawSubmission};
use dataforge_core::hash::{EpochSeed, RowFingerprint};
use dataforge_core::plan::{BatchShape, TokenPlan};
use dataforge_core::proof::{Metrics, Outcome, ProofInputs, ScoreProof, Training};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::StepIndex;
use dataforge_engine::{EngineError, Features, Options, Runtime, Score, Scorer, Weights};
use dataforge_graph::llama::Tuning;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

/// Rows of a scoring batch. Any number gives the same bits; this one keeps the activations in
/// cache.
const SCORING_ROWS: NonZeroU32 = NonZeroU32::new(8).unwrap();

/// What an evaluation gives: the proof, and what is not part of it.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The same for every honest validator.
    pub proof: ScoreProof,
    /// What the kernels found; the proof has its digest.
    pub report: CheckReport,
    /// For finding copies; empty when the submission was rejected.
    pub fingerprints: Vec<RowFingerprint>,
    /// Advisory: which engine computed it here, and how.
    pub engine: String,
    /// Advisory: how long each stage took here.
    pub timings: Timings,
}

/// Wall time of each stage. Advisory, never hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Schema kernel.
    pub checking: Duration,
    /// Tokenizer kernel.
    pub tokenising: Duration,
    /// The frozen blocks of the model over the submission's rows.
    pub trunk: Duration,
    /// Training, state roots included.
    pub training: Duration,
    /// Scoring the benchmark.
    pub scoring: Duration,
    /// Tokens trained on, padding included.
    pub tokens: u64,
    /// Training steps.
    pub steps: u32,
}

/// What one submission came to.
pub(crate) struct Run {
    pub(crate) report: CheckReport,
    pub(crate) outcome: Outcome,
    pub(crate) fingerprints: Vec<RowFingerprint>,
    pub(crate) timings: Timings,
}

/// A spec made ready: kernels, engine, weights, benchmark, and the untrained model's metrics.
pub struct Evaluator<'w> {
    world: &'w dyn World,
    spec: PinnedSpec,
    benchmark: Benchmark,
    inspector: Inspector,
    runtime: Runtime,
    weights: Weights,
    questions: Questions,
    /// Of the benchmark's candidates, where the model has frozen blocks.
    features: Option<Features>,
    scorer: Scorer,
    baseline: Metrics,
}

impl<'w> Evaluator<'w> {
    /// Loads everything that `spec` pins, verifies it, and measures the untrained reference.
    ///
    /// # Errors
    /// [`EvaluateError`]; nothing of it is a submission's fault.
    pub fn prepare(
        world: &'w dyn World,
        spec: PinnedSpec,
        benchmark: Benchmark,
    ) -> Result<Self, EvaluateError> {
        Self::prepare_with(world, spec, benchmark, Runtime::load)
    }

    /// As [`Evaluator::prepare`], with an engine that may not be exact. Such an evaluator stays in
    /// this crate: it proves nothing.
    pub(crate) fn prepare_with(
        world: &'w dyn World,
        spec: PinnedSpec,
        benchmark: Benchmark,
        load: fn(&Path, Options) -> Result<Runtime, EngineError>,
    ) -> Result<Self, EvaluateError> {
        let inspector = Inspector::load(world, &spec)?;
        let questions = Questions::new(&inspector, &benchmark)?;
        let (model, recipe) = (&spec.spec().model, &spec.spec().training);
        let weights = reference_weights(world, &spec)?;
        let library = world.engine_library().map_err(EvaluateError::World)?;
        let runtime = load(&library, world.engine_options())?;
        let tuning = Tuning::from(spec.spec());
        let shape = BatchShape { rows: SCORING_ROWS, ..recipe.batch_shape() };
        let candidates = &questions.candidates;
        let features =
            features::recall_or_compute(world, &runtime, &spec, &weights, candidates, shape)?;
        let mut scorer = Scorer::new(&runtime, tuning, shape)?;
        // Any seed: an adapter does nothing before its first step.
        scorer.bind(&runtime, &weights, weights.initial(&tuning, &EpochSeed([0; 32]))?)?;
        let mut watch = |_| !world.cancelled();
        let scores = match scorer.score(candidates, features.as_ref(), &mut watch)? {
            Score::Finite(scores) => scores,
            Score::Stopped => return Err(EvaluateError::Cancelled),
            Score::NotFinite => {
                let reason = "the untrained model's scores are not finite".into();
                return Err(EvaluateError::Material {
                    what: format!("artifact {}", model.weights),
                    reason,
                });
            }
        };
        let baseline = questions.metrics(&questions.rows(&scores));
        Ok(Self {
            world,
            spec,
            benchmark,
            inspector,
            runtime,
            weights,
            questions,
            features,
            scorer,
            baseline,
        })
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &PinnedSpec {
        &self.spec
    }

    /// The benchmark.
    #[must_use]
    pub fn benchmark(&self) -> &Benchmark {
        &self.benchmark
    }

    /// The untrained reference on the benchmark.
    #[must_use]
    pub fn baseline(&self) -> Metrics {
        self.baseline
    }

    /// Evaluates one submission: the bytes of its file, under the epoch's seed.
    ///
    /// # Errors
    /// [`EvaluateError`]; a submission that is rejected or diverges is a result, not an error.
    pub fn evaluate(&mut self, bytes: &[u8], seed: EpochSeed) -> Result<Evaluation, EvaluateError> {
        let raw = RawSubmission::split(bytes)?;
        let inputs = ProofInputs {
            spec: self.spec.id(),
            dataset: raw.digest(),
            benchmark: self.benchmark.root(),
            seed,
        };
        let Run { report, outcome, fingerprints, timings } = self.run(&raw, &seed)?;
        let proof = ScoreProof { inputs, report: report.digest(), outcome };
        let engine = self.engine();
        Ok(Evaluation { proof, report, fingerprints, engine, timings })
    }

    /// Checks, trains and scores, in the engine that this was prepared with.
    pub(crate) fn run(
        &mut self,
        raw: &RawSubmission<'_>,
        seed: &EpochSeed,
    ) -> Result<Run, EvaluateError> {
        let Inspection { report, accepted, checking, tokenising } =
            self.inspector.inspect(self.world, raw)?;
        let mut timings = Timings { checking, tokenising, ..Timings::default() };
        let (outcome, fingerprints) = match accepted {
            None => (Outcome::Rejected, vec![]),
            Some(accepted) => {
                let recipe = &self.spec.spec().training;
                let tokens = accepted.tokens().to_vec();
                let plan = TokenPlan::new(tokens, recipe.batch_shape(), recipe.epochs, seed);
                (self.train_and_score(&plan, seed, &mut timings)?, accepted.fingerprints())
            }
        };
        Ok(Run { report, outcome, fingerprints, timings })
    }

    /// The engine, for people.
    pub(crate) fn engine(&self) -> String {
        self.runtime.description()
    }

    fn train_and_score(
        &mut self,
        plan: &TokenPlan,
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<Outcome, EvaluateError> {
        let (world, runtime, weights) = (self.world, &self.runtime, &self.weights);
        let spec = self.spec.spec();
        let start = world.elapsed();
        let tuning = Tuning::from(spec);
        let shape = BatchShape { rows: SCORING_ROWS, ..spec.training.batch_shape() };
        let features = features::compute(world, runtime, &tuning, weights, plan.rows(), shape)?;
        timings.trunk = world.elapsed() - start;

        let start = world.elapsed();
        let trace = train::run(world, runtime, spec, weights, plan, features.as_ref(), seed)?;
        timings.training = self.world.elapsed() - start;
        timings.steps = trace.steps.len() as u32;
        timings.tokens = trace.steps.len() as u64 * spec.training.batch_shape().tokens() as u64;
        let training = Training {
            plan: plan.digest(),
            steps: trace.steps,
            initial_state: trace.initial_state,
            baseline: self.baseline,
        };
        let (trainer, final_state) = match trace.end {
            End::Finished(trainer, root) => (trainer, root),
            End::Diverged(at) => return Ok(Outcome::Diverged { training, at }),
        };

        let start = self.world.elapsed();
        self.scorer.bind(runtime, weights, trainer.weights()?)?;
        drop(trainer);
        let total = self.questions.candidates.len() as u32;
        let mut watch = |candidates: usize| {
            world.progress(Progress::Scored { candidates: candidates as u32, total });
            !world.cancelled()
        };
        let (candidates, features) = (&self.questions.candidates, self.features.as_ref());
        let score = self.scorer.score(candidates, features, &mut watch)?;
        timings.scoring = self.world.elapsed() - start;
        let scores = match score {
            Score::Finite(scores) => scores,
            Score::Stopped => return Err(EvaluateError::Cancelled),
            // The last update was finite but what it leads to is not: the run diverged at its end.
            Score::NotFinite => {
                return Ok(Outcome::Diverged { training, at: StepIndex(plan.steps()) });
            }
        };
        let rows = self.questions.rows(&scores);
        let trained = self.questions.metrics(&rows);
        let lift = self.questions.lift(spec.score, &trained);
        Ok(Outcome::Scored { training, final_state, rows, trained, lift })
    }
}
