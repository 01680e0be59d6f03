//! `dataforge wallet`: keys are made, looked at, and unlocked for other commands.
//!
//! What a key file is, `dataforge-chain` knows. Here passwords are asked for and answers printed.

pub(crate) mod password;
#[cfg(unix)]
mod terminal;

use crate::arguments::{NewWallet, ShowWallets, WalletAction, WalletCommand};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::ensure;
use dataforge_chain::wallet::{
    Encryption, KeyFile, Keypair, Made, MadeKey, Making, Protection, SurveyedKey, SurveyedWallet,
    WalletError, Wallets,
};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::Path;

pub(crate) fn run(context: &Context, wallet: &WalletCommand) -> anyhow::Result<Answer> {
    match &wallet.action {
        WalletAction::New(new) => make(context, new),
        WalletAction::Show(which) => show(context, which),
    }
}

/// The wallets in a folder, or in the user's own.
pub(crate) fn wallets(folder: Option<&Path>) -> Result<Wallets, WalletError> {
    folder.map_or_else(Wallets::of_user, |folder| Ok(Wallets::at(folder)))
}

/// The key of a file; where that is encrypted, its password is sought as [`password::given`] does.
pub(crate) fn unlock(
    context: &Context,
    file: &KeyFile,
    password_file: Option<&Path>,
) -> anyhow::Result<Keypair> {
    let password = match file.encryption() {
        Encryption::Nacl => {
            let prompt = format!("Password of {}: ", file.path().display());
            Some(password::given(context, password_file, &prompt)?)
        }
        _ => None,
    };
    Ok(file.key(password.as_ref())?)
}

/// The key in a file that signs proofs.
pub(crate) fn signer(context: &Context, path: &Path) -> anyhow::Result<Keypair> {
    unlock(context, &KeyFile::read(path)?, None)
}

fn make(context: &Context, new: &NewWallet) -> anyhow::Result<Answer> {
    ensure!(
        !new.show_mnemonic || context.json || std::io::stdout().is_terminal(),
        "--show-mnemonic prints to a terminal alone, so that the words end in no file; \
         a program that wants them says --json"
    );
    let wallet = wallets(new.folder.path.as_deref())?.wallet(&new.wallet);
    let coldkey = !new.hotkey_only;
    // Before a password is asked for in vain.
    if coldkey && wallet.coldkey_path().symlink_metadata().is_ok() {
        return Err(WalletError::Exists(wallet.coldkey_path()).into());
    }
    let password = if coldkey && !new.unencrypted_coldkey {
        Some(password::chosen(context, new.password_file.as_deref())?)
    } else {
        None
    };
    let protection = password.as_ref().map_or(Protection::Nothing, Protection::Password);
    let made = wallet.make(&Making {
        words: new.words.into(),
        coldkey: coldkey.then_some(protection),
        hotkey: (!new.coldkey_only).then_some(&new.hotkey),
    })?;
    let encryption = if new.unencrypted_coldkey { Encryption::Plain } else { Encryption::Nacl };
    let keys = named(&made, encryption);
    if context.json {
        let mut object = json!({ "wallet": new.wallet.as_str(), "folder": wallet.folder() });
        for (name, key, encryption) in keys {
            object[name] = key_json(key, encryption, new.show_mnemonic);
        }
        output::json(&object)?;
        return Ok(Answer::Yes);
    }
    for (name, key, encryption) in &keys {
        output::line(&format!("{name:<9} {}", key.account))?;
        output::line(&format!("{:<9} {}, {encryption}", "", key.path.display()))?;
        output::line(&format!("{:<9} {}, its public half", "", key.public_path.display()))?;
    }
    if !new.show_mnemonic {
        return Ok(Answer::Yes);
    }
    output::line("\nThese words make the keys again. Write them down; they are not shown again.")?;
    for (name, key, _) in &keys {
        output::line(&format!("{name:<9} {}", key.mnemonic.phrase()))?;
    }
    Ok(Answer::Yes)
}

/// The keys that were made, with how their files are encrypted.
fn named(made: &Made, coldkey: Encryption) -> Vec<(&'static str, &MadeKey, Encryption)> {
    let keys = [("coldkey", &made.coldkey, coldkey), ("hotkey", &made.hotkey, Encryption::Plain)];
    keys.into_iter()
        .filter_map(|(name, key, how)| key.as_ref().map(|key| (name, key, how)))
        .collect()
}

fn key_json(key: &MadeKey, encryption: Encryption, with_mnemonic: bool) -> Value {
    let mut object = json!({
        "path": key.path,
        "public_path": key.public_path,
        "address": key.account,
        "encryption": encryption,
    });
    if with_mnemonic {
        object["mnemonic"] = json!(key.mnemonic.phrase());
    }
    object
}

fn show(context: &Context, which: &ShowWallets) -> anyhow::Result<Answer> {
    let all = wallets(which.folder.path.as_deref())?;
    let mut surveyed = all.survey()?;
    if let Some(name) = &which.wallet {
        surveyed.retain(|wallet| wallet.name == name.as_str());
        ensure!(!surveyed.is_empty(), "{} has no wallet {name}", all.folder().display());
    }
    let sound = surveyed.iter().all(|wallet| {
        wallet.problems.is_empty() && wallet.keys.iter().all(|key| key.problems.is_empty())
    });
    if context.json {
        output::json(&json!({ "folder": all.folder(), "wallets": surveyed }))?;
        return Ok(sound.into());
    }
    if surveyed.is_empty() {
        let folder = all.folder().display();
        output::line(&format!("no wallets in {folder}; `dataforge wallet new` makes one"))?;
        return Ok(Answer::Yes);
    }
    let rows: Vec<_> = surveyed.iter().flat_map(rows).collect();
    output::line(&output::table(&["wallet", "key", "address", "file"], &rows))?;
    for wallet in &surveyed {
        for problem in &wallet.problems {
            output::line(&format!("wrong     {}: {problem}", printable(&wallet.name)))?;
        }
        for key in &wallet.keys {
            for problem in &key.problems {
                let (wallet, key) = (printable(&wallet.name), printable(&key.name));
                output::line(&format!("wrong     {wallet}/{key}: {problem}"))?;
            }
        }
    }
    Ok(sound.into())
}

fn rows(wallet: &SurveyedWallet) -> Vec<Vec<String>> {
    wallet.keys.iter().map(|key| row(&wallet.name, key)).collect()
}

fn row(wallet: &str, key: &SurveyedKey) -> Vec<String> {
    let file = match (key.encryption, &key.problems[..]) {
        (Some(encryption), _) => encryption.to_string(),
        (None, []) => "public half".to_owned(),
        (None, _) => "?".to_owned(),
    };
    let address = key.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    vec![printable(wallet), printable(&key.name), address, file]
}

/// A file's name without what moves the cursor.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
