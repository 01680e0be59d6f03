//! What can go wrong in the engine, by what the caller can do about it.

use crate::provider::Provider;
use dataforge_core::hash::FileDigest;
use std::path::PathBuf;

/// The engine cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The library is not there or is no ONNX Runtime that this program can use.
    #[error("cannot load ONNX Runtime from {}: {reason}", path.display())]
    Load {
        /// The shared library.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// The library cannot run graphs where it was asked to.
    #[error("this ONNX Runtime has no {} here: {reason}", provider.onnx_name())]
    Provider {
        /// Where.
        provider: Provider,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// The library computes other bits than the exact profile requires.
    #[error(
        "ONNX Runtime at {} fails the known-answer test: it gives {found}, expected {expected}",
        path.display()
    )]
    KnownAnswer {
        /// The shared library.
        path: PathBuf,
        /// Digest that it gave.
        found: FileDigest,
        /// Digest that every exact engine gives.
        expected: FileDigest,
    },
    /// ONNX Runtime refused a graph or failed while running it.
    #[error("ONNX Runtime failed: {0}")]
    Onnx(#[from] ort::Error),
    /// A broken invariant of this crate.
    #[error("bug in the engine: {0}")]
    Bug(String),
}
