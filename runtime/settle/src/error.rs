//! Why an epoch cannot be settled.
//!
//! A claim that earns nothing is not an error. An error means that the input contradicts itself or
//! cannot have come from an evaluation, and that paying anyone on it would be a guess.

use dataforge_core::hash::DatasetDigest;
use dataforge_core::units::{MicroNats, Ppm};

use crate::{CommitOrder, SubmissionName};

/// Why an epoch cannot be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Two claims name the same submission.
    #[error("two claims name the submission {submission}")]
    DuplicateSubmission {
        /// The name.
        submission: SubmissionName,
    },
    /// Two claims state the same place in the order of commitments.
    #[error("{first} and {second} both state commit order {}", commit_order.0)]
    DuplicateCommitOrder {
        /// The place.
        commit_order: CommitOrder,
        /// One of them.
        first: SubmissionName,
        /// The other.
        second: SubmissionName,
    },
    /// Two claims agree on the dataset, but not on its rows.
    #[error("{first} and {second} state the dataset {digest}, but different rows")]
    ContradictoryRows {
        /// The dataset.
        digest: DatasetDigest,
        /// One of them.
        first: SubmissionName,
        /// The other.
        second: SubmissionName,
    },
    /// A claim states a lift for a submission without rows.
    #[error("{submission} states a lift, but no rows")]
    ScoredWithoutRows {
        /// Whose claim it is.
        submission: SubmissionName,
    },
    /// A claim states a lift that no evaluation can measure; see [`LIFT_MAX`](crate::LIFT_MAX).
    #[error("{submission} states an impossible lift of {} nats", lift.display())]
    ImpossibleLift {
        /// Whose claim it is.
        submission: SubmissionName,
        /// What it states.
        lift: MicroNats,
    },
    /// The margin is negative or beyond every lift.
    #[error("a margin of {} nats is impossible", margin.display())]
    ImpossibleMargin {
        /// The margin.
        margin: MicroNats,
    },
    /// The threshold for copies is zero, or more than the whole.
    #[error("a threshold for copies of {} ppm is impossible", threshold.0)]
    ImpossibleThreshold {
        /// The threshold.
        threshold: Ppm,
    },
    /// There is nothing to share.
    #[error("the pool is empty")]
    EmptyPool,
    /// Our bug: a number left the range that the checks above promise.
    #[error("internal error: {what} is out of range; please report it")]
    Internal {
        /// Which number.
        what: &'static str,
    },
}
