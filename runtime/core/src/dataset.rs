//! A miner's rows: splitting a file into lines, canonical rows, their digests, and the check
//! report.
//!
//! Nothing here parses JSON: a line's bytes go to the schema kernel as they are, and rows come back
//! from it.

use crate::blind::{BlindTree, ListRoot};
use crate::codec;
use crate::hash::{DatasetDigest, Hasher, ReportDigest, RowFingerprint, tagged};
use crate::limits::{LINE_BYTES_MAX, ROWS_MAX};
use crate::units::Fuel;
use serde::{Deserialize, Serialize};

/// One training example after the schema kernel accepted it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// What the model is shown.
    pub input: String,
    /// What it is trained to answer.
    pub output: String,
}

impl Row {
    /// A digest that case, white space and ASCII punctuation do not change.
    ///
    /// Byte format: tag `dataforge/row-fold/v1` over the folded input, `0x1F`, the folded output.
    /// Folding lower-cases ASCII letters and drops every other ASCII character that is not a digit;
    /// other characters stay, so the result depends on no Unicode table.
    #[must_use]
    pub fn fingerprint(&self) -> RowFingerprint {
        let mut hasher = Hasher::new("dataforge/row-fold/v1");
        hasher.update(fold(&self.input)).update([0x1f]).update(fold(&self.output));
        hasher.finish()
    }
}

fn fold(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_ascii() || c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// A dataset file cannot be split into lines within the limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A line is longer than [`LINE_BYTES_MAX`].
    #[error("row {row}: the line is longer than {} bytes", LINE_BYTES_MAX.0)]
    LineTooLong {
        /// Counted from 1.
        row: u32,
    },
    /// More than [`ROWS_MAX`] lines.
    #[error("more than {ROWS_MAX} rows")]
    TooManyRows,
    /// No line at all.
    #[error("the file is empty")]
    Empty,
}

/// A dataset file split into lines, nothing more known about it.
#[derive(Debug, Clone)]
pub struct RawSubmission<'a> {
    lines: Vec<&'a [u8]>,
}

impl<'a> RawSubmission<'a> {
    /// Splits JSON Lines: rows end with `\n` or `\r\n`, and the last one may end with the file.
    ///
    /// # Errors
    /// [`SplitError`] when a limit is passed or there is no row.
    pub fn split(bytes: &'a [u8]) -> Result<Self, SplitError> {
        let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if body.is_empty() {
            return Err(SplitError::Empty);
        }
        let mut lines = Vec::new();
        for (row, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
            if row > ROWS_MAX {
                return Err(SplitError::TooManyRows);
            }
            if line.len() as u64 > LINE_BYTES_MAX.0 {
                return Err(SplitError::LineTooLong { row });
            }
            lines.push(line.strip_suffix(b"\r").unwrap_or(line));
        }
        Ok(Self { lines })
    }

    /// The lines' bytes without their ends.
    #[must_use]
    pub fn lines(&self) -> &[&'a [u8]] {
        &self.lines
    }

    /// The digest of a submission: what a miner commits to and a proof names, whether or not it is
    /// accepted.
    ///
    /// Byte format: tag `dataforge/dataset/v2` over the canonical encoding of the list root of
    /// [`Self::tree`].
    #[must_use]
    pub fn digest(&self) -> DatasetDigest {
        Self::digest_of(self.tree().list_root())
    }

    /// The digest of the submission whose lines have this root.
    pub(crate) fn digest_of(lines: ListRoot) -> DatasetDigest {
        tagged("dataforge/dataset/v2", &codec::encode(&lines))
    }

    /// The tree whose leaf i is line i without its end.
    #[must_use]
    pub fn tree(&self) -> BlindTree {
        BlindTree::of(&self.lines)
    }
}

/// One reason why a dataset is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFault {
    /// Row number from 1; 0 when the fault is of the dataset as a whole.
    pub row: u32,
    /// JSON pointer (RFC 6901) into the row; empty for the row itself.
    pub pointer: String,
    /// What is wrong, in words.
    pub reason: String,
}

impl std::fmt::Display for RowFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.row, self.pointer.as_str()) {
            (0, _) => write!(f, "dataset: {}", self.reason),
            (row, "") => write!(f, "row {row}: {}", self.reason),
            (row, pointer) => write!(f, "row {row}: {pointer}: {}", self.reason),
        }
    }
}

/// What the kernels found in a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Lines of the submission.
    pub rows: u32,
    /// Every fault found, kept or not.
    pub faults_total: u32,
    /// The first [`crate::limits::REPORTED_FAULTS_MAX`] faults, by row.
    pub faults: Vec<RowFault>,
    /// Fuel that the kernels consumed over the whole submission.
    pub fuel: Fuel,
}

impl CheckReport {
    /// Whether the submission may be trained on.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.faults_total == 0
    }

    /// Byte format: tag `dataforge/check-report/v1` over the canonical encoding of the report.
    #[must_use]
    pub fn digest(&self) -> ReportDigest {
        tagged("dataforge/check-report/v1", &codec::encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(input: &str, output: &str) -> Row {
        Row { input: input.into(), output: output.into() }
    }

    #[test]
    fn splits_lines_of_either_ending() {
        let raw = RawSubmission::split(b"a\r\nb\n").unwrap();
        assert_eq!(raw.lines(), [b"a".as_slice(), b"b"]);
        assert_eq!(RawSubmission::split(b"a\n\nb").unwrap().lines().len(), 3);
        assert_eq!(RawSubmission::split(b"\n").unwrap_err(), SplitError::Empty);
    }

    #[test]
    fn names_the_line_that_is_too_long() {
        let mut bytes = b"short\n".to_vec();
        bytes.resize(bytes.len() + usize::try_from(LINE_BYTES_MAX.0).unwrap() + 1, b'x');
        assert_eq!(RawSubmission::split(&bytes).unwrap_err(), SplitError::LineTooLong { row: 2 });
    }

    #[test]
    fn fingerprints_ignore_trivial_edits_only() {
        let original = row("1945-07-12", "Thursday, July 12, 1945.");
        assert_eq!(
            original.fingerprint(),
            row("1945-07-12 ", "thursday July 12  1945").fingerprint()
        );
        assert_ne!(
            original.fingerprint(),
            row("1945-07-12", "Friday, July 12, 1945.").fingerprint()
        );
    }

    #[test]
    fn field_boundaries_count() {
        let digest = |bytes| RawSubmission::split(bytes).unwrap().digest();
        assert_ne!(digest(b"ab\nc"), digest(b"a\nbc"));
        assert_eq!(digest(b"ab\nc"), digest(b"ab\r\nc\n"));
        assert_ne!(row("ab", "c").fingerprint(), row("a", "bc").fingerprint());
    }
}
