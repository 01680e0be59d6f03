//! Pythons with packages: made under the build folder, or with PyTorch the user's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};

use crate::sh;

/// What the peers and the plot need. PyTorch's version is part of every figure that names it.
const PACKAGES: &[&str] = &["torch==2.15.0", "numpy==2.4.6", "matplotlib==3.11.2"];

/// `given`, else the Python of a virtual environment under `target/`, made on first use.
pub(crate) fn python(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        run(Command::new(given).args(["-c", "import numpy, torch"]))
            .with_context(|| format!("{} has no numpy and torch", given.display()))?;
        return Ok(given.to_path_buf());
    }
    made("bench-venv", PACKAGES)
}

/// A virtual environment under the build folder with these pinned packages, made on first use.
pub(crate) fn made(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = sh::target().join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let base = env::var_os("DATAFORGE_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    eprintln!("installing {} into {} (once)", packages.join(", "), folder.display());
    run(Command::new(base).args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
