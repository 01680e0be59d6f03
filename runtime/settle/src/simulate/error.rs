//! Why a scenario cannot be run.

use dataforge_core::units::{MicroNats, Ppm};

use super::trainer::Failed;
use crate::{Rao, SettleError};

/// Why a scenario is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A text is empty or too long.
    #[error("{what} is empty, or longer than {most} bytes")]
    Text {
        /// Which.
        what: &'static str,
        /// Most bytes.
        most: usize,
    },
    /// A share of more than everything.
    #[error("{what} is {} ppm, more than the whole", ppm.0)]
    BeyondTheWhole {
        /// Which.
        what: &'static str,
        /// The share.
        ppm: Ppm,
    },
    /// A number that would run for too long, or that no market has.
    #[error("{what} is {found}, more than {most}")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// The number.
        found: u64,
        /// Most.
        most: u64,
    },
    /// The stake of the market is too little to be split, or beyond every amount.
    #[error("market.stake is {} units: too few to be split, or more than there are", found.0)]
    Stake {
        /// The stake.
        found: Rao,
    },
    /// Two qualities have one name.
    #[error("two qualities are named {quality:?}")]
    TwoQualities {
        /// The name.
        quality: String,
    },
    /// A response beyond every lift, or a negative deviation.
    #[error("the response {quality:?} has an impossible mean, deviation or bound")]
    Response {
        /// Its name.
        quality: String,
    },
    /// A quality of which nothing is said.
    #[error("nothing is said of the quality {quality:?}")]
    NoQuality {
        /// The quality.
        quality: String,
    },
    /// What datasets teach is assumed, and trained.
    #[error("[[response]] assumes what [training] finds out: one of them")]
    TrainedAndAssumed,
    /// A strategy that is told by its outcome, which is no recipe for rows.
    #[error("attack.miner is {what}, which is assumed and cannot be trained on")]
    NotTrained {
        /// Its name.
        what: &'static str,
    },
    /// A lift beyond every lift.
    #[error("{what} is {}, beyond every lift", found.display())]
    Lift {
        /// Which.
        what: &'static str,
        /// The lift.
        found: MicroNats,
    },
    /// No share of stake to try.
    #[error("attack.stakes is empty; a coalition of miners alone has [0]")]
    NoStakes,
    /// Shares of stake are out of order, or one stands there twice.
    #[error("attack.stakes is not in ascending order")]
    StakeOrder,
    /// All stake is the coalition's.
    #[error("attack.stakes has the whole stake: nobody else is left")]
    NobodyElse,
    /// Stake and no validators, or the other way round.
    #[error("a stake of {} ppm does not go with attack.validators", stake.0)]
    StakeWithoutValidators {
        /// The share.
        stake: Ppm,
    },
    /// Nobody attacks.
    #[error("the coalition has neither validators nor miners")]
    NoCoalition,
}

impl From<Failed> for SimulateError {
    fn from(Failed: Failed) -> Self {
        Self::Trainer
    }
}

/// Why a simulation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The scenario is none.
    #[error("the scenario: {0}")]
    Scenario(#[from] ScenarioError),
    /// An epoch could not be settled.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The trainer failed, and knows why.
    #[error("a dataset could not be made, evaluated or compared")]
    Trainer,
    /// A scenario with training was not given a trainer, or one without it was.
    #[error("the scenario and the trainer do not go together")]
    NoTrainer,
    /// Somebody stopped it.
    #[error("the simulation was stopped")]
    Stopped,
}
