//! Why a dataset file cannot be read, or not on: always with the file, with the row where one was
//! being read.

use std::io;
use std::path::{Path, PathBuf};

use dataforge_core::limits::{CHECKED_BYTES_MAX, LINE_BYTES_MAX, ROWS_MAX};

use crate::fs::FileError;

/// A dataset file is not rows within the limits. No row follows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// No row at all.
    #[error("{}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A row is longer than [`LINE_BYTES_MAX`].
    #[error("{}: row {row}: longer than {} bytes", path.display(), LINE_BYTES_MAX.0)]
    RowTooLong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        row: u32,
    },
    /// More than [`ROWS_MAX`] rows.
    #[error("{}: more than {ROWS_MAX} rows", path.display())]
    TooManyRows {
        /// The file.
        path: PathBuf,
    },
    /// More than [`CHECKED_BYTES_MAX`] once decompressed.
    #[error(
        "{}: row {row}: the file holds more than {} bytes once decompressed",
        path.display(), CHECKED_BYTES_MAX.0
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The row being read, counted from 1.
        row: u32,
    },
    /// The bytes are not of the format that they begin as, or of a variant of it that is not read.
    #[error("{}: {}{reason}", path.display(), at(*row))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The row being read, counted from 1; 0 before the first.
        row: u32,
        /// What is wrong.
        reason: String,
    },
    /// A column holds what JSON has no form for.
    #[error("{}: {}column {column}: {reason}", path.display(), at(*row))]
    Column {
        /// The file.
        path: PathBuf,
        /// Counted from 1; 0 when no row of the column can be expressed.
        row: u32,
        /// Names from the outermost column inwards, with dots between them.
        column: String,
        /// What it holds, and what to write instead.
        reason: String,
    },
}

fn at(row: u32) -> String {
    if row == 0 { String::new() } else { format!("row {row}: ") }
}

/// A [`RowsError`] where neither file nor row are known.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    RowTooLong,
    TooManyRows,
    TooLarge,
    Malformed(String),
    Column { column: String, reason: String },
}

impl Fault {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }

    /// Names the file and the row being read.
    pub(super) fn at(self, path: &Path, row: u32) -> RowsError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => FileError::Io { action: "read", path, source }.into(),
            Self::RowTooLong => RowsError::RowTooLong { path, row },
            Self::TooManyRows => RowsError::TooManyRows { path },
            Self::TooLarge => RowsError::TooLarge { path, row },
            Self::Malformed(reason) => RowsError::Malformed { path, row, reason },
            Self::Column { column, reason } => RowsError::Column { path, row, column, reason },
        }
    }
}
