//! Reading pinned reference weights: NumPy `.npz` archives and safetensors files.
//!
//! The file's digest is pinned, but its contents still become types within limits: every tensor is
//! read to its expected size and no further.

mod npz;
mod safetensors;

use crate::error::EvaluateError;
use crate::inspect::read;
use crate::world::{Pinned, World};
use dataforge_core::spec::PinnedSpec;
use dataforge_engine::{Weights, WeightsError};
use dataforge_graph::llama::{self, Parameter};

/// A weights file is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsFileError {
    /// Its first bytes are those of no format that is read.
    #[error("neither an .npz nor a safetensors file")]
    Format,
    /// Not a zip archive, or a damaged one.
    #[error("not an .npz file: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// A safetensors file whose header is damaged, or does not fit the file.
    #[error("not a safetensors file: {0}")]
    Header(String),
    /// A member is absent or not the array that the model needs.
    #[error("member {member:?}: {reason}")]
    Member {
        /// Name inside the file.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// The arrays do not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl WeightsFileError {
    fn member(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Member { member: member.into(), reason: reason.into() }
    }
}

/// The untrained reference of a spec, verified against its lock.
///
/// # Errors
/// [`EvaluateError::World`], [`EvaluateError::Tampered`] or [`EvaluateError::Weights`].
pub fn reference_weights(world: &dyn World, spec: &PinnedSpec) -> Result<Weights, EvaluateError> {
    let model = &spec.spec().model;
    let bytes = read(world, Pinned::Artifact(&model.weights), &spec.lock().artifacts)?;
    read_weights(&bytes, llama::parameters(&model.llama))
        .map_err(|source| EvaluateError::Weights { artifact: model.weights.clone(), source })
}

/// Reads exactly `parameters` from a file whose first bytes tell its format: an `.npz` with
/// glassllm's member names, or safetensors with the names of `parameters`.
///
/// # Errors
/// [`WeightsFileError`], naming the tensor that is absent, too many, of another shape or type, or
/// not finite.
pub fn read_weights(bytes: &[u8], parameters: Vec<Parameter>) -> Result<Weights, WeightsFileError> {
    let tensors = if npz::is_one(bytes) {
        npz::read(bytes, &parameters)?
    } else if safetensors::is_one(bytes) {
        safetensors::read(bytes, &parameters)?
    } else {
        return Err(WeightsFileError::Format);
    };
    Ok(Weights::new(parameters, tensors)?)
}

/// What the tests of both formats share.
#[cfg(test)]
mod testing {
    use super::read_weights;
    use dataforge_core::spec::LlamaShape;
    use dataforge_graph::llama::{self, Parameter};

    pub(super) fn parameters() -> Vec<Parameter> {
        let n = |n: u32| n.try_into().unwrap();
        llama::parameters(&LlamaShape {
            vocabulary: n(3),
            width: n(4),
            layers: n(1),
            heads: n(2),
            kv_heads: n(1),
            hidden: n(2),
            context: n(4),
            rope_base: n(10_000),
            norm_epsilon_nano: n(1000),
            tied_head: true,
        })
    }

    #[track_caller]
    pub(super) fn refused(bytes: &[u8], expect: &str) {
        let error = read_weights(bytes, parameters()).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        for bytes in [&b""[..], b"not a zip", b"GGUF\x03\0\0\0\x10", &[0; 9]] {
            refused(bytes, "neither an .npz nor a safetensors file");
        }
    }
}
