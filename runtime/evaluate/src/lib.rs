//! The evaluation pipeline and its audit.
//!
//! [`Evaluator::evaluate`] is the one path from a submission's bytes to a [`ScoreProof`]: split,
//! checked by the schema kernel, tokenised, trained, scored. Each stage takes the type that only
//! the stage before can build. [`audit::replay`] runs the same function again and names the first
//! thing that differs. [`estimate()`] is a miner's quick look in plain f32, and [`Surveyor`] a
//! look without training; neither makes a proof. The world (files, clock, progress, cancellation)
//! comes in through one trait, [`World`].
//!
//! [`ScoreProof`]: dataforge_core::proof::ScoreProof
#![forbid(unsafe_code)]

mod answers;
pub mod audit;
mod baseline;
mod bundled;
mod calls;
mod detokenize;
mod embedding;
mod error;
mod estimate;
mod evaluator;
mod features;
mod inspect;
mod kept;
mod likeness;
mod questions;
mod rules;
mod setup;
mod survey;
mod tally;
mod tokenise;
mod train;
mod warm;
mod weights;
mod world;

pub use answers::Answers;
pub use dataforge_engine::{
    EngineError, KnownAnswer, Lowering, Options, Provider, Runtime, UnknownLowering,
    UnknownProvider,
};
pub use dataforge_graph::onnx::import as model;
pub use dataforge_sandbox::{
    CodeName, CodeSecret, CodeStore, Measures, SandboxError, pack as pack_kernel,
};
pub use embedding::EMBEDDING_ARTIFACTS;
pub use error::EvaluateError;
pub use estimate::{Ending, Estimate, estimate};
pub use evaluator::{Evaluation, Evaluator, Timings};
pub use inspect::{Accepted, Inspection, Inspector};
pub use likeness::{Alike, Likeness};
pub use questions::tokenise_candidates;
pub use setup::run_ids;
pub use survey::{Dispersion, Known, Like, Place, Survey, Surveyor, index};
pub use weights::{WeightsFileError, read_weights, reference_weights};
pub use world::{Pinned, Progress, World, WorldError};
