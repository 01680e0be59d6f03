//! A key file that was read, and is not unlocked yet.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::file::{self, Reader};
use super::sealed::{self, Password, SealError};
use super::{Keypair, WalletError, json};
use crate::ids::AccountId;

/// How a key file is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Encryption {
    /// Not at all.
    Plain,
    /// By NaCl's secret box under an Argon2i key: what current SDKs do.
    Nacl,
    /// By Ansible Vault: what SDKs did before.
    Ansible,
    /// By Fernet: what the first SDKs did.
    Fernet,
}

impl Encryption {
    /// How the bytes of a file begin, by who encrypted it.
    const MAGICS: [(Self, &[u8]); 3] = [
        (Self::Nacl, sealed::MAGIC),
        (Self::Ansible, b"$ANSIBLE_VAULT"),
        (Self::Fernet, b"gAAAAA"),
    ];

    /// What the bytes of a file look like.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let found = Self::MAGICS.iter().find(|(_, magic)| file.starts_with(magic));
        found.map_or(Self::Plain, |(encryption, _)| *encryption)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Nacl => "NaCl",
            Self::Ansible => "Ansible Vault",
            Self::Fernet => "Fernet",
        })
    }
}

/// A file with a secret key, as it is on disk.
pub struct KeyFile {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

impl KeyFile {
    /// Reads a file that nobody but its owner may read.
    ///
    /// # Errors
    /// [`WalletError`], where it cannot be read, others may read it, or it is larger than any key.
    pub fn read(path: &Path) -> Result<Self, WalletError> {
        Ok(Self { path: path.to_owned(), bytes: file::read(path, Reader::Owner)? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is encrypted, by how it begins.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        Encryption::of(&self.bytes)
    }

    /// The key. A password is used only where the file is encrypted; making the key of one takes
    /// some seconds and 512 MiB.
    ///
    /// # Errors
    /// [`WalletError`], each kind for what it names.
    pub fn key(&self, password: Option<&Password>) -> Result<Keypair, WalletError> {
        match self.encryption() {
            Encryption::Plain => json::keypair(&self.path, &self.bytes),
            Encryption::Nacl => {
                let encrypted = || WalletError::Encrypted(self.path.clone());
                let plain = sealed::open(&self.bytes, password.ok_or_else(encrypted)?)
                    .map_err(|error| seal_error(&self.path, error))?;
                json::keypair(&self.path, &plain)
            }
            Encryption::Ansible => Err(self.other_encryption("Ansible Vault")),
            Encryption::Fernet => Err(self.other_encryption("Fernet")),
        }
    }

    /// The account, where the file tells it without a password.
    ///
    /// # Errors
    /// [`WalletError`], where the file is plain and not a key, or encrypted in a way that is not
    /// read here.
    pub fn account(&self) -> Result<Option<AccountId>, WalletError> {
        match self.encryption() {
            Encryption::Nacl => Ok(None),
            _ => self.key(None).map(|key| Some(key.public())),
        }
    }

    fn other_encryption(&self, name: &'static str) -> WalletError {
        WalletError::OtherEncryption { path: self.path.clone(), name }
    }
}

/// Says of which file an error is.
pub(super) fn seal_error(path: &Path, error: SealError) -> WalletError {
    match error {
        SealError::Truncated => {
            WalletError::Malformed { path: path.to_owned(), reason: "it ends too early" }
        }
        SealError::WrongPassword => WalletError::WrongPassword(path.to_owned()),
        SealError::Memory => WalletError::Memory(sealed::memory_mib()),
        SealError::Random(error) => WalletError::Random(error),
    }
}

/// The account of a file with a public half.
pub(super) fn read_public(path: &Path) -> Result<AccountId, WalletError> {
    json::account(path, &file::read(path, Reader::Anybody)?)
}
