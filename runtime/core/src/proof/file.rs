//! The file that holds a score proof.

use crate::codec::{self, CodecError};
use crate::hash::ValidatorKey;
use crate::limits::PROOF_BYTES_MAX;
use crate::proof::{ScoreProof, Signature, SignatureError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The proof format that this version writes and reads.
pub const PROOF_VERSION: u16 = 2;

const MAGIC: &[u8; 8] = b"DFPROOF\n";
const HEADER_BYTES: usize = 8 + 2 + 8 + 32;

/// A proof as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofFile {
    /// What is proven.
    pub proof: ScoreProof,
    /// By whom; nobody has to answer for a proof without one.
    pub signature: Option<Signature>,
}

impl From<ScoreProof> for ProofFile {
    fn from(proof: ScoreProof) -> Self {
        Self { proof, signature: None }
    }
}

impl ProofFile {
    /// Checks the signature, if there is one: who signed.
    ///
    /// # Errors
    /// [`SignatureError::Bad`].
    pub fn signer(&self) -> Result<Option<ValidatorKey>, SignatureError> {
        let Some(signature) = &self.signature else { return Ok(None) };
        signature.verify(&self.proof.digest()).map(Some)
    }

    /// Checks that this validator signed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn signed_by(&self, expected: ValidatorKey) -> Result<(), SignatureError> {
        match self.signer()? {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(SignatureError::Other { expected, found }),
            None => Err(SignatureError::Missing),
        }
    }

    /// The file: `DFPROOF\n`, version (u16 LE), length of the body (u64 LE), SHA-256 of the body,
    /// the body in canonical encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = codec::encode(self);
        let mut file = Vec::with_capacity(HEADER_BYTES.saturating_add(body.len()));
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&PROOF_VERSION.to_le_bytes());
        file.extend_from_slice(&(body.len() as u64).to_le_bytes());
        file.extend_from_slice(&Sha256::digest(&body));
        file.extend_from_slice(&body);
        file
    }

    /// Reads what [`Self::to_bytes`] wrote. The signature is checked by [`Self::signer`].
    ///
    /// # Errors
    /// [`ProofFileError`] for anything else, without allocating more than the file's own size.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ProofFileError> {
        if file.len() as u64 > PROOF_BYTES_MAX.0 {
            return Err(ProofFileError::TooLarge);
        }
        let rest = file.strip_prefix(MAGIC).ok_or(ProofFileError::NotAProof)?;
        let (version, rest) = rest.split_first_chunk().ok_or(ProofFileError::Truncated)?;
        let version = u16::from_le_bytes(*version);
        if version != PROOF_VERSION {
            return Err(ProofFileError::Version(version));
        }
        let (length, rest) = rest.split_first_chunk().ok_or(ProofFileError::Truncated)?;
        let (sum, body) = rest.split_first_chunk::<32>().ok_or(ProofFileError::Truncated)?;
        if body.len() as u64 != u64::from_le_bytes(*length) {
            return Err(ProofFileError::Truncated);
        }
        if Sha256::digest(body).as_slice() != sum {
            return Err(ProofFileError::Damaged);
        }
        Ok(codec::decode(body)?)
    }
}

/// A file is not a score proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// Larger than any proof.
    #[error("larger than {} bytes", PROOF_BYTES_MAX.0)]
    TooLarge,
    /// Does not begin like one.
    #[error("not a score proof")]
    NotAProof,
    /// Of a version this program does not know.
    #[error("proof format {0} is unknown here; this program reads format {PROOF_VERSION}")]
    Version(u16),
    /// The body is shorter or longer than its header says.
    #[error("cut short or extended: the body is not as long as its header says")]
    Truncated,
    /// The body was changed after it was written.
    #[error("damaged: the body does not match its checksum")]
    Damaged,
    /// The body is not a proof in canonical encoding.
    #[error(transparent)]
    Encoding(#[from] CodecError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::{controlled, signed};

    #[test]
    fn files_round_trip_and_no_single_byte_change_survives() {
        let unsigned = ProofFile::from(controlled());
        assert_eq!(ProofFile::from_bytes(&unsigned.to_bytes()), Ok(unsigned));
        let file = signed().to_bytes();
        assert_eq!(ProofFile::from_bytes(&file), Ok(signed()));
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(ProofFile::from_bytes(&bad).is_err(), "byte {at}");
            assert!(ProofFile::from_bytes(&file[..at]).is_err(), "cut at {at}");
        }
    }
}
