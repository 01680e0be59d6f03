//! Mnemonics: a key's origin in words (BIP-39, English).
//!
//! A key is made of a mnemonic in Substrate's way, which is not BIP-39's: from the entropy that the
//! words stand for, not from the words. There are no passwords for mnemonics and no derivation
//! paths: wallets have neither.

use bip0039::English;
use schnorrkel::MiniSecretKey;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::WalletError;

/// How often PBKDF2 iterates, by BIP-39.
const ROUNDS: u32 = 2048;

/// BIP-39's salt, with an empty password after it.
const SALT: &[u8] = b"mnemonic";

/// How many words a mnemonic has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// 12 words: 128 bits of entropy, as many as an sr25519 key resists.
    #[default]
    Twelve,
    /// 24 words: 256 bits of entropy.
    TwentyFour,
}

/// The words that a key was made of. Whoever reads them has the key.
pub struct Mnemonic(bip0039::Mnemonic<English>);

impl Mnemonic {
    /// Draws a mnemonic from the system's randomness.
    ///
    /// # Errors
    /// [`WalletError::Random`].
    pub fn random(words: Words) -> Result<Self, WalletError> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut entropy[..]).map_err(WalletError::Random)?;
        let bytes = match words {
            Words::Twelve => 16,
            Words::TwentyFour => 32,
        };
        bip0039::Mnemonic::from_entropy(&entropy[..bytes])
            .map(Self)
            .map_err(|_| WalletError::Internal("16 or 32 bytes are no entropy"))
    }

    /// Reads a mnemonic of 12, 15, 18, 21 or 24 words; `None` where it is none.
    pub(super) fn parse(phrase: &str) -> Option<Self> {
        // The English list has nothing else. Normalising other text would leave copies.
        if !phrase.is_ascii() {
            return None;
        }
        bip0039::Mnemonic::from_normalized_phrase(phrase).ok().map(Self)
    }

    /// The words, with a space between two.
    #[must_use]
    pub fn phrase(&self) -> &str {
        self.0.phrase()
    }

    /// What the key is expanded from: the first 32 bytes of PBKDF2 with HMAC-SHA-512 over the
    /// entropy, with the salt `mnemonic` and 2048 rounds.
    pub(super) fn seed(&self) -> Result<MiniSecretKey, WalletError> {
        let mut key = Zeroizing::new([0; 64]);
        pbkdf2::pbkdf2_hmac::<Sha512>(self.0.entropy(), SALT, ROUNDS, &mut key[..]);
        MiniSecretKey::from_bytes(&key[..32])
            .map_err(|_| WalletError::Internal("32 bytes are no seed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phrase that Substrate's documentation uses, and the seed that its tools derive from it.
    const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    const SEED: &str = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";

    #[test]
    fn a_phrase_is_the_seed_that_others_derive() {
        let mnemonic = Mnemonic::parse(PHRASE).unwrap();
        assert_eq!(mnemonic.phrase(), PHRASE);
        assert_eq!(hex::encode(mnemonic.seed().unwrap().as_bytes()), SEED);
    }

    #[test]
    fn other_words_are_no_phrase() {
        let bad = PHRASE.replace("walk", "walks");
        let swapped = PHRASE.replace("fit walk", "walk fit");
        for phrase in ["", "bottom", &bad, &swapped, "légal", &PHRASE.repeat(1000)] {
            assert!(Mnemonic::parse(phrase).is_none(), "{phrase:.80}");
        }
    }

    #[test]
    fn no_two_are_drawn_alike() {
        for (words, count) in [(Words::Twelve, 12), (Words::TwentyFour, 24)] {
            let drawn = [0; 2].map(|_| Mnemonic::random(words).unwrap());
            assert_ne!(drawn[0].phrase(), drawn[1].phrase());
            assert_eq!(drawn[0].phrase().split(' ').count(), count);
            assert!(Mnemonic::parse(drawn[0].phrase()).is_some());
        }
    }
}
