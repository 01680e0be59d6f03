//! The file that holds a score proof, and the header that it shares with a disclosure's.

use crate::codec::{self, CodecError};
use crate::hash::ValidatorKey;
use crate::limits::PROOF_BYTES_MAX;
use crate::proof::{ScoreProof, Signature, SignatureError, SignedOutline};
use crate::units::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The proof format that this version writes and reads.
pub const PROOF_VERSION: u16 = 2;

const FORMAT: Format =
    Format { magic: *b"DFPROOF\n", version: PROOF_VERSION, limit: PROOF_BYTES_MAX };

/// A kind of file: a header with a checksum, then a body in canonical encoding.
pub(super) struct Format {
    pub(super) magic: [u8; 8],
    pub(super) version: u16,
    /// Of the whole file.
    pub(super) limit: Bytes,
}

impl Format {
    /// The file: magic, version (u16 LE), length of the body (u64 LE), SHA-256 of the body, the
    /// body.
    pub(super) fn wrap(&self, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u64).to_le_bytes();
        let version = self.version.to_le_bytes();
        [&self.magic, &version[..], &length, Sha256::digest(body).as_slice(), body].concat()
    }

    /// The body of a file.
    pub(super) fn body<'f>(&self, file: &'f [u8]) -> Result<&'f [u8], ProofFileError> {
        if file.len() as u64 > self.limit.0 {
            return Err(ProofFileError::TooLarge(self.limit));
        }
        let rest = file.strip_prefix(&self.magic).ok_or(ProofFileError::NotAProof)?;
        let (version, rest) = rest.split_first_chunk().ok_or(ProofFileError::Truncated)?;
        let (found, known) = (u16::from_le_bytes(*version), self.version);
        if found != known {
            return Err(ProofFileError::Version { found, known });
        }
        let (length, rest) = rest.split_first_chunk().ok_or(ProofFileError::Truncated)?;
        let (sum, body) = rest.split_first_chunk::<32>().ok_or(ProofFileError::Truncated)?;
        if body.len() as u64 != u64::from_le_bytes(*length) {
            return Err(ProofFileError::Truncated);
        }
        if Sha256::digest(body).as_slice() != sum {
            return Err(ProofFileError::Damaged);
        }
        Ok(body)
    }
}

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
        SignedOutline::of(self).signer()
    }

    /// Checks that this validator signed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn signed_by(&self, expected: ValidatorKey) -> Result<(), SignatureError> {
        SignedOutline::of(self).signed_by(expected)
    }

    /// The file: `DFPROOF\n`, version (u16 LE), length of the body (u64 LE), SHA-256 of the body,
    /// the body in canonical encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        FORMAT.wrap(&codec::encode(self))
    }

    /// Reads what [`Self::to_bytes`] wrote. The signature is checked by [`Self::signer`].
    ///
    /// # Errors
    /// [`ProofFileError`] for anything else, without allocating more than the file's own size.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ProofFileError> {
        Ok(codec::decode(FORMAT.body(file)?)?)
    }
}

/// A file is not a score proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// Larger than any such file.
    #[error("larger than {} bytes", .0.0)]
    TooLarge(Bytes),
    /// Does not begin like one.
    #[error("not a score proof")]
    NotAProof,
    /// Of a version this program does not know.
    #[error("proof format {found} is unknown here; this program reads format {known}")]
    Version {
        /// In the file.
        found: u16,
        /// Here.
        known: u16,
    },
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
    use crate::hash::StateRoot;
    use crate::proof::tests::{controlled, measured, signed, trained};
    use crate::proof::{RowResult, StepRecord};
    use crate::units::{MicroNats, StepIndex};

    #[test]
    fn a_thousand_steps_and_every_state_fit_64_kb() {
        let mut file = signed();
        let run = &mut trained(&mut file.proof).model;
        let step = |number| StepRecord {
            step: StepIndex(number),
            loss: MicroNats(4_000_000),
            state: Some(StateRoot([255; 32])),
        };
        run.steps = (0..1000).map(step).collect();
        let row = RowResult { log_probabilities: vec![MicroNats(-90_000_000); 4] };
        measured(run).rows = vec![row; 300];
        let bytes = file.to_bytes().len();
        assert!(bytes <= 64_000, "{bytes} bytes");
    }

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
