//! Public data sets, parsed into rows: pure functions from pinned bytes.
//!
//! Nothing here samples, shuffles or balances; that is the caller's, with a seed. The bytes were
//! checked against their pin, so a fault reported here means that the pin and the parser disagree.
//! The parsers are still bounded and never panic: they are fuzzed like any other reader.

mod date;
mod icd;
#[cfg(test)]
mod tests;

pub use date::date_rows;
pub use icd::{CHAPTER_LABELS, icd_chapter_rows};

use dataforge_core::units::Bytes;

/// A public set's file: the largest in use has 10 MB. A larger one is refused unread.
pub const SET_BYTES_MAX: Bytes = Bytes(64 * 1024 * 1024);

/// A public set is not in the format it is known to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicSetError {
    /// It is larger than [`SET_BYTES_MAX`].
    #[error("public set {set}: larger than {} bytes", SET_BYTES_MAX.0)]
    TooLarge {
        /// The set.
        set: &'static str,
    },
    /// A row or an element is not what was expected.
    #[error("public set {set}: {at}: {reason}")]
    BadFormat {
        /// The set.
        set: &'static str,
        /// Where: a row, counted from 1, or a byte offset.
        at: String,
        /// What is wrong there.
        reason: String,
    },
}

fn check_size(set: &'static str, bytes: &[u8]) -> Result<(), PublicSetError> {
    if bytes.len() as u64 > SET_BYTES_MAX.0 {
        return Err(PublicSetError::TooLarge { set });
    }
    Ok(())
}
