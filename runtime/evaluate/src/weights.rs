//! Reading pinned reference weights: NumPy `.npz` files with the llama family's tensors.
//!
//! The file's digest is pinned, but its contents still become types within limits: every member is
//! read to its expected size and no further.

use crate::error::EvaluateError;
use crate::inspect::read;
use crate::world::{Pinned, World};
use dataforge_core::spec::{LlamaShape, PinnedSpec};
use dataforge_engine::{Weights, WeightsError};
use dataforge_graph::llama::{self, Parameter};
use half::f16;
use npyz::{DType, NpyFile};
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use zip::ZipArchive;

/// Room for a `.npy` header, which is padded to a multiple of 64 bytes and here never has more than
/// 256.
const HEADER_BYTES_MAX: u64 = 1024;

/// A weights file is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsFileError {
    /// Not a zip archive, or a damaged one.
    #[error("not an .npz file: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// A member is absent or not the array that the model needs.
    #[error("member {member:?}: {reason}")]
    Member {
        /// Name inside the archive.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// The arrays do not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The untrained reference of a spec, verified against its lock.
///
/// # Errors
/// [`EvaluateError::World`], [`EvaluateError::Tampered`] or [`EvaluateError::Weights`].
pub fn reference_weights(world: &dyn World, spec: &PinnedSpec) -> Result<Weights, EvaluateError> {
    let model = &spec.spec().model;
    let bytes = read(world, Pinned::Artifact(&model.weights), &spec.lock().artifacts)?;
    read_npz(&bytes, &model.llama)
        .map_err(|source| EvaluateError::Weights { artifact: model.weights.clone(), source })
}

/// Reads the weights of a llama-family model from an `.npz` file with glassllm's member names and
/// `[in, out]` matrices, as f16 or f32.
fn read_npz(bytes: &[u8], shape: &LlamaShape) -> Result<Weights, WeightsFileError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut tensors = BTreeMap::new();
    for parameter in llama::parameters(shape) {
        let member = format!("{}.npy", member_name(&parameter.name));
        let data = read_member(&mut archive, &member, &parameter)
            .map_err(|reason| WeightsFileError::Member { member, reason })?;
        tensors.insert(parameter.name, data);
    }
    Ok(Weights::new(shape, tensors)?)
}

fn read_member(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    member: &str,
    parameter: &Parameter,
) -> Result<Vec<f32>, String> {
    let file = archive.by_name(member).map_err(|e| e.to_string())?;
    let count = parameter.shape.iter().product::<usize>() as u64;
    let array = NpyFile::new(file.take(HEADER_BYTES_MAX + 4 * count)).map_err(|e| e.to_string())?;
    let shape: Vec<u64> = parameter.shape.iter().map(|d| *d as u64).collect();
    if array.shape() != shape {
        return Err(format!("has shape {:?}, the model's is {shape:?}", array.shape()));
    }
    if array.order() != npyz::Order::C {
        return Err("is not in row-major order".into());
    }
    let kind = match array.dtype() {
        DType::Plain(kind) => kind.to_string(),
        other => return Err(format!("has structured elements {other:?}")),
    };
    match kind.trim_start_matches(['<', '=']) {
        "f2" => Ok(array
            .into_vec::<f16>()
            .map_err(|e| e.to_string())?
            .into_iter()
            .map(f32::from)
            .collect()),
        "f4" => array.into_vec::<f32>().map_err(|e| e.to_string()),
        other => Err(format!("has elements of type {other}, f2 or f4 was expected")),
    }
}

/// glassllm's name of a parameter.
fn member_name(name: &str) -> String {
    let Some((layer, part)) = name.strip_prefix("layer.").and_then(|rest| rest.split_once('.'))
    else {
        return match name {
            "embedding" => "E".into(),
            "final_norm" => "norm_f.gamma".into(),
            other => other.into(),
        };
    };
    let part = match part {
        "attention_norm" => "norm1.gamma",
        "query" => "attn.W_Q",
        "key" => "attn.W_K",
        "value" => "attn.W_V",
        "attention_output" => "attn.W_O",
        "feed_forward_norm" => "norm2.gamma",
        "gate" => "ffn.W1",
        "up" => "ffn.W3",
        "down" => "ffn.W2",
        other => other,
    };
    format!("blocks.{layer}.{part}")
}
