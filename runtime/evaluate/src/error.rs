//! Why an evaluation has no result. A submission that is rejected or diverges has one.

use crate::weights::WeightsFileError;
use crate::world::WorldError;
use dataforge_core::benchmark::BenchmarkError;
use dataforge_core::dataset::SplitError;
use dataforge_core::hash::FileDigest;
use dataforge_engine::EngineError;
use dataforge_sandbox::SandboxError;

/// An evaluation did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The surroundings failed: an artifact is missing, a file cannot be read.
    #[error("{0}")]
    World(#[source] WorldError),
    /// Something has other bytes than the spec's lock pins.
    #[error("{what} is not the pinned one: it hashes to {found}, spec.lock says {pinned}")]
    Tampered {
        /// Which file, kernel or artifact.
        what: String,
        /// Digest of what was read.
        found: FileDigest,
        /// Digest in the lock.
        pinned: FileDigest,
    },
    /// The dataset cannot be split into rows.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The benchmark is not the one that the spec commits to, or does not fit the model.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
    /// A benchmark row does not fit the spec's sequence length.
    #[error("benchmark row {row}: {reason}")]
    Question {
        /// Counted from 1.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// A kernel cannot be used, through no fault of the submission.
    #[error("kernel {kernel}: {source}")]
    Kernel {
        /// Its name.
        kernel: String,
        /// Why.
        source: SandboxError,
    },
    /// The reference weights cannot be read.
    #[error("artifact {artifact}: {source}")]
    Weights {
        /// Its name.
        artifact: String,
        /// Why.
        source: WeightsFileError,
    },
    /// ONNX Runtime cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A pinned file does not hold what the spec says it does.
    #[error("{what}: {reason}")]
    Material {
        /// Which.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A kept checkpoint of this very run has other tensors than the model.
    #[error("a kept checkpoint of this run does not fit its model; delete it and evaluate again")]
    Checkpoint,
    /// The caller asked to stop.
    #[error("stopped before it was finished")]
    Cancelled,
}
