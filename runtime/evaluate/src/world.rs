//! Everything an evaluation may ask of its surroundings.

use dataforge_core::hash::{FileDigest, RunId};
use dataforge_core::state::Checkpoint;
use dataforge_engine::Options;
use dataforge_sandbox::CodeStore;
use std::path::PathBuf;
use std::time::Duration;

/// Whatever went wrong outside; the caller knows its own types and can downcast.
pub type WorldError = Box<dyn std::error::Error + Send + Sync>;

/// Something that a spec's lock pins by digest. The pipeline hashes what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned<'a> {
    /// A file beside the spec.
    File(&'a str),
    /// A guest kernel.
    Kernel(&'a str),
    /// An artifact of `artifacts.lock`.
    Artifact(&'a str),
}

impl std::fmt::Display for Pinned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => write!(f, "file {name}"),
            Self::Kernel(name) => write!(f, "kernel {name}"),
            Self::Artifact(name) => write!(f, "artifact {name}"),
        }
    }
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Lines that the schema kernel has seen.
    Checked {
        /// So far.
        rows: u32,
        /// In all.
        total: u32,
    },
    /// Training steps taken.
    Trained {
        /// So far.
        steps: u32,
        /// In all.
        total: u32,
        /// Tokens fed so far, padding included.
        tokens: u64,
    },
    /// Rows that have passed through the frozen blocks of the model.
    Featured {
        /// So far, were the work spread evenly.
        rows: u32,
        /// In all.
        total: u32,
    },
    /// Benchmark candidates scored.
    Scored {
        /// So far.
        candidates: u32,
        /// In all.
        total: u32,
    },
}

/// The outside of an evaluation. Nothing it answers can change a bit of a proof: what it reads is
/// hashed, and the clock only feeds advisory timings.
pub trait World {
    /// The bytes of something pinned.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn read(&self, pinned: Pinned<'_>) -> Result<Vec<u8>, WorldError>;

    /// The ONNX Runtime library to load.
    ///
    /// # Errors
    /// Whatever keeps it from being found.
    fn engine_library(&self) -> Result<PathBuf, WorldError>;

    /// How the engine runs.
    fn engine_options(&self) -> Options;

    /// What [`World::keep`] was last given under this key, if it is still there. The pipeline
    /// checks that the bytes are whole.
    fn recall(&self, key: &FileDigest) -> Option<Vec<u8>>;

    /// Keeps bytes for later evaluations, if it can: they save time, nothing depends on them.
    fn keep(&self, key: &FileDigest, bytes: &[u8]);

    /// Where compiled kernels are kept, if anywhere.
    fn code(&self) -> Option<&dyn CodeStore> {
        None
    }

    /// The last of a run's checkpoints after at most `taken` steps. The world has checked that it
    /// holds together; of which run it is, nobody can tell from it.
    fn checkpoint(&self, _run: &RunId, _taken: u32) -> Option<Checkpoint> {
        None
    }

    /// The last checkpoint of a run whose evaluation was cut off: to go on from. None of one that
    /// came to its end, since who asks twice wants to see whether it comes out twice.
    fn unfinished(&self, _run: &RunId) -> Option<Checkpoint> {
        None
    }

    /// Whether a checkpoint is wanted now; `last` is after a run's last step. Asked after committed
    /// steps.
    fn checkpoint_due(&self, _last: bool) -> bool {
        false
    }

    /// Keeps a checkpoint, if it can.
    fn keep_checkpoint(&self, _run: &RunId, _checkpoint: &Checkpoint) {}

    /// Called often; should return at once.
    fn progress(&self, progress: Progress);

    /// Asked between steps; once true, the evaluation ends with
    /// [`crate::EvaluateError::Cancelled`].
    fn cancelled(&self) -> bool;

    /// Time since some fixed moment.
    fn elapsed(&self) -> Duration;
}
