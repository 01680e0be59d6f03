//! Any ONNX model, run on tensors in ONNX's own form: for comparing engines and their settings.
//!
//! Training and scoring do not go through here: they keep their state in the engine and never let
//! it optimise a graph.

use crate::error::EngineError;
use crate::runtime::Runtime;
use crate::session::{Feed, Optimisation, Program};
use dataforge_graph::onnx::proto::TensorProto;

/// A loaded model.
pub struct Model {
    program: Program,
}

impl Model {
    /// Loads the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the model.
    pub fn load(
        runtime: &Runtime,
        bytes: &[u8],
        optimisation: Optimisation,
    ) -> Result<Self, EngineError> {
        Ok(Self { program: Program::load(runtime, bytes, optimisation)? })
    }

    /// Runs the model once on named tensors of f32 or indices; gives its outputs sorted by name.
    ///
    /// # Errors
    /// [`EngineError`] when a tensor is of another type, or the library fails.
    pub fn run<'t>(
        &mut self,
        inputs: impl IntoIterator<Item = &'t TensorProto>,
    ) -> Result<Vec<TensorProto>, EngineError> {
        let mut feed = Feed::default();
        for tensor in inputs {
            feed.tensor(tensor)?;
        }
        self.program.run(feed)?.tensors()
    }
}
