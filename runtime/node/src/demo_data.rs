//! The demo's hidden benchmark and its five submissions, built from a public set and a seed.
//!
//! The rows are real; what is done to them is what people do: submit honest work, half of it, work
//! with its answers mixed up, somebody else's work lightly edited, or noise. The same rows and seed
//! give the same files everywhere. Nothing here knows how submissions are scored.
//!
//! Invariants: no row of the benchmark is in a submission; `honest` and `half` share no row; no row
//! of `shuffled` keeps its answer; every row of `copy` differs from the row it was copied from.

mod edit;
mod split;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dataforge_core::benchmark::BenchmarkRow;
use dataforge_core::dataset::Row;
use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;
use serde::Serialize;

use crate::fs::{FileError, write_atomic};

/// How much of the public set each part gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoPlan {
    /// Rows of the hidden benchmark.
    pub benchmark_rows: usize,
    /// Candidates of each benchmark row, the right one included. At least 2.
    pub candidates: usize,
    /// Rows of `honest`, and of what is made from it: `shuffled`, `copy`, `garbage`.
    pub honest_rows: usize,
    /// Rows of `half`.
    pub half_rows: usize,
}

impl Default for DemoPlan {
    /// 150 hidden rows with 4 candidates, 500 honest rows, 250 in `half`: the least for which the
    /// spread between seeds stays well below the distance between honest and shuffled.
    fn default() -> Self {
        Self { benchmark_rows: 150, candidates: 4, honest_rows: 500, half_rows: 250 }
    }
}

/// One dataset of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSubmission {
    /// `honest`, `half`, `shuffled`, `copy` or `garbage`.
    pub name: &'static str,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// All the data of a demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSets {
    /// The hidden rows.
    pub benchmark: Vec<BenchmarkRow>,
    /// The submissions, in the order in which they are committed: `copy` after `honest`.
    pub submissions: Vec<DemoSubmission>,
}

/// Where a demo's files were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoPaths {
    /// The benchmark: `{"input", "candidates", "answer"}` per line.
    pub benchmark: PathBuf,
    /// Name and file of each submission: `{"input", "output"}` per line.
    pub submissions: Vec<(&'static str, PathBuf)>,
}

/// The public set cannot carry the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemoDataError {
    /// It has too few rows with distinct inputs.
    #[error("the public set has {found} distinct inputs, the demo needs {needed}")]
    TooFewRows {
        /// Distinct inputs there are.
        found: usize,
        /// Rows that the plan takes.
        needed: usize,
    },
    /// It has too few distinct outputs to choose wrong candidates from.
    #[error("the hidden rows have {found} distinct outputs, {needed} candidates were asked for")]
    TooFewOutputs {
        /// Distinct outputs there are.
        found: usize,
        /// Candidates per row.
        needed: usize,
    },
    /// One output is so frequent that some row must keep it however outputs are shuffled.
    #[error("more than half of the rows share one output, so no shuffle changes every row")]
    CannotShuffle,
}

impl DemoSets {
    /// Builds the demo's data from a public set's rows.
    ///
    /// # Errors
    /// [`DemoDataError`] when the set is too small or too uniform for `plan`.
    pub fn build(rows: &[Row], seed: &EpochSeed, plan: &DemoPlan) -> Result<Self, DemoDataError> {
        let parts = split::split(rows, seed, plan)?;
        let honest = parts.honest;
        let submissions = vec![
            DemoSubmission { name: "shuffled", rows: edit::shuffled(&honest, seed)? },
            DemoSubmission { name: "copy", rows: edit::copied(&honest, seed) },
            DemoSubmission { name: "garbage", rows: edit::garbage(&honest, seed) },
        ];
        let real = [("honest", honest), ("half", parts.half)];
        let real = real.into_iter().map(|(name, rows)| DemoSubmission { name, rows });
        Ok(Self {
            benchmark: benchmark(&parts.hidden, seed, plan.candidates)?,
            submissions: real.chain(submissions).collect(),
        })
    }

    /// Writes `benchmark.jsonl` and one `<name>.jsonl` per submission into `folder`.
    ///
    /// # Errors
    /// [`FileError`]; each file is then either whole or as it was before.
    pub fn write(&self, folder: &Path) -> Result<DemoPaths, FileError> {
        let benchmark = folder.join("benchmark.jsonl");
        write_json_lines(&benchmark, &self.benchmark)?;
        let mut submissions = Vec::new();
        for submission in &self.submissions {
            let path = folder.join(format!("{}.jsonl", submission.name));
            write_json_lines(&path, &submission.rows)?;
            submissions.push((submission.name, path));
        }
        Ok(DemoPaths { benchmark, submissions })
    }
}

/// Writes one JSON object per line, each line ended by `\n`; atomic as [`write_atomic`].
///
/// # Errors
/// [`FileError`] naming `path`.
pub fn write_json_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), FileError> {
    let mut bytes = Vec::new();
    for row in rows {
        let line = serde_json::to_writer(&mut bytes, row).map_err(std::io::Error::from);
        line.map_err(FileError::io("encode a row of", path))?;
        bytes.push(b'\n');
    }
    write_atomic(path, &bytes)
}

/// Gives each hidden row its right output at a seeded position, among outputs of other hidden rows.
fn benchmark(
    hidden: &[Row],
    seed: &EpochSeed,
    candidates: usize,
) -> Result<Vec<BenchmarkRow>, DemoDataError> {
    let outputs: BTreeSet<&str> = hidden.iter().map(|row| row.output.as_str()).collect();
    if outputs.len() < candidates {
        return Err(DemoDataError::TooFewOutputs { found: outputs.len(), needed: candidates });
    }
    let mut stream = SeedStream::new(seed, "demo/candidates");
    let question = |row: &Row| {
        let mut wrong: Vec<&str> = Vec::new();
        // Drawing rows, not distinct outputs, keeps a wrong candidate as likely as it is frequent:
        // a model that only knows the frequencies gains nothing. Ends, since enough outputs exist.
        while wrong.len() + 1 < candidates {
            let Some(other) = hidden.get(stream.index(hidden.len())) else { break };
            let output = other.output.as_str();
            if output != row.output && !wrong.contains(&output) {
                wrong.push(output);
            }
        }
        let answer = stream.index(wrong.len() + 1);
        wrong.insert(answer, &row.output);
        BenchmarkRow {
            input: row.input.clone(),
            candidates: wrong.into_iter().map(str::to_owned).collect(),
            // `CANDIDATES_MAX` of core is far below `u32::MAX`.
            answer: u32::try_from(answer).unwrap_or(u32::MAX),
        }
    };
    Ok(hidden.iter().map(question).collect())
}
