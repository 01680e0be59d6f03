//! Making a wallet's keys: all of them, or none.

use std::path::{Path, PathBuf};

use super::key_file::seal_error;
use super::layout::{HOTKEYS, Wallet};
use super::sealed::{self, Password};
use super::{HotkeyName, Keypair, Mnemonic, WalletError, Words, file, json};
use crate::ids::AccountId;

/// How a coldkey is kept on disk.
pub enum Protection<'a> {
    /// Encrypted under a password.
    Password(&'a Password),
    /// As it is: whoever reads the file has the key.
    Nothing,
}

/// Which keys are made. Hotkeys are plain: what uses them runs unattended.
pub struct Making<'a> {
    /// How many words the mnemonics have.
    pub words: Words,
    /// The coldkey, where one is made.
    pub coldkey: Option<Protection<'a>>,
    /// The hotkey, where one is made.
    pub hotkey: Option<&'a HotkeyName>,
}

/// A key that was made.
pub struct MadeKey {
    /// The file with the secret.
    pub path: PathBuf,
    /// The file with the public half.
    pub public_path: PathBuf,
    /// Its account.
    pub account: AccountId,
    /// The words that the key can be made of again.
    pub mnemonic: Mnemonic,
}

/// The keys that were made.
pub struct Made {
    /// The coldkey.
    pub coldkey: Option<MadeKey>,
    /// The hotkey.
    pub hotkey: Option<MadeKey>,
}

impl Wallet {
    /// Makes keys from the system's randomness, in folders that are created where they are missing.
    ///
    /// Each file is readable by its owner alone. Whatever fails, no file of this call stays.
    ///
    /// # Errors
    /// [`WalletError::Exists`] where one of the files is there, [`WalletError::WeakPassword`], and
    /// [`WalletError`] where something cannot be written.
    pub fn make(&self, making: &Making<'_>) -> Result<Made, WalletError> {
        let mut places = Vec::new();
        if making.coldkey.is_some() {
            places.push([self.coldkey_path(), self.coldkey_public_path()]);
        }
        if let Some(name) = making.hotkey {
            places.push([self.hotkey_path(name), self.hotkey_public_path(name)]);
        }
        // Told before a password's key is made. What keeps files from being replaced is that
        // `file::create` never does.
        for path in places.into_iter().flatten() {
            if file::is_taken(&path)? {
                return Err(WalletError::Exists(path));
            }
        }
        if let Some(Protection::Password(password)) = &making.coldkey
            && !password.is_strong()
        {
            return Err(WalletError::WeakPassword);
        }
        file::create_folder(&self.folder().join(HOTKEYS))?;
        let mut written = Written::default();
        let coldkey = making.coldkey.as_ref().map(|protection| {
            let places = [self.coldkey_path(), self.coldkey_public_path()];
            make_key(making.words, protection, places, &mut written)
        });
        let coldkey = coldkey.transpose()?;
        let hotkey = making.hotkey.map(|name| {
            let places = [self.hotkey_path(name), self.hotkey_public_path(name)];
            make_key(making.words, &Protection::Nothing, places, &mut written)
        });
        let hotkey = hotkey.transpose()?;
        written.keep();
        Ok(Made { coldkey, hotkey })
    }
}

fn make_key(
    words: Words,
    protection: &Protection<'_>,
    [path, public_path]: [PathBuf; 2],
    written: &mut Written,
) -> Result<MadeKey, WalletError> {
    let mnemonic = Mnemonic::random(words)?;
    let account = Keypair::from_seed(&mnemonic.seed()?).public();
    let text = json::write(&mnemonic)?;
    match protection {
        Protection::Nothing => written.create(&path, text.as_bytes())?,
        Protection::Password(password) => {
            let sealed = sealed::seal(text.as_bytes(), password);
            written.create(&path, &sealed.map_err(|error| seal_error(&path, error))?)?;
        }
    }
    written.create(&public_path, json::write_public(&account).as_bytes())?;
    Ok(MadeKey { path, public_path, account, mnemonic })
}

/// The files of one call, removed again unless they are kept.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn create(&mut self, path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
        file::create(path, bytes)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}
