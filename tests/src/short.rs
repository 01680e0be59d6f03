//! A folder for one test, and a spec small enough that a whole evaluation takes a few seconds.
//!
//! The spec `short@1` lies in `tests/golden/short`, with a dataset, a hidden benchmark and the
//! proof that they give. It shares its kernels and its model with the published specs.

#![allow(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Answer, dataforge, root};

/// The seed of every test evaluation.
pub const SEED: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// A folder that goes away with the test.
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty folder.
    ///
    /// # Panics
    ///
    /// Where none can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The path of `name` inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, with the folders above it.
    ///
    /// # Panics
    ///
    /// Where that fails.
    #[must_use]
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Fails the test when a file that was not finished lies anywhere inside.
    ///
    /// # Panics
    ///
    /// Then, naming it.
    #[track_caller]
    pub fn expect_nothing_partial(&self) {
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let partial = path.to_string_lossy().contains(".partial-");
                assert!(!partial, "{} was left behind", path.display());
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                }
            }
        }
    }
}

/// `short@1` in a specs folder of its own, where a test may change it.
pub struct Short {
    scratch: Scratch,
}

impl Short {
    /// An exact copy.
    ///
    /// # Panics
    ///
    /// Where it cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it copies files")]
    pub fn new() -> Self {
        let scratch = Scratch::new();
        for name in ["spec.toml", "spec.lock", "row.schema.json"] {
            let _ = scratch.file(&format!("specs/short/1/{name}"), Self::golden(name));
        }
        for entry in fs::read_dir(root().join("eval-specs/kernels")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let _ = scratch.file(&format!("specs/kernels/{name}"), fs::read(&path).unwrap());
        }
        Self { scratch }
    }

    /// A copy that trains for so many epochs, of five steps each.
    #[must_use]
    pub fn of_epochs(epochs: u32) -> Self {
        let epochs = format!("epochs = {epochs}");
        Self::new().replacing("short/1/spec.toml", "epochs = 1", &epochs)
    }

    /// The path of a golden file.
    #[must_use]
    pub fn golden_path(name: &str) -> PathBuf {
        root().join("tests/golden/short").join(name)
    }

    /// The bytes of a golden file.
    ///
    /// # Panics
    ///
    /// Where there is none.
    #[must_use]
    pub fn golden(name: &str) -> Vec<u8> {
        let path = Self::golden_path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The folder that the copy lies in, for further files.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Changes a file of the specs folder.
    ///
    /// # Panics
    ///
    /// Where there is none, or the change leaves it as it was.
    #[must_use]
    pub fn with(self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let name = format!("specs/{name}");
        let before = fs::read(self.scratch.path(&name)).unwrap();
        let mut after = before.clone();
        change(&mut after);
        assert!(after != before, "{name} was to be changed");
        let _ = self.scratch.file(&name, after);
        self
    }

    /// As [`Short::with`]: replaces the only place in a text file that reads `old`.
    ///
    /// # Panics
    ///
    /// Where there is none, or a second.
    #[must_use]
    pub fn replacing(self, name: &str, old: &str, new: &str) -> Self {
        self.with(name, |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            assert_eq!(text.matches(old).count(), 1, "places with {old:?} in {name}");
            *bytes = text.replace(old, new).into_bytes();
        })
    }

    /// The program, with this copy as its specs.
    #[must_use]
    pub fn program(&self) -> Command {
        self.used_by(dataforge())
    }

    /// `command`, which starts the program, with this copy as its specs.
    #[must_use]
    pub fn used_by(&self, mut command: Command) -> Command {
        command.arg("--specs").arg(self.scratch.path("specs"));
        command
    }

    /// The arguments of an evaluation of `dataset` into `proof`, without the program.
    pub fn evaluate<'c>(command: &'c mut Command, dataset: &Path, proof: &Path) -> &'c mut Command {
        command.arg("evaluate").arg(dataset).args(["--spec", "short@1", "--seed", SEED]);
        command.arg("--benchmark").arg(Self::golden_path("benchmark.jsonl"));
        // Beside the proof, so that no test goes on where another one stopped.
        command.arg("--states").arg(proof.with_file_name("states"));
        command.arg("--out").arg(proof)
    }

    /// The arguments of a replay of `proof`, without the program.
    pub fn replay<'c>(command: &'c mut Command, proof: &Path, dataset: &Path) -> &'c mut Command {
        command.args(["audit", "replay"]).arg(proof).arg("--dataset").arg(dataset);
        command.arg("--benchmark").arg(Self::golden_path("benchmark.jsonl"))
    }

    /// Evaluates the golden dataset with one of this copy's programs, and returns the proof file.
    ///
    /// # Panics
    ///
    /// Where that fails.
    #[must_use]
    pub fn prove(&self, mut program: Command) -> Vec<u8> {
        let proof = self.scratch.path("short.proof");
        let dataset = Self::golden_path("dataset.jsonl");
        Answer::of(Self::evaluate(&mut program, &dataset, &proof)).expect(0, &["scored"]);
        fs::read(proof).unwrap()
    }
}
