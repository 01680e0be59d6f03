//! Where the files of a wallet are.

use std::path::{Path, PathBuf};

use super::key_file::read_public;
use super::names::PUBLIC_SUFFIX;
use super::{HotkeyName, KeyFile, WalletError, WalletName};
use crate::ids::AccountId;

/// The folder of hotkeys within a wallet.
pub(super) const HOTKEYS: &str = "hotkeys";

/// A folder of wallets. It need not exist.
#[derive(Clone, Debug)]
pub struct Wallets {
    folder: PathBuf,
}

impl Wallets {
    /// The wallets in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The wallets in `~/.bittensor/wallets`.
    ///
    /// # Errors
    /// [`WalletError::NoHome`].
    pub fn of_user() -> Result<Self, WalletError> {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let home = home.ok_or(WalletError::NoHome)?;
        Ok(Self { folder: home.join(".bittensor").join("wallets") })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The wallet of a name. It need not exist.
    #[must_use]
    pub fn wallet(&self, name: &WalletName) -> Wallet {
        Wallet { folder: self.folder.join(name.as_str()) }
    }
}

/// A wallet: a coldkey and its hotkeys, in one folder. It need not exist.
#[derive(Clone, Debug)]
pub struct Wallet {
    folder: PathBuf,
}

impl Wallet {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the coldkey is.
    #[must_use]
    pub fn coldkey_path(&self) -> PathBuf {
        self.folder.join("coldkey")
    }

    /// Where the coldkey's public half is.
    #[must_use]
    pub fn coldkey_public_path(&self) -> PathBuf {
        self.folder.join("coldkeypub.txt")
    }

    /// Where a hotkey is.
    #[must_use]
    pub fn hotkey_path(&self, name: &HotkeyName) -> PathBuf {
        self.folder.join(HOTKEYS).join(name.as_str())
    }

    /// Where a hotkey's public half is.
    #[must_use]
    pub fn hotkey_public_path(&self, name: &HotkeyName) -> PathBuf {
        self.folder.join(HOTKEYS).join(format!("{name}{PUBLIC_SUFFIX}"))
    }

    /// Reads the coldkey's file.
    ///
    /// # Errors
    /// As [`KeyFile::read`].
    pub fn coldkey(&self) -> Result<KeyFile, WalletError> {
        KeyFile::read(&self.coldkey_path())
    }

    /// Reads a hotkey's file.
    ///
    /// # Errors
    /// As [`KeyFile::read`].
    pub fn hotkey(&self, name: &HotkeyName) -> Result<KeyFile, WalletError> {
        KeyFile::read(&self.hotkey_path(name))
    }

    /// Reads the account of the coldkey, for which its public half is enough.
    ///
    /// # Errors
    /// [`WalletError`], where there is no such file or it is not a key.
    pub fn coldkey_account(&self) -> Result<AccountId, WalletError> {
        read_public(&self.coldkey_public_path())
    }

    /// Reads the account of a hotkey, for which its public half is enough.
    ///
    /// # Errors
    /// [`WalletError`], where there is no such file or it is not a key.
    pub fn hotkey_account(&self, name: &HotkeyName) -> Result<AccountId, WalletError> {
        read_public(&self.hotkey_public_path(name))
    }
}
