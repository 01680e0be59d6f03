//! Why an epoch cannot be settled.
//!
//! What a party does wrong is not an error: it has consequences. An error means that the rules, the
//! ledger or the list of events cannot be what they should be, and that paying anyone on them would
//! be a guess. Nothing was changed then.

use dataforge_core::hash::{DatasetDigest, HotkeyId, LedgerDigest, RulesId, SpecId};
use dataforge_core::units::Ppm;

use crate::{Block, Epoch};

/// Why an epoch cannot be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The rules contradict themselves.
    #[error("the rules: {0}")]
    Rules(#[from] RulesError),
    /// An event cannot be true.
    #[error("event {number}: {fault}")]
    Event {
        /// Its place in the list, from 1.
        number: usize,
        /// Why.
        fault: EventFault,
    },
    /// An event that every epoch has is not there: the list is cut short.
    #[error("there is no event {what:?}: the list is cut short")]
    CutShort {
        /// Which.
        what: &'static str,
    },
    /// Nobody said how much of a dataset is in earlier ones.
    #[error("the dataset {dataset} was revealed, and not compared with earlier ones")]
    NotCompared {
        /// Which.
        dataset: DatasetDigest,
    },
    /// Our bug: a number left the range that the checks promise.
    #[error("internal error: {what} is out of range; please report it")]
    Internal {
        /// Which number.
        what: &'static str,
    },
}

/// Why an event cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventFault {
    /// It is about another epoch.
    #[error("it is of epoch {found}, the ledger expects {expected}")]
    Epoch {
        /// Which.
        found: Epoch,
        /// The ledger's next.
        expected: Epoch,
    },
    /// It stands behind an event of a later block.
    #[error("block {at} after block {before}")]
    Order {
        /// Its block.
        at: Block,
        /// That of the event before it.
        before: Block,
    },
    /// It happened when such events do not happen.
    #[error("block {at}, but such an event is of blocks {from} to {before}")]
    Time {
        /// Its block.
        at: Block,
        /// The first block of such an event.
        from: Block,
        /// The block behind the last.
        before: Block,
    },
    /// It stands there twice, or something that happens once happened again.
    #[error("it stands there twice")]
    Twice,
    /// The first event of an epoch is its opening, and nothing follows its closing.
    #[error("it is before the opening or after the closing")]
    Outside,
    /// The epoch is settled by other rules.
    #[error("the epoch was opened under the rules {found}, these are {expected}")]
    Rules {
        /// The event's.
        found: RulesId,
        /// Those given.
        expected: RulesId,
    },
    /// The epoch follows another state.
    #[error("the epoch follows the ledger {found}, this is {expected}")]
    Ledger {
        /// The event's.
        found: LedgerDigest,
        /// The one given.
        expected: LedgerDigest,
    },
    /// It names somebody who is not listed.
    #[error("{party} is not listed")]
    Stranger {
        /// Whom.
        party: HotkeyId,
    },
    /// It names a validator that has no stake.
    #[error("{party} has no stake")]
    NoStake {
        /// Whom.
        party: HotkeyId,
    },
    /// A submission is for another spec than the epoch's.
    #[error("the submission is for the spec {found}, the epoch evaluates {expected}")]
    Spec {
        /// The event's.
        found: SpecId,
        /// The epoch's.
        expected: SpecId,
    },
    /// It names a dataset that nobody revealed before.
    #[error("the dataset {dataset} was not revealed before")]
    UnknownDataset {
        /// Which.
        dataset: DatasetDigest,
    },
    /// It is about a submission that nobody made, or of which nothing is held.
    #[error("there is no such submission of {miner} to judge")]
    NothingToJudge {
        /// Whose.
        miner: HotkeyId,
    },
    /// A dataset cannot be a copy of one that was committed later.
    #[error("the dataset {dataset} is compared with {with}, which is not earlier")]
    NotEarlier {
        /// The dataset.
        dataset: DatasetDigest,
        /// The other.
        with: DatasetDigest,
    },
    /// A number that no honest process makes.
    #[error("{what} is impossible: {number}")]
    Number {
        /// Which.
        what: &'static str,
        /// The number.
        number: i128,
    },
    /// Two scores have the same proof, and say different things.
    #[error("two scores have the proof {proof}, and say different things")]
    Contradiction {
        /// Its digest.
        proof: dataforge_core::hash::ProofDigest,
    },
}

/// Why no epoch can be settled by some rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A share of more than everything.
    #[error("{what} is {} ppm, more than the whole", ppm.0)]
    BeyondTheWhole {
        /// Which.
        what: &'static str,
        /// The share.
        ppm: Ppm,
    },
    /// Nothing where there must be something.
    #[error("{what} is zero or empty")]
    Zero {
        /// Which.
        what: &'static str,
    },
    /// A list that is too long.
    #[error("{what} has more than {most} entries")]
    TooMany {
        /// Which.
        what: &'static str,
        /// Most entries.
        most: usize,
    },
    /// More early blocks than blocks.
    #[error("phases.score_early is longer than phases.score")]
    LateEarly,
    /// A margin below zero or beyond every lift, or a unit of nothing.
    #[error("domain {number} has an impossible margin or unit")]
    Domain {
        /// Which, from 1.
        number: u32,
    },
    /// The first stage is not from epoch 0, or one is not after the one before it.
    #[error("the stage from epoch {epoch} is out of order; the first is from epoch 0")]
    StageOrder {
        /// Its first epoch.
        epoch: Epoch,
    },
    /// Parts of more than the whole, too large an emission or bonus, or a bonus of nothing.
    #[error("the stage from epoch {epoch} has impossible parts, emission or bonuses")]
    Stage {
        /// Its first epoch.
        epoch: Epoch,
    },
}
