//! One part of a proof shown by itself: a step, a benchmark row's result, or what stands behind the
//! roots of dataset and benchmark. It shows nothing else that is secret.

use crate::benchmark::BenchmarkRow;
use crate::blind::{BlindTree, ListRoot, Opening};
use crate::codec;
use crate::dataset::RawSubmission;
use crate::hash::{BenchmarkRoot, ValidatorKey};
use crate::limits::DISCLOSURE_BYTES_MAX;
use crate::merkle::{Inclusion, leaf_hash};
use crate::proof::file::{Format, ProofFileError};
use crate::proof::{
    ProofFile, RowResult, Run, SignatureError, SignedOutline, StepRecord, Whose, row_tree,
    step_tree,
};
use serde::{Deserialize, Serialize};

/// What is shown, and why it is part of the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    /// A training step.
    Step {
        /// Of which run.
        whose: Whose,
        /// Which, and what came of it.
        record: StepRecord,
        /// In the tree of the run's steps.
        inclusion: Inclusion,
    },
    /// What a run made of a benchmark row.
    Result {
        /// Of which run.
        whose: Whose,
        /// Of each candidate.
        result: RowResult,
        /// In the tree of the run's rows.
        inclusion: Inclusion,
    },
    /// A row of the submission.
    DatasetRow {
        /// Without its end.
        line: Vec<u8>,
        /// In the submission's tree.
        opening: Opening,
    },
    /// A row of the benchmark.
    BenchmarkRow {
        /// Question, candidates, answer.
        row: BenchmarkRow,
        /// In the benchmark's tree.
        opening: Opening,
    },
}

/// One part of a proof, with all that its signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosure {
    /// What is signed.
    pub signed: SignedOutline,
    /// The part.
    pub shown: Shown,
}

/// Something is not part of the proof that it is shown with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// The proof is not the signer's.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The root does not follow.
    #[error("{0} is not what the proof commits to")]
    NotCommitted(String),
}

const FORMAT: Format = Format { magic: *b"DFSHOWN\n", version: 1, limit: DISCLOSURE_BYTES_MAX };

impl Disclosure {
    /// Shows a training step, or `None` where there is none.
    #[must_use]
    pub fn step(file: &ProofFile, whose: Whose, step: u32) -> Option<Self> {
        let steps = &file.proof.run(whose)?.steps;
        let record = *steps.get(step as usize)?;
        let inclusion = step_tree(steps).inclusion(step)?;
        Some(Self::of(file, Shown::Step { whose, record, inclusion }))
    }

    /// Shows what a run made of a benchmark row, from 0, or `None` where there is none.
    #[must_use]
    pub fn result(file: &ProofFile, whose: Whose, row: u32) -> Option<Self> {
        let rows = &file.proof.run(whose)?.measured()?.rows;
        let result = rows.get(row as usize)?.clone();
        let inclusion = row_tree(rows).inclusion(row)?;
        Some(Self::of(file, Shown::Result { whose, result, inclusion }))
    }

    /// Shows a row of the submission, from 0, or `None` where there is none.
    #[must_use]
    pub fn dataset_row(file: &ProofFile, dataset: &RawSubmission<'_>, row: u32) -> Option<Self> {
        let line = dataset.lines().get(row as usize)?.to_vec();
        let opening = dataset.tree().opening(row)?;
        Some(Self::of(file, Shown::DatasetRow { line, opening }))
    }

    /// Shows a row of the benchmark, from 0, or `None` where there is none. `tree` is over all of
    /// its rows.
    #[must_use]
    pub fn benchmark_row(
        file: &ProofFile,
        rows: &[BenchmarkRow],
        tree: &BlindTree,
        row: u32,
    ) -> Option<Self> {
        let opening = tree.opening(row)?;
        let row = rows.get(row as usize)?.clone();
        Some(Self::of(file, Shown::BenchmarkRow { row, opening }))
    }

    fn of(file: &ProofFile, shown: Shown) -> Self {
        Self { signed: SignedOutline::of(file), shown }
    }

    /// Checks that the part belongs to the proof, and the signature, if there is one: who signed.
    ///
    /// # Errors
    /// [`DisclosureError`].
    pub fn verify(&self) -> Result<Option<ValidatorKey>, DisclosureError> {
        let signer = self.signed.signer()?;
        self.is_committed()
            .then_some(signer)
            .ok_or_else(|| DisclosureError::NotCommitted(self.shown.to_string()))
    }

    fn is_committed(&self) -> bool {
        let outline = &self.signed.outline;
        let included = |inclusion: &Inclusion, leaf: Vec<u8>, list: &ListRoot| {
            let root = inclusion.root(&leaf_hash(&leaf));
            inclusion.leaves == list.count && root == Some(list.root.0)
        };
        match &self.shown {
            Shown::Step { whose, record, inclusion } => outline.run(*whose).is_some_and(|run| {
                record.step.0 == inclusion.leaf
                    && included(inclusion, codec::encode(record), &run.steps)
            }),
            Shown::Result { whose, result, inclusion } => {
                let measured = outline.run(*whose).and_then(Run::measured);
                measured.is_some_and(|m| included(inclusion, codec::encode(result), &m.rows))
            }
            Shown::DatasetRow { line, opening } => {
                let list = opening.list(line);
                list.is_some_and(|list| RawSubmission::digest_of(list) == outline.inputs.dataset)
            }
            Shown::BenchmarkRow { row, opening } => {
                let list = opening.list(&codec::encode(row));
                list.is_some_and(|list| BenchmarkRoot(list.root.0) == outline.inputs.benchmark)
            }
        }
    }

    /// The file: as a proof's, with `DFSHOWN\n` and version 1.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        FORMAT.wrap(&codec::encode(self))
    }

    /// Whether a file begins like one of these.
    #[must_use]
    pub fn is_one(file: &[u8]) -> bool {
        file.starts_with(&FORMAT.magic)
    }

    /// Reads what [`Self::to_bytes`] wrote. Whether it holds is for [`Self::verify`].
    ///
    /// # Errors
    /// [`ProofFileError`] for anything else, without allocating more than the file's own size.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ProofFileError> {
        Ok(codec::decode(FORMAT.body(file)?)?)
    }
}

/// What is shown; rows count from 1.
impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |inclusion: &Inclusion| inclusion.leaf.saturating_add(1);
        match self {
            Self::Step { whose, record, .. } => write!(f, "{whose}step {}", record.step.0),
            Self::Result { whose, inclusion, .. } => {
                write!(f, "{whose}result of benchmark row {}", number(inclusion))
            }
            Self::DatasetRow { opening, .. } => {
                write!(f, "dataset row {}", number(&opening.inclusion))
            }
            Self::BenchmarkRow { opening, .. } => {
                write!(f, "benchmark row {}", number(&opening.inclusion))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::benchmark_tree;
    use crate::proof::tests::{measured, signed, trained};

    const LINES: &[u8] = b"first\nsecond\nthird";

    fn questions() -> Vec<BenchmarkRow> {
        let row = |input: &str| BenchmarkRow {
            input: input.into(),
            candidates: vec!["yes".into(), "no".into()],
            answer: 1,
        };
        ["is it", "was it", "will it be"].map(row).into()
    }

    /// The signed proof, as one of this dataset and benchmark; so its signature is not good.
    fn proof() -> ProofFile {
        let mut file = ProofFile { signature: None, ..signed() };
        file.proof.inputs.dataset = RawSubmission::split(LINES).unwrap().digest();
        let root = benchmark_tree(&questions()).list_root().root;
        file.proof.inputs.benchmark = BenchmarkRoot(root.0);
        let control = trained(&mut file.proof).control.as_mut().unwrap();
        control.steps.iter_mut().for_each(|step| step.loss.0 = 1);
        measured(control).rows.iter_mut().for_each(|row| row.log_probabilities[1].0 = -8);
        file
    }

    fn everything() -> Vec<Disclosure> {
        let (file, rows) = (proof(), questions());
        let (dataset, tree) = (RawSubmission::split(LINES).unwrap(), benchmark_tree(&rows));
        let mut all = vec![];
        for whose in [Whose::Model, Whose::Control] {
            all.extend((0..9).filter_map(|step| Disclosure::step(&file, whose, step)));
            all.extend((0..9).filter_map(|row| Disclosure::result(&file, whose, row)));
        }
        all.extend((0..9).filter_map(|row| Disclosure::dataset_row(&file, &dataset, row)));
        all.extend((0..9).filter_map(|row| Disclosure::benchmark_row(&file, &rows, &tree, row)));
        all
    }

    #[test]
    fn every_part_can_be_shown() {
        let all = everything();
        assert_eq!(all.len(), 2 * (3 + 2) + 3 + 3);
        for disclosure in all {
            assert_eq!(disclosure.verify(), Ok(None), "{}", disclosure.shown);
            assert_eq!(Disclosure::from_bytes(&disclosure.to_bytes()), Ok(disclosure));
        }
        let file = signed();
        let shown = Disclosure::step(&file, Whose::Control, 2).unwrap();
        assert_eq!(shown.verify(), Ok(Some(file.signature.unwrap().validator)));
    }

    #[test]
    fn nothing_else_passes_for_a_part() {
        for disclosure in everything() {
            let body = codec::encode(&disclosure);
            for at in 0..body.len() {
                let mut bad = body.clone();
                bad[at] ^= 1;
                let Ok(read) = codec::decode::<Disclosure>(&bad) else { continue };
                let same_proof = read.signed.outline == disclosure.signed.outline;
                let passes = same_proof && read.verify() == Ok(None);
                assert!(!passes, "byte {at} of {}", disclosure.shown);
            }
        }
    }

    #[test]
    fn a_part_of_another_proof_has_no_signature() {
        let mut disclosure = Disclosure::step(&signed(), Whose::Model, 1).unwrap();
        disclosure.signed.outline.inputs.dataset = crate::hash::DatasetDigest([0; 32]);
        assert!(matches!(disclosure.verify(), Err(DisclosureError::Signature(_))));
    }

    #[test]
    fn the_other_rows_stay_secret() {
        for disclosure in everything() {
            let bytes = disclosure.to_bytes();
            let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            let seen = ["first", "second", "third", "is it", "was it", "will it be"];
            assert!(seen.into_iter().filter(|text| holds(text)).count() <= 1);
        }
    }
}
