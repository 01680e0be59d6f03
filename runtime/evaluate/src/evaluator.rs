//! The one path from a submission's bytes to its score proof.

use crate::answers::{self, Answers, GENERATING_ROWS};
use crate::baseline;
use crate::error::EvaluateError;
use crate::features;
use crate::inspect::{Inspection, Inspector};
use crate::questions::Questions;
use crate::train;
use crate::warm::{self, Trained};
use crate::weights::reference_weights;
use crate::world::{Progress, World};
use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::{CheckReport, RawSubmission};
use dataforge_core::hash::{EpochSeed, RowFingerprint, StateRoot};
use dataforge_core::plan::{BatchShape, TokenPlan, shuffle_outputs};
use dataforge_core::proof::{End, Measurement, Metrics, ProofInputs, Run, ScoreProof, Training};
use dataforge_core::score;
use dataforge_core::spec::{PinnedSpec, ScoreRule};
use dataforge_core::units::MicroNats;
use dataforge_engine::{
    EngineError, Features, Generator, Options, Runtime, Score, Scorer, Weights,
};
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
    /// Answers in words, as many as [`Evaluator::answer_rows`] asked for.
    pub answers: Option<Answers>,
    /// Advisory: how long each stage took here.
    pub timings: Timings,
}

/// Wall time of each stage, the control's included. Advisory, never hashed.
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
pub(crate) struct Findings {
    pub(crate) report: CheckReport,
    pub(crate) training: Option<Training>,
    pub(crate) fingerprints: Vec<RowFingerprint>,
    pub(crate) answers: Option<Answers>,
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
    /// Where training starts, when that is not the pinned weights.
    warmed: Option<Trained>,
    baseline: Metrics,
    /// Answers in words to report.
    answer_rows: usize,
    answers: Option<Answers>,
}

/// One copy of the model, trained and scored.
struct TrainedCopy {
    run: Run,
    initial_state: StateRoot,
    /// The trained parameters, where answers are asked for.
    weights: Option<Trained>,
}

impl<'w> Evaluator<'w> {
    /// Loads everything that `spec` pins, verifies it, and measures the reference that training
    /// will start from.
    ///
    /// # Errors
    /// [`EvaluateError`]; nothing of it is a submission's fault.
    pub fn prepare(
        world: &'w dyn World,
        spec: PinnedSpec,
        benchmark: Benchmark,
    ) -> Result<Self, EvaluateError> {
        let (tuning, shape) = (Tuning::from(spec.spec()), spec.spec().training.batch_shape());
        let clock = || world.elapsed();
        let load = |path: &Path, options| Runtime::fastest(path, options, &tuning, shape, &clock);
        Self::prepare_with(world, spec, benchmark, load)
    }

    /// As [`Evaluator::prepare`], with an engine that may not be exact. Such an evaluator stays in
    /// this crate: it proves nothing.
    pub(crate) fn prepare_with(
        world: &'w dyn World,
        spec: PinnedSpec,
        benchmark: Benchmark,
        load: impl FnOnce(&Path, Options) -> Result<Runtime, EngineError>,
    ) -> Result<Self, EvaluateError> {
        let inspector = Inspector::load(world, &spec)?;
        let questions = Questions::new(&inspector, &benchmark)?;
        let recipe = &spec.spec().training;
        let weights = reference_weights(world, &spec)?;
        let library = world.engine_library().map_err(EvaluateError::World)?;
        let runtime = load(&library, world.engine_options())?;
        let tuning = Tuning::from(spec.spec());
        let shape = BatchShape { rows: SCORING_ROWS, ..recipe.batch_shape() };
        let candidates = &questions.candidates;
        let features =
            features::recall_or_compute(world, &runtime, &spec, &weights, candidates, shape)?;
        let warmed = warm::recall_or_train(world, &runtime, &inspector, &spec, &weights, shape)?;
        let mut scorer = Scorer::new(&runtime, tuning, shape)?;
        let reference = (&weights, warmed.as_ref());
        let rows = (&candidates[..], features.as_ref());
        let scores =
            baseline::recall_or_score(world, &runtime, &spec, reference, &mut scorer, rows)?;
        let (_, baseline) = questions.measure(&scores);
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
            warmed,
            baseline,
            answer_rows: 0,
            answers: None,
        })
    }

    /// From now on, evaluations also report greedy answers to the first `rows` benchmark rows. The
    /// proof does not change.
    pub fn answer_rows(&mut self, rows: u32) {
        self.answer_rows = self.benchmark.rows().len().min(rows as usize);
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

    /// The reference that training starts from, on the benchmark.
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
        let Findings { report, training, fingerprints, answers, timings } =
            self.run(&raw, &seed)?;
        let proof = ScoreProof { inputs, report: report.digest(), training };
        Ok(Evaluation { proof, report, fingerprints, engine: self.engine(), answers, timings })
    }

    /// Checks, trains and scores, in the engine that this was prepared with.
    pub(crate) fn run(
        &mut self,
        raw: &RawSubmission<'_>,
        seed: &EpochSeed,
    ) -> Result<Findings, EvaluateError> {
        let Inspection { report, accepted, checking, tokenising } =
            self.inspector.inspect(self.world, raw)?;
        let mut timings = Timings { checking, tokenising, ..Timings::default() };
        let (training, fingerprints) = match accepted {
            None => (None, vec![]),
            Some(accepted) => {
                let recipe = &self.spec.spec().training;
                let tokens = accepted.tokens().to_vec();
                let plan = TokenPlan::new(tokens, recipe.batch_shape(), recipe.epochs, seed);
                let training = self.train_and_score(&plan, seed, &mut timings)?;
                (Some(training), accepted.fingerprints())
            }
        };
        let answers = self.answers.take();
        Ok(Findings { report, training, fingerprints, answers, timings })
    }

    /// The engine, for people.
    pub(crate) fn engine(&self) -> String {
        self.runtime.description()
    }

    /// Trains and scores the model, and its control where the rule asks for one.
    fn train_and_score(
        &mut self,
        plan: &TokenPlan,
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<Training, EvaluateError> {
        let TrainedCopy { run: model, initial_state, weights } =
            self.train_copy(plan, seed, timings)?;
        self.answers = match weights.filter(|_| self.answer_rows > 0) {
            Some(trained) => self.answer(trained)?,
            None => None,
        };
        let rule = self.spec.spec().score.clone();
        let control = match (&rule, model.measured()) {
            (ScoreRule::Control { .. }, Some(_)) => Some(self.control(plan, seed, timings)?),
            _ => None,
        };
        let metrics = |run: &Run| run.measured().map(|measured| measured.metrics);
        let ended = (metrics(&model), control.as_ref().map(metrics));
        let candidates = self.spec.spec().benchmark.candidates.get();
        let lift =
            |trained, control| score::lift(&rule, candidates, &self.baseline, trained, control);
        let lift = match &ended {
            (Some(trained), None) => lift(trained, None),
            (Some(trained), Some(Some(control))) => lift(trained, Some(control)),
            (None, _) | (_, Some(None)) => MicroNats(0),
        };
        Ok(Training { initial_state, baseline: self.baseline, model, control, lift })
    }

    /// The second copy: same start, same order of rows, outputs permuted by stream `control`.
    fn control(
        &mut self,
        plan: &TokenPlan,
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<Run, EvaluateError> {
        let recipe = &self.spec.spec().training;
        let rows = shuffle_outputs(plan.rows(), seed, "control");
        let plan = TokenPlan::new(rows, recipe.batch_shape(), recipe.epochs, seed);
        Ok(self.train_copy(&plan, seed, timings)?.run)
    }

    /// Trains on one plan and scores the benchmark.
    fn train_copy(
        &mut self,
        plan: &TokenPlan,
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<TrainedCopy, EvaluateError> {
        let (world, runtime, weights) = (self.world, &self.runtime, &self.weights);
        let spec = self.spec.spec();
        let start = world.elapsed();
        let tuning = Tuning::from(spec);
        let shape = BatchShape { rows: SCORING_ROWS, ..spec.training.batch_shape() };
        let features = features::compute(world, runtime, &tuning, weights, plan.rows(), shape)?;
        timings.trunk += world.elapsed() - start;

        let start = world.elapsed();
        let initial = match &self.warmed {
            Some(warmed) => warmed.clone(),
            None => weights.initial(&tuning, seed)?,
        };
        let trace = train::run(world, runtime, spec, weights, initial, plan, features.as_ref())?;
        let (steps, initial_state) = (trace.steps, trace.initial_state);
        timings.training += world.elapsed() - start;
        timings.steps += steps.len() as u32;
        timings.tokens += steps.len() as u64 * spec.training.batch_shape().tokens() as u64;
        let diverged = |steps| {
            let run = Run { plan: plan.roots(), steps, end: End::Diverged };
            Ok(TrainedCopy { run, initial_state, weights: None })
        };
        let Some((trainer, final_state)) = trace.finished else { return diverged(steps) };

        let start = world.elapsed();
        let trained = trainer.weights()?;
        drop(trainer);
        let kept = (self.answer_rows > 0).then(|| trained.clone());
        self.scorer.bind(runtime, weights, trained)?;
        let total = self.questions.candidates.len() as u32;
        let mut watch = |candidates: usize| {
            world.progress(Progress::Scored { candidates: candidates as u32, total });
            !world.cancelled()
        };
        let (candidates, features) = (&self.questions.candidates, self.features.as_ref());
        let score = self.scorer.score(candidates, features, &mut watch)?;
        timings.scoring += world.elapsed() - start;
        let scores = match score {
            Score::Finite(scores) => scores,
            Score::Stopped => return Err(EvaluateError::Cancelled),
            // The last update was finite but what it leads to is not: the run diverged at its end.
            Score::NotFinite => return diverged(steps),
        };
        let (rows, metrics) = self.questions.measure(&scores);
        let end = End::Measured(Measurement { final_state, rows, metrics });
        let run = Run { plan: plan.roots(), steps, end };
        Ok(TrainedCopy { run, initial_state, weights: kept })
    }

    /// Answers in the words of one state of the model.
    fn answer(&self, trained: Trained) -> Result<Option<Answers>, EvaluateError> {
        let (world, spec) = (self.world, self.spec.spec());
        let positions = spec.training.positions;
        let tuning = Tuning::from(spec);
        let mut generator = Generator::new(&self.runtime, tuning, GENERATING_ROWS, positions)?;
        generator.bind(&self.runtime, &self.weights, trained)?;
        let rows = &self.benchmark.rows()[..self.answer_rows];
        let prompts = self.questions.prompts(self.answer_rows);
        let tokenizer = self.inspector.tokenizer_json();
        answers::answer(world, &mut generator, spec, tokenizer, rows, &prompts)
    }
}
