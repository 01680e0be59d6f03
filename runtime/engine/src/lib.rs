//! Runs graphs in ONNX Runtime: the only crate that names `ort`.
//!
//! [`Runtime`] loads the shared library and refuses one that fails the known-answer test;
//! [`trunk()`] runs the frozen blocks of a model, [`Trainer`] takes training steps and commits to
//! state, [`Scorer`] gives log-probabilities, [`Generator`] answers, [`Embedder`] makes vectors.
//! Everything that leaves this crate is an integer or a digest, but for a [`StepCase`], which other
//! engines check, those vectors, and what a [`Model`] gives. It reads no files but the library, and
//! knows no spec, dataset or proof.

mod embed;
mod error;
mod fastest;
mod fixed;
mod fused;
mod generate;
mod model;
mod provider;
mod runtime;
mod score;
mod session;
mod state;
mod train;
mod trunk;
mod version;

pub use dataforge_graph::onnx::{Lowering, UnknownLowering};
pub use embed::Embedder;
pub use error::EngineError;
pub use fastest::Timing;
pub use generate::{Ending, Generated, Generator};
pub use model::Model;
pub use provider::{Provider, UnknownProvider};
pub use runtime::{KnownAnswer, Options, Runtime};
pub use score::{Score, Scorer, Watch};
pub use session::Optimisation;
pub use state::{Weights, WeightsError};
pub use train::{StepCase, StepResult, Trainer};
pub use trunk::{Features, trunk};
