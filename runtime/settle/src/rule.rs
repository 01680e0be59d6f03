//! The parameters of a settlement, and the bounds that a sane one keeps.

use dataforge_core::units::{MicroNats, Ppm};
use serde::{Deserialize, Serialize};

use crate::{MicroShare, SettleError};

/// The largest lift, either way, that a claim may state: a thousand nats per answer.
///
/// A model that is certain and wrong about a candidate loses some tens of nats, so a larger number
/// comes from a broken scorer. [`settle_epoch`](crate::settle_epoch) refuses the whole epoch then.
pub const LIFT_MAX: MicroNats = MicroNats(1_000_000_000);

/// The whole in parts per million.
pub(crate) const PPM_WHOLE: u32 = 1_000_000;

/// When a submission counts as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRule {
    /// A submission is a copy when at least this share of its rows is in one earlier submission.
    /// Above zero, at most one million.
    pub threshold: Ppm,
}

/// How an epoch is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What all miners together can earn. Above zero.
    pub pool: MicroShare,
    /// The part of a lift that is not paid, since noise alone can reach it. Not negative.
    pub margin: MicroNats,
    /// When a submission counts as a copy.
    pub copy: CopyRule,
}

impl Rule {
    /// Refuses parameters under which no settlement makes sense.
    pub(crate) fn check(&self) -> Result<(), SettleError> {
        if self.pool == MicroShare(0) {
            return Err(SettleError::EmptyPool);
        }
        if !(MicroNats(0)..=LIFT_MAX).contains(&self.margin) {
            return Err(SettleError::ImpossibleMargin { margin: self.margin });
        }
        let threshold = self.copy.threshold;
        if !(1..=PPM_WHOLE).contains(&threshold.0) {
            return Err(SettleError::ImpossibleThreshold { threshold });
        }
        Ok(())
    }
}
