//! The token plan: every row as token ids, and the batches in the order they are trained on.
//!
//! The order comes from the epoch seed alone. A plan is integers; the engine turns a batch into
//! tensors.

use crate::codec;
use crate::hash::{BatchDigest, EpochSeed, PlanDigest, tagged};
use crate::random::SeedStream;
use crate::units::StepIndex;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// One row as token ids: the prompt, then the output that is learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Prompt and output ids.
    pub ids: Vec<u32>,
    /// How many of them are the prompt: at least 1, fewer than all.
    pub prompt_tokens: u32,
}

/// Shape of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchShape {
    /// Rows; a batch with fewer is filled with empty ones.
    pub rows: NonZeroU32,
    /// Positions of each row. A row has at most one token more, since its last one is only
    /// predicted.
    pub positions: NonZeroU32,
}

impl BatchShape {
    /// rows × positions.
    #[must_use]
    pub fn tokens(self) -> usize {
        (self.rows.get() as usize).saturating_mul(self.positions.get() as usize)
    }
}

/// A batch as fed to the engine: `rows × positions`, row-major, right-padded with token 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Shape of the three vectors.
    pub shape: BatchShape,
    /// Input ids.
    pub ids: Vec<u32>,
    /// The id that follows each position; 0 where nothing is learned.
    pub targets: Vec<u32>,
    /// Whether the target is an output token.
    pub learned: Vec<bool>,
}

impl Batch {
    /// Packs rows that fit the shape; rows beyond `shape.rows` and tokens beyond the positions are
    /// our bug and are left out.
    #[must_use]
    pub fn pack(rows: &[&TokenRow], shape: BatchShape) -> Self {
        let positions = shape.positions.get() as usize;
        let empty = Self {
            shape,
            ids: vec![0; shape.tokens()],
            targets: vec![0; shape.tokens()],
            learned: vec![false; shape.tokens()],
        };
        let mut batch = empty;
        let slots = batch
            .ids
            .chunks_mut(positions)
            .zip(batch.targets.chunks_mut(positions))
            .zip(batch.learned.chunks_mut(positions));
        for (row, ((ids, targets), learned)) in rows.iter().zip(slots) {
            for (at, pair) in row.ids.windows(2).take(positions).enumerate() {
                ids[at] = pair[0];
                if at.saturating_add(1) >= row.prompt_tokens as usize {
                    targets[at] = pair[1];
                    learned[at] = true;
                }
            }
        }
        batch
    }

    /// Number of output tokens in the batch.
    #[must_use]
    pub fn learned_tokens(&self) -> u32 {
        u32::try_from(self.learned.iter().filter(|l| **l).count()).unwrap_or(u32::MAX)
    }

    /// Byte format: tag `dataforge/batch/v1` over the canonical encoding of the batch.
    #[must_use]
    pub fn digest(&self) -> BatchDigest {
        tagged("dataforge/batch/v1", &codec::encode(self))
    }
}

/// All rows as tokens and, per training step, which of them are in the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPlan {
    shape: BatchShape,
    rows: Vec<TokenRow>,
    steps: Vec<Vec<u32>>,
}

impl TokenPlan {
    /// Orders `rows` for `epochs` passes: pass e is the permutation of stream `batch-order/e` under
    /// the epoch seed, cut into batches; the last batch of a pass may be smaller.
    #[must_use]
    pub fn new(
        rows: Vec<TokenRow>,
        shape: BatchShape,
        epochs: NonZeroU32,
        seed: &EpochSeed,
    ) -> Self {
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut steps = Vec::new();
        for epoch in 0..epochs.get() {
            let mut order: Vec<u32> = (0..count).collect();
            SeedStream::new(seed, &format!("batch-order/{epoch}")).shuffle(&mut order);
            steps.extend(order.chunks(shape.rows.get() as usize).map(<[u32]>::to_vec));
        }
        Self { shape, rows, steps }
    }

    /// Number of training steps.
    #[must_use]
    pub fn steps(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// The batch of one step, or `None` past the end.
    #[must_use]
    pub fn batch(&self, step: StepIndex) -> Option<Batch> {
        let members = self.steps.get(step.0 as usize)?;
        let rows: Vec<_> = members.iter().filter_map(|row| self.rows.get(*row as usize)).collect();
        Some(Batch::pack(&rows, self.shape))
    }

    /// Byte format: tag `dataforge/token-plan/v1` over the canonical encoding of shape, rows and
    /// steps.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        tagged("dataforge/token-plan/v1", &codec::encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: u32, positions: u32) -> BatchShape {
        BatchShape { rows: rows.try_into().unwrap(), positions: positions.try_into().unwrap() }
    }

    #[test]
    fn learns_output_tokens_only() {
        let row = TokenRow { ids: vec![5, 6, 7, 8], prompt_tokens: 2 };
        let batch = Batch::pack(&[&row], shape(2, 4));
        assert_eq!(batch.ids, [5, 6, 7, 0, 0, 0, 0, 0]);
        assert_eq!(batch.targets, [0, 7, 8, 0, 0, 0, 0, 0]);
        assert_eq!(batch.learned, [false, true, true, false, false, false, false, false]);
        assert_eq!(batch.learned_tokens(), 2);
    }

    #[test]
    fn every_pass_visits_every_row_once() {
        let rows: Vec<_> = (0..5).map(|i| TokenRow { ids: vec![i, 9], prompt_tokens: 1 }).collect();
        let plan = TokenPlan::new(rows, shape(2, 1), 2.try_into().unwrap(), &EpochSeed([3; 32]));
        assert_eq!(plan.steps(), 6);
        let mut seen: Vec<u32> = plan.steps[..3].concat();
        assert_ne!(plan.steps[..3], plan.steps[3..]);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(plan.batch(StepIndex(6)).is_none());
    }
}
