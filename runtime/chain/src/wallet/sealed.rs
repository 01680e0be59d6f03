//! Encryption of key files under a password, as the SDK does it.
//!
//! Byte format: `$NACL`, a nonce of 24 bytes, a tag of 16 bytes, and the ciphertext, as long as
//! what is encrypted: NaCl's secret box (XSalsa20-Poly1305). Its key is Argon2i 1.3 of the
//! password's bytes in UTF-8: 32 bytes, 8 passes over 512 MiB in one lane, and a salt that is the
//! same for everybody, so that equal passwords have equal keys. All of that is fixed: no file can
//! ask for more memory or time.
//!
//! Sources: D. J. Bernstein, "Cryptography in NaCl" (crypto_secretbox); RFC 9106 (Argon2); the
//! parameters are libsodium's `sensitive` ones for Argon2i.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

/// How a file that is encrypted here begins.
pub(super) const MAGIC: &[u8] = b"$NACL";

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

const SALT: [u8; 16] = *b"\x13q\x83\xdf\xf1Z\t\xbc\x9c\x90\xb5Q\x879\xe9\xb1";
const MEMORY_MIB: u32 = 512;
const PASSES: u32 = 8;
const LANES: u32 = 1;

/// The fewest characters of a password that a key is encrypted under. Files with shorter ones are
/// read.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// A password. It is wiped when it is dropped, and cannot be printed.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password, as it is.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Whether a key may be encrypted under it: whether it has [`PASSWORD_CHARS_MIN`] characters.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        self.0.chars().count() >= PASSWORD_CHARS_MIN
    }
}

/// Why nothing is decrypted or encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealError {
    /// It ends before what is encrypted begins.
    Truncated,
    /// The tag is another one.
    WrongPassword,
    /// There is not enough memory.
    Memory,
    /// The system gives no randomness.
    Random(getrandom::Error),
}

/// The most memory that a password's key is made in, in MiB, for people.
pub(super) const fn memory_mib() -> u32 {
    MEMORY_MIB
}

/// Encrypts a key file's text.
pub(super) fn seal(plain: &[u8], password: &Password) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(SealError::Random)?;
    seal_with(&*key(password)?, nonce, plain)
}

/// Decrypts the whole of a file that begins with [`MAGIC`].
pub(super) fn open(file: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let sealed = file.strip_prefix(MAGIC).ok_or(SealError::Truncated)?;
    let (nonce, rest) = sealed.split_first_chunk().ok_or(SealError::Truncated)?;
    let (tag, ciphertext) = rest.split_first_chunk().ok_or(SealError::Truncated)?;
    open_with(&*key(password)?, *nonce, tag, ciphertext)
}

fn seal_with(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let (mut stream, mac) = secret_box(key, nonce);
    let body = MAGIC.len() + NONCE_BYTES + TAG_BYTES;
    // Written once, into its place: encrypted in place, no plain bytes stay behind.
    let mut file = Vec::with_capacity(body + plain.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&[0; TAG_BYTES]);
    file.extend_from_slice(plain);
    let (head, ciphertext) = file.split_at_mut(body);
    stream.apply_keystream(ciphertext);
    head[MAGIC.len() + NONCE_BYTES..].copy_from_slice(&mac.compute_unpadded(ciphertext));
    Ok(file)
}

fn open_with(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    tag: &[u8; TAG_BYTES],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (mut stream, mac) = secret_box(key, nonce);
    let expected = mac.compute_unpadded(ciphertext);
    // Every byte is looked at, whichever differs.
    let differing = expected.iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
    if differing != 0 {
        return Err(SealError::WrongPassword);
    }
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    stream.apply_keystream(&mut plain);
    Ok(plain)
}

/// The stream that encrypts, and what authenticates: keyed by the stream's first 32 bytes.
fn secret_box(key: &[u8; KEY_BYTES], nonce: [u8; NONCE_BYTES]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(key.into(), &nonce.into());
    let mut mac_key = Zeroizing::new([0; 32]);
    stream.apply_keystream(&mut mac_key[..]);
    let mac = Poly1305::new((&*mac_key).into());
    (stream, mac)
}

fn key(password: &Password) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
    let params = Params::new(MEMORY_MIB * 1024, PASSES, LANES, Some(KEY_BYTES));
    let params = params.map_err(|_| SealError::Memory)?;
    let count = params.block_count();
    let mut blocks = Zeroizing::new(Vec::new());
    // An allocation that fails any other way ends the process.
    blocks.try_reserve_exact(count).map_err(|_| SealError::Memory)?;
    blocks.resize(count, Block::default());
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2i, Version::V0x13, params)
        .hash_password_into_with_memory(
            password.0.as_bytes(),
            &SALT,
            &mut key[..],
            &mut blocks[..],
        )
        // Only longer passwords than memory has bytes are refused.
        .map_err(|_| SealError::Memory)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    /// The example of "Cryptography in NaCl", section 10, as far as a key and nonce go: the first
    /// 16 bytes of its ciphertext and its tag, over its message of 131 bytes.
    #[test]
    fn the_box_is_nacls() {
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key = bytes("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let message = bytes(concat!(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc",
            "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31",
            "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde",
            "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864",
            "5e0705"
        ));
        let key: [u8; 32] = key.try_into().unwrap();
        let nonce: [u8; 24] = nonce.try_into().unwrap();
        let sealed = seal_with(&key, nonce, &message).unwrap();
        let (tag, ciphertext) = sealed[29..].split_first_chunk().unwrap();
        assert_eq!(hex::encode(tag), "f3ffc7703f9400e52a7dfb4b3d3305d9");
        assert_eq!(hex::encode(&ciphertext[..16]), "8e993b9f48681273c29650ba32fc76ce");
        assert_eq!(open_with(&key, nonce, tag, ciphertext).unwrap()[..], message);
        for at in [0, 130] {
            let mut damaged = ciphertext.to_vec();
            damaged[at] ^= 1;
            let opened = open_with(&key, nonce, tag, &damaged);
            assert_eq!(opened.err(), Some(SealError::WrongPassword));
        }
    }

    /// `{"a":1}` as the SDK encrypted it; the only test here that waits for a password's key.
    #[test]
    fn what_the_sdk_encrypts_is_opened_and_what_is_sealed_is_opened() {
        let theirs = concat!(
            "244e41434c67f9b922b198315269bd2dbb0ce6c965d9227ddb944a0a7ced",
            "ac6d09b13cccded836f2bcb2cdace2867fe0efac10a8"
        );
        let theirs = hex::decode(theirs).unwrap();
        let right = password("Passw0rd!x");
        assert_eq!(open(&theirs, &right).unwrap()[..], *br#"{"a":1}"#);
        let ours = seal(b"plain", &right).unwrap();
        assert_ne!(ours[MAGIC.len()..][..NONCE_BYTES], [0; NONCE_BYTES]);
        assert_eq!(open(&ours, &right).unwrap()[..], *b"plain");
    }

    #[test]
    fn what_ends_too_early_is_told_before_any_work() {
        let file = [MAGIC, &[0; NONCE_BYTES + TAG_BYTES - 1]].concat();
        for length in 0..=file.len() {
            let opened = open(&file[..length], &password("x"));
            assert_eq!(opened.err(), Some(SealError::Truncated), "{length}");
        }
    }

    #[test]
    fn a_password_has_enough_characters() {
        assert!(!password("1234567").is_strong());
        assert!(password("12345678").is_strong());
        assert!(!password("ééééééé").is_strong());
    }
}
