//! The chain's runtime, compiled to WebAssembly.
//!
//! By Debian's compiler, which builds Rust's core library too: the target that runtimes want has no
//! built one. The bytes are pinned nowhere, so another version of it does as well.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Folders;
use super::parts::{Digester, Part};

const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const LINKER: &str = "/usr/bin/wasm-ld";
const CORE: &str = "/usr/lib/rustlib/src/rust/library/core";

/// Which Debian package has what.
const TOOLS: &[(&str, &str)] =
    &[(CARGO, "cargo-web"), (RUSTC, "rustc-web"), (CORE, "rust-web-src"), (LINKER, "lld")];

/// The machine that runtimes are for: WebAssembly as it first was, without the standard library.
const TARGET: &str = "wasm32v1-none";

/// What the node asks of a module: a memory of its own, and where the heap begins.
const FLAGS: &[&str] = &[
    "-Ctarget-cpu=mvp",
    "-Clinker=wasm-ld",
    "-Clinker-flavor=wasm-ld",
    "-Clink-arg=--export-table",
    "-Clink-arg=--import-memory",
    "-Clink-arg=--export=__heap_base",
    "--cfg=substrate_runtime",
];

/// Settings that would get from the caller into the module.
const LEAKING: &[&str] =
    &["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_", "RUST", "RUSTUP_"];

/// The module, compiled if its sources have changed.
pub(super) fn make(folders: &Folders) -> Result<PathBuf> {
    let target = folders.made.join("runtime");
    let module = target.join(TARGET).join("release/devchain_runtime.wasm");
    let mut digest = Digester::new(&FLAGS.join(" "));
    for source in ["Cargo.toml", "Cargo.lock", "runtime", "tlock"] {
        digest.path(&folders.sources.join(source))?;
    }
    let part = Part::new(folders.made.join("runtime.sha256"), digest.finish());
    part.make(|| compile(&folders.sources, &target))?;
    Ok(module)
}

fn compile(sources: &Path, target: &Path) -> Result<()> {
    let missing: Vec<_> = TOOLS.iter().filter(|(path, _)| !Path::new(path).exists()).collect();
    if !missing.is_empty() {
        let (paths, packages): (Vec<_>, Vec<_>) = missing.into_iter().copied().unzip();
        let (paths, packages) = (paths.join(", "), packages.join(" "));
        bail!("{paths}: missing, `apt-get install {packages}` has it");
    }
    let leaking = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| LEAKING.iter().any(|start| name.to_string_lossy().starts_with(start)));
    let mut command = Command::new(CARGO);
    for name in leaking.collect::<Vec<_>>() {
        command.env_remove(name);
    }
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "-Zbuild-std=core,alloc"])
        .args(["--package", "devchain-runtime", "--no-default-features"])
        .current_dir(sources)
        .env("PATH", "/usr/bin:/bin")
        .env("RUSTC", RUSTC)
        // Building the core library is a nightly feature of a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    eprintln!("$ cargo build --release --target {TARGET} (in {})", sources.display());
    let status = command.status().with_context(|| format!("cannot start {CARGO}"))?;
    if !status.success() {
        bail!("building the runtime failed ({status})");
    }
    Ok(())
}
