//! The error of this crate's boundary: one variant per part that can fail.

use crate::artifacts::ArtifactError;
use crate::benchmarks::BenchmarkFileError;
use crate::demo_data::DemoDataError;
use crate::fs::FileError;
use crate::public_sets::PublicSetError;
use crate::rows::RowsError;
use crate::specs::SpecsError;

/// What went wrong in the real world.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// No variable says where to keep files.
    #[error("no folder to keep files in: set DATAFORGE_HOME (or HOME) to a writable folder")]
    NoHome,
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pinned artifact is missing, damaged or cannot be fetched.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A public data set is not in the format it had when it was pinned.
    #[error(transparent)]
    PublicSet(#[from] PublicSetError),
    /// A public data set is too small or too uniform for the demo.
    #[error(transparent)]
    DemoData(#[from] DemoDataError),
    /// A spec cannot be found or used.
    #[error(transparent)]
    Specs(#[from] SpecsError),
    /// The hidden rows cannot be had.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkFileError),
    /// A dataset file is not rows within the limits.
    #[error(transparent)]
    Rows(#[from] RowsError),
}
