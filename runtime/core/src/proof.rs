//! The score proof: what it commits to, its digest, and its file format.
//!
//! Two honest validators produce the same proof and the same digest. Machine, engine and timings
//! are no part of it. Checking a proof against a re-run is the evaluate crate's work; this module
//! only says what the bytes mean.

use crate::codec::{self, CodecError};
use crate::hash::{
    BatchDigest, BenchmarkRoot, DatasetDigest, Digest as _, EpochSeed, MerkleRoot, PlanDigest,
    ProofDigest, ReportDigest, SpecId, StateRoot, tagged,
};
use crate::limits::PROOF_BYTES_MAX;
use crate::merkle;
use crate::units::{MicroNats, Ppm, StepIndex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The proof format written by this version.
pub const PROOF_VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"DFPROOF\n";
const HEADER_BYTES: usize = 8 + 2 + 8 + 32;

/// What was evaluated: equal inputs must give equal proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofInputs {
    /// Spec with its lock.
    pub spec: SpecId,
    /// The submission's rows.
    pub dataset: DatasetDigest,
    /// The hidden rows.
    pub benchmark: BenchmarkRoot,
    /// The epoch's public randomness.
    pub seed: EpochSeed,
}

/// One training step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which step, from 0.
    pub step: StepIndex,
    /// What was fed.
    pub batch: BatchDigest,
    /// Mean loss over the batch's output tokens before the update.
    pub loss: MicroNats,
    /// State after the step, as often as the spec asks and always after the last.
    pub state: Option<StateRoot>,
}

/// One benchmark row: the summed log-probability of each candidate, in committed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowResult {
    /// Natural log of each candidate's probability given the prompt; never positive.
    pub log_probabilities: Vec<MicroNats>,
}

/// The benchmark's summary for one state of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean over rows of −ln of the right candidate's share: `CL` of the score rule.
    pub choice_loss: MicroNats,
    /// Rows whose right candidate has the highest log-probability; reported, never paid.
    pub accuracy: Ppm,
    /// Mean over rows of −log-probability of the right candidate; reported, never paid.
    pub answer_nll: MicroNats,
}

/// A training run and its measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// Token ids, masks and batch order.
    pub plan: PlanDigest,
    /// Every step taken, in order.
    pub steps: Vec<StepRecord>,
    /// Root of the untrained reference's state.
    pub initial_state: StateRoot,
    /// The untrained reference on the benchmark.
    pub baseline: Metrics,
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The kernels did not accept the submission; nothing was trained.
    Rejected,
    /// A value that is not finite appeared at this step; lift is 0.
    Diverged {
        /// The run up to the step before.
        training: Training,
        /// The first step with a non-finite value.
        at: StepIndex,
    },
    /// Trained and measured.
    Scored {
        /// The run.
        training: Training,
        /// State after the last step.
        final_state: StateRoot,
        /// Every benchmark row, in committed order.
        rows: Vec<RowResult>,
        /// The trained model on the benchmark.
        trained: Metrics,
        /// The score that is paid for, by the spec's rule.
        lift: MicroNats,
    },
}

/// What a validator publishes about one submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreProof {
    /// What was evaluated.
    pub inputs: ProofInputs,
    /// What the kernels reported.
    pub report: ReportDigest,
    /// How it ended.
    pub outcome: Outcome,
}

impl ScoreProof {
    /// The paid score: 0 unless the run was scored.
    #[must_use]
    pub fn lift(&self) -> MicroNats {
        match &self.outcome {
            Outcome::Scored { lift, .. } => *lift,
            Outcome::Rejected | Outcome::Diverged { .. } => MicroNats(0),
        }
    }

    /// The training run, unless the submission was rejected.
    #[must_use]
    pub fn training(&self) -> Option<&Training> {
        match &self.outcome {
            Outcome::Rejected => None,
            Outcome::Diverged { training, .. } | Outcome::Scored { training, .. } => Some(training),
        }
    }

    /// The verdict in one word.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match &self.outcome {
            Outcome::Rejected => "rejected",
            Outcome::Diverged { .. } => "diverged",
            Outcome::Scored { .. } => "scored",
        }
    }

    /// Byte format: tag `dataforge/score-proof/v1` over the canonical encoding of, in order:
    /// version (u16), inputs, report, outcome name, step root, row root, and the outcome with its
    /// steps and rows emptied. Step and row roots are Merkle roots over the canonical encodings of
    /// the records.
    #[must_use]
    pub fn digest(&self) -> ProofDigest {
        let mut outline = self.outcome.clone();
        let (mut steps, mut rows) = (Vec::new(), Vec::new());
        match &mut outline {
            Outcome::Rejected => {}
            Outcome::Diverged { training, .. } => steps = std::mem::take(&mut training.steps),
            Outcome::Scored { training, rows: results, .. } => {
                steps = std::mem::take(&mut training.steps);
                rows = std::mem::take(results);
            }
        }
        let step_root: MerkleRoot = merkle::root(steps.iter().map(codec::encode));
        let row_root: MerkleRoot = merkle::root(rows.iter().map(codec::encode));
        let commitment = (
            PROOF_VERSION,
            &self.inputs,
            self.report,
            self.verdict(),
            step_root,
            row_root,
            outline,
        );
        tagged("dataforge/score-proof/v1", &codec::encode(&commitment))
    }

    /// The file: `DFPROOF\n`, version (u16 LE), length of the body (u64 LE), SHA-256 of the body,
    /// the body in canonical encoding.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let body = codec::encode(self);
        let mut file = Vec::with_capacity(HEADER_BYTES.saturating_add(body.len()));
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&PROOF_VERSION.to_le_bytes());
        file.extend_from_slice(&(body.len() as u64).to_le_bytes());
        file.extend_from_slice(&Sha256::digest(&body));
        file.extend_from_slice(&body);
        file
    }

    /// Reads what [`Self::to_file`] wrote.
    ///
    /// # Errors
    /// [`ProofFileError`] for anything else, without allocating more than the file's own size.
    pub fn from_file(file: &[u8]) -> Result<Self, ProofFileError> {
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

/// The root of a model's state.
///
/// Byte format: RFC 9162 Merkle root over tensors in the order given (the model family's canonical
/// order). The leaf of a tensor is the canonical encoding of its name and its dimensions (u32
/// each), then its elements as little-endian f32.
#[must_use]
pub fn state_root<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [u32], &'a [u8])>,
) -> StateRoot {
    let hashes: Vec<_> =
        tensors.into_iter().map(|(name, dims, bytes)| tensor_hash(name, dims, bytes)).collect();
    StateRoot::from_bytes(merkle::root_of_hashes::<StateRoot>(&hashes).0)
}

/// The leaf hash of one tensor in a [`state_root`].
#[must_use]
pub fn tensor_hash(name: &str, dims: &[u32], bytes: &[u8]) -> [u8; 32] {
    let header = codec::encode(&(name, dims));
    Sha256::new().chain_update([0]).chain_update(header).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> ScoreProof {
        let metrics =
            Metrics { choice_loss: MicroNats(1), accuracy: Ppm(2), answer_nll: MicroNats(3) };
        let step = StepRecord {
            step: StepIndex(0),
            batch: BatchDigest([1; 32]),
            loss: MicroNats(9),
            state: Some(StateRoot([2; 32])),
        };
        ScoreProof {
            inputs: ProofInputs {
                spec: SpecId([3; 32]),
                dataset: DatasetDigest([4; 32]),
                benchmark: BenchmarkRoot([5; 32]),
                seed: EpochSeed([6; 32]),
            },
            report: ReportDigest([7; 32]),
            outcome: Outcome::Scored {
                training: Training {
                    plan: PlanDigest([8; 32]),
                    steps: vec![step],
                    initial_state: StateRoot([1; 32]),
                    baseline: metrics,
                },
                final_state: StateRoot([2; 32]),
                rows: vec![RowResult { log_probabilities: vec![MicroNats(-5), MicroNats(-6)] }],
                trained: metrics,
                lift: MicroNats(12),
            },
        }
    }

    #[test]
    fn files_round_trip_and_no_single_byte_change_survives() {
        let file = proof().to_file();
        assert_eq!(ScoreProof::from_file(&file), Ok(proof()));
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(ScoreProof::from_file(&bad).is_err(), "byte {at}");
            assert!(ScoreProof::from_file(&file[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_digest_covers_steps_rows_and_scores() {
        let whole = proof();
        let mut changed = whole.clone();
        let Outcome::Scored { rows, .. } = &mut changed.outcome else { panic!() };
        rows[0].log_probabilities[1] = MicroNats(-7);
        assert_ne!(whole.digest(), changed.digest());
        let mut changed = whole.clone();
        let Outcome::Scored { training, .. } = &mut changed.outcome else { panic!() };
        training.steps[0].loss = MicroNats(8);
        assert_ne!(whole.digest(), changed.digest());
        let mut changed = whole.clone();
        let Outcome::Scored { lift, .. } = &mut changed.outcome else { panic!() };
        *lift = MicroNats(13);
        assert_ne!(whole.digest(), changed.digest());
    }

    #[test]
    fn golden_digest() {
        assert_eq!(
            proof().digest().to_string(),
            "41ecbd9754a5b3da0a386234c3ed6f5528fc1e6506dc3d41a4591bccf93b5183"
        );
    }
}
