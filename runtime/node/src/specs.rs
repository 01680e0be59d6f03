//! Eval specs on disk: finding, loading, verifying and locking them.
//!
//! A spec lives in `<name>/<version>/` under the specs folder, its kernels in `kernels/` beside.
//! Nothing here is trusted by the pipeline, which hashes what it is given; this module exists to
//! find files and to say what is wrong with them in words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dataforge_core::hash::{FileDigest, file_digest};
use dataforge_core::limits::{INDEX_BYTES_MAX, SPEC_BYTES_MAX};
use dataforge_core::spec::{PinnedSpec, Spec, SpecError, SpecLock};
use dataforge_core::units::Bytes;

use crate::artifacts::Artifacts;
use crate::fs::{FileError, read_bounded, write_atomic};

/// A kernel file. The sandbox refuses larger modules anyway; this keeps them from being read.
pub const KERNEL_BYTES_MAX: Bytes = Bytes(16 * 1024 * 1024);

/// First lines of every lock.
const LOCK_HEADER: &str =
    "# Written by `dataforge spec lock`: the SHA-256 of everything that spec.toml names.\n\n";

/// A spec cannot be found or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecsError {
    /// No specs folder.
    #[error("no eval-specs folder here or above; name one with --specs or DATAFORGE_SPECS")]
    NoFolder,
    /// No such spec.
    #[error(
        "no spec {reference:?} in {}; `dataforge spec list` shows what is there",
        folder.display()
    )]
    Unknown {
        /// What was asked for.
        reference: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// `name@version` was expected.
    #[error("{0:?} is not a spec reference; write name@version, for example date@1")]
    BadReference(String),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The spec or its lock is not acceptable.
    #[error("{}: {source}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SpecError,
    },
    /// The folder's name is not the spec's own.
    #[error("{} holds the spec {found}", folder.display())]
    Misplaced {
        /// The folder.
        folder: PathBuf,
        /// What its spec says.
        found: String,
    },
    /// An artifact that the spec names is not in `artifacts.lock`.
    #[error("artifact {0:?} is not in artifacts.lock")]
    UnknownArtifact(String),
}

/// One thing that a lock pins, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinCheck {
    /// `file`, `kernel` or `artifact`, and its name.
    pub what: String,
    /// Digest in the lock.
    pub pinned: FileDigest,
    /// Digest found; for artifacts, the one in `artifacts.lock`.
    pub found: FileDigest,
}

/// The specs folder.
#[derive(Debug, Clone)]
pub struct Specs {
    folder: PathBuf,
}

impl Specs {
    /// Uses `folder`.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// `DATAFORGE_SPECS`, else `eval-specs` in the current folder or one above it, else beside or
    /// above the program.
    ///
    /// # Errors
    /// [`SpecsError::NoFolder`].
    pub fn discover() -> Result<Self, SpecsError> {
        if let Some(folder) = std::env::var_os("DATAFORGE_SPECS").filter(|value| !value.is_empty())
        {
            return Ok(Self::at(folder));
        }
        let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        let above = |start: PathBuf| {
            let folder =
                start.ancestors().map(|above| above.join("eval-specs")).find(|f| f.is_dir());
            folder.map(Self::at)
        };
        starts.into_iter().flatten().find_map(above).ok_or(SpecsError::NoFolder)
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every `name@version` there is, sorted.
    ///
    /// # Errors
    /// [`SpecsError::File`] when the folder cannot be read.
    pub fn references(&self) -> Result<Vec<String>, SpecsError> {
        let mut found = Vec::new();
        for name in folders(&self.folder)? {
            for version in folders(&self.folder.join(&name))? {
                if self.folder.join(&name).join(&version).join("spec.toml").is_file() {
                    found.push(format!("{name}@{version}"));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The folder of one spec.
    ///
    /// # Errors
    /// [`SpecsError::BadReference`] or [`SpecsError::Unknown`].
    pub fn folder_of(&self, reference: &str) -> Result<PathBuf, SpecsError> {
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '\\', '.']);
        let parts =
            reference.split_once('@').filter(|(name, version)| plain(name) && plain(version));
        let (name, version) = parts.ok_or_else(|| SpecsError::BadReference(reference.into()))?;
        let folder = self.folder.join(name).join(version);
        if folder.join("spec.toml").is_file() {
            return Ok(folder);
        }
        Err(SpecsError::Unknown { reference: reference.into(), folder: self.folder.clone() })
    }

    /// Reads `spec.toml` alone.
    ///
    /// # Errors
    /// [`SpecsError`] naming the file.
    pub fn read_spec(&self, reference: &str) -> Result<Spec, SpecsError> {
        let folder = self.folder_of(reference)?;
        let path = folder.join("spec.toml");
        let spec = Spec::parse(&read_text(&path)?).map_err(in_file(&path))?;
        if spec.reference() != reference {
            return Err(SpecsError::Misplaced { folder, found: spec.reference() });
        }
        Ok(spec)
    }

    /// Reads a spec with its lock. What the lock pins is verified by whoever uses it.
    ///
    /// # Errors
    /// [`SpecsError`] naming the file.
    pub fn load(&self, reference: &str) -> Result<PinnedSpec, SpecsError> {
        let spec = self.read_spec(reference)?;
        let path = self.folder_of(reference)?.join("spec.lock");
        let lock = SpecLock::parse(&read_text(&path)?).map_err(in_file(&path))?;
        PinnedSpec::new(spec, lock).map_err(in_file(&path))
    }

    /// A file beside a spec.
    ///
    /// # Errors
    /// [`SpecsError::File`].
    pub fn file(&self, reference: &str, name: &str) -> Result<Vec<u8>, SpecsError> {
        Ok(read_bounded(&self.folder_of(reference)?.join(name), INDEX_BYTES_MAX)?)
    }

    /// A kernel's path.
    #[must_use]
    pub fn kernel_path(&self, name: &str) -> PathBuf {
        self.folder.join("kernels").join(format!("{name}.wasm"))
    }

    /// A kernel's bytes.
    ///
    /// # Errors
    /// [`SpecsError::File`].
    pub fn kernel(&self, name: &str) -> Result<Vec<u8>, SpecsError> {
        Ok(read_bounded(&self.kernel_path(name), KERNEL_BYTES_MAX)?)
    }

    /// What `spec.lock` should say today.
    ///
    /// # Errors
    /// [`SpecsError`] naming what cannot be read.
    pub fn compute_lock(
        &self,
        reference: &str,
        artifacts: &Artifacts,
    ) -> Result<SpecLock, SpecsError> {
        let spec = self.read_spec(reference)?;
        let mut lock = SpecLock::default();
        for name in spec.files() {
            lock.files.insert(name.clone(), file_digest(&self.file(reference, name)?));
        }
        for kernel in spec.kernels() {
            lock.kernels.insert(kernel.clone(), file_digest(&self.kernel(kernel)?));
        }
        for artifact in [&spec.model.weights, &spec.model.tokenizer] {
            let digest = artifacts.digest(artifact);
            let digest = digest.ok_or_else(|| SpecsError::UnknownArtifact(artifact.clone()))?;
            lock.artifacts.insert(artifact.clone(), digest);
        }
        Ok(lock)
    }

    /// Writes `spec.lock` afresh and returns the pinned spec.
    ///
    /// # Errors
    /// [`SpecsError`]; the old lock then stays as it was.
    pub fn lock(&self, reference: &str, artifacts: &Artifacts) -> Result<PinnedSpec, SpecsError> {
        let lock = self.compute_lock(reference, artifacts)?;
        let path = self.folder_of(reference)?.join("spec.lock");
        let text = lock.to_toml().map_err(in_file(&path))?;
        write_atomic(&path, format!("{LOCK_HEADER}{text}").as_bytes())?;
        self.load(reference)
    }

    /// Compares everything that a lock pins with what is there.
    ///
    /// # Errors
    /// [`SpecsError`] when something cannot be read at all.
    pub fn verify(
        &self,
        reference: &str,
        artifacts: &Artifacts,
    ) -> Result<Vec<PinCheck>, SpecsError> {
        let pinned = self.load(reference)?;
        let found = self.compute_lock(reference, artifacts)?;
        let lock = pinned.lock();
        let mut checks = compare("file", &lock.files, &found.files);
        checks.extend(compare("kernel", &lock.kernels, &found.kernels));
        checks.extend(compare("artifact", &lock.artifacts, &found.artifacts));
        Ok(checks)
    }
}

type Digests = BTreeMap<String, FileDigest>;

/// Both sides have the same names: a lock with others does not load.
fn compare(kind: &str, pinned: &Digests, found: &Digests) -> Vec<PinCheck> {
    let pairs = pinned.iter().filter_map(|(name, pin)| Some((name, pin, found.get(name)?)));
    pairs
        .map(|(name, pinned, found)| PinCheck {
            what: format!("{kind} {name}"),
            pinned: *pinned,
            found: *found,
        })
        .collect()
}

fn in_file(path: &Path) -> impl Fn(SpecError) -> SpecsError + '_ {
    move |source| SpecsError::Spec { path: path.to_owned(), source }
}

fn read_text(path: &Path) -> Result<String, SpecsError> {
    let bytes = read_bounded(path, SPEC_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_| in_file(path)(SpecError::Syntax("not UTF-8".into())))
}

fn folders(parent: &Path) -> Result<Vec<String>, SpecsError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(FileError::io("read folder", parent))? {
        let entry = entry.map_err(FileError::io("read folder", parent))?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}
