//! The real world as the pipeline sees it: pinned files from disk, a monotonic clock, a stop flag.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataforge_evaluate::{Pinned, Progress, World, WorldError};

use crate::artifacts::Artifacts;
use crate::specs::Specs;

/// Gets the pipeline's [`Progress`].
pub type Reporter<'a> = Box<dyn Fn(Progress) + 'a>;

/// One spec's surroundings.
pub struct NodeWorld<'a> {
    specs: &'a Specs,
    reference: String,
    artifacts: &'a Artifacts,
    threads: usize,
    stop: &'a AtomicBool,
    report: Reporter<'a>,
    start: Instant,
}

impl<'a> NodeWorld<'a> {
    /// The world of the spec `reference`. `stop` may be set from anywhere, a signal handler
    /// included.
    pub fn new(
        specs: &'a Specs,
        reference: &str,
        artifacts: &'a Artifacts,
        threads: usize,
        stop: &'a AtomicBool,
        report: Reporter<'a>,
    ) -> Self {
        let reference = reference.to_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that others take time from"
        )]
        let start = Instant::now();
        Self { specs, reference, artifacts, threads, stop, report, start }
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
        Ok(self.artifacts.path("onnxruntime")?)
    }

    fn threads(&self) -> usize {
        self.threads
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
