//! The forward graph of a reference model as an ONNX file: for `forward.py`, which runs it and
//! compares it with another implementation.
//!
//! The parameters are inputs of the graph, by name, as they are in the model's artifact.

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::{BertShape, LlamaShape, Method};
use dataforge_evaluate::read_weights;
use dataforge_graph::llama::{self, Parameter, Start, Tuning};
use dataforge_graph::onnx::{self, Lowering, LoweringOptions};
use dataforge_graph::{Element, Graph, Scales, bert};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use dataforge_node::fs::write_atomic;
use prost::Message as _;
use serde::Serialize;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Which graph, and where to write it.
#[derive(Args)]
pub(crate) struct Forward {
    /// The model.
    #[arg(long)]
    model: Reference,
    /// Token rows of a batch.
    #[arg(long)]
    rows: NonZeroU32,
    /// Tokens of a row.
    #[arg(long)]
    positions: NonZeroU32,
    /// File for the ONNX model.
    #[arg(long)]
    out: PathBuf,
    /// Bits that operands of products keep.
    #[arg(long, default_value = "20")]
    operand_bits: u32,
    /// Which operators compute the graph: stock, slices or fast.
    #[arg(long, default_value_t)]
    lowering: Lowering,
}

/// The reference models.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reference {
    /// SmolLM2-135M-Instruct: `ids` to `logits` `[rows, positions, vocabulary]`.
    Smollm2,
    /// all-MiniLM-L6-v2: `ids`, `types` and `real` to `embedding` `[rows, width]`.
    Minilm,
}

/// Where a model comes from: for standard output.
#[derive(Serialize)]
pub(crate) struct Report {
    weights: PathBuf,
    tokenizer: PathBuf,
}

/// A model's artifact, its graph for a batch, and the parameters among the graph's inputs.
type Case = (&'static str, Graph, Vec<Parameter>);

/// Writes the graph, and sees to it that the model's artifact fits it.
pub(crate) fn run(arguments: &Forward) -> anyhow::Result<Report> {
    let (artifact, graph, parameters) = match arguments.model {
        Reference::Smollm2 => smollm2(arguments)?,
        Reference::Minilm => minilm(arguments)?,
    };
    let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
    let tokenizer = format!("{artifact}-tokenizer");
    let paths = artifacts.fetch(&[artifact, &tokenizer], &Silent)?;
    let [weights, tokenizer] = paths.try_into().ok().context("two artifacts have two paths")?;
    read_weights(&artifacts.read(artifact)?, parameters)?;
    let options = LoweringOptions { lowering: arguments.lowering, ..Default::default() };
    write_atomic(&arguments.out, &onnx::lower(&graph, options).encode_to_vec())?;
    Ok(Report { weights, tokenizer })
}

fn smollm2(arguments: &Forward) -> anyhow::Result<Case> {
    let &Forward { rows, positions, operand_bits, .. } = arguments;
    let shape = LlamaShape {
        vocabulary: size(49_152)?,
        width: size(576)?,
        layers: size(30)?,
        heads: size(9)?,
        kv_heads: size(3)?,
        hidden: size(1_536)?,
        context: size(8_192)?,
        rope_base: size(100_000)?,
        norm_epsilon_nano: size(10_000)?,
        tied_head: true,
    };
    ensure!(positions <= shape.context, "the model has {} positions", shape.context);
    let tuning = Tuning { shape, method: Method::Full, operand_bits };
    let batch = BatchShape { rows, positions, output_tokens: positions };
    let parameters = llama::parameters(&shape);
    let mut g = Graph::new(operand_bits);
    let grid = [rows, positions].map(|n| n.get() as usize);
    let ids = g.input("ids", &grid, Element::I64);
    let every: Vec<i64> = (0i64..).take(batch.tokens()).collect();
    let at = g.indices(&[every.len()], &every);
    let weights = parameters
        .iter()
        .map(|p| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32)))
        .collect();
    let start = Start::Ids(ids);
    let logits = llama::forward(&mut g, &tuning, &weights, start, at, batch, Scales::Slice);
    let logits = g.reshape(logits, &[grid[0], grid[1], shape.vocabulary.get() as usize]);
    g.output("logits", logits);
    Ok(("smollm2-135m-instruct", g, parameters))
}

fn minilm(arguments: &Forward) -> anyhow::Result<Case> {
    let &Forward { rows, positions, operand_bits, .. } = arguments;
    let shape = BertShape::MINILM_L6;
    ensure!(positions <= shape.context, "the model has {} positions", shape.context);
    let [rows, positions] = [rows, positions].map(|n| n.get() as usize);
    let graph = bert::embedding(&shape, rows, positions, operand_bits);
    Ok(("minilm-l6", graph, bert::parameters(&shape)))
}

fn size(n: u32) -> anyhow::Result<NonZeroU32> {
    NonZeroU32::new(n).context("a dimension is 0")
}
