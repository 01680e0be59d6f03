//! The layout of ONNX's backend tests: `model.onnx`, `test_data_set_0/input_*.pb`, `output_*.pb`.
//!
//! File number i is the graph's i-th input or output; each file is one `TensorProto` that also
//! carries its name.

use anyhow::Context as _;
use dataforge_engine::StepCase;
use dataforge_graph::onnx::proto::{ModelProto, TensorProto, ValueInfoProto};
use dataforge_node::fs::write_atomic;
use prost::Message as _;
use serde::Serialize;
use std::path::Path;

/// A tensor of the test case.
#[derive(Serialize)]
pub(crate) struct Named {
    name: String,
    shape: Vec<i64>,
}

/// Writes a model with the tensors of one run of it; lists inputs and outputs in file order.
pub(crate) fn write(
    folder: &Path,
    model: &ModelProto,
    case: &StepCase,
) -> anyhow::Result<(Vec<Named>, Vec<Named>)> {
    write_atomic(&folder.join("model.onnx"), &model.encode_to_vec())?;
    let graph = model.graph.as_ref().context("the lowered model has no graph: this is our bug")?;
    let data = folder.join("test_data_set_0");
    let inputs = write_tensors(&data, "input", &graph.input, &case.inputs)?;
    let outputs = write_tensors(&data, "output", &graph.output, &case.outputs)?;
    Ok((inputs, outputs))
}

fn write_tensors(
    folder: &Path,
    kind: &str,
    order: &[ValueInfoProto],
    tensors: &[TensorProto],
) -> anyhow::Result<Vec<Named>> {
    let mut listed = Vec::with_capacity(order.len());
    for (index, info) in order.iter().enumerate() {
        let tensor = tensors.iter().find(|tensor| tensor.name == info.name);
        let tensor = tensor.with_context(|| format!("the run has no {kind} {:?}", info.name))?;
        write_atomic(&folder.join(format!("{kind}_{index}.pb")), &tensor.encode_to_vec())?;
        listed.push(Named { name: tensor.name.clone(), shape: tensor.dims.clone() });
    }
    Ok(listed)
}
