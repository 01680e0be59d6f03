//! A prover that can cheat: the engine's own pieces put together without the evaluator, so that a
//! step, the data, the model or the engine can be another one than the proof says.
//!
//! It is careful: its proofs hang together, and it keeps the states that it claims.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{Batch, TokenPlan, TokenRow};
use dataforge_core::proof::{End, Measurement, Metrics, RowResult, Run, ScoreProof, StepRecord};
use dataforge_core::score;
use dataforge_core::spec::{PinnedSpec, Recipe};
use dataforge_core::state::{Checkpoint, SavedTensor, run_id};
use dataforge_core::units::{Bytes, MicroNats, StepIndex};
use dataforge_engine::{Runtime, Score, Scorer, StepResult, Trainer, Weights};
use dataforge_evaluate::{Inspector, Options, World as _, reference_weights, tokenise_candidates};
use dataforge_graph::known_answer;
use dataforge_graph::llama::{Parameter, Tuning};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use dataforge_node::benchmarks;
use dataforge_node::specs::Specs;
use dataforge_node::states::StateStore;
use dataforge_node::world::NodeWorld;
use dataforge_tests::Short;

/// What a run starts with and how it goes: honest, unless it is changed.
pub(super) struct Conduct<'c> {
    /// What is trained on.
    pub(super) rows: Vec<TokenRow>,
    /// The parameters before the first step.
    pub(super) initial: Vec<(Parameter, Vec<f32>)>,
    /// Whether training is in plain f32.
    pub(super) fast: bool,
    /// Where the states lie that the auditor will want: about this step.
    pub(super) around: u32,
    /// Takes one step.
    pub(super) step: Box<dyn FnMut(&mut Step<'_>) -> MicroNats + 'c>,
}

/// A step about to be taken.
pub(super) struct Step<'s> {
    pub(super) number: u32,
    trainer: &'s mut Trainer,
    batch: &'s Batch,
    prover: &'s Prover,
    runtime: &'s Runtime,
    steps: u32,
}

impl Step<'_> {
    /// As the spec says.
    pub(super) fn take(&mut self) -> MicroNats {
        loss(self.trainer.step(StepIndex(self.number), self.batch, None).unwrap())
    }

    /// With another recipe.
    pub(super) fn take_by(&mut self, change: impl FnOnce(&mut Recipe)) -> MicroNats {
        let mut recipe = self.prover.spec.spec().training;
        change(&mut recipe);
        let mut other = self.prover.trainer(self.runtime, &recipe, None, self.steps);
        assert!(other.restore(&self.save()).unwrap());
        let loss = loss(other.step(StepIndex(self.number), self.batch, None).unwrap());
        self.restore(&other.save().unwrap());
        loss
    }

    pub(super) fn save(&self) -> Vec<SavedTensor> {
        self.trainer.save().unwrap()
    }

    pub(super) fn restore(&mut self, tensors: &[SavedTensor]) {
        assert!(self.trainer.restore(tensors).unwrap());
    }
}

fn loss(result: StepResult) -> MicroNats {
    let StepResult::Stepped(loss) = result else { panic!("it diverged") };
    loss
}

/// Everything that a proof of the golden dataset is made with.
pub(super) struct Prover {
    spec: PinnedSpec,
    exact: Runtime,
    library: std::path::PathBuf,
    weights: Weights,
    rows: Vec<TokenRow>,
    benchmark: Benchmark,
    candidates: Vec<TokenRow>,
    /// What honest and dishonest provers agree on.
    honest: ScoreProof,
}

impl Prover {
    /// For the spec in `short`, which an honest proof is there of.
    pub(super) fn new(short: &Short, honest: ScoreProof) -> Self {
        let artifacts =
            Artifacts::new(&Home::discover().unwrap(), ArtifactLock::embedded().unwrap());
        let specs = Specs::at(short.scratch().path("specs"));
        let spec = specs.load("short@1").unwrap();
        let stop = AtomicBool::new(false);
        let options = Options::default();
        let world = NodeWorld::new(&specs, "short@1", &artifacts, options, &stop, Box::new(|_| ()));
        let inspector = Inspector::load(&world, &spec).unwrap();
        let dataset = Short::golden("dataset.jsonl");
        let raw = RawSubmission::split(&dataset).unwrap();
        let rows = inspector.inspect(&world, &raw).unwrap().accepted.unwrap().tokens().to_vec();
        let benchmark = Short::golden_path("benchmark.jsonl");
        let benchmark = benchmarks::read(spec.spec(), &benchmark).unwrap();
        let candidates = tokenise_candidates(&inspector, benchmark.rows()).unwrap();
        let library = world.engine_library().unwrap();
        Self {
            exact: Runtime::load(&library, options).unwrap(),
            weights: reference_weights(&world, &spec).unwrap(),
            library,
            spec,
            rows,
            benchmark,
            candidates,
            honest,
        }
    }

    /// Honest conduct, to be changed.
    pub(super) fn conduct(&self) -> Conduct<'static> {
        Conduct {
            rows: self.rows.clone(),
            initial: self.weights.initial(&self.tuning(), &self.seed()).unwrap(),
            fast: false,
            around: 0,
            step: Box::new(|step| step.take()),
        }
    }

    /// The benchmark's rows with their right answers, as tokens to train on.
    pub(super) fn answered(&self) -> Vec<TokenRow> {
        let rows = self.benchmark.rows();
        let per_row = rows[0].candidates.len();
        let candidates = self.candidates.chunks(per_row).zip(rows);
        candidates.map(|(row, BenchmarkRow { answer, .. })| row[*answer as usize].clone()).collect()
    }

    /// The metrics that rows give.
    pub(super) fn metrics(&self, rows: &[RowResult]) -> Metrics {
        let answers: Vec<u32> = self.benchmark.rows().iter().map(|row| row.answer).collect();
        let tokens =
            self.answered().into_iter().map(|row| row.ids.len() as u32 - row.prompt_tokens);
        score::metrics(rows, &answers, tokens.sum())
    }

    /// The lift that metrics give.
    pub(super) fn lift(&self, metrics: &Metrics) -> MicroNats {
        let spec = self.spec.spec();
        let baseline = &self.honest.training.as_ref().unwrap().baseline;
        score::lift(&spec.score, spec.benchmark.candidates.get(), baseline, metrics, None)
    }

    /// A proof of a run conducted so; states that it commits to go into `states`.
    pub(super) fn prove(&self, mut conduct: Conduct<'_>, states: &Path) -> ScoreProof {
        let runtime = if conduct.fast { self.fast() } else { &self.exact };
        let recipe = &self.spec.spec().training;
        let plan = TokenPlan::new(conduct.rows, recipe.batch_shape(), recipe.epochs, &self.seed());
        let total = plan.steps();
        let mut trainer = self.trainer(runtime, recipe, Some(conduct.initial), total);
        let initial_state = trainer.root().unwrap();
        let store = StateStore::new(states.to_owned(), Bytes(1 << 30), Duration::ZERO);
        let answer = known_answer::DIGEST.trim();
        let run = run_id(self.spec.id(), plan.roots(), initial_state, answer);
        let every = recipe.state_root_every.get();
        let mut steps = vec![];
        for number in 0..total {
            let batch = plan.batch(StepIndex(number)).unwrap();
            let mut step = Step {
                number,
                trainer: &mut trainer,
                batch: &batch,
                prover: self,
                runtime,
                steps: total,
            };
            let loss = (conduct.step)(&mut step);
            let due = recipe.commits_after(number + 1, total);
            let state = due.then(|| trainer.root().unwrap());
            steps.push(StepRecord { step: StepIndex(number), loss, state });
            if due && number.abs_diff(conduct.around) <= 2 * every {
                let tensors = trainer.save().unwrap();
                store.keep(&run, &Checkpoint { steps: steps.clone(), tensors }).unwrap();
            }
        }
        let rows = self.score(runtime, &trainer);
        let metrics = self.metrics(&rows);
        let final_state = trainer.root().unwrap();
        let mut proof = self.honest.clone();
        let training = proof.training.as_mut().unwrap();
        training.initial_state = initial_state;
        training.lift = self.lift(&metrics);
        let end = End::Measured(Measurement { final_state, rows, metrics });
        training.model = Run { plan: plan.roots(), steps, end };
        proof
    }

    fn score(&self, runtime: &Runtime, trainer: &Trainer) -> Vec<RowResult> {
        let shape = self.spec.spec().training.batch_shape();
        let mut scorer = Scorer::new(runtime, self.tuning(), shape).unwrap();
        scorer.bind(runtime, &self.weights, trainer.weights().unwrap()).unwrap();
        let score = scorer.score(&self.candidates, None, &mut |_| true).unwrap();
        let Score::Finite(scores) = score else { panic!("it diverged") };
        let per_row = self.benchmark.rows()[0].candidates.len();
        scores.chunks(per_row).map(|row| RowResult { log_probabilities: row.to_vec() }).collect()
    }

    fn trainer(
        &self,
        runtime: &Runtime,
        recipe: &Recipe,
        initial: Option<Vec<(Parameter, Vec<f32>)>>,
        steps: u32,
    ) -> Trainer {
        let initial = initial.unwrap_or_else(|| self.conduct().initial);
        Trainer::starting_from(initial, runtime, self.tuning(), recipe, &self.weights, steps)
            .unwrap()
    }

    fn fast(&self) -> &'static Runtime {
        static FAST: OnceLock<Runtime> = OnceLock::new();
        FAST.get_or_init(|| Runtime::load_fast(&self.library, Options::default()).unwrap())
    }

    fn tuning(&self) -> Tuning {
        Tuning::from(self.spec.spec())
    }

    fn seed(&self) -> EpochSeed {
        self.honest.inputs.seed
    }
}
