//! Why an epoch's files cannot be used. Each variant names the file, and the line where it has one.

use std::path::PathBuf;

use dataforge_settle::{Epoch, EventFault, RulesError, SettleError, Unbalanced};

use crate::fs::FileError;

/// Why an epoch's files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder is not named by a number.
    #[error("{} is no epoch: an epoch's folder is named by its number, such as 12", path.display())]
    NotAnEpoch {
        /// The folder.
        path: PathBuf,
    },
    /// An epoch between others, or the first, is not there.
    #[error("{} has no epoch {epoch}", epochs.display())]
    Missing {
        /// The folder of epochs.
        epochs: PathBuf,
        /// Which.
        epoch: Epoch,
    },
    /// What needs a settled epoch was asked of one that is not.
    #[error("{} is not settled; `dataforge settle {}` does it", path.display(), path.display())]
    NotSettled {
        /// The epoch's folder.
        path: PathBuf,
    },
    /// A line is not what it should be.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An event cannot be true.
    #[error("{}: line {line}: {fault}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Why.
        fault: Box<EventFault>,
    },
    /// The events as a whole cannot be settled.
    #[error("{}: {source}", path.display())]
    Settle {
        /// The file of the events.
        path: PathBuf,
        /// Why.
        source: Box<SettleError>,
    },
    /// Rules by which nothing can be settled.
    #[error("{}: {source}", path.display())]
    Rules {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: RulesError,
    },
    /// What a file holds does not have the digest that it states: it was altered.
    #[error("{}: what it holds has the digest {found}, it states {stated}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The digest of what it holds.
        found: String,
        /// What it says.
        stated: String,
    },
    /// A ledger in which something was lost or made.
    #[error("{}: {source}", path.display())]
    Unbalanced {
        /// Its file.
        path: PathBuf,
        /// What does not add up.
        source: Unbalanced,
    },
    /// A ledger or report that belongs into another folder.
    #[error("{}: it is of epoch {found}, not {expected}", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: Epoch,
        /// What its folder says.
        expected: Epoch,
    },
    /// The epoch was settled before, and came to something else.
    #[error("{} differs: it has the digest {found}, these events make {expected}", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// The digest in it.
        found: String,
        /// The digest of what was settled.
        expected: String,
    },
}

impl EpochsError {
    /// Whether a file is well formed and does not hold, rather than being no such file.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Altered { .. } | Self::Unbalanced { .. } | Self::Differs { .. })
    }
}
