//! What happened in an epoch: the only input of a settlement beside the rules and the ledger.
//!
//! Events come from the chain and from what validators publish. Whoever makes them has verified
//! signatures, proofs and replays; here they are facts. A party that breaks the rules makes an
//! event like any other, with consequences; a list of events that cannot be true is refused whole.

use std::fmt;

use dataforge_core::hash::{
    Commitment, DatasetDigest, EpochSeed, Hasher, HotkeyId, LedgerDigest, ProofDigest, RulesId,
    SpecId,
};
use dataforge_core::units::MicroNats;
use dataforge_core::{codec, hash::Digest as _};
use serde::{Deserialize, Serialize};

use crate::Rao;

/// An epoch's number, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A block's number on chain: the only clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Block(pub u64);

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened, and when. Events of one block have no order among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Of which epoch.
    pub epoch: Epoch,
    /// In which block.
    pub at: Block,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The epoch began. Comes first, once.
    Opened {
        /// By which rules.
        rules: RulesId,
        /// After which state.
        ledger: LedgerDigest,
    },
    /// Who is registered when the epoch opens. Without stake it is a miner alone.
    Listed {
        /// Who.
        party: HotkeyId,
        /// What stands behind it.
        stake: Rao,
    },
    /// A miner committed to a dataset.
    Committed {
        /// Who.
        miner: HotkeyId,
        /// See [`submission_commitment`].
        commitment: Commitment,
    },
    /// A miner revealed a dataset.
    Revealed {
        /// Who.
        miner: HotkeyId,
        /// The dataset.
        dataset: DatasetDigest,
        /// The spec that it is for.
        spec: SpecId,
        /// What the commitment was salted with.
        salt: Salt,
    },
    /// How much of a revealed dataset was in earlier ones. Once for each that was not revealed in
    /// an earlier epoch.
    Compared(Comparison),
    /// The epoch's seed became known: submissions are closed, validators are drawn.
    Seeded {
        /// The seed.
        seed: EpochSeed,
    },
    /// The seed by which audits are drawn became known: scores are committed.
    AuditsSeeded {
        /// The seed.
        seed: EpochSeed,
    },
    /// A validator committed to a score.
    ScoreCommitted {
        /// Whose submission.
        miner: HotkeyId,
        /// Who.
        validator: HotkeyId,
        /// See [`score_commitment`].
        commitment: Commitment,
    },
    /// A validator revealed a score.
    ScoreRevealed {
        /// Whose submission.
        miner: HotkeyId,
        /// Who.
        validator: HotkeyId,
        /// None: what was revealed is no valid proof about that submission, spec and seed.
        score: Option<Score>,
        /// What the commitment was salted with.
        salt: Salt,
    },
    /// A validator was asked to show a step of its proof.
    Challenged {
        /// Whose submission.
        miner: HotkeyId,
        /// Who.
        validator: HotkeyId,
    },
    /// It answered.
    Answered {
        /// Whose submission.
        miner: HotkeyId,
        /// Who.
        validator: HotkeyId,
        /// Whether what it showed holds.
        holds: bool,
    },
    /// A replay or bisection told what the score of a submission is: of this epoch, or of an
    /// earlier one of which an amount is held.
    Judged {
        /// The epoch of the submission.
        of: Epoch,
        /// Whose submission.
        miner: HotkeyId,
        /// The score.
        score: Score,
    },
    /// Nothing more happened in this epoch. Comes last, once.
    Closed,
}

/// Thirty-two bytes that keep a commitment from being guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt(pub EpochSeed);

/// How much of a dataset was in earlier ones: those committed before it in the epoch, and those of
/// earlier epochs. Rows are alike as the spec's kernels find them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The dataset.
    pub dataset: DatasetDigest,
    /// Its rows.
    pub rows: u32,
    /// Those that are in no earlier dataset.
    pub own: u32,
    /// The earlier dataset that most of them are in, the earliest of several.
    pub most: Option<Shared>,
}

/// Rows in common with an earlier dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The earlier dataset.
    pub with: DatasetDigest,
    /// How many.
    pub rows: u32,
}

/// A validator's finding about a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The digest of its proof.
    pub proof: ProofDigest,
    /// What the proof says.
    pub outcome: Outcome,
}

/// How an evaluation ended. Only one that reached the end has a lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Refused by a kernel before training.
    Rejected,
    /// Training met a value that is not finite.
    Diverged,
    /// Trained and measured.
    Scored(Lift),
}

/// What a submission taught the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// By the spec's rule, over all benchmark rows of the epoch.
    pub all: MicroNats,
    /// Over those rows that were never revealed before. Less than `all` by more than chance where
    /// the rows that were are known to the miner.
    pub hidden: MicroNats,
    /// What the lift is above with the confidence of the spec: the lower bound of a paired
    /// bootstrap over benchmark rows.
    pub bound: MicroNats,
}

/// What a miner commits to: SHA-256 under the tag `dataforge/commit/submission/v1` of epoch (u64
/// little-endian), miner, spec, dataset and salt (32 bytes each).
#[must_use]
pub fn submission_commitment(
    epoch: Epoch,
    miner: HotkeyId,
    spec: SpecId,
    dataset: DatasetDigest,
    salt: Salt,
) -> Commitment {
    let mut hasher = Hasher::new("dataforge/commit/submission/v1");
    hasher.update(epoch.0.to_le_bytes());
    for part in [miner.as_bytes(), spec.as_bytes(), dataset.as_bytes(), salt.0.as_bytes()] {
        hasher.update(part);
    }
    hasher.finish()
}

/// What a validator commits to: SHA-256 under the tag `dataforge/commit/score/v1` of epoch (u64
/// little-endian), validator, miner and salt (32 bytes each) and the canonical encoding of the
/// score. The validator is in it, so that nobody can commit to what somebody else has committed to.
#[must_use]
pub fn score_commitment(
    epoch: Epoch,
    validator: HotkeyId,
    miner: HotkeyId,
    score: &Option<Score>,
    salt: Salt,
) -> Commitment {
    let mut hasher = Hasher::new("dataforge/commit/score/v1");
    hasher.update(epoch.0.to_le_bytes());
    for part in [validator.as_bytes(), miner.as_bytes(), salt.0.as_bytes()] {
        hasher.update(part);
    }
    hasher.update(codec::encode(score));
    hasher.finish()
}
