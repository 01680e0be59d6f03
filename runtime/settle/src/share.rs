//! The unit of reward.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Millionths of an epoch's emission.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroShare(pub u64);

impl fmt::Display for MicroShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ppm", self.0)
    }
}
