//! A validator's hotkey: the key that signs proofs, in the wallet's own file format.
//!
//! Only plain files are read, which is what hotkeys are kept in; coldkeys are encrypted and sign
//! nothing here.

use std::path::{Path, PathBuf};

use dataforge_core::hash::ValidatorKey;
use dataforge_core::proof::{ProofFile, SIGNING_CONTEXT, ScoreProof, Signature};
use dataforge_core::units::Bytes;
use schnorrkel::{Keypair, SecretKey};
use serde::Deserialize;

use crate::fs::{FileError, read_bounded};

/// A key file has a few hundred bytes.
const HOTKEY_BYTES_MAX: Bytes = Bytes(64 * 1024);

/// sr25519, by its number in key files.
const SR25519: u32 = 1;

/// A file is not a hotkey that can sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HotkeyError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others may read it.
    #[error("{} may be read by others; `chmod 600` it", .0.display())]
    Open(PathBuf),
    /// It holds something else. The reason quotes nothing of the file.
    #[error("{} is not a hotkey: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

/// What of a key file is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    public_key: String,
    private_key: String,
    #[serde(default)]
    crypto_type: Option<u32>,
}

/// A key that signs. Its secret is wiped from memory when it is dropped.
pub struct Hotkey(Keypair);

impl Hotkey {
    /// Reads a wallet's hotkey: JSON with `publicKey` and `privateKey` in hexadecimal.
    ///
    /// # Errors
    /// [`HotkeyError`], also where others than the owner may read the file.
    pub fn read(path: &Path) -> Result<Self, HotkeyError> {
        let text = read_bounded(path, HOTKEY_BYTES_MAX)?;
        private(path)?;
        Self::parse(path, &text)
    }

    /// The key that a file's bytes hold; `path` is for the error to name.
    ///
    /// # Errors
    /// [`HotkeyError::Malformed`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, HotkeyError> {
        let keypair = keypair(text);
        keypair.map(Self).map_err(|reason| HotkeyError::Malformed { path: path.to_owned(), reason })
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> ValidatorKey {
        ValidatorKey(self.0.public.to_bytes())
    }

    /// Signs a proof.
    #[must_use]
    pub fn sign(&self, proof: ScoreProof) -> ProofFile {
        let message = Signature::message(&proof.digest());
        let bytes = self.0.sign_simple(SIGNING_CONTEXT, &message).to_bytes();
        let (halves, _) = bytes.as_chunks::<32>();
        let signature = Signature { validator: self.public(), halves: [halves[0], halves[1]] };
        ProofFile { proof, signature: Some(signature) }
    }
}

fn keypair(text: &[u8]) -> Result<Keypair, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let file: KeyFile =
        serde_json::from_str(text).map_err(|_| "no JSON with publicKey and privateKey")?;
    if file.crypto_type.is_some_and(|kind| kind != SR25519) {
        return Err("its cryptoType is not sr25519");
    }
    let bytes = |text: &str| hex::decode(text.strip_prefix("0x").unwrap_or(text));
    let public = bytes(&file.public_key).map_err(|_| "its publicKey is not hexadecimal")?;
    let secret = bytes(&file.private_key).map_err(|_| "its privateKey is not hexadecimal")?;
    let secret = SecretKey::from_bytes(&secret).map_err(|_| "its privateKey is no sr25519 key")?;
    let keypair = secret.to_keypair();
    if keypair.public.to_bytes()[..] != public {
        return Err("its publicKey is not that of its privateKey");
    }
    Ok(keypair)
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), HotkeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = path.metadata().map_err(FileError::io("look at", path))?;
    let others = metadata.permissions().mode() & 0o077;
    if others == 0 { Ok(()) } else { Err(HotkeyError::Open(path.to_owned())) }
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), HotkeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the seed of 32 bytes 01, as another implementation derives it.
    const PUBLIC: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";
    const PRIVATE: &str = "0bdd6dbf4edf8925e8c128bc2ddd9ed555e36240ca30ca7633d80e18d177de0d\
                           b17a2a2cf3d4a41a8e4e18cc45c8656d558eceddb0adb46bfa088a5f53bed252";

    fn file(public: &str, private: &str, kind: u32) -> Vec<u8> {
        format!(
            r#"{{"accountId":"0x{public}","publicKey":"0x{public}","privateKey":"0x{private}",
                "secretPhrase":null,"ss58Address":"5","cryptoType":{kind}}}"#
        )
        .into_bytes()
    }

    /// Found by fuzzing: in a member that is not read, any bytes passed for a string.
    #[test]
    fn a_file_that_is_not_utf_8_is_refused() {
        let mut text = file(PUBLIC, PRIVATE, 1);
        let at = text.windows(3).position(|part| part == b"\"5\"").unwrap();
        text[at + 1] = 0xb5;
        assert_eq!(keypair(&text).err(), Some("it is not UTF-8"));
    }

    #[test]
    fn a_wallets_key_is_read() {
        let keypair = keypair(&file(PUBLIC, PRIVATE, 1)).unwrap();
        assert_eq!(hex::encode(keypair.public.to_bytes()), PUBLIC);
    }

    #[test]
    fn what_cannot_sign_is_refused_without_quoting_it() {
        let refused = |text: &[u8]| keypair(text).err().unwrap();
        assert_eq!(refused(b"$NACL..."), "no JSON with publicKey and privateKey");
        assert_eq!(refused(&file(PUBLIC, PRIVATE, 0)), "its cryptoType is not sr25519");
        assert_eq!(refused(&file("zz", PRIVATE, 1)), "its publicKey is not hexadecimal");
        assert_eq!(refused(&file(PUBLIC, &PRIVATE[2..], 1)), "its privateKey is no sr25519 key");
        let other = PUBLIC.replace("18", "19");
        assert!(refused(&file(&other, PRIVATE, 1)).contains("not that of its privateKey"));
    }
}
