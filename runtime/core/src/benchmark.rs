//! The hidden rows of an epoch: multiple-choice questions committed by Merkle root, and their file
//! format.
//!
//! A benchmark file is JSON Lines written by the validator's own curator; it crosses a trust
//! boundary only as bytes that must hash to the committed root, so parsing it is left to the crates
//! that do I/O.

use crate::blind::BlindTree;
use crate::codec;
use crate::hash::{BenchmarkRoot, EpochSeed};
use crate::limits::CANDIDATES_MAX;
use crate::random::SeedStream;
use crate::spec::BenchmarkCommitment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

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

/// Which rows of a benchmark an evaluation under `seed` is measured on: their places, from 0,
/// ascending. All, where the spec draws none.
///
/// Byte format: integers below a bound are drawn from the words of the stream `benchmark` of the
/// seed ([`SeedStream`]), words from the largest multiple of the bound that a `u64` holds upwards
/// being passed over, and others taken modulo it. From place 0 on, as long as rows are still to
/// draw: one such integer with the number of places from here to the end as its bound, and the
/// place is drawn when the integer is less than the number of rows still to draw.
#[must_use]
pub fn drawn_places(rows: NonZeroU32, drawn: Option<NonZeroU32>, seed: &EpochSeed) -> Vec<usize> {
    let places = match drawn {
        None => (0..rows.get()).collect(),
        Some(drawn) => SeedStream::new(seed, "benchmark").choose(rows.get(), drawn.get()),
    };
    places.into_iter().map(|place| place as usize).collect()
}

/// Rows that are well formed and hash to the committed root.
#[derive(Debug, Clone)]
pub struct Benchmark {
    rows: Vec<BenchmarkRow>,
    root: BenchmarkRoot,
    count: NonZeroU32,
    drawn: Option<NonZeroU32>,
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
        Ok(Self { rows, root: found, count: commitment.rows, drawn: commitment.drawn })
    }

    /// All rows, in committed order.
    #[must_use]
    pub fn rows(&self) -> &[BenchmarkRow] {
        &self.rows
    }

    /// The places of the rows that an evaluation under `seed` is measured on; see
    /// [`drawn_places`].
    #[must_use]
    pub fn places(&self, seed: &EpochSeed) -> Vec<usize> {
        drawn_places(self.count, self.drawn, seed)
    }

    /// The rows that an evaluation under `seed` is measured on, as a proof has their results.
    #[must_use]
    pub fn measured(&self, seed: &EpochSeed) -> Vec<&BenchmarkRow> {
        self.places(seed).into_iter().filter_map(|place| self.rows.get(place)).collect()
    }

    /// Which of the rows that `seed` draws were hidden until then: those that none of the
    /// `earlier` seeds drew, since what an epoch is measured on is revealed after it. Each is its
    /// place among the drawn ones, from 0, and its place among all.
    #[must_use]
    pub fn hidden(&self, seed: &EpochSeed, earlier: &[EpochSeed]) -> Vec<(usize, usize)> {
        let revealed: BTreeSet<usize> = earlier.iter().flat_map(|seed| self.places(seed)).collect();
        let places = self.places(seed).into_iter().enumerate();
        places.filter(|(_, place)| !revealed.contains(place)).collect()
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
    let distinct: BTreeSet<_> = row.candidates.iter().collect();
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
        let commitment =
            BenchmarkCommitment { root, rows: two, drawn: None, candidates: two, public_set: None };
        let open = |rows: Vec<BenchmarkRow>| Benchmark::open(rows, &commitment);
        assert_eq!(open(vec![row(0), row(1)]).unwrap().root(), root);
        assert!(matches!(open(vec![row(1), row(0)]), Err(BenchmarkError::WrongRoot { .. })));
        assert!(matches!(open(vec![row(0), row(2)]), Err(BenchmarkError::BadRow { row: 2, .. })));
        assert!(matches!(open(vec![row(0)]), Err(BenchmarkError::WrongCount { found: 1, .. })));
    }

    fn drawn(rows: u32, drawn: u32, seed: u8) -> Vec<usize> {
        let count = |count: u32| NonZeroU32::new(count).unwrap();
        drawn_places(count(rows), Some(count(drawn)), &EpochSeed([seed; 32]))
    }

    /// Computed by another implementation, from the text above.
    #[test]
    fn golden_draws() {
        assert_eq!(drawn(12, 5, 7), [0, 5, 8, 9, 11]);
        assert_eq!(drawn(12, 5, 8), [0, 1, 2, 4, 9]);
        assert_eq!(drawn(1_000_000, 3, 7), [330_385, 718_418, 960_031]);
        assert_eq!(drawn(4, 4, 7), [0, 1, 2, 3]);
        let all = drawn_places(3.try_into().unwrap(), None, &EpochSeed([7; 32]));
        assert_eq!(all, [0, 1, 2]);
    }

    /// Rows are hidden until a seed draws them.
    #[test]
    fn what_was_drawn_is_hidden_no_more() {
        let rows: Vec<_> = (0..12).map(|_| row(0)).collect();
        let (rows_count, two) = (12.try_into().unwrap(), 2.try_into().unwrap());
        let open = |drawn: Option<u32>| {
            let commitment = BenchmarkCommitment {
                root: benchmark_root(&rows),
                rows: rows_count,
                drawn: drawn.map(|drawn| drawn.try_into().unwrap()),
                candidates: two,
                public_set: None,
            };
            Benchmark::open(rows.clone(), &commitment).unwrap()
        };
        let [first, second] = [7, 8].map(|byte| EpochSeed([byte; 32]));
        let some = open(Some(5));
        let all_of_it: Vec<_> = some.places(&second).into_iter().enumerate().collect();
        assert_eq!(some.hidden(&second, &[]), all_of_it);
        let left = some.hidden(&second, &[first]);
        assert!(!left.is_empty() && left.len() < 5, "{left:?}");
        let earlier = some.places(&first);
        assert!(all_of_it.iter().all(|pair| left.contains(pair) != earlier.contains(&pair.1)));
        assert_eq!(some.hidden(&second, &[first, second]), []);
        assert_eq!(some.measured(&second).len(), 5);
        // Every seed draws all of a benchmark that is not drawn of.
        assert_eq!(open(None).hidden(&second, &[]).len(), 12);
        assert_eq!(open(None).hidden(&second, &[first]), []);
    }
}
