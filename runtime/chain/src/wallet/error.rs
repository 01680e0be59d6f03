//! Why a key cannot be used or made. Nothing here quotes a secret, or any byte of a key file.

use std::io;
use std::path::PathBuf;

use crate::ss58::AddressError;

use super::names::NameError;
use super::sealed::PASSWORD_CHARS_MIN;

/// A key cannot be read, used or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is a folder, a device or a pipe.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// No key file is as large.
    #[error("{} is larger than the {limit} bytes that a key file may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// Others than the owner may read or write it.
    #[error("{} may be read by others; `chmod 600` it", .0.display())]
    Open(PathBuf),
    /// It does not hold a key.
    #[error("{} is not a key: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The address in it is none.
    #[error("{}: {source}", path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: AddressError,
    },
    /// It holds a key of another kind.
    #[error("{} holds a key of {scheme}; only sr25519 is used here", path.display())]
    OtherScheme {
        /// The file.
        path: PathBuf,
        /// What it holds.
        scheme: &'static str,
    },
    /// It is encrypted, and there is no password.
    #[error("{} is encrypted: its password is needed", .0.display())]
    Encrypted(PathBuf),
    /// It is encrypted in a way that is not read here.
    #[error(
        "{} is encrypted by {name}, which is not read here; the SDK can change it to NaCl",
        path.display()
    )]
    OtherEncryption {
        /// The file.
        path: PathBuf,
        /// What encrypted it.
        name: &'static str,
    },
    /// The password does not decrypt it. A changed byte looks the same.
    #[error("{}: the password is wrong, or the file is damaged", .0.display())]
    WrongPassword(PathBuf),
    /// The password is too easy to find by trying.
    #[error("a password must have at least {PASSWORD_CHARS_MIN} characters")]
    WeakPassword,
    /// There is such a file; it was left as it is.
    #[error("{} exists; it is never overwritten", .0.display())]
    Exists(PathBuf),
    /// A name cannot be a file's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody says where the home folder is.
    #[error("there is no home folder, so no ~/.bittensor/wallets: name the folder of wallets")]
    NoHome,
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(getrandom::Error),
    /// A key cannot be made from a password in this little memory.
    #[error("there are not the {0} MiB of memory that a password's key is made in")]
    Memory(u32),
    /// What this crate takes for granted does not hold: our bug.
    #[error("this is our bug: {0}")]
    Internal(&'static str),
}

impl WalletError {
    /// Names the file in an [`io::Error`]; for `map_err`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }

    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
