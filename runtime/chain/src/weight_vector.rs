//! Weights by uid: what is signed, recorded and sent.

use serde::Serialize;

use crate::ids::{AccountId, Uid};

/// Weights by uid, the lowest first, each uid at most once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct WeightVector(Vec<(Uid, u16)>);

/// No weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A uid has two weights.
    #[error("uid {0} has two weights")]
    Twice(Uid),
    /// A key has two shares.
    #[error("{0} has two shares")]
    TwoShares(AccountId),
    /// Nobody has a weight.
    #[error("there is no weight above zero for anybody who is registered")]
    Nobody,
}

impl WeightVector {
    /// A vector of these weights, in the order of uids.
    ///
    /// # Errors
    /// [`WeightsError::Twice`].
    pub fn new(mut weights: Vec<(Uid, u16)>) -> Result<Self, WeightsError> {
        weights.sort_unstable();
        match weights.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(WeightsError::Twice(pair[0].0)),
            None => Ok(Self(weights)),
        }
    }

    /// The weights, the lowest uid first.
    #[must_use]
    pub fn pairs(&self) -> &[(Uid, u16)] {
        &self.0
    }

    /// The uids.
    pub fn uids(&self) -> impl ExactSizeIterator<Item = u16> {
        self.0.iter().map(|(uid, _)| uid.0)
    }

    /// The weights, in the order of [`Self::uids`].
    pub fn values(&self) -> impl ExactSizeIterator<Item = u16> {
        self.0.iter().map(|(_, weight)| *weight)
    }
}
