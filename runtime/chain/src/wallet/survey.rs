//! What is in a folder of wallets, and what is wrong with it. Asks for no password.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::key_file::read_public;
use super::layout::{HOTKEYS, Wallet, Wallets};
use super::names::PUBLIC_SUFFIX;
use super::{Encryption, HotkeyName, KeyFile, WalletError, WalletName, file};
use crate::ids::AccountId;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// It owns.
    Coldkey,
    /// It acts.
    Hotkey,
}

/// What is known of a key without a password.
#[derive(Clone, Debug, Serialize)]
pub struct SurveyedKey {
    /// What it is for.
    pub kind: KeyKind,
    /// The hotkey's name; `coldkey` for a coldkey.
    pub name: String,
    /// The file with the secret, whether it is there or not.
    pub path: PathBuf,
    /// How that is encrypted; nothing where only the public half is there, or it cannot be read.
    pub encryption: Option<Encryption>,
    /// Its account, where a file tells it.
    pub address: Option<AccountId>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// What is known of a wallet.
#[derive(Clone, Debug, Serialize)]
pub struct SurveyedWallet {
    /// Its name.
    pub name: String,
    /// Its keys, the coldkey first, hotkeys by name.
    pub keys: Vec<SurveyedKey>,
    /// What is wrong with the folder, in words.
    pub problems: Vec<String>,
}

impl Wallets {
    /// Looks at every wallet, by name. A folder that does not exist has none.
    ///
    /// # Errors
    /// [`WalletError::Io`] where the folder cannot be listed.
    pub fn survey(&self) -> Result<Vec<SurveyedWallet>, WalletError> {
        let mut wallets = Vec::new();
        for entry in entries(self.folder())? {
            let name = shown(&entry);
            wallets.push(match name.parse::<WalletName>() {
                Ok(parsed) if entry.path().is_dir() => self.wallet(&parsed).survey(name),
                Ok(_) => failed(name, "it is not a folder".to_owned()),
                Err(error) => failed(name, error.to_string()),
            });
        }
        Ok(wallets)
    }
}

impl Wallet {
    /// Looks at every key of this wallet.
    #[must_use]
    pub fn survey(&self, name: String) -> SurveyedWallet {
        let mut keys = Vec::new();
        let (path, public) = (self.coldkey_path(), self.coldkey_public_path());
        if [&path, &public].into_iter().any(|path| file::is_taken(path).unwrap_or(true)) {
            keys.push(look(KeyKind::Coldkey, "coldkey".to_owned(), path, &public));
        }
        let mut problems = Vec::new();
        match self.hotkey_names() {
            Ok(names) => {
                for name in names {
                    match name.parse::<HotkeyName>() {
                        Ok(hotkey) => {
                            let public = self.hotkey_public_path(&hotkey);
                            keys.push(look(
                                KeyKind::Hotkey,
                                name,
                                self.hotkey_path(&hotkey),
                                &public,
                            ));
                        }
                        Err(error) => problems.push(error.to_string()),
                    }
                }
            }
            Err(error) => problems.push(error.to_string()),
        }
        if keys.is_empty() && problems.is_empty() {
            problems.push("it has no keys".to_owned());
        }
        SurveyedWallet { name, keys, problems }
    }

    /// Names of hotkeys of which there is either half.
    fn hotkey_names(&self) -> Result<Vec<String>, WalletError> {
        let names = entries(&self.folder().join(HOTKEYS))?.into_iter().map(|entry| {
            let name = shown(&entry);
            name.strip_suffix(PUBLIC_SUFFIX).map(str::to_owned).unwrap_or(name)
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

fn look(kind: KeyKind, name: String, path: PathBuf, public: &Path) -> SurveyedKey {
    let mut problems = Vec::new();
    let (mut encryption, mut secret) = (None, None);
    let mut public_only = false;
    match KeyFile::read(&path) {
        Ok(file) => {
            encryption = Some(file.encryption());
            match file.account() {
                Ok(account) => secret = account,
                Err(error) => problems.push(error.to_string()),
            }
        }
        Err(error) => match error.is_missing() {
            true => public_only = true,
            false => problems.push(error.to_string()),
        },
    }
    let told = match read_public(public) {
        Ok(account) => Some(account),
        // Hotkeys of earlier SDKs have no public half apart.
        Err(error) if error.is_missing() && secret.is_some() => None,
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    if secret.zip(told).is_some_and(|(secret, told)| secret != told) {
        problems.push(format!("{} is another key's", public.display()));
    }
    if kind == KeyKind::Coldkey && encryption == Some(Encryption::Plain) {
        problems
            .push("a coldkey that is not encrypted: whoever reads the file owns all".to_owned());
    }
    if kind == KeyKind::Hotkey && public_only {
        problems.push("only its public half is here: it cannot sign".to_owned());
    }
    SurveyedKey { kind, name, path, encryption, address: secret.or(told), problems }
}

fn failed(name: String, problem: String) -> SurveyedWallet {
    SurveyedWallet { name, keys: Vec::new(), problems: vec![problem] }
}

/// What is in a folder, by name, without what is hidden; nothing where there is no folder.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, WalletError> {
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(WalletError::io("list", folder))?,
    };
    let entries: Result<Vec<_>, _> = listing.collect();
    let mut entries = entries.map_err(WalletError::io("list", folder))?;
    entries.retain(|entry| !shown(entry).starts_with('.'));
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn shown(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}
