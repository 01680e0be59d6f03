//! How a fetch tells its caller what it is doing, and learns that it should stop.
//!
//! No drawing and no clock here: a terminal progress bar and a log line are two observers.

use std::path::Path;

use dataforge_core::units::Bytes;

/// Something happened during a fetch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum FetchEvent<'a> {
    /// A download begins.
    Started {
        /// The artifacts the package holds, in the order of the lock.
        artifacts: &'a [String],
        /// The package, as `name==version`.
        package: &'a str,
        /// The size of the whole download.
        total: Bytes,
    },
    /// Bytes arrived. Sent several times a second, and not at all for a quick download.
    Progress {
        /// The package, as `name==version`.
        package: &'a str,
        /// Bytes on disk so far, at most `total`.
        received: Bytes,
        /// The size of the whole download.
        total: Bytes,
    },
    /// An attempt failed in a way that another may not.
    Retrying {
        /// The package, as `name==version`.
        package: &'a str,
        /// The number of the attempt that comes next, counted from 1.
        attempt: u32,
        /// Why the last one failed.
        reason: &'a str,
    },
    /// An artifact is in the cache, verified.
    Done {
        /// The artifact.
        artifact: &'a str,
        /// Its file.
        path: &'a Path,
    },
}

/// Watches a fetch, and may cancel it.
pub trait FetchObserver {
    /// Called on the fetching thread; should return at once.
    fn event(&self, event: FetchEvent<'_>);

    /// Asked several times a second. Once true, the download is killed and the fetch ends with
    /// [`ArtifactError::Cancelled`](super::ArtifactError::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing, never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl FetchObserver for Silent {
    fn event(&self, _: FetchEvent<'_>) {}
}
