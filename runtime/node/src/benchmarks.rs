//! Where a validator's hidden rows come from: a file, or for a demonstration the public set they
//! were drawn from.

use std::path::{Path, PathBuf};

use dataforge_core::benchmark::{Benchmark, BenchmarkError, BenchmarkRow};
use dataforge_core::dataset::Row;
use dataforge_core::hash::EpochSeed;
use dataforge_core::limits::BENCHMARK_BYTES_MAX;
use dataforge_core::spec::Spec;

use crate::NodeError;
use crate::artifacts::Artifacts;
use crate::demo_data::{DemoPlan, DemoSets};
use crate::fs::read_bounded;
use crate::public_sets::{SET_BYTES_MAX, date_rows, icd_chapter_rows};

/// The seed that splits public sets into hidden rows and submissions. Public: a demonstration hides
/// nothing.
pub const SPLIT_SEED: EpochSeed = EpochSeed(*b"dataforge demonstration split v1");

/// No benchmark can be had, or not the one that the spec commits to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkFileError {
    /// The spec's benchmark is hidden, and no file was given.
    #[error("spec {0} has a hidden benchmark: give its file with --benchmark")]
    Hidden(String),
    /// The spec names a public set that this program does not know.
    #[error("spec {spec} draws on the public set {set:?}, which is unknown here")]
    UnknownSet {
        /// The spec.
        spec: String,
        /// The set.
        set: String,
    },
    /// A line of the file is not a benchmark row.
    #[error("{}: row {row}: {reason}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// The rows are not those that the spec commits to.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
}

/// The public set that a spec draws on, its artifact and its parser.
pub struct PublicSet {
    /// Artifact that holds it.
    pub artifact: &'static str,
    parse: fn(&[u8]) -> Result<Vec<Row>, crate::public_sets::PublicSetError>,
}

impl PublicSet {
    /// Finds the set of a demonstration spec.
    ///
    /// # Errors
    /// [`BenchmarkFileError::Hidden`] when the spec names none, [`BenchmarkFileError::UnknownSet`].
    pub fn of(spec: &Spec) -> Result<Self, BenchmarkFileError> {
        let Some(set) = &spec.benchmark.public_set else {
            return Err(BenchmarkFileError::Hidden(spec.reference()));
        };
        let unknown =
            || BenchmarkFileError::UnknownSet { spec: spec.reference(), set: set.clone() };
        Self::named(set).ok_or_else(unknown)
    }

    /// A set by the name that specs give it.
    #[must_use]
    pub fn named(set: &str) -> Option<Self> {
        match set {
            "date" => Some(Self { artifact: "evals-date", parse: date_rows }),
            "icd-chapter" => Some(Self { artifact: "icd10cm-tabular", parse: icd_chapter_rows }),
            _ => None,
        }
    }

    /// Every row of the set.
    ///
    /// # Errors
    /// [`NodeError`] when the artifact is missing or is not what it was.
    pub fn rows(&self, artifacts: &Artifacts) -> Result<Vec<Row>, NodeError> {
        Ok((self.parse)(&read_bounded(&artifacts.path(self.artifact)?, SET_BYTES_MAX)?)?)
    }

    /// The demonstration's benchmark and submissions, of the rows whose fields are as short as the
    /// spec allows.
    ///
    /// # Errors
    /// [`NodeError`] when the artifact is missing or is not what it was.
    pub fn build(&self, spec: &Spec, artifacts: &Artifacts) -> Result<DemoSets, NodeError> {
        let most = DemoPlan::default().honest_rows;
        let honest_rows = most.min(spec.rows.count_max.get() as usize);
        let plan = DemoPlan {
            benchmark_rows: spec.benchmark.rows.get() as usize,
            candidates: spec.benchmark.candidates.get() as usize,
            honest_rows,
            half_rows: honest_rows / 2,
        };
        let most = spec.rows.field_bytes_max.get() as usize;
        let mut rows = self.rows(artifacts)?;
        rows.retain(|row| row.input.len().max(row.output.len()) <= most);
        Ok(DemoSets::build(&rows, &SPLIT_SEED, &plan)?)
    }
}

/// The benchmark of `spec`: from `file` when given, else rebuilt from the spec's public set.
///
/// # Errors
/// [`NodeError::Benchmark`] and what reading it can give.
pub fn open(
    spec: &Spec,
    file: Option<&Path>,
    artifacts: &Artifacts,
) -> Result<Benchmark, NodeError> {
    let rows = match file {
        Some(path) => read_rows(path)?,
        None => PublicSet::of(spec)?.build(spec, artifacts)?.benchmark,
    };
    open_rows(spec, rows)
}

/// Checks rows against the spec's commitment.
///
/// # Errors
/// [`NodeError::Benchmark`].
pub fn open_rows(spec: &Spec, rows: Vec<BenchmarkRow>) -> Result<Benchmark, NodeError> {
    Ok(Benchmark::open(rows, &spec.benchmark).map_err(BenchmarkFileError::from)?)
}

/// Reads a spec's benchmark from a file.
///
/// # Errors
/// [`NodeError`] naming the file, the row, or the root that differs.
pub fn read(spec: &Spec, path: &Path) -> Result<Benchmark, NodeError> {
    open_rows(spec, read_rows(path)?)
}

fn read_rows(path: &Path) -> Result<Vec<BenchmarkRow>, NodeError> {
    Ok(parse_rows(path, &read_bounded(path, BENCHMARK_BYTES_MAX)?)?)
}

/// The rows that a benchmark file's bytes hold; `path` is for the error to name.
///
/// # Errors
/// [`BenchmarkFileError::BadRow`].
pub fn parse_rows(path: &Path, bytes: &[u8]) -> Result<Vec<BenchmarkRow>, BenchmarkFileError> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bad = |row: usize, error: serde_json::Error| BenchmarkFileError::BadRow {
        path: path.to_owned(),
        row,
        reason: error.to_string(),
    };
    let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
    lines.map(|(row, line)| serde_json::from_slice(line).map_err(|e| bad(row, e))).collect()
}
