//! `export`: a workload's first step as an ONNX backend test case, for other engines.

use crate::onnx_case;
use crate::party::{Party, Setting};
use dataforge_core::hash::StateRoot;
use dataforge_core::plan::Batch;
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
    inputs: Vec<onnx_case::Named>,
    outputs: Vec<onnx_case::Named>,
    /// Of the state that training starts from.
    state_root: StateRoot,
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
    let (inputs, outputs) = onnx_case::write(folder, &model, &step_case)?;
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
