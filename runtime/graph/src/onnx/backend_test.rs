//! The layout of ONNX's backend tests: `model.onnx`, `test_data_set_0/input_*.pb`, `output_*.pb`.
//!
//! File number i is the graph's i-th input or output; each file is one `TensorProto` that also
//! carries its name. Any ONNX engine's test runner checks such a folder.

use super::proto::{ModelProto, TensorProto, ValueInfoProto};
use prost::Message as _;

/// A file of a test case: its path inside the folder, and its bytes.
pub type File = (String, Vec<u8>);

/// The files of a model with the tensors of one run of it; `None` when an input or output of the
/// model is not among the tensors.
#[must_use]
pub fn backend_test(
    model: &ModelProto,
    inputs: &[TensorProto],
    outputs: &[TensorProto],
) -> Option<Vec<File>> {
    let graph = model.graph.as_ref()?;
    let mut files = vec![("model.onnx".to_owned(), model.encode_to_vec())];
    for (kind, order, tensors) in
        [("input", &graph.input, inputs), ("output", &graph.output, outputs)]
    {
        for (index, tensor) in in_order(order, tensors)?.into_iter().enumerate() {
            files.push((format!("test_data_set_0/{kind}_{index}.pb"), tensor.encode_to_vec()));
        }
    }
    Some(files)
}

/// The tensors in the order in which a graph declares them.
#[must_use]
pub fn in_order<'t>(
    order: &[ValueInfoProto],
    tensors: &'t [TensorProto],
) -> Option<Vec<&'t TensorProto>> {
    order.iter().map(|info| tensors.iter().find(|tensor| tensor.name == info.name)).collect()
}
