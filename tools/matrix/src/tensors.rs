//! Graph inputs in ONNX's own form.

use dataforge_core::plan::Batch;
use dataforge_engine::Features;
use dataforge_graph::onnx::proto::{TensorProto, data_type};

/// An f32 tensor, row-major.
#[must_use]
pub fn floats(name: &str, shape: &[usize], data: &[f32]) -> TensorProto {
    let raw_data = data.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, shape, data_type::FLOAT, raw_data)
}

/// A tensor of indices, row-major.
#[must_use]
pub fn indices(name: &str, shape: &[usize], data: &[i64]) -> TensorProto {
    let raw_data = data.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, shape, data_type::INT64, raw_data)
}

/// A tensor from its elements' little-endian bytes.
#[must_use]
pub fn tensor(name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> TensorProto {
    let dims = shape.iter().map(|d| *d as i64).collect();
    TensorProto { dims, data_type, name: name.into(), raw_data, ..Default::default() }
}

/// What a scoring graph is given of a batch: its rows as `ids`, or as `hidden` where a trunk of
/// this width has made `features` of them; and `at` and `targets`.
#[must_use]
pub fn batch(batch: &Batch, features: Option<&Features>, width: usize) -> Vec<TensorProto> {
    let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>();
    let [rows, positions] = [batch.shape.rows, batch.shape.positions].map(|n| n.get() as usize);
    let start = match features.map(Features::to_bytes) {
        None => indices("ids", &[rows, positions], &wide(&batch.ids)),
        Some(bytes) => {
            let row = 4 * positions * width;
            let member = |member: &u32| &bytes[*member as usize * row..][..row];
            let mut bytes: Vec<u8> = batch.members.iter().flat_map(member).copied().collect();
            bytes.resize(rows * row, 0);
            tensor("hidden", &[rows * positions, width], data_type::FLOAT, bytes)
        }
    };
    let slots = batch.shape.slots();
    vec![
        start,
        indices("at", &[slots], &wide(&batch.at)),
        indices("targets", &[slots, 1], &wide(&batch.targets)),
    ]
}
