//! The hidden rows of an epoch: multiple-choice questions committed by Merkle root, and their file
//! format.
//!
//! A benchmark file is JSON Lines written by the validator's own curator; it crosses a trust
//! boundary only as bytes that must hash to the committed root, so parsing it is left to the crates
//! that do I/O.

use crate::blind::BlindTree;
use crate::codec;
use crate::hash::BenchmarkRoot;
use crate::limits::CANDIDATES_MAX;
use crate::spec::BenchmarkCommitment;
use serde::{Deserialize, Serialize};

/// One hidden question with its frozen candidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkRow {
    /// What the model is shown.
    pub input: String,
    /// The right output and the wrong ones, distinct, in frozen order.
    pub candidates: Vec<String>,
    /// Index of the right one.
    pub answer: u32,
}

/// Why a benchmark is not the one that a spec commits to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// A row has too few or too many candidates, repeats one, or its answer is not among them.
    #[error("benchmark row {row}: {reason}")]
    BadRow {
        /// Counted from 1.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// Not as many rows as the spec says.
    #[error("the benchmark has {found} rows, the spec says {committed}")]
    WrongCount {
        /// Rows given.
        found: usize,
        /// Rows in the spec.
        committed: u32,
    },
    /// The rows hash to another root than the committed one.
    #[error("the benchmark's root is {found}, but the spec commits to {committed}")]
    WrongRoot {
        /// Root of the rows given.
        found: BenchmarkRoot,
        /// Root in the spec.
        committed: BenchmarkRoot,
    },
}

/// The tree whose leaf i is the canonical encoding of row i (postcard: input, number of candidates,
/// each candidate, answer).
#[must_use]
pub fn benchmark_tree(rows: &[BenchmarkRow]) -> BlindTree {
    let leaves: Vec<_> = rows.iter().map(codec::encode).collect();
    BlindTree::of(&leaves)
}

/// Byte format: the root of [`benchmark_tree`]; the spec has the number of rows beside it.
#[must_use]
pub fn benchmark_root(rows: &[BenchmarkRow]) -> BenchmarkRoot {
    BenchmarkRoot(benchmark_tree(rows).list_root().root.0)
}

/// Rows that are well formed and hash to the committed root.
#[derive(Debug, Clone)]
pub struct Benchmark {
    rows: Vec<BenchmarkRow>,
    root: BenchmarkRoot,
}

impl Benchmark {
    /// Checks the number of rows, each row's shape, and the root.
    ///
    /// # Errors
    /// [`BenchmarkError`] naming the first bad row, or both counts or roots when they differ.
    pub fn open(
        rows: Vec<BenchmarkRow>,
        commitment: &BenchmarkCommitment,
    ) -> Result<Self, BenchmarkError> {
        let (candidates, committed) = (commitment.candidates.get(), commitment.root);
        let count = commitment.rows.get();
        if u32::try_from(rows.len()) != Ok(count) {
            return Err(BenchmarkError::WrongCount { found: rows.len(), committed: count });
        }
        for (number, row) in (1..).zip(&rows) {
            check_row(row, candidates)
                .map_err(|reason| BenchmarkError::BadRow { row: number, reason })?;
        }
        let found = benchmark_root(&rows);
        if found != committed {
            return Err(BenchmarkError::WrongRoot { found, committed });
        }
        Ok(Self { rows, root: found })
    }

    /// The rows in committed order.
    #[must_use]
    pub fn rows(&self) -> &[BenchmarkRow] {
        &self.rows
    }

    /// The commitment.
    #[must_use]
    pub fn root(&self) -> BenchmarkRoot {
        self.root
    }
}

fn check_row(row: &BenchmarkRow, candidates: u32) -> Result<(), String> {
    let count = row.candidates.len();
    if count > CANDIDATES_MAX || u32::try_from(count) != Ok(candidates) {
        return Err(format!("{count} candidates, the spec says {candidates}"));
    }
    if row.answer >= candidates {
        return Err(format!("answer {} is not one of {count} candidates", row.answer));
    }
    let distinct: std::collections::BTreeSet<_> = row.candidates.iter().collect();
    if distinct.len() != count {
        return Err("a candidate is repeated".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(answer: u32) -> BenchmarkRow {
        BenchmarkRow { input: "q".into(), candidates: vec!["a".into(), "b".into()], answer }
    }

    #[test]
    fn opens_only_what_was_committed() {
        let root = benchmark_root(&[row(0), row(1)]);
        let two = 2.try_into().unwrap();
        let commitment = BenchmarkCommitment { root, rows: two, candidates: two, public_set: None };
        let open = |rows: Vec<BenchmarkRow>| Benchmark::open(rows, &commitment);
        assert_eq!(open(vec![row(0), row(1)]).unwrap().root(), root);
        assert!(matches!(open(vec![row(1), row(0)]), Err(BenchmarkError::WrongRoot { .. })));
        assert!(matches!(open(vec![row(0), row(2)]), Err(BenchmarkError::BadRow { row: 2, .. })));
        assert!(matches!(open(vec![row(0)]), Err(BenchmarkError::WrongCount { found: 1, .. })));
    }
}
