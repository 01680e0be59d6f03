//! A model that PyTorch exported, trained through the import.

use super::Built;
use anyhow::Context as _;
use dataforge_core::plan::BatchShape;
use dataforge_graph::Scales;
use dataforge_graph::llama::Parameter;
use dataforge_graph::onnx::import::{LanguageModel, Model, Role};
use dataforge_graph::optim::AdamW;
use dataforge_matrix::tensors::{floats, indices};
use dataforge_node::specs::Specs;
use std::num::NonZeroU32;

/// A decoder of two blocks, written by PyTorch's exporter at opset 18.
const FILE: &[u8] = include_bytes!("../../../../runtime/graph/fixtures/llama-dynamo-18.onnx");

const VOCABULARY: usize = 32;
const OPERAND_BITS: u32 = 20;

/// The spec whose recipe is used, but for the batch.
const SPEC: &str = "date@1";

/// Trains every parameter of the file for so many steps on one batch.
pub(super) fn build(steps: u32) -> anyhow::Result<Built> {
    let model = Model::decode(FILE)?;
    let role = |name: &str| if name == "at" { Role::At } else { Role::Ids };
    let parameters = model.parameters();
    let language_model = LanguageModel {
        model: &model,
        inputs: model.inputs().iter().map(|i| (i.name.clone(), role(&i.name))).collect(),
        logits: "logits".into(),
        trained: parameters.iter().map(|(parameter, _)| parameter.name.clone()).collect(),
    };
    let count = |n: u32| NonZeroU32::new(n).context("a count of 0: this is our bug");
    let shape = BatchShape { rows: count(2)?, positions: count(6)?, output_tokens: count(4)? };
    let adam = AdamW::from(&Specs::discover()?.load(SPEC)?.spec().training);
    let forward = language_model.forward(shape, OPERAND_BITS, Scales::Tensor)?;
    let trained: Vec<Parameter> = forward.trained.iter().map(|(p, _)| p.clone()).collect();
    let graph = forward.training(&adam);

    let numbers = |count: usize, factor: usize, below: usize| -> Vec<i64> {
        (0..count).map(|i| (i * factor % below) as i64).collect()
    };
    let (tokens, slots) = (shape.tokens(), shape.slots());
    let share = 1.0 / slots as f32;
    let mut inputs = vec![
        indices("ids", &[2, 6], &numbers(tokens, 13, VOCABULARY)),
        indices("at", &[slots], &numbers(slots, 3, tokens)),
        indices("targets", &[slots, 1], &numbers(slots, 7, VOCABULARY)),
        floats("weights", &[slots, 1], &vec![share; slots]),
    ];
    for (parameter, data) in parameters {
        inputs.push(floats(&parameter.name, &parameter.shape, data));
    }
    Ok(Built::trained(graph, inputs, &trained, &adam, steps))
}
