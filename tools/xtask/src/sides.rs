//! What `bench kernels` and `conformance` share: the pinned kernels in our sandbox, the same
//! kernels natively, the field's packages in Python, and the text that all are given.
//!
//! Every download is pinned by SHA-256. Text is made once and again when what makes it changes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::{sh, venv};

/// The references: as `answers.py`, `chats.py` and `tokens.py` ask for them.
const PACKAGES: &[&str] = &[
    "jinja2==3.1.6",
    "rouge-score==0.1.2",
    "sacrebleu==2.6.0",
    "tokenizers==0.22.2",
    "transformers==4.57.6",
];

/// Its translations are the text.
const DJANGO: Pinned = Pinned {
    package: "django==5.2.8",
    file: "django-5.2.8-py3-none-any.whl",
    sha256: "37e687f7bd73ddf043e2b6b97cfe02fcbb11f2dbb3adccc6a2b18c6daa054d7f",
};

/// Its source carries the JSON Schema project's test cases.
const JSONSCHEMA: Pinned = Pinned {
    package: "jsonschema==4.26.0",
    file: "jsonschema-4.26.0.tar.gz",
    sha256: "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326",
};

/// A file of a Python package index.
struct Pinned {
    package: &'static str,
    file: &'static str,
    sha256: &'static str,
}

/// How our side is built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// As the test suite is, so that nothing is compiled a second time.
    Debug,
    Release,
}

/// Both programs and the text, ready to use.
pub(crate) struct Sides {
    programs: PathBuf,
    native: PathBuf,
    python: PathBuf,
    corpus: PathBuf,
}

impl Sides {
    /// Builds both programs, makes the Python and the text.
    pub(crate) fn new(profile: Profile) -> anyhow::Result<Self> {
        let mut build = vec!["build", "--workspace", "--tests", "--locked"];
        build.extend(["--bin", "dataforge", "--bin", "dataforge-bench"]);
        let folder = match profile {
            Profile::Debug => "debug",
            Profile::Release => {
                build.push("--release");
                "release"
            }
        };
        sh::cargo(&build, &[])?;
        let target = sh::target();
        let sides = Self {
            programs: target.join(folder),
            native: native(&target.join("native"))?,
            python: venv::made("kernels-venv", PACKAGES)?,
            corpus: target.join("kernels-corpus"),
        };
        sides.make_corpus()?;
        Ok(sides)
    }

    /// A file of the corpus, or one to be written beside it.
    pub(crate) fn corpus(&self, name: &str) -> PathBuf {
        self.corpus.join(name)
    }

    /// `dataforge` itself.
    pub(crate) fn program(&self) -> PathBuf {
        self.programs.join("dataforge")
    }

    /// Runs `dataforge-bench`; what it printed.
    pub(crate) fn ours<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<String> {
        let mut ours = Command::new(self.programs.join("dataforge-bench"));
        // It finds the pinned kernels from here.
        sh::output(ours.args(arguments).current_dir(sh::root()))
    }

    /// Runs the native kernels; what they printed.
    pub(crate) fn native<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<String> {
        sh::output(Command::new(&self.native).args(arguments))
    }

    /// Runs a script of `tools/kernels`; what it printed.
    pub(crate) fn script<I: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<String> {
        sh::output(Command::new(&self.python).arg(script(name)).args(arguments))
    }

    /// The `tokenizer.json` of an artifact, fetched if it is not there.
    pub(crate) fn tokenizer(&self, artifact: &str) -> anyhow::Result<PathBuf> {
        let dataforge = || Command::new(self.program());
        sh::output(dataforge().args(["artifacts", "fetch", artifact]))?;
        let path = sh::output(dataforge().args(["artifacts", "path", artifact]))?;
        Ok(PathBuf::from(path.trim()))
    }

    /// The folder of the JSON Schema project's test cases for the draft that the kernel checks.
    pub(crate) fn schema_suite(&self) -> anyhow::Result<PathBuf> {
        let archive = self.fetched(&JSONSCHEMA)?;
        let folder = self.corpus("schema-suite");
        let unpack = Command::new(&self.python)
            .args(["-m", "tarfile", "--extract"])
            .args([&archive, &folder])
            .status();
        ensure!(unpack?.success(), "cannot unpack {}", archive.display());
        Ok(folder.join("jsonschema-4.26.0/json/tests/draft2020-12"))
    }

    fn make_corpus(&self) -> anyhow::Result<()> {
        let script = script("corpus.py");
        let made_by = Sha256::new()
            .chain_update(fs::read(&script).context("corpus.py")?)
            .chain_update(DJANGO.sha256)
            .finalize();
        let (stamp, made_by) = (self.corpus("made-by.txt"), hex::encode(made_by));
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_by) {
            return Ok(());
        }
        let wheel = self.fetched(&DJANGO)?;
        eprintln!("writing text into {} (once)", self.corpus.display());
        self.script("corpus.py", [&wheel, &self.corpus])?;
        fs::write(&stamp, made_by).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// A pinned file, downloaded unless it is there.
    fn fetched(&self, pinned: &Pinned) -> anyhow::Result<PathBuf> {
        let Pinned { package, file, sha256 } = pinned;
        let folder = self.corpus("downloads");
        let path = folder.join(file);
        let there =
            || fs::read(&path).is_ok_and(|bytes| hex::encode(Sha256::digest(bytes)) == *sha256);
        if there() {
            return Ok(path);
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let name = package.split_once("==").map_or(*package, |(name, _)| name);
        let requirement = folder.join(format!("{name}.txt"));
        fs::write(&requirement, format!("{package} --hash=sha256:{sha256}\n"))?;
        let mut pip = Command::new(&self.python);
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]);
        if file.ends_with(".tar.gz") {
            pip.args(["--no-binary", name]);
        }
        sh::output(pip.arg("--dest").arg(&folder).arg("--requirement").arg(&requirement))?;
        ensure!(there(), "{package} did not come as {file}");
        Ok(path)
    }
}

/// Builds the kernels as a native program.
fn native(target: &Path) -> anyhow::Result<PathBuf> {
    let shown = target.to_string_lossy();
    sh::cargo(
        &[
            "build",
            // As the pinned kernels are.
            "--profile",
            "fast",
            "--locked",
            "--manifest-path",
            "guest-kernels/Cargo.toml",
            "--package",
            "dataforge-native-kernels",
            "--target-dir",
            &shown,
        ],
        &[],
    )?;
    Ok(target.join("fast/dataforge-native-kernels"))
}

fn script(name: &str) -> PathBuf {
    sh::root().join("tools/kernels").join(name)
}
