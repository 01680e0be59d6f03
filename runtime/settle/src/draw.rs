//! Who evaluates what: validators drawn by stake, so that nobody chooses.
//!
//! A draw depends on the seed, the miner and the list of validators alone. The chance of being
//! drawn follows the stake: one validator that splits its stake has the same chances as before.

use dataforge_core::hash::{Digest as _, EpochSeed, HotkeyId};
use dataforge_core::random::SeedStream;

use crate::amount::WHOLE;
use crate::{Draw, Rao, SettleError};

/// Draws of an epoch. Whoever knows the seed and who is listed draws the same.
pub struct Lottery {
    rule: Draw,
    /// Those with a stake, by their keys.
    validators: Vec<(HotkeyId, Rao)>,
    /// The sums of stakes up to and with each.
    sums: Vec<u64>,
}

impl Lottery {
    /// Among those listed.
    ///
    /// # Errors
    /// [`SettleError::Internal`] where all stakes together are beyond every amount.
    pub fn new(
        rule: Draw,
        listed: impl IntoIterator<Item = (HotkeyId, Rao)>,
    ) -> Result<Self, SettleError> {
        let mut validators: Vec<_> =
            listed.into_iter().filter(|(_, stake)| *stake > Rao(0)).collect();
        validators.sort_unstable();
        let mut total = Rao(0);
        let mut sums = Vec::with_capacity(validators.len());
        for (_, stake) in &validators {
            total = total.plus(*stake)?;
            sums.push(total.0);
        }
        Ok(Self { rule, validators, sums })
    }

    /// Who evaluates a miner's submission.
    #[must_use]
    pub fn validators(&self, seed: &EpochSeed, miner: HotkeyId) -> Vec<HotkeyId> {
        self.draw(seed, "score", miner, self.rule.validators.get(), &[])
    }

    /// Who evaluates it too, if it is audited; nobody of those drawn before.
    #[must_use]
    pub fn auditors(
        &self,
        audits_seed: &EpochSeed,
        miner: HotkeyId,
        validators: &[HotkeyId],
    ) -> Vec<HotkeyId> {
        let mut stream = SeedStream::new(audits_seed, &format!("audited/{miner}"));
        match stream.below(WHOLE) < u64::from(self.rule.audited.0) {
            true => self.draw(audits_seed, "audit", miner, self.rule.auditors, validators),
            false => vec![],
        }
    }

    /// At most `count` different validators, none of them in `besides`, in the order of the draw.
    /// Of those that remain, each is next with a chance in proportion to its stake.
    fn draw(
        &self,
        seed: &EpochSeed,
        purpose: &str,
        miner: HotkeyId,
        count: u32,
        besides: &[HotkeyId],
    ) -> Vec<HotkeyId> {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.validators.len());
        let mut stream = SeedStream::new(seed, &format!("{purpose}/{miner}"));
        let out = |drawn: &[HotkeyId], key: &HotkeyId| {
            *key == miner || besides.contains(key) || drawn.contains(key)
        };
        let mut drawn: Vec<HotkeyId> = Vec::with_capacity(count);
        let total = self.sums.last().copied().unwrap_or(0);
        while drawn.len() < count {
            // Throwing back who is out leaves the chances of the others in proportion. With one
            // validator that has nearly everything that takes long; then the rest are listed.
            let thrown = (0..TRIES).find_map(|_| {
                let ball = stream.below(total);
                let at = self.sums.partition_point(|sum| *sum <= ball);
                let (key, _) = self.validators.get(at)?;
                (!out(&drawn, key)).then_some(*key)
            });
            match thrown.or_else(|| self.listed(&mut stream, |key| out(&drawn, key))) {
                Some(key) => drawn.push(key),
                None => break,
            }
        }
        drawn
    }

    fn listed(&self, stream: &mut SeedStream, out: impl Fn(&HotkeyId) -> bool) -> Option<HotkeyId> {
        let rest = || self.validators.iter().filter(|(key, _)| !out(key));
        let total = rest().map(|(_, stake)| stake.0).fold(0, u64::saturating_add);
        let mut ball = stream.below(total);
        for (key, stake) in rest() {
            match ball.checked_sub(stake.0) {
                Some(left) => ball = left,
                None => return Some(*key),
            }
        }
        None
    }
}

/// Draws that may hit somebody who is out, before the rest are listed.
const TRIES: usize = 32;

/// The order of two submissions that were committed in one block: by lot, so that neither a key nor
/// the order of a list decides.
pub(crate) fn lot(seed: &EpochSeed, miner: HotkeyId) -> [u8; 32] {
    let lot: HotkeyId = {
        let mut hasher = dataforge_core::hash::Hasher::new("dataforge/lot/v1");
        hasher.update(seed.as_bytes()).update(miner.as_bytes());
        hasher.finish()
    };
    lot.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_core::units::Ppm;
    use std::num::NonZeroU32;

    fn lottery(stakes: &[u64]) -> Lottery {
        let rule = Draw { validators: NonZeroU32::MIN, audited: Ppm(0), auditors: 0 };
        let validator = |(number, stake): (u8, &u64)| (HotkeyId([number; 32]), Rao(*stake));
        Lottery::new(rule, (0..).zip(stakes).map(validator)).unwrap()
    }

    #[test]
    fn golden_draws() {
        let urn = lottery(&[0, 5, 1, 3, 1_000_000]);
        let draw = |miner: u8, count, besides: &[HotkeyId]| -> Vec<u8> {
            let seed = EpochSeed([7; 32]);
            let drawn = urn.draw(&seed, "score", HotkeyId([miner; 32]), count, besides);
            drawn.iter().map(|key| key.0[0]).collect()
        };
        // Nobody without a stake, nobody twice, and never the miner.
        let all = draw(9, 10, &[]);
        assert_eq!(
            {
                let mut all = all.clone();
                all.sort_unstable();
                all
            },
            [1, 2, 3, 4]
        );
        assert_eq!(draw(9, 2, &[]), all[..2]);
        assert!(!draw(4, 10, &[]).contains(&4));
        assert!(!draw(9, 10, &[HotkeyId([4; 32])]).contains(&4));
    }

    /// A validator with half of the stake is first in half of the draws, split or not.
    #[test]
    fn chances_follow_the_stake() {
        let first = |stakes: &[u64], halves: &[u8]| {
            let urn = lottery(stakes);
            let draws = (0..4_000u32).map(|number| {
                let mut miner = [200; 32];
                miner[..4].copy_from_slice(&number.to_le_bytes());
                urn.draw(&EpochSeed([1; 32]), "score", HotkeyId(miner), 1, &[])[0]
            });
            draws.filter(|key| halves.contains(&key.0[0])).count()
        };
        assert!((1_900..2_100).contains(&first(&[50, 30, 20], &[0])));
        assert!((1_900..2_100).contains(&first(&[25, 25, 30, 20], &[0, 1])));
    }
}
