//! Loads, limits and calls guest kernels: the only crate that names wasmtime.
//!
//! A kernel is a WebAssembly component without imports that exports one interface of `wit/`. A call
//! is a pure function of its arguments: the same answer and the same fuel on every machine, or the
//! same refusal. This crate does not choose kernels, verify their digests or interpret what they
//! answer.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dataforge_sandbox::{KernelLimits, Sandbox};
//!
//! let wasm = std::fs::read("eval-specs/kernels/tokenizer-1.0.0.wasm")?;
//! let tokenizer = std::fs::read("tokenizer.json")?;
//! let kernel = Sandbox::new()?.tokenizer_kernel(&wasm, KernelLimits::default())?;
//! let encoded = kernel.encode(&tokenizer, &["one text", "another"])?;
//! println!("{:?} for {} units of fuel", encoded.ids, encoded.fuel);
//! # Ok(())
//! # }
//! ```

mod code;
mod error;
mod kernel;
mod limits;
mod sandbox;
mod schema;
mod store;
mod tokenizer;

pub use code::{CodeName, CodeSecret, CodeStore};
pub use error::{Refusal, SandboxError};
pub use limits::KernelLimits;
pub use sandbox::Sandbox;
pub use schema::{Checked, RowOutcome, SchemaKernel, SchemaRules};
pub use tokenizer::{Encoded, TokenizerKernel};
