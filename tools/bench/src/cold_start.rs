//! How long a process that starts waits for a pinned kernel that was compiled before.
//!
//! Measured from a file of WebAssembly to a kernel that can be called: making the engine, reading
//! and authenticating the compiled code, loading it, and the trial instance that every kernel must
//! pass. Starting the process is not part of it. One process loads one kernel, once.

use anyhow::{Context as _, bail};
use clap::Args;
use dataforge_node::code::KernelCode;
use dataforge_sandbox::{CodeName, CodeSecret, CodeStore, KernelLimits, Sandbox};
use serde::Serialize;
use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;

use crate::kernels;

#[derive(Args)]
pub(crate) struct ColdStart {
    /// Name of the kernel.
    kernel: String,
    /// Folder in which compiled code is kept.
    store: PathBuf,
}

/// What one start took.
#[derive(Serialize)]
pub(crate) struct Start {
    ms: f64,
    /// Whether the code was not there, so that the kernel was compiled.
    compiled: bool,
}

/// A store that notes whether code was missing.
struct Watched {
    code: KernelCode,
    kept: Cell<bool>,
}

impl CodeStore for Watched {
    fn secret(&self) -> Option<CodeSecret> {
        self.code.secret()
    }

    fn open(&self, name: &CodeName) -> Option<File> {
        self.code.open(name)
    }

    fn keep(&self, name: &CodeName, bytes: &[u8]) {
        self.kept.set(true);
        self.code.keep(name, bytes);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn run(ColdStart { kernel, store }: &ColdStart) -> anyhow::Result<Start> {
    let store = Watched { code: KernelCode::of(store), kept: Cell::new(false) };
    store.secret().context("there is no secret to keep code under")?;
    let start = std::time::Instant::now();
    let wasm = kernels::pinned(kernel)?;
    let sandbox = Sandbox::new()?.keeping(Some(&store));
    let _callable = load(&sandbox, kernel, &wasm)?;
    Ok(Start { ms: start.elapsed().as_secs_f64() * 1e3, compiled: store.kept.get() })
}

fn load(sandbox: &Sandbox<'_>, kernel: &str, wasm: &[u8]) -> anyhow::Result<Box<dyn Any>> {
    let limits = KernelLimits::default();
    Ok(match kernel {
        "contamination" => Box::new(sandbox.contamination_kernel(wasm, limits)?),
        "diversity" => Box::new(sandbox.diversity_kernel(wasm, limits)?),
        "metrics" => Box::new(sandbox.metrics_kernel(wasm, limits)?),
        "schema" => Box::new(sandbox.schema_kernel(wasm, limits)?),
        "similarity" => Box::new(sandbox.similarity_kernel(wasm, limits)?),
        "tokenizer" => Box::new(sandbox.tokenizer_kernel(wasm, limits)?),
        _ => bail!("no kernel is called {kernel}"),
    })
}
