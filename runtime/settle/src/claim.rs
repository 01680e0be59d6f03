//! What an epoch's evaluations say about each submission: the input of a settlement.

use std::fmt;

use dataforge_core::hash::{DatasetDigest, RowFingerprint};
use dataforge_core::units::MicroNats;
use serde::{Deserialize, Serialize};

/// Names a submission within its epoch: a hotkey, or a file for a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubmissionName(pub String);

impl fmt::Display for SubmissionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a submission's commitment in the epoch; smaller is earlier, no two are equal.
///
/// It decides who is the origin and who the copy, so it comes from the order on chain and never
/// from a time that a miner states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitOrder(pub u64);

/// How the evaluation of a submission ended. Only one that reached the end has a lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Trained and measured on the hidden benchmark.
    Scored {
        /// The lift that the spec's score rule measured, before the margin.
        lift: MicroNats,
    },
    /// Refused by a kernel before training.
    Rejected,
    /// Training met a value that is not finite.
    Diverged,
}

/// One submission and what its evaluation found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose it is. Unique in an epoch.
    pub submission: SubmissionName,
    /// What was submitted. Two submissions may have the same.
    pub digest: DatasetDigest,
    /// When it was committed. Unique in an epoch.
    pub commit_order: CommitOrder,
    /// How its evaluation ended.
    pub outcome: Outcome,
    /// One per row, repeated rows repeated. Empty where no row could be read.
    pub fingerprints: Vec<RowFingerprint>,
}
