//! Our side of a comparison: the exact engine on a workload, timed step by step or run to the end.

use crate::memory;
use crate::prepare::Unavailable;
use crate::workload::Workload;
use anyhow::{Context as _, bail};
use clap::Args;
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_core::score::{choice_loss, mean};
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_engine::{
    Features, Lowering, Options, Runtime, Score, Scorer, StepCase, StepResult, Trainer, Weights,
    trunk,
};
use dataforge_graph::llama::Tuning;
use dataforge_graph::onnx::LoweringOptions;
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use serde::Serialize;
use std::io::{BufRead, Write as _};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

/// Rows that pass through the trunk or are scored at once.
const SCORING_ROWS: u32 = 32;

/// Which engine trains what.
#[derive(Args)]
pub(crate) struct Setting {
    /// Folder that `prepare` wrote.
    pub(crate) folder: PathBuf,
    /// How exact sums are computed; `lowerings` lists the names.
    #[arg(long, default_value = "stock")]
    pub(crate) lowering: String,
    /// Threads that one operator may use.
    #[arg(long, default_value = "1")]
    pub(crate) threads: NonZeroUsize,
    /// Bits that the operands of products keep; default: the workload's.
    #[arg(long)]
    pub(crate) operand_bits: Option<u32>,
}

/// A model at its first step.
pub(crate) struct Party {
    pub(crate) workload: Workload,
    pub(crate) weights: Weights,
    pub(crate) tuning: Tuning,
    pub(crate) trainer: Trainer,
    runtime: Runtime,
    features: Option<Features>,
}

impl Party {
    pub(crate) fn start(setting: &Setting) -> anyhow::Result<Self> {
        let named = setting.lowering.parse::<Lowering>();
        let lowering = named.map_err(|unknown| Unavailable(unknown.to_string()))?;
        let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
        let threads = setting.threads.get();
        let options = Options { threads, lowering: Some(lowering), ..Options::default() };
        let load = if lowering.is_exact() { Runtime::load } else { Runtime::load_fast };
        let runtime = load(&artifacts.path("onnxruntime")?, options)?;
        let (workload, weights) = Workload::read(&setting.folder)?;
        let tuning = workload.tuning(setting.operand_bits.unwrap_or(workload.operand_bits));
        let (recipe, steps) = (&workload.training, workload.plan.steps());
        let trainer = Trainer::new(&runtime, tuning, recipe, &weights, &workload.seed, steps)?;
        let mut party = Self { workload, weights, tuning, trainer, runtime, features: None };
        party.features = party.features_of(party.workload.plan.rows())?;
        Ok(party)
    }

    /// Batches of many rows of the workload's length.
    fn scoring_shape(&self) -> BatchShape {
        let rows = NonZeroU32::new(SCORING_ROWS).unwrap_or(NonZeroU32::MIN);
        BatchShape { rows, ..self.workload.training.batch_shape() }
    }

    fn features_of(&self, rows: &[TokenRow]) -> anyhow::Result<Option<Features>> {
        if self.tuning.trunk().is_none() {
            return Ok(None);
        }
        let shape = self.scoring_shape();
        Ok(trunk(&self.runtime, &self.tuning, &self.weights, rows, shape, &mut |_| true)?)
    }

    /// The batch of a step; after the run's last one, its first batches come again.
    pub(crate) fn batch(&self, step: u32) -> anyhow::Result<(StepIndex, Batch)> {
        let plan = &self.workload.plan;
        let step = StepIndex(step.checked_rem(plan.steps()).context("the plan has no steps")?);
        Ok((step, plan.batch(step).context("the plan lacks a step: this is our bug")?))
    }

    /// How graphs are lowered for the engine.
    pub(crate) fn lowering(&self) -> LoweringOptions {
        self.runtime.lowering()
    }

    /// The first batch, and every tensor that goes into and comes out of its step.
    pub(crate) fn case(&mut self) -> anyhow::Result<(Batch, StepCase)> {
        let (step, batch) = self.batch(0)?;
        let case = self.trainer.case(step, &batch, self.features.as_ref(), &self.weights)?;
        Ok((batch, case))
    }

    /// Mean loss of the batch's output tokens before the step.
    fn step(&mut self, step: StepIndex, batch: &Batch) -> anyhow::Result<MicroNats> {
        match self.trainer.step(step, batch, self.features.as_ref())? {
            StepResult::Stepped(loss) => Ok(loss),
            StepResult::Diverged => bail!("training diverged"),
        }
    }

    /// Serves `steps N` from standard input with `{"ms": […], "peak_mib": …, "state_root": …}`, one
    /// number per step: feeding, running the graph, checking that the state is finite, reading the
    /// loss. The root of the state after them, which the peers do not compute, is not timed. Ends
    /// with the input.
    pub(crate) fn serve(&mut self) -> anyhow::Result<()> {
        /// What xtask needs to know before the first step.
        #[derive(Serialize)]
        struct Ready {
            engine: String,
            tokens_per_step: usize,
            parameters: usize,
        }
        let parameters = self.tuning.trained();
        answer(&Ready {
            engine: format!("onnxruntime {}", self.runtime.version()),
            tokens_per_step: self.workload.training.batch_shape().tokens(),
            parameters: parameters.iter().map(|p| p.shape.iter().product::<usize>()).sum(),
        })?;
        let mut next = 0;
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let count = line.strip_prefix("steps ").and_then(|count| count.parse::<u32>().ok());
            let count = count.with_context(|| format!("{line:.40?} is not `steps N`"))?;
            let mut ms = Vec::new();
            for _ in 0..count {
                let (step, batch) = self.batch(next)?;
                #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
                let start = std::time::Instant::now();
                self.step(step, &batch)?;
                ms.push(start.elapsed().as_secs_f64() * 1e3);
                next += 1;
            }
            let peak_mib = memory::peak_mib();
            let state_root = self.trainer.root()?;
            let turn =
                serde_json::json!({ "ms": ms, "peak_mib": peak_mib, "state_root": state_root });
            answer(&turn)?;
        }
        Ok(())
    }

    /// Trains the whole plan and scores the hidden rows.
    pub(crate) fn train(mut self) -> anyhow::Result<Trained> {
        let mut losses = Vec::new();
        for step in 0..self.workload.plan.steps() {
            let (step, batch) = self.batch(step)?;
            losses.push(nats(self.step(step, &batch)?));
        }
        let rows = &self.workload.candidates;
        let features = self.features_of(rows)?;
        let mut scorer = Scorer::new(&self.runtime, self.tuning, self.scoring_shape())?;
        scorer.bind(&self.runtime, &self.weights, self.trainer.weights()?)?;
        let Score::Finite(scores) = scorer.score(rows, features.as_ref(), &mut |_| true)? else {
            bail!("the trained model's scores are not finite");
        };
        let state_root = self.trainer.root()?.to_string();
        Ok(Trained { losses, benchmark: benchmark(&self.workload, &scores), state_root })
    }
}

/// A finished run.
#[derive(Serialize)]
pub(crate) struct Trained {
    /// Mean loss of each step's output tokens before the step.
    losses: Vec<f64>,
    benchmark: Benchmark,
    state_root: String,
}

/// What the hidden rows say of the trained model.
#[derive(Debug, PartialEq, Serialize)]
struct Benchmark {
    /// Mean nats per output token, of the right answers where there are answers.
    token_loss: f64,
    /// Of questions with candidates: the choice loss, and `ln K` less it.
    choice_loss: Option<f64>,
    lift: Option<f64>,
}

fn benchmark(workload: &Workload, scores: &[MicroNats]) -> Benchmark {
    let Workload { candidates, answers, .. } = workload;
    let outputs = |row: &TokenRow| row.ids.len() - row.prompt_tokens as usize;
    let token_loss = |rows: &mut dyn Iterator<Item = usize>| {
        let (mut total, mut tokens) = (0.0, 0);
        for row in rows {
            total -= nats(scores[row]);
            tokens += outputs(&candidates[row]);
        }
        total / tokens as f64
    };
    if answers.is_empty() {
        let token_loss = token_loss(&mut (0..scores.len()));
        return Benchmark { token_loss, choice_loss: None, lift: None };
    }
    let per_question = scores.len() / answers.len();
    let right = answers.iter().zip(0..).map(|(answer, at)| at * per_question + *answer as usize);
    let questions = scores.chunks(per_question).zip(answers);
    let choice = questions.map(|(scores, answer)| choice_loss(scores, *answer as usize));
    let choice = nats(mean(choice));
    Benchmark {
        token_loss: token_loss(&mut { right }),
        choice_loss: Some(choice),
        lift: Some(libm::log(per_question as f64) - choice),
    }
}

fn nats(micro: MicroNats) -> f64 {
    micro.0 as f64 / 1e6
}

fn answer<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}
