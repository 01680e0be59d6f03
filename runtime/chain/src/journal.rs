//! The sign-once journal: for one epoch and key, one vector of weights, whatever happens.
//!
//! A validator that signs two vectors for one epoch cannot be told from a cheat. So nothing that
//! carries weights is signed without a [`Permit`], and only [`Journal::authorise`] gives one: it
//! looks and records in one durable transaction, before anything is signed. What has a row may be
//! signed again (a transaction was dropped, a block was replaced); what differs from its row never;
//! what is older than the newest row never, so that a clock that jumps back signs nothing.
//!
//! The journal is an SQLite file, locked by whoever writes to it, so that two processes are as one.
//! It must be made on purpose: a file that has vanished must not become an empty one. Its rows are
//! chained by digests, which shows a row that was altered, removed or moved. That the newest rows
//! were cut off, or an older copy was put in place, no file can show of itself: compare
//! [`Journal::head`] with what was noted elsewhere, and never restore a copy; import it.

mod document;
mod row;
mod store;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ids::{AccountId, MechanismId, NetUid};
use crate::network::Genesis;
use crate::weights::WeightVector;

pub use document::DOCUMENT_BYTES_MAX;
pub use row::{JournalDigest, Salt};
pub use store::{FILE_BYTES_MAX, Journal};

/// What weights may be signed for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// On which chain.
    pub genesis: Genesis,
    /// In which subnet.
    pub netuid: NetUid,
    /// For which of its mechanisms.
    pub mechanism: MechanismId,
    /// By which key.
    pub hotkey: AccountId,
    /// For the market's epoch of this number.
    pub epoch: u64,
}

/// What somebody means to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// For what.
    pub slot: Slot,
    /// The weights.
    pub vector: WeightVector,
    /// The version key that goes with them.
    pub version_key: u64,
}

/// Leave to sign one vector for one slot. Only the journal gives it, once the vector is on disk.
#[derive(Debug)]
pub struct Permit {
    intent: Intent,
    salt: Salt,
}

impl Permit {
    /// What may be signed.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The salt under which the vector is committed to by its hash, the same each time.
    #[must_use]
    pub fn salt(&self) -> &Salt {
        &self.salt
    }
}

/// What the journal has of a slot, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place in the journal, from 1.
    pub number: u64,
    /// The chain, by the hash of its first block.
    pub genesis: String,
    /// The subnet.
    pub netuid: NetUid,
    /// The mechanism.
    pub mechanism: MechanismId,
    /// The key.
    pub hotkey: AccountId,
    /// The epoch.
    pub epoch: u64,
    /// The weights.
    pub weights: WeightVector,
    /// The version key.
    pub version_key: u64,
    /// Transactions that were sent by it.
    pub sent: Vec<Sent>,
}

/// A transaction that was sent. For people: no rule depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// The call.
    pub call: String,
    /// The transaction's hash, in hexadecimal.
    pub hash: String,
    /// The block that has it.
    pub block: u32,
}

/// How far the journal is: what to compare with what was noted elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Rows.
    pub rows: u64,
    /// The digest of the last row, which commits to all before it.
    pub digest: JournalDigest,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Rows that are in the journal by it.
    pub added: u64,
    /// Rows that were there.
    pub known: u64,
}

/// Nothing may be signed, or the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal.
    #[error(
        "there is no journal at {}; if its file was lost, import an export of it; only where this \
         key has never signed weights, make one with `dataforge chain journal init`",
        .0.display()
    )]
    Missing(PathBuf),
    /// A journal is not made over something.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The file cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Others may read or write it.
    #[error("{} may be used by others; `chmod 600` it", .0.display())]
    OpenToOthers(PathBuf),
    /// The file is something else, or damaged.
    #[error("{} is no journal: {reason}", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Written by another version of this program.
    #[error("{} has format {found}, and this program knows {known}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that is known.
        known: i64,
    },
    /// Somebody has changed what was signed.
    #[error("{} was altered: row {row} {reason}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The first row that is not as it was written.
        row: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another process has the journal for too long.
    #[error("another process uses {}", .0.display())]
    Busy(PathBuf),
    /// Two vectors for one epoch.
    #[error(
        "for epoch {} other weights were signed: {recorded:?} with version key {recorded_key}, \
         not {:?} with {}; nothing was signed", intent.slot.epoch, intent.vector, intent.version_key
    )]
    Conflict {
        /// What was to be signed.
        intent: Box<Intent>,
        /// The vector that was signed.
        recorded: WeightVector,
        /// The version key that was signed with it.
        recorded_key: u64,
    },
    /// An epoch before the last one.
    #[error("epoch {epoch} is over: weights were signed for epoch {newest}; nothing was signed")]
    Behind {
        /// The epoch that was asked for.
        epoch: u64,
        /// The newest epoch that has a row.
        newest: u64,
    },
    /// An epoch so far ahead that it is a mistake, which would leave all before it unpaid.
    #[error(
        "epoch {epoch} is more than {LEAP_MAX} after epoch {newest}, the last one; nothing was \
         signed"
    )]
    Leap {
        /// The epoch that was asked for.
        epoch: u64,
        /// The newest epoch that has a row.
        newest: u64,
    },
    /// A document that is not taken over.
    #[error("{}: {reason}; nothing was imported", path.display())]
    Document {
        /// The document.
        path: PathBuf,
        /// What is wrong, and with which of its rows.
        reason: String,
    },
    /// SQLite failed.
    #[error("{}: {source}", path.display())]
    Database {
        /// The journal.
        path: PathBuf,
        /// How.
        source: rusqlite::Error,
    },
    /// The system gave no randomness.
    #[error("the system has no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// The largest step from one epoch to the next that is signed: thirteen years of epochs of 72
/// minutes. A number beyond it is a time or a block that was taken for an epoch.
pub const LEAP_MAX: u64 = 100_000;

impl JournalError {
    /// Names the file in an [`std::io::Error`]; for `map_err`.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the answer is no, rather than that the journal cannot be used.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Behind { .. } | Self::Leap { .. })
    }
}
