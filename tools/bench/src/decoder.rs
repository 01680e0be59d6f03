//! A decoder of any size with random weights: every lowering's step beside the others, one at a
//! time, as standard input asks.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{Batch, TokenRow};
use dataforge_core::random::SeedStream;
use dataforge_core::spec::{LlamaShape, Method, Recipe};
use dataforge_core::units::{Micro, StepIndex};
use dataforge_engine::{Options, Runtime, StepResult, Trainer, Weights};
use dataforge_graph::llama::{self, Tuning};
use dataforge_graph::onnx::Lowering;
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::num::{NonZeroU32, NonZeroUsize};

/// The decoder's size; by default case (b) of the benchmark.
#[derive(Args)]
pub(crate) struct Decoder {
    /// Threads that one operator may use.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// Bits that operands of products keep.
    #[arg(long, default_value = "20")]
    bits: u32,
    #[arg(long, default_value = "2048")]
    vocabulary: NonZeroU32,
    #[arg(long, default_value = "128")]
    width: NonZeroU32,
    #[arg(long, default_value = "4")]
    layers: NonZeroU32,
    #[arg(long, default_value = "4")]
    heads: NonZeroU32,
    #[arg(long, default_value = "4")]
    kv_heads: NonZeroU32,
    #[arg(long, default_value = "512")]
    hidden: NonZeroU32,
    #[arg(long, default_value = "16")]
    rows: NonZeroU32,
    #[arg(long, default_value = "64")]
    positions: NonZeroU32,
}

/// The first line: what is measured, and whether the lowerings agree.
#[derive(Serialize)]
struct Header {
    parameters: usize,
    tokens_per_step: usize,
    /// Outputs of a step that some lowering gives other bits than the first.
    differ: Vec<String>,
    lowerings: Vec<String>,
}

/// Prints the header, then for each line of standard input, a lowering's name, the milliseconds of
/// one step of it.
pub(crate) fn run(arguments: &Decoder) -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    let clock = std::time::Instant::now();
    let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
    artifacts.fetch(&["onnxruntime"], &Silent)?;
    let library = artifacts.path("onnxruntime")?;
    let shape = shape(arguments);
    let recipe = recipe(arguments);
    let tuning = Tuning { shape, method: recipe.method, operand_bits: arguments.bits };
    let seed = EpochSeed([7; 32]);
    let weights = weights(&shape, &seed)?;
    let batch = batch(arguments, &recipe, &seed);

    let mut trainers = BTreeMap::new();
    for lowering in [Lowering::Stock, Lowering::Slices, Lowering::Fused] {
        let options = Options { threads: arguments.threads.get(), lowering, ..Options::default() };
        let runtime = Runtime::load(&library, options)?;
        let trainer = Trainer::new(&runtime, tuning, &recipe, &weights, &seed, 1000)?;
        trainers.insert(lowering.to_string(), trainer);
    }
    let mut cases = vec![];
    for trainer in trainers.values_mut() {
        let mut outputs = trainer.case(StepIndex(0), &batch, None, &weights)?.outputs;
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        cases.push(outputs);
    }
    let pairs = cases.iter().skip(1).flat_map(|case| cases[0].iter().zip(case));
    let header = Header {
        parameters: llama::parameters(&shape)
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum(),
        tokens_per_step: recipe.batch_shape().tokens(),
        differ: pairs.filter(|(a, b)| a != b).map(|(a, _)| a.name.clone()).collect(),
        lowerings: trainers.keys().cloned().collect(),
    };
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&header)?)?;
    ensure!(header.differ.is_empty(), "the lowerings give different bits");
    for (step, line) in (0..).zip(std::io::stdin().lock().lines()) {
        let trainer = trainers.get_mut(line?.trim()).context("no such lowering")?;
        let start = clock.elapsed();
        if trainer.step(StepIndex(step), &batch, None)? == StepResult::Diverged {
            bail!("training diverged");
        }
        writeln!(out, "{}", (clock.elapsed() - start).as_secs_f64() * 1e3)?;
    }
    Ok(())
}

fn shape(arguments: &Decoder) -> LlamaShape {
    LlamaShape {
        vocabulary: arguments.vocabulary,
        width: arguments.width,
        layers: arguments.layers,
        heads: arguments.heads,
        kv_heads: arguments.kv_heads,
        hidden: arguments.hidden,
        context: arguments.positions,
        rope_base: number(10_000),
        norm_epsilon_nano: number(10_000),
        tied_head: true,
    }
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

fn recipe(arguments: &Decoder) -> Recipe {
    Recipe {
        method: Method::Full,
        epochs: number(1),
        batch_rows: arguments.rows,
        positions: arguments.positions,
        output_tokens: arguments.positions,
        learning_rate_micro: Micro(1000),
        warmup_micro: Micro(100_000),
        final_rate_micro: Micro(100_000),
        beta1_micro: Micro(900_000),
        beta2_micro: Micro(950_000),
        epsilon_nano: number(10),
        weight_decay_micro: Micro(10_000),
        clip_norm_micro: Micro(1_000_000),
        state_root_every: number(1),
    }
}

/// Norms of 1, and matrices of uniform numbers whose variance is 1 / rows.
fn weights(shape: &LlamaShape, seed: &EpochSeed) -> anyhow::Result<Weights> {
    let tensor = |parameter: llama::Parameter| {
        let count = parameter.shape.iter().product();
        let mut random = SeedStream::new(seed, &parameter.name);
        let spread = (3.0 / parameter.shape[0] as f32).sqrt();
        let mut uniform = || (random.below(1 << 20) as f32 / 524_288.0 - 1.0) * spread;
        let data = match parameter.shape[..] {
            [_] => vec![1.0; count],
            _ => (0..count).map(|_| uniform()).collect(),
        };
        (parameter.name, data)
    };
    Ok(Weights::new(
        llama::parameters(shape),
        llama::parameters(shape).into_iter().map(tensor).collect(),
    )?)
}

/// Rows of random tokens, all but the first learned.
fn batch(arguments: &Decoder, recipe: &Recipe, seed: &EpochSeed) -> Batch {
    let mut random = SeedStream::new(seed, "tokens");
    let vocabulary = u64::from(arguments.vocabulary.get());
    let mut row = || TokenRow {
        ids: (0..=recipe.positions.get()).map(|_| random.below(vocabulary) as u32).collect(),
        prompt_tokens: 1,
    };
    let rows: Vec<TokenRow> = (0..recipe.batch_rows.get()).map(|_| row()).collect();
    let members: Vec<u32> = (0..recipe.batch_rows.get()).collect();
    Batch::pack(&rows, &members, recipe.batch_shape())
}
