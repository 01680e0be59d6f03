//! What a key file says in the plain: one JSON object, read and written.
//!
//! Members that are read: `publicKey`, `privateKey`, `secretSeed`, `secretPhrase`, `ss58Address`,
//! `cryptoType`. Secrets are borrowed from the text, never copied by the JSON reader, so that
//! wiping the text wipes them.

use std::fmt::Write as _;
use std::path::Path;

use schnorrkel::MiniSecretKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Keypair, Mnemonic, WalletError};
use crate::ids::AccountId;

/// Key files say by number which scheme a key is of.
const ED25519: u32 = 0;
const SR25519: u32 = 1;

/// More than any file that is written here has; so writing one never moves what was written.
const TEXT_BYTES_MAX: usize = 2048;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    public_key: String,
    #[serde(borrow, default)]
    private_key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    secret_seed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    secret_phrase: Option<&'a RawValue>,
    #[serde(default)]
    ss58_address: Option<String>,
    #[serde(default)]
    crypto_type: Option<u32>,
}

/// What is wrong with a file of this path.
struct Blame<'a>(&'a Path);

impl Blame<'_> {
    fn on(&self, reason: &'static str) -> WalletError {
        WalletError::Malformed { path: self.0.to_owned(), reason }
    }
}

fn members<'a>(blame: &Blame<'_>, text: &'a [u8]) -> Result<Members<'a>, WalletError> {
    let text = std::str::from_utf8(text).map_err(|_| blame.on("it is not UTF-8"))?;
    let members: Members<'_> = serde_json::from_str(text)
        .map_err(|_| blame.on("it is no JSON object with a publicKey"))?;
    let scheme = match members.crypto_type.unwrap_or(SR25519) {
        SR25519 => return Ok(members),
        ED25519 => "ed25519",
        _ => "an unknown scheme",
    };
    Err(WalletError::OtherScheme { path: blame.0.to_owned(), scheme })
}

impl Members<'_> {
    /// The account that the public members agree on.
    fn account(&self, blame: &Blame<'_>) -> Result<AccountId, WalletError> {
        let mut key = [0; 32];
        hex::decode_to_slice(digits(&self.public_key), &mut key)
            .map_err(|_| blame.on("its publicKey is not 32 bytes in hexadecimal"))?;
        let account = AccountId(key);
        if let Some(address) = &self.ss58_address {
            let named: AccountId = address
                .parse()
                .map_err(|source| WalletError::Address { path: blame.0.to_owned(), source })?;
            if named != account {
                return Err(blame.on("its ss58Address is not that of its publicKey"));
            }
        }
        Ok(account)
    }
}

/// The account of a file with a public half, or with both.
pub(super) fn account(path: &Path, text: &[u8]) -> Result<AccountId, WalletError> {
    let blame = Blame(path);
    members(&blame, text)?.account(&blame)
}

/// The key of a file with both halves.
///
/// Any of the three secrets is enough. Each that is there must be the key's; a seed or phrase that
/// cannot be read is passed over where there is a private key, as some writers leave garbage there.
pub(super) fn keypair(path: &Path, text: &[u8]) -> Result<Keypair, WalletError> {
    let blame = Blame(path);
    let members = members(&blame, text)?;
    let account = members.account(&blame)?;
    let private = members.private_key.map(|raw| private_key(&blame, raw)).transpose()?;
    let seed = members.secret_seed.map(|raw| from_seed(&blame, raw));
    let phrase = members.secret_phrase.map(|raw| from_phrase(&blame, raw));
    let lenient = private.is_some();
    let others = [
        (seed, "its secretSeed is another key's than its publicKey"),
        (phrase, "its secretPhrase is another key's than its publicKey"),
    ];
    let mut key = private;
    if key.as_ref().is_some_and(|key| key.public() != account) {
        return Err(blame.on("its publicKey is not that of its privateKey"));
    }
    for (found, reason) in others {
        let found = match found {
            None => continue,
            Some(Err(_)) if lenient => continue,
            Some(found) => found?,
        };
        if found.public() != account {
            return Err(blame.on(reason));
        }
        key = key.or(Some(found));
    }
    key.ok_or_else(|| blame.on("it has a public half only"))
}

fn private_key(blame: &Blame<'_>, raw: &RawValue) -> Result<Keypair, WalletError> {
    let mut bytes = Zeroizing::new([0; 64]);
    let wrong = "its privateKey is not 64 bytes in hexadecimal";
    let text = string(raw).ok_or_else(|| blame.on(wrong))?;
    hex::decode_to_slice(digits(text), &mut bytes[..]).map_err(|_| blame.on(wrong))?;
    Keypair::from_private(&bytes[..]).ok_or_else(|| blame.on("its privateKey is no sr25519 key"))
}

fn from_seed(blame: &Blame<'_>, raw: &RawValue) -> Result<Keypair, WalletError> {
    let wrong = || blame.on("its secretSeed is not 32 bytes in hexadecimal");
    let mut bytes = Zeroizing::new([0; 32]);
    let text = string(raw).ok_or_else(wrong)?;
    hex::decode_to_slice(digits(text), &mut bytes[..]).map_err(|_| wrong())?;
    let seed = MiniSecretKey::from_bytes(&bytes[..]).map_err(|_| wrong())?;
    Ok(Keypair::from_seed(&seed))
}

fn from_phrase(blame: &Blame<'_>, raw: &RawValue) -> Result<Keypair, WalletError> {
    let wrong = || blame.on("its secretPhrase is no mnemonic of English words");
    let mnemonic = string(raw).and_then(Mnemonic::parse).ok_or_else(wrong)?;
    Ok(Keypair::from_seed(&mnemonic.seed()?))
}

/// A JSON string without escapes; no secret has any.
fn string(raw: &RawValue) -> Option<&str> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

fn digits(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// The file of a key that was made of this mnemonic.
pub(super) fn write(mnemonic: &Mnemonic) -> Result<Zeroizing<String>, WalletError> {
    let seed = mnemonic.seed()?;
    let key = Keypair::from_seed(&seed);
    let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
    let public = hex::encode(key.public().0);
    text.push_str(&format!(
        r#"{{"accountId":"0x{public}","publicKey":"0x{public}","privateKey":"0x"#
    ));
    push_hex(&mut text, Zeroizing::new(key.secret().to_bytes()).as_slice());
    text.push_str(r#"","secretPhrase":""#);
    text.push_str(mnemonic.phrase());
    text.push_str(r#"","secretSeed":"0x"#);
    push_hex(&mut text, seed.as_bytes());
    text.push_str(&format!(r#"","ss58Address":"{}","cryptoType":{SR25519}}}"#, key.public()));
    if text.len() > TEXT_BYTES_MAX {
        return Err(WalletError::Internal("a key file is larger than was thought"));
    }
    Ok(text)
}

/// The file of a key's public half.
pub(super) fn write_public(account: &AccountId) -> String {
    let public = hex::encode(account.0);
    let keys = format!(r#""accountId":"0x{public}","publicKey":"0x{public}""#);
    format!(r#"{{{keys},"ss58Address":"{account}","cryptoType":{SR25519}}}"#)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests;
