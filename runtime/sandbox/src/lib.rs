//! Loads, limits and calls guest kernels: the only crate that names wasmtime and wasi-common.
//!
//! A kernel is a WebAssembly component without imports that exports one interface of `wit/`. A call
//! is a pure function of its arguments: the same answer and the same fuel on every machine, or the
//! same refusal. A checker in another language is a WASI command instead, as pure. This crate does
//! not choose kernels, verify their digests or interpret what they answer.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dataforge_sandbox::{KernelLimits, Sandbox};
//!
//! let wasm = std::fs::read("eval-specs/kernels/tokenizer-1.0.0.wasm")?;
//! let tokenizer = std::fs::read("tokenizer.json")?;
//! let kernel = Sandbox::new()?.tokenizer_kernel(&wasm, KernelLimits::default())?;
//! let encoded = kernel.encode(&tokenizer, &["one text", "another"])?;
//! println!("{:?} for {} units of fuel", encoded.value, encoded.fuel);
//! # Ok(())
//! # }
//! ```

mod code;
mod command;
mod contamination;
mod diversity;
mod error;
mod kernel;
mod limits;
mod message;
mod metrics;
mod pack;
mod sandbox;
mod schema;
mod shape;
mod similarity;
mod store;
mod tokenizer;
mod wasi;

pub use code::{CodeName, CodeSecret, CodeStore};
pub use command::{CheckerCommand, CommandFault};
pub use contamination::{ContaminationKernel, Evidence};
pub use diversity::{DiversityKernel, Measures};
pub use error::{Refusal, SandboxError};
pub use kernel::Answer;
pub use limits::KernelLimits;
pub use metrics::{MetricsKernel, Overlap, Pair, Scores};
pub use pack::pack;
pub use sandbox::{Sandbox, Traps};
pub use schema::{Checked, RowOutcome, SchemaKernel, SchemaRules, Shape};
pub use similarity::SimilarityKernel;
pub use tokenizer::{Chat, ChatTemplate, ChatTokens, Ids, TokenizerKernel};
