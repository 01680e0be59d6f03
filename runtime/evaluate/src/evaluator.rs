//! The one path from a submission's bytes to its score proof.

use crate::answers::{self, Answers, GENERATING_ROWS};
use crate::error::EvaluateError;
use crate::inspect::Inspection;
use crate::questions::Pool;
use crate::setup::Setup;
use crate::train::TrainTrace;
use crate::warm::Trained;
use crate::world::{Progress, World};
use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::{CheckReport, RawSubmission};
use dataforge_core::hash::{EpochSeed, RowFingerprint, StateRoot};
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{
    End, Measurement, Metrics, ProofInputs, Run, ScoreProof, Training, Whose,
};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::MicroNats;
use dataforge_engine::{Generator, Scorer};
use std::time::Duration;

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

/// A spec made ready: kernels, engine, weights, benchmark, and the reference's scores.
pub struct Evaluator<'w> {
    setup: Setup<'w>,
    benchmark: Benchmark,
    /// All of the benchmark: the rows that a seed draws are among them.
    pool: Pool,
    scorer: Scorer,
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
        Self::with(Setup::exact(world, spec)?, benchmark)
    }

    /// As [`Evaluator::prepare`], from a setup that may not be exact. Such an evaluator stays in
    /// this crate: it proves nothing.
    pub(crate) fn with(setup: Setup<'w>, benchmark: Benchmark) -> Result<Self, EvaluateError> {
        let (pool, scorer) = Pool::new(&setup, &benchmark)?;
        Ok(Self { setup, benchmark, pool, scorer, answer_rows: 0, answers: None })
    }

    /// From now on, evaluations also report greedy answers to the first `rows` of the benchmark
    /// rows that they are measured on. The proof does not change.
    pub fn answer_rows(&mut self, rows: u32) {
        self.answer_rows = rows as usize;
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &PinnedSpec {
        &self.setup.spec
    }

    /// The benchmark.
    #[must_use]
    pub fn benchmark(&self) -> &Benchmark {
        &self.benchmark
    }

    /// The reference that training starts from, on the benchmark rows that `seed` draws.
    #[must_use]
    pub fn baseline(&self, seed: &EpochSeed) -> Metrics {
        self.pool.baseline(&self.benchmark.places(seed))
    }

    /// What the lift of a proof about this benchmark is above, with the spec's confidence; nothing
    /// where it has none. See [`dataforge_core::significance`].
    #[must_use]
    pub fn bound(&self, proof: &ScoreProof) -> Option<MicroNats> {
        let places = self.benchmark.places(&proof.inputs.seed);
        self.pool.bound(self.setup.spec.spec(), proof, &places)
    }

    /// The lift of a proof about this benchmark over those of its rows that none of the `earlier`
    /// epochs' seeds drew: what epochs are measured on is revealed after them, so that miners may
    /// know it. Zero where no such row is left, by which nothing could be shown; the lift itself
    /// where there was no earlier epoch; nothing where the proof has no lift. See
    /// [`dataforge_core::significance::hidden`].
    #[must_use]
    pub fn hidden(&self, proof: &ScoreProof, earlier: &[EpochSeed]) -> Option<MicroNats> {
        let hidden = self.benchmark.hidden(&proof.inputs.seed, earlier);
        self.pool.hidden(self.setup.spec.spec(), proof, &hidden)
    }

    /// Evaluates one submission: the bytes of its file, under the epoch's seed.
    ///
    /// # Errors
    /// [`EvaluateError`]; a submission that is rejected or diverges is a result, not an error.
    pub fn evaluate(&mut self, bytes: &[u8], seed: EpochSeed) -> Result<Evaluation, EvaluateError> {
        let raw = RawSubmission::split(bytes)?;
        let inputs = ProofInputs {
            spec: self.setup.spec.id(),
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
            self.setup.inspector.inspect(self.setup.world, raw)?;
        let mut timings = Timings { checking, tokenising, ..Timings::default() };
        let (training, fingerprints) = match accepted {
            None => (None, vec![]),
            Some(accepted) => {
                let training = self.train_and_score(accepted.tokens(), seed, &mut timings)?;
                (Some(training), accepted.fingerprints().to_vec())
            }
        };
        let answers = self.answers.take();
        Ok(Findings { report, training, fingerprints, answers, timings })
    }

    /// The engine, for people.
    pub(crate) fn engine(&self) -> String {
        self.setup.runtime.description()
    }

    /// Trains and scores the model, and its control where the rule asks for one.
    fn train_and_score(
        &mut self,
        rows: &[TokenRow],
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<Training, EvaluateError> {
        let TrainedCopy { run: model, initial_state, weights } =
            self.train_copy(rows, Whose::Model, seed, timings)?;
        self.answers = match weights.filter(|_| self.answer_rows > 0) {
            Some(trained) => self.answer(trained, seed)?,
            None => None,
        };
        let lift = MicroNats(0);
        let baseline = self.baseline(seed);
        let mut training = Training { initial_state, baseline, model, control: None, lift };
        if training.control_due(self.setup.spec.spec()) {
            training.control = Some(self.train_copy(rows, Whose::Control, seed, timings)?.run);
        }
        training.lift = training.lift_due(self.setup.spec.spec());
        Ok(training)
    }

    /// Trains one copy of the model and scores the rows of the benchmark that the seed draws.
    fn train_copy(
        &mut self,
        rows: &[TokenRow],
        whose: Whose,
        seed: &EpochSeed,
        timings: &mut Timings,
    ) -> Result<TrainedCopy, EvaluateError> {
        let Self { setup, benchmark, pool, scorer, .. } = self;
        let Setup { world, runtime, weights, .. } = &*setup;
        let start = world.elapsed();
        let plan = setup.plan(rows, whose, seed);
        let features = setup.features(&plan)?;
        timings.trunk += world.elapsed() - start;

        let start = world.elapsed();
        let mut course = setup.course(&plan, features.as_ref(), setup.initial(seed)?)?;
        let initial_state = course.root();
        let run = setup.run_id(plan.roots(), initial_state);
        let run = setup.is_exact().then_some(run);
        if let Some(checkpoint) = run.and_then(|run| world.unfinished(&run))
            && !course.resume(checkpoint)?
        {
            return Err(EvaluateError::Checkpoint);
        }
        let resumed = course.steps().len();
        let TrainTrace { steps, finished } = course.finish(run.as_ref())?;
        timings.training += world.elapsed() - start;
        timings.steps += (steps.len() - resumed) as u32;
        let tokens = setup.spec.spec().training.batch_shape().tokens() as u64;
        timings.tokens += (steps.len() - resumed) as u64 * tokens;
        let diverged = |steps| {
            let run = Run { plan: plan.roots(), steps, end: End::Diverged };
            Ok(TrainedCopy { run, initial_state, weights: None })
        };
        let Some((trainer, final_state)) = finished else { return diverged(steps) };

        let start = world.elapsed();
        let trained = trainer.weights()?;
        drop(trainer);
        let kept = (self.answer_rows > 0).then(|| trained.clone());
        scorer.bind(runtime, weights, trained)?;
        let places = benchmark.places(seed);
        let total = pool.candidates(&places);
        let mut watch = |candidates: usize| {
            world.progress(Progress::Scored { candidates: candidates as u32, total });
            !world.cancelled()
        };
        let scored = pool.score(scorer, &places, &mut watch)?;
        timings.scoring += world.elapsed() - start;
        // The last update was finite but what it leads to may not be: the run diverged at its end.
        let Some((rows, metrics)) = scored else { return diverged(steps) };
        let end = End::Measured(Measurement { final_state, rows, metrics });
        let run = Run { plan: plan.roots(), steps, end };
        Ok(TrainedCopy { run, initial_state, weights: kept })
    }

    /// Answers in the words of one state of the model.
    fn answer(&self, trained: Trained, seed: &EpochSeed) -> Result<Option<Answers>, EvaluateError> {
        let Setup { world, spec, runtime, weights, inspector, .. } = &self.setup;
        let (spec, tuning) = (spec.spec(), self.setup.tuning());
        let positions = spec.training.positions;
        let mut generator = Generator::new(runtime, tuning, GENERATING_ROWS, positions)?;
        generator.bind(runtime, weights, trained)?;
        let mut places = self.benchmark.places(seed);
        places.truncate(self.answer_rows);
        let mut rows = self.benchmark.measured(seed);
        rows.truncate(self.answer_rows);
        let prompts = self.pool.prompts(&places);
        let tokenizer = inspector.tokenizer_json();
        answers::answer(*world, &mut generator, spec, tokenizer, &rows, &prompts)
    }
}
