//! When the chain reveals what is committed in the next block, and the beacon's round for it.
//!
//! The SDK plays the chain's blocks one by one; here the same block is reckoned. What the chain
//! does otherwise in the meantime (a tempo that changes, an epoch put off because too many subnets
//! have theirs in one block) neither of them foresees.

use super::{DrandRound, TimelockError};

/// How long the chain lets a subnet go without an epoch, in blocks; also its largest tempo.
const EPOCH_BLOCKS_MAX: u64 = 50_400;

/// For how many blocks after the reveal is due the round stays closed: the chain must have the
/// round's signature in the block that reveals, and the SDK takes this for certain to be enough.
const INGEST_BLOCKS: u64 = 3;

/// A subnet's epochs as the chain has them after some block, and how it counts time.
///
/// The number of the current epoch is not needed: only differences matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The block in which the subnet's last epoch ran (`LastEpochBlock`).
    pub last_epoch_block: u64,
    /// The block from which on the owner wants an epoch, 0 for none (`PendingEpochAt`).
    pub pending_epoch_at: u64,
    /// The blocks from one epoch to the next (`Tempo`).
    pub tempo: u16,
    /// Blocks that the chain counted since the last epoch (`BlocksSinceLastStep`).
    pub blocks_since_last_step: u64,
    /// The block after which all this is so. The commit is taken to be in the next one.
    pub current_block: u64,
    /// After how many epochs commits are revealed (`RevealPeriodEpochs`).
    pub reveal_period_epochs: u64,
    /// The time from one block to the next, in milliseconds.
    pub block_time_ms: u64,
}

/// The first epoch that is to come.
struct FirstEpoch {
    /// Its block.
    block: u64,
    /// Whether the chain knows at the start of the block, when it reveals, that the epoch will run.
    announced: bool,
}

impl Schedule {
    /// The round to encrypt weights to, where `now_unix_ms` is the time at the current block:
    ///
    /// round = ⌊(now + (reveal block + 3 − current block) · block time − genesis) / 3 s⌋, at least
    /// 1. The beacon signs it one period before that time.
    ///
    /// The SDK reckons this in f64 seconds. The results are equal where the block time is a
    /// multiple of 1/8 s, as 12 s and 0.25 s are; elsewhere its rounding can give the round before,
    /// when the exact sum falls on the very millisecond of a round.
    ///
    /// # Errors
    ///
    /// [`TimelockError::NoEpochs`] and [`TimelockError::NoReveal`].
    pub fn reveal_round(&self, now_unix_ms: u64) -> Result<DrandRound, TimelockError> {
        let reveal = self.reveal_block()?;
        let time_ms = reveal
            .checked_add(INGEST_BLOCKS)
            .and_then(|block| block.checked_sub(self.current_block))
            .and_then(|blocks| blocks.checked_mul(self.block_time_ms))
            .and_then(|wait_ms| wait_ms.checked_add(now_unix_ms))
            .ok_or(TimelockError::NoReveal)?;
        let round = time_ms.saturating_sub(DrandRound::GENESIS_MS) / DrandRound::PERIOD_MS;
        Ok(DrandRound(round.max(1)))
    }

    /// The block in which the chain reveals what is committed in the next one: the first in which
    /// the epoch's number has grown by [`Schedule::reveal_period_epochs`].
    ///
    /// The chain reveals before it runs epochs, by the number that the epoch will have if it sees
    /// that one is due.
    ///
    /// # Errors
    ///
    /// [`TimelockError::NoEpochs`]; [`TimelockError::NoReveal`] where no block has that number, or
    /// none in (period + 1) · 50,400 blocks.
    pub fn reveal_block(&self) -> Result<u64, TimelockError> {
        if self.tempo == 0 {
            return Err(TimelockError::NoEpochs);
        }
        let tempo = u64::from(self.tempo);
        let commit = self.current_block.checked_add(1).ok_or(TimelockError::NoReveal)?;
        let first = self.first_epoch(commit);
        // A commit in a block whose epoch is announced counts as of that epoch.
        let begun = u64::from(first.block == commit && first.announced);
        let epochs = self.reveal_period_epochs.checked_add(begun).ok_or(TimelockError::NoReveal)?;
        let reveal = match epochs {
            0 => commit,
            // The next epoch would begin before any block has the number of this one.
            1 if !first.announced && tempo == 1 => return Err(TimelockError::NoReveal),
            1 => first.block.saturating_add(u64::from(!first.announced)),
            epochs => {
                let blocks = tempo.min(EPOCH_BLOCKS_MAX + 1);
                let announced = tempo <= EPOCH_BLOCKS_MAX + 1;
                let since = (epochs - 1).checked_mul(blocks).ok_or(TimelockError::NoReveal)?;
                first.block.saturating_add(since).saturating_add(u64::from(!announced))
            }
        };
        let ahead = self.reveal_period_epochs.saturating_add(1).saturating_mul(EPOCH_BLOCKS_MAX);
        if reveal - commit <= ahead { Ok(reveal) } else { Err(TimelockError::NoReveal) }
    }

    /// The first epoch in block `from` or later, which is the block after the current one.
    fn first_epoch(&self, from: u64) -> FirstEpoch {
        let by_tempo = self.last_epoch_block.saturating_add(u64::from(self.tempo));
        let by_owner = if self.pending_epoch_at == 0 { u64::MAX } else { self.pending_epoch_at };
        // The chain counts the block itself before it runs epochs, but not before it reveals.
        let left = (EPOCH_BLOCKS_MAX + 1).saturating_sub(self.blocks_since_last_step);
        let overdue = self.current_block.saturating_add(left);
        let block = by_tempo.min(by_owner).min(overdue).max(from);
        let announced = block >= by_tempo || block >= by_owner || block > overdue;
        FirstEpoch { block, announced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Schedule = Schedule {
        last_epoch_block: 1_000,
        pending_epoch_at: 0,
        tempo: 360,
        blocks_since_last_step: 100,
        current_block: 1_100,
        reveal_period_epochs: 1,
        block_time_ms: 12_000,
    };

    /// The same, by playing the chain's blocks.
    fn played(schedule: &Schedule) -> Result<u64, TimelockError> {
        struct Played {
            last: u64,
            pending: u64,
            since: u64,
            epoch: u64,
        }
        let tempo = u64::from(schedule.tempo);
        let due = |state: &Played, block: u64| {
            (state.pending > 0 && block >= state.pending)
                || state.since > EPOCH_BLOCKS_MAX
                || block.saturating_sub(state.last) >= tempo
        };
        let mut state = Played {
            last: schedule.last_epoch_block,
            pending: schedule.pending_epoch_at,
            since: schedule.blocks_since_last_step,
            epoch: 0,
        };
        let commit = schedule.current_block + 1;
        let target = u64::from(due(&state, commit)) + schedule.reveal_period_epochs;
        for block in commit..=commit + (schedule.reveal_period_epochs + 1) * EPOCH_BLOCKS_MAX {
            if state.epoch + u64::from(due(&state, block)) == target {
                return Ok(block);
            }
            state.since += 1;
            if due(&state, block) {
                state = Played { last: block, pending: 0, since: 0, epoch: state.epoch + 1 };
            }
        }
        Err(TimelockError::NoReveal)
    }

    #[test]
    fn reckoned_as_played() {
        for tempo in [1, 2, 360, 50_399, 50_400, 50_401, 50_402, 65_535] {
            for since in [0, 100, 50_398, 50_399, 50_400, 50_401, 60_000] {
                for pending in [0, 1, 1_100, 1_101, 1_102, 1_103, 90_000] {
                    for last in [0, 739, 740, 741, 742, 1_098, 1_100, 1_200] {
                        for period in 0..3 {
                            let schedule = Schedule {
                                last_epoch_block: last,
                                pending_epoch_at: pending,
                                tempo,
                                blocks_since_last_step: since,
                                reveal_period_epochs: period,
                                ..USUAL
                            };
                            let expected = played(&schedule);
                            assert_eq!(schedule.reveal_block(), expected, "{schedule:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_usual_case_by_hand() {
        // The next epoch is in block 1,360; its round is that of three blocks later.
        assert_eq!(USUAL.reveal_block(), Ok(1_360));
        let now = DrandRound::GENESIS_MS + 2_999;
        assert_eq!(USUAL.reveal_round(now), Ok(DrandRound(263 * 4)));
        assert_eq!(USUAL.reveal_round(now + 1), Ok(DrandRound(263 * 4 + 1)));
        assert_eq!(USUAL.reveal_round(0), Ok(DrandRound(1)));
    }

    #[test]
    fn absurd_schedules_are_refused() {
        let none = Schedule { tempo: 0, ..USUAL };
        assert_eq!(none.reveal_round(0), Err(TimelockError::NoEpochs));
        let late = Schedule { current_block: u64::MAX, ..USUAL };
        assert_eq!(late.reveal_round(0), Err(TimelockError::NoReveal));
        let long = Schedule { reveal_period_epochs: u64::MAX, ..USUAL };
        assert_eq!(long.reveal_round(0), Err(TimelockError::NoReveal));
        let slow = Schedule { block_time_ms: u64::MAX, ..USUAL };
        assert_eq!(slow.reveal_round(0), Err(TimelockError::NoReveal));
        assert_eq!(USUAL.reveal_round(u64::MAX), Err(TimelockError::NoReveal));
    }
}
