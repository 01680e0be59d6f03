//! `dataforge kernel`: a new kernel's folder, and kernels from what cargo built.

use crate::arguments::KernelAction;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::{Context as _, bail, ensure};
use dataforge_core::hash::file_digest;
use dataforge_evaluate::pack_kernel;
use dataforge_node::fs::{read_bounded, write_atomic};
use dataforge_node::specs::KERNEL_BYTES_MAX;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of a kernel's folder, with `{name}`, `{module}` and `{sdk}` to fill in.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("kernel/Cargo.toml.template")),
    (".cargo/config.toml", include_str!("kernel/config.toml.template")),
    ("src/lib.rs", include_str!("kernel/lib.rs.template")),
    ("wit/kernel.wit", include_str!("../../../../wit/2.0.0/kernel.wit")),
];

pub(crate) fn run(context: &Context, action: &KernelAction) -> anyhow::Result<Answer> {
    match action {
        KernelAction::New { folder, sdk } => new(context, folder, sdk.as_deref()),
        KernelAction::Pack { module, out } => pack(context, module, out),
    }
}

fn new(context: &Context, folder: &Path, sdk: Option<&Path>) -> anyhow::Result<Answer> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain),
        "{name:?} is no name for a kernel: lower-case letters, digits and dashes"
    );
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let sdk = sdk_folder(context, sdk)?;
    // As a string of TOML, which JSON's are too.
    let sdk = serde_json::to_string(&sdk).context("the SDK's path is not UTF-8")?;
    for (file, template) in FILES {
        let text = template
            .replace("{name}", name)
            .replace("{module}", &name.replace('-', "_"))
            .replace("{sdk}", &sdk);
        write_atomic(&folder.join(file), text.as_bytes())?;
    }
    if context.json {
        let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
        output::json(&json!({"folder": folder.display().to_string(), "files": files}))?;
    } else {
        output::line(&format!(
            "{}: `cargo test` there passes; src/lib.rs is yours",
            folder.display()
        ))?;
    }
    Ok(Answer::Yes)
}

fn sdk_folder(context: &Context, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => context.specs()?.folder().join("../guest-kernels/sdk"),
    };
    let found = fs::canonicalize(&folder).ok().filter(|found| found.join("Cargo.toml").is_file());
    found.with_context(|| format!("no kernel SDK in {}: name it with --sdk", folder.display()))
}

fn pack(context: &Context, module: &Path, out: &Path) -> anyhow::Result<Answer> {
    let bytes = read_bounded(module, KERNEL_BYTES_MAX)?;
    let packed = pack_kernel(&bytes).with_context(|| module.display().to_string())?;
    write_atomic(out, &packed)?;
    let (path, digest) = (out.display().to_string(), file_digest(&packed));
    if context.json {
        output::json(&json!({"kernel": path, "bytes": packed.len(), "sha256": digest}))?;
    } else {
        output::line(&format!("{path}: {} bytes, sha256 {digest}", packed.len()))?;
    }
    Ok(Answer::Yes)
}
