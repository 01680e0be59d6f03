//! The key that signs.

use std::path::Path;

use dataforge_core::proof::{ProofFile, SIGNING_CONTEXT, ScoreProof, Signature};
use schnorrkel::{ExpansionMode, MiniSecretKey, SecretKey};

use super::{WalletError, json};
use crate::ids::AccountId;

/// An sr25519 key that signs.
///
/// Boxed, so that moving it leaves no copies of the secret behind; wiped when it is dropped.
pub struct Keypair(Box<schnorrkel::Keypair>);

impl Keypair {
    /// The key of a plain key file's bytes; `path` is for the error to name.
    ///
    /// # Errors
    /// [`WalletError`], for all that [`super::KeyFile::key`] refuses but a wrong password.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, WalletError> {
        json::keypair(path, text)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AccountId {
        AccountId(self.0.public.to_bytes())
    }

    /// Signs a message under a context, which says what it is for; the chain's is `substrate`.
    ///
    /// Two signatures of one message differ; both are good.
    #[must_use]
    pub fn sign(&self, context: &[u8], message: &[u8]) -> [u8; 64] {
        self.0.sign_simple(context, message).to_bytes()
    }

    /// Signs a score proof as a validator.
    #[must_use]
    pub fn sign_proof(&self, proof: ScoreProof) -> ProofFile {
        let bytes = self.sign(SIGNING_CONTEXT, &Signature::message(&proof.digest()));
        let (halves, _) = bytes.as_chunks::<32>();
        let validator = self.public().into();
        let signature = Signature { validator, halves: [halves[0], halves[1]] };
        ProofFile { proof, signature: Some(signature) }
    }

    /// Expands a seed as Substrate does.
    pub(super) fn from_seed(seed: &MiniSecretKey) -> Self {
        Self(Box::new(seed.expand_to_keypair(ExpansionMode::Ed25519)))
    }

    /// Of the 64 bytes of a private key: a scalar and the nonce's seed. `None` where they are none.
    pub(super) fn from_private(bytes: &[u8]) -> Option<Self> {
        let secret = SecretKey::from_bytes(bytes).ok()?;
        Some(Self(Box::new(secret.to_keypair())))
    }

    /// The secret half, to write it into a file.
    pub(super) fn secret(&self) -> &SecretKey {
        &self.0.secret
    }
}
