//! What the settings need and the repository does not carry, fetched through pip and apt-get.
//!
//! Everything lies under `DATAFORGE_HOME`: libraries in its content-addressed cache, Python
//! packages and the root of the emulated machine in `matrix/`. Nothing is installed on this
//! machine, and nothing is fetched twice.

use crate::setting::PINNED;
use anyhow::{Context as _, bail};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python packages of onnx.reference, in which it has given the pinned digests.
const REFERENCE: &[&str] = &["numpy==2.4.6", "onnx==1.23.2"];

/// Wheels for the emulated machine, whose Python is 3.11, with their SHA-256.
const AARCH64_NUMPY: (&str, &str) =
    ("numpy==2.4.6", "0ab0a9c4ffb1a6d95ef519fe4247dba8eb6b18ad93999f76b7f657039acabd47");
const AARCH64_ENGINES: &[(&str, &str)] = &[
    ("onnxruntime==1.31.1", "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3"),
    ("onnxruntime==1.24.4", "046ff290045a387676941a02a8ae5c3ebec6b4f551ae228711968c4a69d8f6b7"),
    ("onnxruntime==1.20.1", "f6243e34d74423bdd1edf0ae9596dd61023b260f546ee17d701723915f06a9f7"),
];

/// Debian packages that the emulated machine's Python and the wheels need.
const AARCH64_DEBIAN: &[&str] = &[
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "python3.11-minimal",
    "zlib1g",
];

/// What the emulated machine says of each of its processors. ONNX Runtime reads it at load; since
/// 1.28 it crashes where it finds what QEMU 7 shows instead, the x86-64 host's.
const AARCH64_CPU: &str = "\
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
";

/// The caches of this machine.
pub(crate) struct Provision {
    artifacts: Artifacts,
    engines: Artifacts,
    folder: PathBuf,
    python: OsString,
}

impl Provision {
    pub(crate) fn discover() -> anyhow::Result<Self> {
        let home = Home::discover()?;
        let engines = ArtifactLock::parse(include_str!("../engines.lock"))?;
        let python = std::env::var_os("DATAFORGE_PYTHON").filter(|value| !value.is_empty());
        Ok(Self {
            // The matrix says which library runs where; the environment has no say.
            artifacts: Artifacts::new(&home, ArtifactLock::embedded()?).with_library(None),
            engines: Artifacts::new(&home, engines),
            folder: home.path().join("matrix"),
            python: python.unwrap_or_else(|| "python3".into()),
        })
    }

    /// What the repository's lock pins.
    pub(crate) fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// This machine's Python.
    pub(crate) fn python(&self) -> &OsString {
        &self.python
    }

    /// The library of a version of ONNX Runtime for this machine.
    pub(crate) fn library(&self, version: &str) -> anyhow::Result<PathBuf> {
        let (cache, name) = if version == PINNED {
            (&self.artifacts, "onnxruntime".to_owned())
        } else {
            (&self.engines, format!("onnxruntime-{}", version.replace('.', "-")))
        };
        let paths = cache.fetch(&[&name], &Silent)?;
        paths.into_iter().next().context("one path per name")
    }

    /// The folder of Python packages that hold onnx.reference.
    pub(crate) fn reference_packages(&self) -> anyhow::Result<PathBuf> {
        self.once(&REFERENCE.join("+"), |folder| {
            let mut pip = self.pip(folder);
            run(pip.args(REFERENCE))
        })
    }

    /// The folder of Python packages that hold a version of ONNX Runtime for aarch64.
    pub(crate) fn aarch64_packages(&self, version: &str) -> anyhow::Result<PathBuf> {
        let package = format!("onnxruntime=={version}");
        let engine = AARCH64_ENGINES.iter().find(|(name, _)| *name == package);
        let engine = engine.with_context(|| format!("{package} is not pinned for aarch64"))?;
        self.once(&format!("aarch64+{package}"), |folder| {
            let line =
                |(package, digest): (&str, &str)| format!("{package} --hash=sha256:{digest}\n");
            let requirements = folder.join("requirements.txt");
            fs::write(&requirements, line(AARCH64_NUMPY) + &line(*engine))?;
            let mut pip = self.pip(folder);
            pip.args(["--no-deps", "--require-hashes", "--implementation", "cp"]);
            pip.args(["--python-version", "3.11", "--abi", "cp311"]);
            pip.args(["--platform", "manylinux_2_28_aarch64"]);
            pip.args(["--platform", "manylinux_2_27_aarch64"]);
            run(pip.arg("--requirement").arg(requirements))
        })
    }

    fn pip(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-compile", "--only-binary", ":all:", "--target"])
            .arg(folder);
        command
    }

    /// A root folder for programs of the emulated machine: Debian's Python and its libraries.
    pub(crate) fn aarch64_root(&self) -> anyhow::Result<PathBuf> {
        self.once("aarch64-root", |folder| {
            let packages = folder.join("packages");
            debian_packages(&packages)?;
            for entry in fs::read_dir(&packages)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "deb") {
                    run(Command::new("dpkg-deb").arg("--extract").arg(path).arg(folder))?;
                }
            }
            fs::remove_dir_all(packages)?;
            let processors = (0..4).map(|n| format!("processor\t: {n}\n{AARCH64_CPU}\n"));
            fs::create_dir(folder.join("proc"))?;
            fs::write(folder.join("proc/cpuinfo"), processors.collect::<String>())?;
            Ok(())
        })
    }

    /// The folder `name` of the cache, made by `make` when it is not there: whole or not at all.
    fn once(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        if !folder.is_dir() {
            fs::create_dir_all(&self.folder)?;
            let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(&self.folder)?;
            let whole = partial.path().join("whole");
            fs::create_dir(&whole)?;
            make(&whole).with_context(|| format!("cannot provide {name}"))?;
            fs::rename(whole, &folder)?;
        }
        Ok(folder)
    }
}

/// Downloads the arm64 packages with an apt-get that keeps its lists in `folder`, so that neither
/// this machine's packages nor its architectures change.
fn debian_packages(folder: &Path) -> anyhow::Result<()> {
    for part in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part))?;
    }
    fs::write(folder.join("status"), "")?;
    let option = |name: &str, path: &str| format!("{name}={}", folder.join(path).display());
    let options = [
        option("Dir::State", "state"),
        option("Dir::State::status", "status"),
        option("Dir::Cache", "cache"),
        "APT::Architecture=arm64".into(),
        "APT::Architectures=arm64".into(),
        // The folder is the caller's; apt's own user may not enter it.
        "APT::Sandbox::User=root".into(),
    ];
    let apt = || {
        let mut command = Command::new("apt-get");
        command.arg("--quiet=2").args(options.iter().flat_map(|o| ["-o", o.as_str()]));
        command.current_dir(folder);
        command
    };
    run(apt().arg("update"))?;
    run(apt().arg("download").args(AARCH64_DEBIAN))
}

/// Runs a program to its end; its last words are the error.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        bail!("{program} failed ({}): {last}", output.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::{Runner, SETTINGS};

    #[test]
    fn every_engine_of_a_setting_is_pinned() {
        let engines = ArtifactLock::parse(include_str!("../engines.lock")).unwrap();
        for setting in SETTINGS {
            let name = format!("onnxruntime-{}", setting.engine.replace('.', "-"));
            let package = format!("onnxruntime=={}", setting.engine);
            assert!(match setting.runner {
                Runner::Native | Runner::Emulated(_) =>
                    setting.engine == PINNED || engines.names().any(|known| known == name),
                Runner::Aarch64(_) => AARCH64_ENGINES.iter().any(|(known, _)| *known == package),
                Runner::OnnxReference | Runner::Interpreter => setting.engine.is_empty(),
            });
        }
        let pinned =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../artifacts.lock"));
        assert!(
            pinned.unwrap().contains(&format!("package = \"onnxruntime\"\nversion = \"{PINNED}\""))
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_not_there() {
        let home = tempfile::tempdir().unwrap();
        let mut provision = Provision::discover().unwrap();
        provision.folder = home.path().join("matrix");
        let error = provision.once("x", |folder| {
            fs::write(folder.join("part"), "")?;
            bail!("no network")
        });
        assert_eq!(format!("{:#}", error.unwrap_err()), "cannot provide x: no network");
        assert_eq!(fs::read_dir(&provision.folder).unwrap().count(), 0);
        let folder = provision.once("x", |_| Ok(())).unwrap();
        assert!(folder.is_dir());
    }
}
