//! A validator's signature on a proof: sr25519, as the chain's hotkeys sign.

use crate::hash::{ProofDigest, ValidatorKey};
use schnorrkel::PublicKey;
use serde::{Deserialize, Serialize};

/// The context under which the chain's keys sign (schnorrkel's "signing context").
pub const SIGNING_CONTEXT: &[u8] = b"substrate";

/// Before the digest in what is signed, so that no signature on anything else, an extrinsic or a
/// request, can be passed off as one on a proof.
const PREFIX: &[u8] = b"dataforge/signed-proof/v2";

/// Who says that a proof is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The signer's public key.
    pub validator: ValidatorKey,
    /// The signature's two halves, R and s, 32 bytes each.
    pub halves: [[u8; 32]; 2],
}

/// A proof is not signed as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not the named validator's on this proof.
    #[error("signature: it is not validator {validator}'s on the proof with digest {digest}")]
    Bad {
        /// Who is said to have signed.
        validator: ValidatorKey,
        /// What it was checked against.
        digest: ProofDigest,
    },
    /// There is none.
    #[error("signature: the proof is not signed")]
    Missing,
    /// It is good, but another's.
    #[error("signature: validator {found} signed, not {expected}")]
    Other {
        /// Who was to sign.
        expected: ValidatorKey,
        /// Who did.
        found: ValidatorKey,
    },
}

impl Signature {
    /// What is signed, under [`SIGNING_CONTEXT`]: `dataforge/signed-proof/v2` and the 32 bytes of
    /// the digest.
    #[must_use]
    pub fn message(digest: &ProofDigest) -> Vec<u8> {
        [PREFIX, &digest.0].concat()
    }

    /// Checks the signature on the proof with this digest: who signed.
    ///
    /// # Errors
    /// [`SignatureError::Bad`].
    pub fn verify(&self, digest: &ProofDigest) -> Result<ValidatorKey, SignatureError> {
        let validator = self.validator;
        let bad = |_| SignatureError::Bad { validator, digest: *digest };
        let key = PublicKey::from_bytes(&validator.0).map_err(bad)?;
        let signature = schnorrkel::Signature::from_bytes(&self.halves.concat()).map_err(bad)?;
        key.verify_simple(SIGNING_CONTEXT, &Self::message(digest), &signature).map_err(bad)?;
        Ok(validator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::ProofFile;
    use crate::proof::tests::{controlled, proof, signed};

    #[test]
    fn a_signature_holds_for_its_own_proof_and_signer_alone() {
        let file = signed();
        assert_eq!(file.signer(), Ok(Some(file.signature.unwrap().validator)));
        assert_eq!(ProofFile::from(controlled()).signer(), Ok(None));
        let replayed = ProofFile { proof: proof(), ..file.clone() };
        assert!(replayed.signer().unwrap_err().to_string().starts_with("signature: it is not"));
        let validator = file.signature.unwrap().validator;
        assert_eq!(file.signed_by(validator), Ok(()));
        let other = file.signed_by(ValidatorKey([0; 32]));
        assert!(matches!(other, Err(SignatureError::Other { found, .. }) if found == validator));
        let unsigned = ProofFile::from(controlled()).signed_by(validator);
        assert_eq!(unsigned, Err(SignatureError::Missing));
        let changed = |change: &dyn Fn(&mut Signature)| {
            let mut file = signed();
            change(file.signature.as_mut().unwrap());
            assert!(file.signer().is_err());
        };
        changed(&|signature| signature.validator.0[0] ^= 1);
        changed(&|signature| signature.validator = ValidatorKey([0xff; 32]));
        changed(&|signature| signature.halves.swap(0, 1));
        changed(&|signature| signature.halves[0][3] ^= 1);
        changed(&|signature| signature.halves[1][3] ^= 1);
        changed(&|signature| signature.halves = [[0; 32]; 2]);
    }
}
