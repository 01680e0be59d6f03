//! What a coalition does instead of honest work.

use std::num::NonZeroU32;

use dataforge_core::units::{MicroNats, Ppm};
use serde::{Deserialize, Serialize};

/// What the coalition's miners do. Each has one hotkey and at most one submission per epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MinerStrategy {
    /// Makes a dataset of its own every epoch.
    Honest,
    /// Makes rows that cost what a copy costs, such as garbage or answers of other rows.
    Cheap {
        /// The response that says what they teach.
        quality: String,
    },
    /// Submits the dataset that earned most in the epoch before: datasets are committed to before
    /// any is revealed, so that none of the same epoch can be copied.
    CopyPeers {
        /// How the rows are changed.
        way: Copying,
    },
    /// Submits public data.
    CopyPublic {
        /// The response that says what it teaches.
        quality: String,
        /// The chance that a kernel finds it, and refuses the submission.
        found: Ppm,
    },
    /// Makes an honest dataset with benchmark rows in it.
    Overfit {
        /// The share of all benchmark rows that the miner knows.
        known: Ppm,
        /// The share of the rows never revealed before that it knows.
        known_hidden: Ppm,
        /// The lift over rows that it knows.
        lift: MicroNats,
    },
    /// Tries its dataset with seeds of its own, and submits what did best. The epoch's seed comes
    /// later, so that only the cost of trying stays.
    GrindSeeds {
        /// Seeds that it tries.
        tries: NonZeroU32,
    },
    /// All of the coalition's hotkeys submit one dataset.
    Swarm {
        /// How.
        way: Swarming,
    },
}

/// How the rows of another's dataset are changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Copying {
    /// Not at all: the same dataset.
    Verbatim,
    /// Other bytes and another order, the same rows.
    Reordered,
    /// Every row is reworded, and teaches what it taught.
    Paraphrased {
        /// The chance, row by row, that a kernel finds it alike.
        found: Ppm,
    },
}

/// How many hotkeys submit one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Swarming {
    /// All of them the same.
    Same,
    /// All of them the same rows, in an order of their own.
    Reordered,
    /// Each a part of the rows.
    Split {
        /// The response that says what a part teaches.
        quality: String,
    },
}

/// What the coalition's validators do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValidatorStrategy {
    /// Evaluate everything, and commit early.
    Honest,
    /// Evaluate each submission once for all of them, and tell what is true.
    Pool,
    /// Evaluate nothing, and tell what is known of the miner's submission of the epoch before.
    /// Commitments hide the scores of this epoch. All of them run one program, and tell the same.
    Lazy,
    /// Evaluate, and add noise to a share of the lifts.
    Noise {
        /// The share.
        share: Ppm,
        /// The standard deviation.
        deviation: MicroNats,
    },
    /// Do nothing.
    Offline,
    /// Evaluate, and commit so many blocks after the seed. Auditors among them commit at once.
    Late {
        /// Blocks.
        blocks: u32,
    },
    /// Evaluate, and reveal a second score for a share of the assignments.
    Equivocate {
        /// The share.
        share: Ppm,
    },
    /// Tell false scores together.
    Ring(Ring),
}

/// Validators that tell false scores together. Who is drawn is public, so they know when they are
/// among themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// When they lie; at other times they are honest.
    pub when: Moment,
    /// The lift that they tell of their own miners' submissions, if they lie about those.
    pub boost: Option<MicroNats>,
    /// Whether they tell that others' submissions are rejected.
    pub censor: bool,
    /// Whether they do not reveal a lie once an auditor is drawn who is not one of them.
    pub withhold: bool,
}

/// When a ring lies about a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Whoever was drawn beside them.
    Always,
    /// When those drawn of them have more stake than the others drawn.
    Majority,
    /// When nobody else was drawn.
    Unanimous,
}
