//! Why an artifact cannot be had. Each message names the artifact and the command that mends it.

use std::path::PathBuf;

use dataforge_core::hash::FileDigest;
use dataforge_core::units::Bytes;

use super::lock::LockError;
use crate::fs::FileError;

/// An artifact cannot be had.
///
/// `names` is one artifact or, where one download serves several, all of them separated by spaces:
/// the text that follows `dataforge artifacts fetch`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// `artifacts.lock` pins nothing of that name.
    #[error("no artifact is called {name:?}; known: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The artifact is machine code, and none is pinned for this machine.
    #[error(
        "artifact `{name}` has no build for this platform ({platform}); available: {available}. \
         Set ORT_DYLIB_PATH if it is ONNX Runtime and you have your own"
    )]
    UnsupportedPlatform {
        /// The artifact.
        name: String,
        /// This machine.
        platform: String,
        /// The platforms there are.
        available: String,
    },
    /// The artifact is not in the cache.
    #[error(
        "artifact `{name}` is not in the cache (no {}); run `dataforge artifacts fetch {name}`",
        path.display()
    )]
    Missing {
        /// The artifact.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// The file in the cache is not the pinned one: a disk fault, or somebody changed it.
    #[error(
        "artifact `{name}` is damaged: {} is not the pinned {expected} ({found}); \
         run `dataforge artifacts fetch {name}` to replace it",
        path.display()
    )]
    Corrupt {
        /// The artifact.
        name: String,
        /// The damaged file.
        path: PathBuf,
        /// The pinned digest.
        expected: FileDigest,
        /// What is there instead.
        found: Found,
    },
    /// The library an environment variable points to is not a file.
    #[error("artifact `{name}`: {variable} is set to {}, which is not a file", path.display())]
    BadOverride {
        /// The artifact.
        name: String,
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// Python cannot be started.
    #[error(
        "cannot fetch `{names}`: `{python}` cannot be started ({source}); install Python 3 with \
         pip, or name one in DATAFORGE_PYTHON, then run `dataforge artifacts fetch {names}`"
    )]
    NoPython {
        /// The artifacts.
        names: String,
        /// The program tried.
        python: String,
        /// Why it did not start.
        source: std::io::Error,
    },
    /// Python has no pip.
    #[error(
        "cannot fetch `{names}`: `{python}` has no pip; install it (`{python} -m ensurepip`), \
         then run `dataforge artifacts fetch {names}`"
    )]
    NoPip {
        /// The artifacts.
        names: String,
        /// The program tried.
        python: String,
    },
    /// The package index cannot be reached.
    #[error(
        "cannot fetch `{names}` ({package}): the package index did not answer in {attempts} \
         attempts; check the network or pip's index settings, then run \
         `dataforge artifacts fetch {names}`. pip said:\n{tail}"
    )]
    NoNetwork {
        /// The artifacts.
        names: String,
        /// The package, as `name==version`.
        package: String,
        /// How often it was tried.
        attempts: u32,
        /// The last lines of pip's messages.
        tail: String,
    },
    /// pip answered, with a refusal.
    #[error(
        "cannot fetch `{names}` ({package}): pip failed; mend what it says, then run \
         `dataforge artifacts fetch {names}`. pip said:\n{tail}"
    )]
    FetchFailed {
        /// The artifacts.
        names: String,
        /// The package, as `name==version`.
        package: String,
        /// The last lines of pip's messages.
        tail: String,
    },
    /// What arrived is not what is pinned. Never retried: the index serves something else.
    #[error(
        "refused `{names}`: {file} has SHA-256 {found}, pinned is {expected}. The index serves \
         other bytes than those reviewed; check pip's index settings, then run \
         `dataforge artifacts fetch {names}`"
    )]
    HashMismatch {
        /// The artifacts.
        names: String,
        /// The file that differs.
        file: String,
        /// The pinned digest.
        expected: FileDigest,
        /// The digest found.
        found: String,
    },
    /// The package does not hold the pinned member, or holds more than was pinned.
    #[error(
        "refused `{name}`: {package} {reason}; check pip's index settings, then run \
         `dataforge artifacts fetch {name}`"
    )]
    BadWheel {
        /// The artifact.
        name: String,
        /// The package, as `name==version`.
        package: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A derived artifact's source is not in the format its conversion reads.
    #[error("cannot derive `{name}` from `{from}`: {reason}. This is a bug in artifacts.lock")]
    BadSource {
        /// The derived artifact.
        name: String,
        /// Its source.
        from: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("fetching `{names}` was cancelled; run `dataforge artifacts fetch {names}` to resume")]
    Cancelled {
        /// The artifacts.
        names: String,
    },
    /// `artifacts.lock` itself is not usable.
    #[error(transparent)]
    BadLock(#[from] LockError),
    /// A file of the cache cannot be read or written.
    #[error(transparent)]
    Io(#[from] FileError),
}

/// What was found where a pinned file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A file of another size.
    Size(Bytes),
    /// A file of the right size with another digest.
    Digest(FileDigest),
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(bytes) => write!(f, "its size is {} bytes", bytes.0),
            Self::Digest(digest) => write!(f, "its SHA-256 is {digest}"),
        }
    }
}
