//! The real world as the pipeline sees it: pinned files from disk, a monotonic clock, a stop flag.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataforge_core::hash::{FileDigest, RunId};
use dataforge_core::proof::ScoreProof;
use dataforge_core::state::Checkpoint;
use dataforge_core::units::Bytes;
use dataforge_evaluate::{CodeStore, Options, Pinned, Progress, World, WorldError, run_ids};

use crate::artifacts::Artifacts;
use crate::code::KernelCode;
use crate::fs::{read_bounded, write_atomic};
use crate::specs::Specs;
use crate::states::StateStore;

/// Features of one benchmark. Larger files are taken for damaged.
const KEPT_BYTES_MAX: Bytes = Bytes(4 << 30);

/// Gets the pipeline's [`Progress`].
pub type Reporter<'a> = Box<dyn Fn(Progress) + 'a>;

/// One spec's surroundings.
pub struct NodeWorld<'a> {
    specs: &'a Specs,
    reference: String,
    artifacts: &'a Artifacts,
    options: Options,
    stop: &'a AtomicBool,
    report: Reporter<'a>,
    code: KernelCode,
    states: Option<StateStore>,
    start: Instant,
}

impl<'a> NodeWorld<'a> {
    /// The world of the spec `reference`. `stop` may be set from anywhere, a signal handler
    /// included.
    pub fn new(
        specs: &'a Specs,
        reference: &str,
        artifacts: &'a Artifacts,
        options: Options,
        stop: &'a AtomicBool,
        report: Reporter<'a>,
    ) -> Self {
        let reference = reference.to_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that others take time from"
        )]
        let start = Instant::now();
        let code = KernelCode::of(artifacts.home());
        Self { specs, reference, artifacts, options, stop, report, code, states: None, start }
    }
}

impl NodeWorld<'_> {
    /// The same with a state store, without which there are no checkpoints.
    #[must_use]
    pub fn with_states(self, states: StateStore) -> Self {
        Self { states: Some(states), ..self }
    }

    /// Remembers that an evaluation came to its end, once its proof is where it should be.
    pub fn finish(&self, proof: &ScoreProof) {
        let Some(states) = &self.states else { return };
        for run in run_ids(proof) {
            if let Err(error) = states.finish(&run) {
                tracing::warn!("the same evaluation will not begin anew: {error}");
            }
        }
    }

    fn kept(&self, key: &FileDigest) -> PathBuf {
        self.artifacts.home().join("kept").join(key.to_string())
    }
}

impl World for NodeWorld<'_> {
    fn read(&self, pinned: Pinned<'_>) -> Result<Vec<u8>, WorldError> {
        Ok(match pinned {
            Pinned::File(name) => self.specs.file(&self.reference, name)?,
            Pinned::Kernel(name) => self.specs.kernel(name)?,
            Pinned::Artifact(name) => self.artifacts.read(name)?,
        })
    }

    fn engine_library(&self) -> Result<PathBuf, WorldError> {
        Ok(self.artifacts.engine_library(self.options.provider)?)
    }

    fn engine_options(&self) -> Options {
        self.options
    }

    fn recall(&self, key: &FileDigest) -> Option<Vec<u8>> {
        read_bounded(&self.kept(key), KEPT_BYTES_MAX).ok()
    }

    fn keep(&self, key: &FileDigest, bytes: &[u8]) {
        let path = self.kept(key);
        if let Err(error) = write_atomic(&path, bytes) {
            tracing::warn!("the next evaluation will be slower: {error}");
        }
    }

    fn code(&self) -> Option<&dyn CodeStore> {
        Some(&self.code)
    }

    fn checkpoint(&self, run: &RunId, taken: u32) -> Option<Checkpoint> {
        self.states.as_ref()?.latest(run, taken)
    }

    fn unfinished(&self, run: &RunId) -> Option<Checkpoint> {
        self.states.as_ref()?.unfinished(run)
    }

    fn checkpoint_due(&self, last: bool) -> bool {
        self.states.as_ref().is_some_and(|states| states.is_due(last))
    }

    fn keep_checkpoint(&self, run: &RunId, checkpoint: &Checkpoint) {
        if let Some(Err(error)) = self.states.as_ref().map(|states| states.keep(run, checkpoint)) {
            tracing::warn!("this run cannot be resumed from here: {error}");
        }
    }

    fn progress(&self, progress: Progress) {
        (self.report)(progress);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
