//! What miners submit, honest ones and the coalition's.

use std::collections::BTreeSet;

use dataforge_core::hash::{DatasetDigest, EpochSeed, Hasher, HotkeyId, RowFingerprint};
use dataforge_core::units::{MicroNats, Ppm};

use super::chance::normal;
use super::error::SimulateError;
use super::market::{Made, Market};
use super::strategy::{Copying, MinerStrategy, Swarming};
use crate::amount::WHOLE;
use crate::rules::LIFT_MAX;
use crate::{Comparison, Lift, Outcome, Rao, Script, Shared, compare};

/// Rows of a dataset here. Only their number in common matters, as a share.
const ROWS: u32 = 50;

impl Market<'_> {
    /// Writes everybody's submissions, and how much of the coalition's is in earlier ones. Gives
    /// those that will be evaluated.
    pub(super) fn submit(&mut self, script: &mut Script<'_>) -> Result<Vec<Made>, SimulateError> {
        let mut all = Vec::with_capacity(self.parties.miners.len());
        for (miner, quality) in &self.parties.miners {
            all.push(self.honest(*miner, quality)?);
        }
        let honest = all.len();
        all.extend(self.coalition()?);
        let last = self.of.rules.phases.commit.get().saturating_sub(1);
        for (after, made) in (0..).zip(&all) {
            script.submit(made.miner, made.dataset, last.min(after));
        }
        // Honest datasets have no row in common with any, so that the coalition's are compared
        // with what they were copied from and with each other alone.
        let (_, coalition) = all.split_at(honest);
        let mut known = BTreeSet::new();
        let earlier = self.past.iter().filter(|_| !coalition.is_empty()).chain(coalition);
        let rows: Vec<(DatasetDigest, &[RowFingerprint])> = earlier
            .filter(|made| known.insert(made.dataset))
            .map(|made| (made.dataset, made.rows.as_slice()))
            .collect();
        let before = &self.ledger.datasets;
        // A few rows stand for all.
        let full = self.of.rules.domain(self.ledger.epoch).map_or(ROWS, |of| of.rows.get());
        let scaled = |rows: u32| rows.saturating_mul(full.checked_div(ROWS).unwrap_or(1).max(1));
        for Comparison { dataset, rows, own, most } in compare(&rows) {
            if !before.contains_key(&dataset) {
                let most = most.map(|of| Shared { rows: scaled(of.rows), ..of });
                let (rows, own) = (scaled(rows), scaled(own));
                script.compare(Comparison { dataset, rows, own, most });
            }
        }
        let mut seen = BTreeSet::new();
        all.retain(|made| !before.contains_key(&made.dataset) && seen.insert(made.dataset));
        Ok(all)
    }

    /// A dataset of the miner's own.
    fn honest(&self, miner: HotkeyId, quality: &str) -> Result<Made, SimulateError> {
        let dataset = self.digest(miner, "own");
        let rows = rows(dataset);
        Ok(Made { miner, dataset, rows, truth: Outcome::Scored(self.taught(miner, quality)?) })
    }

    /// The name of a dataset of this epoch.
    fn digest(&self, miner: HotkeyId, kind: &str) -> DatasetDigest {
        let mut hasher = Hasher::new("dataforge/simulate/dataset/v1");
        hasher.update(self.ledger.epoch.0.to_le_bytes()).update(miner.0).update(kind);
        hasher.finish()
    }

    fn taught(&self, miner: HotkeyId, quality: &str) -> Result<Lift, SimulateError> {
        let response = self.of.scenario.response(quality)?;
        let name = format!("lift/{}/{miner}", self.ledger.epoch);
        let noise = normal(&mut self.of.luck.stream(&name), response.deviation);
        Ok(lift(response.mean.0.saturating_add(noise.0), response.bound_below))
    }

    fn coalition(&mut self) -> Result<Vec<Made>, SimulateError> {
        let costs = self.of.scenario.costs;
        let attack = self.attack();
        let miners = self.parties.coalition_miners.clone();
        let (strategy, count) = match self.is_attacking() {
            true => (&attack.miner, attack.miners),
            false => (&MinerStrategy::Honest, attack.honest_miners),
        };
        let mut all = vec![];
        for (number, miner) in (0..usize::try_from(count).unwrap_or(usize::MAX)).zip(miners) {
            let Some((made, cost)) = self.attempt(strategy, number, miner)? else { continue };
            self.spend(cost);
            self.spend(costs.hotkey);
            all.push(made);
        }
        Ok(all)
    }

    /// What a strategy submits, and what it costs.
    fn attempt(
        &self,
        strategy: &MinerStrategy,
        number: usize,
        miner: HotkeyId,
    ) -> Result<Option<(Made, Rao)>, SimulateError> {
        let costs = self.of.scenario.costs;
        let own = |quality: &str| self.honest(miner, quality);
        let quality = &self.attack().quality;
        let name = format!("{}/{miner}", self.ledger.epoch);
        Ok(Some(match strategy {
            MinerStrategy::Honest => (own(quality)?, costs.dataset),
            MinerStrategy::Cheap { quality } => (own(quality)?, costs.copy),
            MinerStrategy::CopyPublic { quality, found } => {
                let mut made = own(quality)?;
                if self.of.luck.hits(&format!("public/{name}"), *found) {
                    made.truth = Outcome::Rejected;
                }
                (made, costs.copy)
            }
            MinerStrategy::CopyPeers { way } => {
                let peers =
                    || self.past.iter().filter(|made| !self.parties.is_coalition(&made.miner));
                let Some(source) = peers().nth(number) else { return Ok(None) };
                (self.copied(source, way, miner), costs.copy)
            }
            MinerStrategy::Overfit { known, known_hidden, lift: over } => {
                let mut made = own(quality)?;
                if let Outcome::Scored(taught) = &mut made.truth {
                    taught.all = mixed(taught.all, *over, *known);
                    taught.hidden = mixed(taught.hidden, *over, *known_hidden);
                    taught.bound = taught.bound.max(mixed(taught.bound, *over, *known));
                }
                (made, costs.dataset)
            }
            MinerStrategy::GrindSeeds { tries } => {
                let tried = costs.evaluation.0.saturating_mul(tries.get().into());
                (own(quality)?, Rao(costs.dataset.0.saturating_add(tried)))
            }
            MinerStrategy::Swarm { way } => {
                let first = self.parties.coalition_miners.first().copied().unwrap_or(miner);
                let cost = if number == 0 { costs.dataset } else { Rao(0) };
                (self.swarmed(way, number, first, miner)?, cost)
            }
        }))
    }

    fn copied(&self, source: &Made, way: &Copying, miner: HotkeyId) -> Made {
        let Made { dataset, rows: of_source, truth, .. } = source.clone();
        let copy = self.digest(miner, "copy");
        match way {
            Copying::Verbatim => Made { miner, dataset, rows: of_source, truth },
            Copying::Reordered => Made { miner, dataset: copy, rows: of_source, truth },
            Copying::Paraphrased { found } => {
                let mut stream =
                    self.of.luck.stream(&format!("found/{}/{miner}", self.ledger.epoch));
                let reworded = rows(copy);
                let row = |(old, reworded)| match stream.below(WHOLE) < u64::from(found.0) {
                    true => old,
                    false => reworded,
                };
                let rows = of_source.into_iter().zip(reworded).map(row).collect();
                Made { miner, dataset: copy, rows, truth }
            }
        }
    }

    fn swarmed(
        &self,
        way: &Swarming,
        number: usize,
        first: HotkeyId,
        miner: HotkeyId,
    ) -> Result<Made, SimulateError> {
        let whole = self.honest(first, &self.attack().quality)?;
        let dataset = match way {
            Swarming::Same => whole.dataset,
            _ => self.digest(miner, "part"),
        };
        let Swarming::Split { quality } = way else {
            return Ok(Made { miner, dataset, ..whole });
        };
        let parts = self.parties.coalition_miners.len().max(1);
        let mine = |place: usize| place.checked_rem(parts) == number.checked_rem(parts);
        let rows = (0..).zip(whole.rows).filter(|(place, _)| mine(*place)).map(|(_, row)| row);
        let truth = Outcome::Scored(self.taught(miner, quality)?);
        Ok(Made { miner, dataset, rows: rows.collect(), truth })
    }
}

/// Rows that no other dataset has.
fn rows(dataset: DatasetDigest) -> Vec<RowFingerprint> {
    let row = |number: u32| {
        let EpochSeed(mut bytes) = EpochSeed(dataset.0);
        bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, part)| *byte = part);
        RowFingerprint(bytes)
    };
    (0..ROWS).map(row).collect()
}

/// A lift of which the miner knew nothing, within what a score may state.
pub(super) fn lift(all: i64, bound_below: MicroNats) -> Lift {
    let within = |lift: i64| MicroNats(lift.clamp(LIFT_MAX.0.saturating_neg(), LIFT_MAX.0));
    let (all, bound) = (within(all), within(all.saturating_sub(bound_below.0)));
    Lift { all, hidden: all, bound }
}

/// The mean over rows of which a share is known.
fn mixed(lift: MicroNats, over: MicroNats, known: Ppm) -> MicroNats {
    let known = i128::from(known.0);
    let unknown = i128::from(WHOLE).saturating_sub(known);
    let sum = i128::from(lift.0)
        .saturating_mul(unknown)
        .saturating_add(i128::from(over.0).saturating_mul(known));
    let mean = sum.checked_div(WHOLE.into()).unwrap_or(0);
    MicroNats(i64::try_from(mean).unwrap_or(lift.0))
}
