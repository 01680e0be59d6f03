//! What can go wrong in the engine, by what the caller can do about it.

use crate::provider::Provider;
use dataforge_core::hash::FileDigest;
use ort::ErrorCode;
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
    /// The library has no kernel for a node: it lacks the operator, or its f64 variant.
    #[error("this ONNX Runtime cannot run node {node:?} of the graph: {reason}")]
    NoKernel {
        /// The node's name.
        node: String,
        /// ONNX Runtime's words, which name the operator.
        reason: String,
    },
    /// ONNX Runtime refused a graph or failed while running it.
    #[error("ONNX Runtime failed: {0}")]
    Onnx(#[from] ort::Error),
    /// A broken invariant of this crate.
    #[error("bug in the engine: {0}")]
    Bug(String),
}

impl EngineError {
    /// What a library's refusal to load a graph means. Only its text names the node.
    pub(crate) fn loading(error: ort::Error) -> Self {
        let node = error.message().split_once("node with name '").and_then(|(_, rest)| {
            let (name, _) = rest.split_once('\'')?;
            Some(name.to_owned())
        });
        match node {
            Some(node) if error.code() == ErrorCode::NotImplemented => {
                Self::NoKernel { node, reason: error.message().to_owned() }
            }
            _ => Self::Onnx(error),
        }
    }
}
