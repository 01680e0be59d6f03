//! Real artifacts for tests, through the same cache and lock as everybody's: fetched on first use,
//! never skipped.

use crate::Home;
use crate::artifacts::{ArtifactLock, Artifacts, Silent};

/// The cache of the user who runs the tests.
pub(crate) fn real_artifacts() -> Artifacts {
    Artifacts::new(&Home::discover().unwrap(), ArtifactLock::embedded().unwrap())
}

/// The verified bytes of a pinned artifact.
pub(crate) fn real(name: &str) -> Vec<u8> {
    let artifacts = real_artifacts();
    artifacts.fetch(&[name], &Silent).unwrap();
    artifacts.read(name).unwrap()
}
