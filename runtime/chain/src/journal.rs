//! The sign-once journal: for one epoch and key, one vector of weights, whatever happens.
//!
//! A validator that signs two vectors for one epoch cannot be told from a cheat. So nothing that
//! carries weights is signed without a [`Permit`], and only [`Journal::authorise`] gives one: it
//! looks and records in one durable transaction, before anything is signed.
//!
//! Invariants, for each key in each mechanism of each subnet of each chain:
//! - What has a row may be signed again (a transaction was dropped, a block was replaced), with the
//!   same salt; what differs from its row never.
//! - An epoch before the newest row that has no row of its own is never signed for, so that a clock
//!   that jumps back signs nothing. No row is ever changed or removed.
//! - An epoch may be skipped, but not [`LEAP_MAX`] of them at once. An epoch comes from a settled
//!   report, not from a clock; the bound keeps a block's height or a time from being taken for one,
//!   which would burn all epochs before it. It does not say whether the epoch is over on chain:
//!   that is for whoever reads the chain.
//!
//! The journal is an SQLite file, locked by whoever writes to it, so that two processes are as one.
//! It must be made on purpose: a file that has vanished must not become an empty one. Its rows are
//! chained by digests, which shows a row that was altered, removed or moved, and an open journal
//! notices when its file is replaced, or put back to what it was. What it deliberately does not do:
//! - See, on opening, that the newest rows were cut off or an older copy was put in place. No file
//!   can show that of itself: note the [`Tip`] elsewhere, ask [`Journal::check_continues`], and
//!   compare the newest epochs with what the chain has. Never restore a copy; import an export.
//! - Keep out whoever may write to the file and knows this format: the digests have no secret.
//! - Bind two journals: one key has one journal, on a disk of the machine itself, since file locks
//!   of network disks cannot be relied upon.

mod document;
mod file;
mod row;
mod store;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dataforge_core::hash::Digest as _;
use serde::Serialize;

use crate::ids::{AccountId, Genesis, MechanismId, NetUid};
use crate::weight_vector::WeightVector;

pub use document::DOCUMENT_BYTES_MAX;
pub use file::FILE_BYTES_MAX;
pub use row::{JournalDigest, Salt, VectorDigest};
pub use store::Journal;

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

/// The last of some rows. Written `ROWS:DIGEST`, to be noted elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tip {
    /// Rows.
    pub rows: u64,
    /// The digest of the last row, which commits to all before it; zeros where there is none.
    pub digest: JournalDigest,
}

impl Tip {
    /// Before the first row.
    const NONE: Self = Self { rows: 0, digest: JournalDigest::NONE };
}

impl fmt::Display for Tip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rows, self.digest)
    }
}

impl FromStr for Tip {
    type Err = TipError;

    fn from_str(text: &str) -> Result<Self, TipError> {
        let read = || {
            let (rows, digits) = text.split_once(':')?;
            let mut digest = [0; 32];
            hex::decode_to_slice(digits, &mut digest).ok()?;
            Some(Self { rows: rows.parse().ok()?, digest: JournalDigest(digest) })
        };
        read().ok_or(TipError)
    }
}

/// Not written as a journal's last row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write ROWS:DIGEST, as a journal's last row was shown")]
pub struct TipError;

/// How far the journal is: what to note elsewhere, and to compare with the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The last row.
    #[serde(flatten)]
    pub tip: Tip,
    /// The newest epoch of each key. Where the chain has weights or a commitment of a later one,
    /// rows are missing.
    pub newest: Vec<Newest>,
}

/// The newest epoch that has a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Newest {
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
    /// What SQLite keeps beside a file is there without the file. A journal made there would be
    /// overwritten with what it has.
    #[error(
        "{} is left of a journal that was there: put that journal back, or remove this with it",
        .0.display()
    )]
    Leftover(PathBuf),
    /// The file was removed, or another one is in its place, since it was opened.
    #[error("{} is not the file that was opened; nothing was signed", .0.display())]
    Replaced(PathBuf),
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
    /// The journal is not a later state of one whose head was noted: its newest rows were cut off,
    /// or another copy was put in its place.
    #[error(
        "{} does not continue the journal of {noted} rows that was noted: it has {rows}, and other \
         ones; sign nothing with it", path.display()
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// The rows that were noted.
        noted: u64,
        /// The rows that it has.
        rows: u64,
    },
    /// Another process has the journal for too long.
    #[error("another process uses {}", .0.display())]
    Busy(PathBuf),
    /// No further row fits: see [`FILE_BYTES_MAX`].
    #[error("{} is as large as it may be, or the disk is full; nothing was signed", .0.display())]
    Full(PathBuf),
    /// A permit that this journal did not give.
    #[error("{} has no such weights for epoch {epoch}", path.display())]
    NotRecorded {
        /// The journal.
        path: PathBuf,
        /// The permit's epoch.
        epoch: u64,
    },
    /// Two vectors for one epoch.
    #[error(
        "for epoch {} of {} other weights were signed: {}, not {}; nothing was signed",
        intent.slot.epoch, intent.slot.hotkey,
        summary(recorded, *recorded_key), summary(&intent.vector, intent.version_key)
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
        /// The newest epoch that has a row, or 0.
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

/// The largest step from one epoch to the next that is signed, and the largest first epoch:
/// thirteen years of epochs of 72 minutes. A number beyond it is a time or a block that was taken
/// for an epoch. Beyond it nothing is signed, and nothing imported.
pub const LEAP_MAX: u64 = 100_000;

/// The epoch that `epoch` leaps from, where it does.
fn leap(newest: Option<u64>, epoch: u64) -> Option<u64> {
    let newest = newest.unwrap_or(0);
    (epoch.saturating_sub(newest) > LEAP_MAX).then_some(newest)
}

/// A vector, for people.
fn summary(vector: &WeightVector, version_key: u64) -> String {
    let (count, digest) = (vector.pairs().len(), VectorDigest::of(vector));
    format!("{count} weights {} with version key {version_key}", digest.short())
}

impl JournalError {
    /// Names the file in an [`std::io::Error`]; for `map_err`.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the answer is no, rather than that the journal cannot be used.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Behind { .. }
                | Self::Leap { .. }
                | Self::RolledBack { .. }
        )
    }
}
