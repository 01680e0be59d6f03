//! The end of the demonstration: one byte changed in each of three places, and what is said about
//! it.

use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::FileDigest;
use dataforge_core::proof::{ProofFile, ScoreProof};
use dataforge_core::spec::PinnedSpec;
use dataforge_evaluate::{Inspector, Options, Pinned, Progress, World, WorldError, audit};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// One attempt at tampering.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) what: &'static str,
    pub(super) refused: bool,
    pub(super) reason: String,
}

impl Refused {
    fn from_result<T, E: std::fmt::Display>(what: &'static str, result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self { what, refused: false, reason: "nothing was noticed".into() },
            Err(error) => Self { what, refused: true, reason: error.to_string() },
        }
    }
}

/// Tampers with a proof, a dataset and a kernel, in the way of the commands that would meet them.
pub(super) fn show(
    world: &dyn World,
    pinned: &PinnedSpec,
    benchmark: &Benchmark,
    proof: &ScoreProof,
    dataset: &[u8],
) -> anyhow::Result<Vec<Refused>> {
    let file = flip(&ProofFile::from(proof.clone()).to_bytes());
    let proof_result = ProofFile::from_bytes(&file);

    let changed = flip(dataset);
    let raw = RawSubmission::split(&changed)?;
    let dataset_result = audit::check(proof, pinned, &raw, benchmark);

    let kernel_result = Inspector::load(&OneByteOff(world), pinned);
    Ok(vec![
        Refused::from_result("a proof with one byte flipped", proof_result),
        Refused::from_result("a dataset with one character changed", dataset_result),
        Refused::from_result("a kernel with one byte changed", kernel_result.map(|_| ())),
    ])
}

/// Changes the lowest bit of the byte in the middle.
fn flip(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes
}

/// A world like another in which every kernel has one byte changed.
struct OneByteOff<'a>(&'a dyn World);

impl World for OneByteOff<'_> {
    fn read(&self, pinned: Pinned<'_>) -> Result<Vec<u8>, WorldError> {
        let bytes = self.0.read(pinned)?;
        Ok(if matches!(pinned, Pinned::Kernel(_)) { flip(&bytes) } else { bytes })
    }

    fn engine_library(&self) -> Result<PathBuf, WorldError> {
        self.0.engine_library()
    }

    fn engine_options(&self) -> Options {
        self.0.engine_options()
    }

    fn recall(&self, key: &FileDigest) -> Option<Vec<u8>> {
        self.0.recall(key)
    }

    fn keep(&self, key: &FileDigest, bytes: &[u8]) {
        self.0.keep(key, bytes);
    }

    fn progress(&self, progress: Progress) {
        self.0.progress(progress);
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
