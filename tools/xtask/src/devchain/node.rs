//! The node that runs the runtime, and the first state that it makes.
//!
//! Its packages are those of `package-lock.json`, and none of their install scripts run: what they
//! compile is for a database, and there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Folders;
use super::parts::{Digester, Part};
use crate::sh;

/// Starts the node; it must lie beside the packages.
const SCRIPT: &str = "node.mjs";

/// The packages.
const LOCK: &str = "package-lock.json";

/// The oldest version that runs the packages.
const NODE_MAJOR_MIN: u32 = 20;

/// Installs the packages, if their list has changed, and puts the script beside them.
pub(super) fn install(folders: &Folders) -> Result<()> {
    let folder = folders.made.join("node");
    let listed = ["package.json", LOCK];
    let mut digest = Digester::new("npm ci --ignore-scripts --omit=optional");
    for file in listed {
        digest.path(&folders.sources.join(file))?;
    }
    Part::new(folders.made.join("node.sha256"), digest.finish()).make(|| {
        check_version()?;
        fs::create_dir_all(&folder)?;
        for file in listed {
            copy(&folders.sources, &folder, file)?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]);
        npm.arg("--loglevel=error").current_dir(&folder);
        eprintln!("$ npm ci (in {})", folder.display());
        let status = npm.status().context("cannot start npm: `apt-get install npm` has it")?;
        ensure!(status.success(), "installing the node's packages failed ({status})");
        Ok(())
    })?;
    copy(&folders.sources, &folder, SCRIPT)
}

/// The state of the first block, made if the runtime or its configuration have changed.
pub(super) fn first_state(folders: &Folders, runtime: &Path) -> Result<PathBuf> {
    let (config, state) =
        (folders.sources.join("genesis.json"), folders.made.join("first-state.json"));
    let mut digest = Digester::new("genesis");
    for file in [&config, &folders.sources.join(SCRIPT), runtime] {
        digest.path(file)?;
    }
    Part::new(folders.made.join("first-state.sha256"), digest.finish()).make(|| {
        sh::output(command(folders)?.arg("genesis").arg(runtime).arg(&config).arg(&state))?;
        Ok(())
    })?;
    Ok(state)
}

/// The node's script, to be given a command.
pub(super) fn command(folders: &Folders) -> Result<Command> {
    check_version()?;
    let mut command = Command::new("node");
    command.arg("--no-warnings").arg(folders.made.join("node").join(SCRIPT));
    Ok(command)
}

fn check_version() -> Result<()> {
    let said = sh::output(Command::new("node").arg("--version"))
        .context("node is missing: `apt-get install nodejs npm` has it")?;
    let major = said.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse().is_ok_and(|major: u32| major >= NODE_MAJOR_MIN) {
        return Ok(());
    }
    bail!("node is {}, and must be {NODE_MAJOR_MIN} or later: package nodejs", said.trim())
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    fs::copy(from.join(name), to.join(name))
        .with_context(|| format!("cannot copy {name} to {}", to.display()))?;
    Ok(())
}
