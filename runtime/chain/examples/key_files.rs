//! Reads and makes key files for the comparison with the Bittensor SDK: a line of JSON in, a line
//! out.
//!
//! `cargo xtask sdk` runs it. It is no tool for operators: it is told passwords, and tells words.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

use dataforge_chain::wallet::{
    HotkeyName, KeyFile, MadeKey, Making, Password, Protection, WalletError, WalletName, Wallets,
    Words,
};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Case {
    /// Reads a file, and signs a message with its key.
    Read { path: PathBuf, password: Option<String>, message: String },
    /// Makes a wallet; its coldkey is encrypted where there is a password, else not made.
    Make { folder: PathBuf, wallet: String, password: Option<String>, words: u8 },
    /// Says what the public halves of a wallet say.
    Public { folder: PathBuf, wallet: String },
}

const HOTKEY: &str = "hot";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let case = serde_json::from_str(&line?)?;
        let answer = answer(case).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn answer(case: Case) -> Result<Value, WalletError> {
    let password = |text: Option<String>| text.map(|text| Password::new(Zeroizing::new(text)));
    let hotkey: HotkeyName = HOTKEY.parse()?;
    match case {
        Case::Read { path, password: given, message } => {
            let key = KeyFile::read(&path)?.key(password(given).as_ref())?;
            let signature = key.sign(b"substrate", message.as_bytes());
            Ok(json!({ "address": key.public(), "signature": hex::encode(signature) }))
        }
        Case::Make { folder, wallet, password: given, words } => {
            let given = password(given);
            let name: WalletName = wallet.parse()?;
            let made = Wallets::at(&folder).wallet(&name).make(&Making {
                words: if words == 24 { Words::TwentyFour } else { Words::Twelve },
                coldkey: given.as_ref().map(Protection::Password),
                hotkey: Some(&hotkey),
            })?;
            Ok(json!({
                "coldkey": made.coldkey.as_ref().map(told),
                "hotkey": made.hotkey.as_ref().map(told),
            }))
        }
        Case::Public { folder, wallet } => {
            let wallet = Wallets::at(&folder).wallet(&wallet.parse()?);
            let (cold, hot) = (wallet.coldkey_account()?, wallet.hotkey_account(&hotkey)?);
            Ok(json!({ "coldkey": cold, "hotkey": hot }))
        }
    }
}

fn told(key: &MadeKey) -> Value {
    json!({ "path": key.path, "address": key.account, "mnemonic": key.mnemonic.phrase() })
}
