//! The programs that `bench` and `quality` compare: ours, built for release, and PyTorch's.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{sh, venv};

/// What `dataforge-bench` exits with when its build or this machine lacks what was asked for.
const UNAVAILABLE: i32 = 3;

/// Both programs, ready to start.
pub(crate) struct Peers {
    ours: PathBuf,
    python: PathBuf,
    script: PathBuf,
}

/// A program's standard output, or why it cannot do what was asked for.
pub(crate) type Available<T> = Result<T, String>;

impl Peers {
    /// Builds ours and finds or makes a Python with PyTorch.
    pub(crate) fn new(python: Option<&Path>) -> anyhow::Result<Self> {
        sh::cargo(&["build", "--release", "--locked", "--package", "dataforge-bench"], &[])?;
        Ok(Self {
            ours: sh::target().join("release/dataforge-bench"),
            python: venv::python(python)?,
            script: sh::root().join("tools/bench/party.py"),
        })
    }

    /// Our program.
    pub(crate) fn ours(&self) -> Command {
        let mut command = Command::new(&self.ours);
        command.current_dir(sh::root());
        command
    }

    /// PyTorch's. Its thread count comes from its arguments, not from the caller's environment.
    pub(crate) fn torch(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).env_remove("OMP_NUM_THREADS").env_remove("MKL_NUM_THREADS");
        command
    }

    /// A Python script beside the bench crate.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.script.with_file_name(name));
        command
    }

    /// Runs one of our commands to its end.
    pub(crate) fn run<I: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<Available<String>> {
        output(self.ours().args(args))
    }

    /// Writes a workload; the folder is new or replaced.
    pub(crate) fn prepare(&self, folder: &Path, args: &[String]) -> anyhow::Result<Available<()>> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let prepared = output(self.ours().arg("prepare").args(args).arg("--out").arg(folder))?;
        Ok(prepared.map(|_| ()))
    }
}

/// Standard output of a command; `Err` in it when the command says that something is not there.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Available<String>> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {shown}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(Ok(String::from_utf8(output.stdout)?)),
        Some(UNAVAILABLE) => Ok(Err(reason(&words))),
        _ => bail!("{shown} failed ({}):\n{}", output.status, words.trim()),
    }
}

/// The last line without its `error: `.
fn reason(words: &str) -> String {
    let line = words.trim().lines().last().unwrap_or("no reason given");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> anyhow::Result<Available<String>> {
        output(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn what_is_not_there_is_not_a_failure() {
        assert_eq!(shell("echo yes").unwrap().unwrap(), "yes\n");
        assert_eq!(
            shell("echo error: no such model >&2; exit 3").unwrap(),
            Err("no such model".into())
        );
        let failed = shell("echo broken >&2; exit 1").unwrap_err().to_string();
        assert!(failed.contains("broken"), "{failed}");
    }
}
