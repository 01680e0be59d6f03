//! `export`: a workload's first step as an ONNX backend test case, for other engines.

use crate::party::{Party, Setting};
use anyhow::Context as _;
use dataforge_core::hash::StateRoot;
use dataforge_core::plan::Batch;
use dataforge_engine::StepCase;
use dataforge_graph::onnx::proto::{TensorProto, ValueInfoProto};
use dataforge_graph::optim::{AdamW, StepScalars};
use dataforge_graph::{onnx, step::training};
use dataforge_node::fs::write_atomic;
use serde::Serialize;

/// case.json: what the tensors of the test case are.
#[derive(Serialize)]
struct Case<'a> {
    batch: &'a Batch,
    /// Rate, second and keep; see [`StepScalars`].
    scalars: [f32; 3],
    inputs: Vec<Named>,
    outputs: Vec<Named>,
    /// Of the state that training starts from.
    state_root: StateRoot,
}

/// A tensor of the test case.
#[derive(Serialize)]
struct Named {
    name: String,
    shape: Vec<i64>,
}

/// In file order.
fn named(order: &[ValueInfoProto], tensors: &[TensorProto]) -> Option<Vec<Named>> {
    let tensors = onnx::in_order(order, tensors)?.into_iter();
    Some(tensors.map(|t| Named { name: t.name.clone(), shape: t.dims.clone() }).collect())
}

/// Writes model.onnx, test_data_set_0 and case.json beside the workload.
pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let mut party = Party::start(setting)?;
    let (recipe, folder) = (&party.workload.training, &setting.folder);
    let adam = AdamW::from(recipe);
    let graph = training(&party.tuning, recipe.batch_shape(), &adam);
    let model = onnx::lower(&graph, party.lowering());
    let StepScalars { rate, second, keep } = adam.scalars(0, party.workload.plan.steps());
    let (batch, step_case) = party.case()?;
    let StepCase { inputs, outputs } = &step_case;
    let bug = "the step lacks a tensor of its graph: this is our bug";
    for (name, bytes) in onnx::backend_test(&model, inputs, outputs).context(bug)? {
        write_atomic(&folder.join(name), &bytes)?;
    }
    let graph = model.graph.as_ref().context(bug)?;
    let inputs = named(&graph.input, inputs).context(bug)?;
    let outputs = named(&graph.output, outputs).context(bug)?;
    let case = Case {
        batch: &batch,
        scalars: [rate, second, keep],
        inputs,
        outputs,
        state_root: party.trainer.root()?,
    };
    write_atomic(&folder.join("case.json"), &serde_json::to_vec(&case)?)?;
    Ok(())
}
