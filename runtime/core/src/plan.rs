//! The token plan: every row as token ids, and the batches in the order they are trained on.
//!
//! The order comes from the epoch seed alone. A plan is integers; the engine turns a batch into
//! tensors.

use crate::blind::BlindTree;
use crate::codec;
use crate::hash::EpochSeed;
use crate::proof::PlanRoots;
use crate::random::SeedStream;
use crate::units::StepIndex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;

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
    /// Slots of each row for the positions whose next token is learned.
    pub output_tokens: NonZeroU32,
}

impl BatchShape {
    /// rows × positions.
    #[must_use]
    pub fn tokens(self) -> usize {
        (self.rows.get() as usize).saturating_mul(self.positions.get() as usize)
    }

    /// rows × output tokens.
    #[must_use]
    pub fn slots(self) -> usize {
        (self.rows.get() as usize).saturating_mul(self.output_tokens.get() as usize)
    }
}

/// A batch as fed to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Sizes of the four vectors below.
    pub shape: BatchShape,
    /// Which rows these are, by their index in the plan; fewer than `shape.rows` in the last batch
    /// of a pass.
    pub members: Vec<u32>,
    /// Input ids: `rows × positions`, row-major, right-padded with token 0.
    pub ids: Vec<u32>,
    /// The position, counted through the whole batch, that each slot is about: `rows ×
    /// output_tokens`, row-major; a row's first position where a slot is empty.
    pub at: Vec<u32>,
    /// The id that follows each slot's position; 0 where a slot is empty.
    pub targets: Vec<u32>,
    /// Whether a slot is used.
    pub learned: Vec<bool>,
}

impl Batch {
    /// Packs those of `rows` that `members` names. Members beyond `shape.rows` or the rows, tokens
    /// beyond the positions and outputs beyond the slots are our bug and are left out.
    #[must_use]
    pub fn pack(rows: &[TokenRow], members: &[u32], shape: BatchShape) -> Self {
        let (positions, slots) = (shape.positions.get(), shape.output_tokens.get() as usize);
        let first_positions = (0..shape.rows.get()).map(|row| row.saturating_mul(positions));
        let mut batch = Self {
            shape,
            members: members.to_vec(),
            ids: vec![0; shape.tokens()],
            at: first_positions.flat_map(|first| vec![first; slots]).collect(),
            targets: vec![0; shape.slots()],
            learned: vec![false; shape.slots()],
        };
        let parts = batch
            .ids
            .chunks_mut(positions as usize)
            .zip(batch.at.chunks_mut(slots))
            .zip(batch.targets.chunks_mut(slots))
            .zip(batch.learned.chunks_mut(slots));
        let rows = members.iter().filter_map(|row| rows.get(*row as usize));
        for (row, (((ids, at), targets), learned)) in rows.zip(parts) {
            let prompt = row.prompt_tokens as usize;
            // The last token is only predicted.
            let shown = row.ids.len().saturating_sub(1);
            for (id, given) in ids.iter_mut().zip(row.ids.iter().take(shown)) {
                *id = *given;
            }
            let outputs = row.ids.iter().skip(prompt);
            for (slot, target) in outputs.enumerate().take(slots) {
                let before = prompt.saturating_add(slot).saturating_sub(1);
                at[slot] = at[slot].saturating_add(u32::try_from(before).unwrap_or(u32::MAX));
                targets[slot] = *target;
                learned[slot] = true;
            }
        }
        batch
    }

    /// Number of output tokens in the batch.
    #[must_use]
    pub fn learned_tokens(&self) -> u32 {
        u32::try_from(self.learned.iter().filter(|l| **l).count()).unwrap_or(u32::MAX)
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

    /// Warm-up: as [`TokenPlan::new`], but pass e trains on the rows with their outputs permuted by
    /// stream `warm-up/e`, so that no pairing is seen often enough to be learned. The rows of all
    /// passes lie end to end.
    #[must_use]
    pub fn reshuffled(
        rows: &[TokenRow],
        shape: BatchShape,
        epochs: NonZeroU32,
        seed: &EpochSeed,
    ) -> Self {
        let mut all = Self { shape, rows: vec![], steps: vec![] };
        for epoch in 0..epochs.get() {
            let purpose = format!("warm-up/{epoch}");
            let pass = shuffle_outputs(rows, seed, &purpose);
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let first = count.saturating_mul(epoch);
            let mut order: Vec<u32> = (first..first.saturating_add(count)).collect();
            SeedStream::new(seed, &format!("batch-order/{epoch}")).shuffle(&mut order);
            all.steps.extend(order.chunks(shape.rows.get() as usize).map(<[u32]>::to_vec));
            all.rows.extend(pass);
        }
        all
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
        Some(Batch::pack(&self.rows, members, self.shape))
    }

    /// The plan for taking only these steps: the same batches in the same places, the other places
    /// empty, and no row that is in none of them. Its roots are its own.
    #[must_use]
    pub fn excerpt(&self, steps: &[Range<u32>]) -> Self {
        let mut excerpt = Self { shape: self.shape, rows: vec![], steps: vec![] };
        let mut places = BTreeMap::new();
        for (step, members) in (0..).zip(&self.steps) {
            let wanted = steps.iter().any(|range| range.contains(&step));
            let wanted = members.iter().filter(|_| wanted);
            let mut place = |member: &u32| {
                *places.entry(*member).or_insert_with(|| {
                    excerpt.rows.extend(self.rows.get(*member as usize).cloned());
                    u32::try_from(excerpt.rows.len()).unwrap_or(u32::MAX).saturating_sub(1)
                })
            };
            excerpt.steps.push(wanted.map(&mut place).collect());
        }
        excerpt
    }

    /// Every row, in the order of the submission.
    #[must_use]
    pub fn rows(&self) -> &[TokenRow] {
        &self.rows
    }

    /// The tree whose leaf i is row i in canonical encoding.
    #[must_use]
    pub fn row_tree(&self) -> BlindTree {
        let leaves: Vec<_> = self.rows.iter().map(codec::encode).collect();
        BlindTree::of(&leaves)
    }

    /// The tree whose leaf k is the batch of step k in canonical encoding.
    #[must_use]
    pub fn batch_tree(&self) -> BlindTree {
        let batches = self.steps.iter().map(|members| Batch::pack(&self.rows, members, self.shape));
        let leaves: Vec<_> = batches.map(|batch| codec::encode(&batch)).collect();
        BlindTree::of(&leaves)
    }

    /// What commits to the plan.
    #[must_use]
    pub fn roots(&self) -> PlanRoots {
        PlanRoots { rows: self.row_tree().list_root(), batches: self.batch_tree().list_root() }
    }
}

/// The prompts of `rows` in their order, with their outputs in the order of a uniform permutation:
/// stream `purpose` under `seed`. It is no derangement: on average one row keeps its own output,
/// and rows with equal outputs may exchange them.
#[must_use]
pub fn shuffle_outputs(rows: &[TokenRow], seed: &EpochSeed, purpose: &str) -> Vec<TokenRow> {
    let split = |row: &'_ TokenRow| {
        let prompt = (row.prompt_tokens as usize).min(row.ids.len());
        (row.ids[..prompt].to_vec(), row.ids[prompt..].to_vec())
    };
    let (prompts, mut outputs): (Vec<_>, Vec<_>) = rows.iter().map(split).unzip();
    SeedStream::new(seed, purpose).shuffle(&mut outputs);
    let joined = rows.iter().zip(prompts).zip(outputs);
    joined
        .map(|((row, mut ids), output)| {
            ids.extend(output);
            TokenRow { ids, prompt_tokens: row.prompt_tokens }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: u32, positions: u32) -> BatchShape {
        let [rows, positions, output_tokens] =
            [rows, positions, positions.min(3)].map(|n| n.try_into().unwrap());
        BatchShape { rows, positions, output_tokens }
    }

    #[test]
    fn learns_output_tokens_only() {
        let row = TokenRow { ids: vec![5, 6, 7, 8], prompt_tokens: 2 };
        let batch = Batch::pack(&[row], &[0], shape(2, 4));
        assert_eq!(batch.ids, [5, 6, 7, 0, 0, 0, 0, 0]);
        assert_eq!(batch.at, [1, 2, 0, 4, 4, 4]);
        assert_eq!(batch.targets, [7, 8, 0, 0, 0, 0]);
        assert_eq!(batch.learned, [true, true, false, false, false, false]);
        assert_eq!(batch.learned_tokens(), 2);
    }

    /// Rows with prompts of one token or two, each with an output of its own.
    fn paired(count: u32) -> Vec<TokenRow> {
        let row = |(i, output): (u32, u32)| match i.is_multiple_of(2) {
            true => TokenRow { ids: vec![i, output, 9], prompt_tokens: 1 },
            false => TokenRow { ids: vec![7, i, output, 9], prompt_tokens: 2 },
        };
        (0..count).zip(100..).map(row).collect()
    }

    fn outputs(rows: &[TokenRow]) -> Vec<u32> {
        rows.iter().map(|row| row.ids[row.prompt_tokens as usize]).collect()
    }

    #[test]
    fn shuffling_keeps_prompts_in_place_and_every_output() {
        let rows = paired(20);
        let shuffled = shuffle_outputs(&rows, &EpochSeed([3; 32]), "control");
        for (row, other) in rows.iter().zip(&shuffled) {
            let prompt = row.prompt_tokens as usize;
            assert_eq!(row.ids[..prompt], other.ids[..prompt]);
            assert_eq!((other.ids[prompt..].len(), other.prompt_tokens), (2, row.prompt_tokens));
        }
        assert_ne!(outputs(&rows), outputs(&shuffled));
        let mut all = outputs(&shuffled);
        all.sort_unstable();
        assert_eq!(all, outputs(&rows));
        assert_ne!(shuffled, shuffle_outputs(&rows, &EpochSeed([4; 32]), "control"));
        assert_ne!(shuffled, shuffle_outputs(&rows, &EpochSeed([3; 32]), "other"));
    }

    #[test]
    fn every_warm_up_pass_pairs_anew() {
        let (rows, epochs) = (paired(10), 3.try_into().unwrap());
        let plan = TokenPlan::reshuffled(&rows, shape(4, 4), epochs, &EpochSeed([3; 32]));
        assert_eq!((plan.steps(), plan.rows().len()), (9, 30));
        let passes: Vec<_> = plan.rows().chunks(10).map(outputs).collect();
        assert!(passes[0] != passes[1] && passes[1] != passes[2] && passes[0] != passes[2]);
        let mut second: Vec<u32> = plan.steps[3..6].concat();
        second.sort_unstable();
        assert_eq!(second, (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn an_excerpt_has_the_batches_of_its_steps_and_no_other_row() {
        let rows = paired(10);
        let epochs = 2.try_into().unwrap();
        let plan = TokenPlan::new(rows, shape(2, 4), epochs, &EpochSeed([3; 32]));
        let excerpt = plan.excerpt(&[1..3, 7..8]);
        assert_eq!(excerpt.steps(), plan.steps());
        assert!((4..=6).contains(&excerpt.rows().len()));
        for step in (0..plan.steps()).map(StepIndex) {
            let (all, some) = (plan.batch(step).unwrap(), excerpt.batch(step).unwrap());
            if [1, 2, 7].contains(&step.0) {
                assert_eq!((all.ids, all.targets), (some.ids, some.targets));
                for (a, b) in all.members.iter().zip(&some.members) {
                    assert_eq!(plan.rows()[*a as usize], excerpt.rows()[*b as usize]);
                }
            } else {
                assert!(some.members.is_empty());
            }
        }
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
