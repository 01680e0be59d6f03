//! Cases of all-MiniLM-L6-v2: embeddings of texts, and a classifier's training.

use super::Built;
use crate::case::Case;
use dataforge_core::spec::{BertShape, Recipe};
use dataforge_engine::Options;
use dataforge_evaluate::{Pinned, World as _, read_weights};
use dataforge_graph::bert::{self, Tokens};
use dataforge_graph::llama::Parameter;
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::optim::AdamW;
use dataforge_graph::step::Forward;
use dataforge_graph::{Element, Graph, Scales};
use dataforge_matrix::tensors::{floats, indices};
use dataforge_node::artifacts::{Artifacts, Silent};
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use dataforge_sandbox::{KernelLimits, Sandbox};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// What is run.
pub(super) enum Part {
    /// The embeddings of a batch.
    Embed,
    /// A classifier over the embeddings, trained with the last block for so many steps.
    Train(u32),
}

/// A text of each of four domains.
const TEXTS: [&str; 4] = [
    "The tenant must give notice in writing at least thirty days before the lease ends.",
    "Operating income rose 12.5% to $1,204 million, driven by lower freight costs.",
    "The patient was admitted with acute kidney failure and discharged after nine days.",
    "My order arrived damaged; can I get a refund or a replacement?",
];

const POSITIONS: usize = 28;
const OPERAND_BITS: u32 = 20;

/// The spec whose recipe and kernels are used.
const SPEC: &str = "date@1";

const MODEL: &str = "minilm-l6";
const TOKENIZER: &str = "minilm-l6-tokenizer";

/// The ids of `[CLS]`, `[SEP]` and `[PAD]`: what goes before, after and behind a text.
const START: u32 = 101;
const END: u32 = 102;
const PAD: u32 = 0;

pub(super) fn build(artifacts: &Artifacts, part: &Part) -> anyhow::Result<Built> {
    let shape = BertShape::MINILM_L6;
    artifacts.fetch(&[MODEL, TOKENIZER], &Silent)?;
    let (recipe, mut inputs) = batch(artifacts)?;
    let parameters = bert::parameters(&shape);
    let weights = read_weights(&artifacts.read(MODEL)?, parameters.clone())?;
    for parameter in &parameters {
        inputs.push(floats(&parameter.name, &parameter.shape, weights.get(&parameter.name)?));
    }
    match part {
        Part::Embed => {
            let graph = bert::embedding(&shape, TEXTS.len(), POSITIONS, OPERAND_BITS);
            Ok(Built { graph, case: Case { steps: vec![inputs], carry: BTreeMap::new() } })
        }
        Part::Train(steps) => Ok(training(&shape, &recipe, *steps, inputs)),
    }
}

/// The texts as token ids, types and which of them are real.
fn batch(artifacts: &Artifacts) -> anyhow::Result<(Recipe, Vec<TensorProto>)> {
    let specs = Specs::discover()?;
    let pinned = specs.load(SPEC)?;
    let stop = AtomicBool::new(false);
    let options = Options::default();
    let world = NodeWorld::new(&specs, SPEC, artifacts, options, &stop, Box::new(|_| ()));
    let kernel = world.read(Pinned::Kernel(&pinned.spec().kernels.tokenizer));
    let kernel = kernel.map_err(anyhow::Error::from_boxed)?;
    let kernel = Sandbox::new()?.tokenizer_kernel(&kernel, KernelLimits::default())?;
    let (mut ids, mut real) = (Vec::new(), Vec::new());
    for text in kernel.encode(&artifacts.read(TOKENIZER)?, &TEXTS)?.value {
        let mut row = [vec![START], text.map_err(anyhow::Error::msg)?, vec![END]].concat();
        row.truncate(POSITIONS);
        real.extend((0..POSITIONS).map(|at| if at < row.len() { 1.0 } else { 0.0 }));
        row.resize(POSITIONS, PAD);
        ids.extend(row.into_iter().map(i64::from));
    }
    let grid = [TEXTS.len(), POSITIONS];
    let types = vec![0; ids.len()];
    let inputs = vec![
        indices("ids", &grid, &ids),
        indices("types", &grid, &types),
        floats("real", &grid, &real),
    ];
    Ok((pinned.spec().training, inputs))
}

/// A head of zeros over the mean of the hidden states, trained with the last block: each text is of
/// its own class.
fn training(shape: &BertShape, recipe: &Recipe, steps: u32, mut inputs: Vec<TensorProto>) -> Built {
    let mut graph = Graph::new(OPERAND_BITS);
    let g = &mut graph;
    let tokens = Tokens::inputs(g, TEXTS.len(), POSITIONS);
    let targets = g.input("targets", &[TEXTS.len(), 1], Element::I64);
    let head = bert::head_parameters(shape, TEXTS.len());
    let all = [bert::parameters(shape), head.clone()].concat();
    let input = |p: &Parameter| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32));
    let weights: BTreeMap<_, _> = all.iter().map(input).collect();
    let hidden = bert::forward(g, shape, &weights, tokens, Scales::Tensor);
    let pooled = bert::mean_pool(g, hidden, tokens.real);
    let logits = bert::classify(g, &weights, pooled, Scales::Tensor);
    let last = format!("layer.{}.", shape.layers.get() - 1);
    let trained: Vec<Parameter> = all
        .into_iter()
        .filter(|p| p.name.starts_with(&last) || head.iter().any(|h| h.name == p.name))
        .collect();
    let values = trained.iter().map(|p| (p.clone(), weights[&p.name])).collect();
    let adam = AdamW::from(recipe);
    let graph = Forward { graph, logits, targets, trained: values }.training(&adam);

    let classes: Vec<i64> = (0i64..).take(TEXTS.len()).collect();
    let share = 1.0 / TEXTS.len() as f32;
    inputs.push(indices("targets", &[TEXTS.len(), 1], &classes));
    inputs.push(floats("weights", &[TEXTS.len(), 1], &vec![share; TEXTS.len()]));
    inputs.extend(
        head.iter().map(|p| floats(&p.name, &p.shape, &vec![0.0; p.shape.iter().product()])),
    );
    Built::trained(graph, inputs, &trained, &adam, steps)
}
