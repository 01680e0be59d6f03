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

/// Mean −ln p per output token over the right answers of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenNll {
    /// Of the reference that training started from.
    pub baseline: MicroNats,
    /// Of the trained model.
    pub trained: MicroNats,
}

/// The steps of the control: a second copy trained from the same initial state on the same rows,
/// their outputs shuffled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRun {
    /// Token ids, masks and batch order.
    pub plan: PlanDigest,
    /// Every step taken, in order.
    pub steps: Vec<StepRecord>,
}

/// The control, trained and measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The run.
    pub run: ControlRun,
    /// State after the last step.
    pub final_state: StateRoot,
    /// Every benchmark row, in committed order.
    pub rows: Vec<RowResult>,
    /// The control on the benchmark.
    pub metrics: Metrics,
    /// Mean −ln p per output token over the right answers.
    pub token_nll: MicroNats,
}

/// How an evaluation ended. The encoding of a variant never changes; what a new score rule has to
/// say is a new variant at the end.
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
    /// Trained and measured under a rule that compares with another model than the pinned one.
    /// Under `warmed`, initial state and baseline are the warmed reference's.
    Compared {
        /// The run.
        training: Training,
        /// State after the last step.
        final_state: StateRoot,
        /// Every benchmark row, in committed order.
        rows: Vec<RowResult>,
        /// The trained model on the benchmark.
        trained: Metrics,
        /// Nats per output token.
        token_nll: TokenNll,
        /// The control, under the rule of that name.
        control: Option<Control>,
        /// The score that is paid for, by the spec's rule.
        lift: MicroNats,
    },
    /// A value that is not finite appeared at this step of the control; lift is 0.
    ControlDiverged {
        /// The run, which ended well.
        training: Training,
        /// The control's up to the step before.
        control: ControlRun,
        /// Its first step with a non-finite value.
        at: StepIndex,
    },
}

/// What a proof says about a model that was trained and measured, by whatever rule.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'p> {
    /// State after the last step.
    pub final_state: StateRoot,
    /// Every benchmark row, in committed order.
    pub rows: &'p [RowResult],
    /// The trained model on the benchmark.
    pub trained: &'p Metrics,
    /// Nats per output token, where the rule has it committed.
    pub token_nll: Option<TokenNll>,
    /// The control, under the rule of that name.
    pub control: Option<&'p Control>,
    /// The score that is paid for.
    pub lift: MicroNats,
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
        self.scored().map_or(MicroNats(0), |scored| scored.lift)
    }

    /// The measurement, if there is one.
    #[must_use]
    pub fn scored(&self) -> Option<Scored<'_>> {
        match &self.outcome {
            Outcome::Rejected | Outcome::Diverged { .. } | Outcome::ControlDiverged { .. } => None,
            Outcome::Scored { final_state, rows, trained, lift, .. } => Some(Scored {
                final_state: *final_state,
                rows,
                trained,
                token_nll: None,
                control: None,
                lift: *lift,
            }),
            Outcome::Compared { final_state, rows, trained, token_nll, control, lift, .. } => {
                Some(Scored {
                    final_state: *final_state,
                    rows,
                    trained,
                    token_nll: Some(*token_nll),
                    control: control.as_ref(),
                    lift: *lift,
                })
            }
        }
    }

    /// The steps of the control, as far as it came, where there is one.
    #[must_use]
    pub fn control_run(&self) -> Option<&ControlRun> {
        match &self.outcome {
            Outcome::Compared { control, .. } => control.as_ref().map(|control| &control.run),
            Outcome::ControlDiverged { control, .. } => Some(control),
            Outcome::Rejected | Outcome::Diverged { .. } | Outcome::Scored { .. } => None,
        }
    }

    /// The training run, unless the submission was rejected.
    #[must_use]
    pub fn training(&self) -> Option<&Training> {
        match &self.outcome {
            Outcome::Rejected => None,
            Outcome::Diverged { training, .. }
            | Outcome::Scored { training, .. }
            | Outcome::Compared { training, .. }
            | Outcome::ControlDiverged { training, .. } => Some(training),
        }
    }

    /// The verdict in one word.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match &self.outcome {
            Outcome::Rejected => "rejected",
            Outcome::Diverged { .. } | Outcome::ControlDiverged { .. } => "diverged",
            Outcome::Scored { .. } | Outcome::Compared { .. } => "scored",
        }
    }

    /// Byte format: tag `dataforge/score-proof/v1` over the canonical encoding of, in order:
    /// version (u16), inputs, report, outcome name, step root, row root, and the outcome with its
    /// steps and rows emptied; then, where there is a control, its step root and row root. The
    /// roots are Merkle roots over the canonical encodings of the records.
    #[must_use]
    pub fn digest(&self) -> ProofDigest {
        let mut outline = self.outcome.clone();
        let [step_root, row_root] = outline.take_records();
        let control = outline.take_control_records();
        let commitment = (
            PROOF_VERSION,
            &self.inputs,
            self.report,
            self.verdict(),
            step_root,
            row_root,
            outline,
        );
        let mut bytes = codec::encode(&commitment);
        if let Some(roots) = control {
            bytes.extend(codec::encode(&roots));
        }
        tagged("dataforge/score-proof/v1", &bytes)
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

impl Outcome {
    /// Empties the run's steps and rows, for their roots.
    fn take_records(&mut self) -> [MerkleRoot; 2] {
        match self {
            Self::Rejected => [no_records(), no_records()],
            Self::Diverged { training, .. } | Self::ControlDiverged { training, .. } => {
                [take_root(&mut training.steps), no_records()]
            }
            Self::Scored { training, rows, .. } | Self::Compared { training, rows, .. } => {
                [take_root(&mut training.steps), take_root(rows)]
            }
        }
    }

    /// The same for the control, where there is one.
    fn take_control_records(&mut self) -> Option<[MerkleRoot; 2]> {
        match self {
            Self::Compared { control: Some(control), .. } => {
                Some([take_root(&mut control.run.steps), take_root(&mut control.rows)])
            }
            Self::ControlDiverged { control, .. } => {
                Some([take_root(&mut control.steps), no_records()])
            }
            Self::Rejected
            | Self::Diverged { .. }
            | Self::Scored { .. }
            | Self::Compared { .. } => None,
        }
    }
}

/// The Merkle root of records, which it empties.
fn take_root<T: Serialize>(records: &mut Vec<T>) -> MerkleRoot {
    merkle::root(std::mem::take(records).iter().map(codec::encode))
}

fn no_records() -> MerkleRoot {
    take_root::<StepRecord>(&mut vec![])
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

    /// The same run under the rule `control`.
    fn controlled() -> ScoreProof {
        let whole = proof();
        let Outcome::Scored { training, final_state, rows, trained, lift } = whole.outcome else {
            panic!()
        };
        let run = ControlRun { plan: PlanDigest([9; 32]), steps: training.steps.clone() };
        let control = Control {
            run,
            final_state: StateRoot([4; 32]),
            rows: rows.clone(),
            metrics: trained,
            token_nll: MicroNats(8),
        };
        let token_nll = TokenNll { baseline: MicroNats(7), trained: MicroNats(6) };
        let control = Some(control);
        let outcome =
            Outcome::Compared { training, final_state, rows, trained, token_nll, control, lift };
        ScoreProof { outcome, ..whole }
    }

    #[test]
    fn the_digest_covers_the_control() {
        let whole = controlled();
        assert_eq!(ScoreProof::from_file(&whole.to_file()), Ok(whole.clone()));
        let check = |change: &dyn Fn(&mut Control)| {
            let mut changed = whole.clone();
            let Outcome::Compared { control: Some(control), .. } = &mut changed.outcome else {
                panic!()
            };
            change(control);
            assert_ne!(whole.digest(), changed.digest());
        };
        check(&|control| control.run.plan = PlanDigest([1; 32]));
        check(&|control| control.run.steps[0].loss = MicroNats(8));
        check(&|control| control.final_state = StateRoot([1; 32]));
        check(&|control| control.rows[0].log_probabilities[0] = MicroNats(-4));
        check(&|control| control.metrics.choice_loss = MicroNats(0));
        check(&|control| control.token_nll = MicroNats(0));
    }

    #[test]
    fn golden_digest_with_a_control() {
        assert_eq!(
            controlled().digest().to_string(),
            "71c23efc41cc2931088be53f790d5e88173bdfec563129e829ce6bfc200d5e48"
        );
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
