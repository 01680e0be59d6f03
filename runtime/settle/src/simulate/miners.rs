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
use crate::{Comparison, Lift, Outcome, Rao, Score, Script, Shared, compare};

/// Rows of a dataset here. Only their number in common matters, as a share.
const ROWS: u32 = 50;

/// A dataset before anybody knows what it teaches.
#[derive(Clone)]
struct Data {
    dataset: DatasetDigest,
    /// What it is compared by; none where a trainer compares.
    rows: Vec<RowFingerprint>,
}

/// What a dataset is assumed to teach, where nothing is trained.
enum Assumed<'a> {
    /// What datasets of a quality do, by the luck of a miner.
    Quality(&'a str, HotkeyId),
    /// What another one did.
    Outcome(Outcome),
}

impl Market<'_, '_> {
    /// Writes everybody's submissions, and how much of each is in earlier ones. Gives those that
    /// will be evaluated.
    pub(super) fn submit(&mut self, script: &mut Script<'_>) -> Result<Vec<Made>, SimulateError> {
        let mut all = Vec::with_capacity(self.parties.miners.len());
        for (miner, quality) in self.parties.miners.clone() {
            all.push(self.honest(miner, &quality)?);
        }
        let honest = all.len();
        all.extend(self.coalition()?);
        let last = self.of.rules.phases.commit.get().saturating_sub(1);
        for (after, made) in (0..).zip(&all) {
            script.submit(made.miner, made.dataset, last.min(after));
        }
        for comparison in self.compared(&all, honest)? {
            if !self.ledger.datasets.contains_key(&comparison.dataset) {
                script.compare(comparison);
            }
        }
        let (before, mut seen) = (&self.ledger.datasets, BTreeSet::new());
        all.retain(|made| !before.contains_key(&made.dataset) && seen.insert(made.dataset));
        Ok(all)
    }

    /// How much of each dataset is in those of the epoch before and those before it. The first
    /// ones are honest.
    fn compared(&mut self, all: &[Made], honest: usize) -> Result<Vec<Comparison>, SimulateError> {
        let mut known = BTreeSet::new();
        let mut fresh = |made: &&Made| known.insert(made.dataset);
        if let Some(trainer) = &mut self.trainer {
            let datasets = self.past.iter().chain(all).filter(&mut fresh);
            let datasets: Vec<DatasetDigest> = datasets.map(|made| made.dataset).collect();
            return Ok(trainer.compare(&datasets)?);
        }
        // Honest datasets have no row in common with any, so that the coalition's are compared
        // with what they were copied from and with each other alone.
        let (_, coalition) = all.split_at(honest);
        let earlier = self.past.iter().filter(|_| !coalition.is_empty()).chain(coalition);
        let rows: Vec<(DatasetDigest, &[RowFingerprint])> =
            earlier.filter(&mut fresh).map(|made| (made.dataset, made.rows.as_slice())).collect();
        // A few rows stand for all.
        let full = self.of.rules.domain(self.ledger.epoch).map_or(ROWS, |of| of.rows.get());
        let scaled = |rows: u32| rows.saturating_mul(full.checked_div(ROWS).unwrap_or(1).max(1));
        let whole = |Comparison { dataset, rows, own, most }| {
            let most = most.map(|of: Shared| Shared { rows: scaled(of.rows), ..of });
            Comparison { dataset, rows: scaled(rows), own: scaled(own), most }
        };
        Ok(compare(&rows).into_iter().map(whole).collect())
    }

    /// A dataset of the miner's own, and what it teaches.
    fn honest(&mut self, miner: HotkeyId, quality: &str) -> Result<Made, SimulateError> {
        let data = self.own(miner, quality)?;
        self.made(miner, data, Assumed::Quality(quality, miner))
    }

    /// A dataset of the miner's own.
    fn own(&mut self, miner: HotkeyId, quality: &str) -> Result<Data, SimulateError> {
        let dataset = self.digest(miner, "own");
        match (&mut self.trainer, &self.of.scenario.training) {
            (Some(trainer), Some(training)) => {
                let name = self.of.luck.seed(&format!("rows/{quality}/{dataset}"));
                let dataset = trainer.make(name, training.right(quality)?)?;
                Ok(Data { dataset, rows: vec![] })
            }
            _ => Ok(Data { dataset, rows: rows(dataset) }),
        }
    }

    /// The name of a dataset of this epoch.
    fn digest(&self, miner: HotkeyId, kind: &str) -> DatasetDigest {
        let mut hasher = Hasher::new("dataforge/simulate/dataset/v1");
        hasher.update(self.ledger.epoch.0.to_le_bytes()).update(miner.0).update(kind);
        hasher.finish()
    }

    /// A submission, and what is true of it: by training, or else as it is assumed.
    fn made(
        &mut self,
        miner: HotkeyId,
        Data { dataset, rows }: Data,
        assumed: Assumed<'_>,
    ) -> Result<Made, SimulateError> {
        let truth = match (self.trains(self.ledger.epoch), assumed) {
            (Some((trainer, seeds)), _) => trainer.evaluate(dataset, &seeds)?,
            (None, Assumed::Outcome(outcome)) => self.truth(miner, outcome),
            (None, Assumed::Quality(quality, of)) => {
                self.truth(miner, Outcome::Scored(self.assumed(of, quality)?))
            }
        };
        Ok(Made { miner, dataset, rows, truth })
    }

    fn truth(&self, miner: HotkeyId, outcome: Outcome) -> Score {
        Score { proof: self.proof(miner, "truth"), outcome }
    }

    fn assumed(&self, miner: HotkeyId, quality: &str) -> Result<Lift, SimulateError> {
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
        for (number, miner) in (0..count).zip(miners) {
            let Some((made, cost)) = self.attempt(strategy, number, miner)? else { continue };
            self.spend(cost);
            self.spend(costs.hotkey);
            all.push(made);
        }
        Ok(all)
    }

    /// What a strategy submits, and what it costs.
    fn attempt(
        &mut self,
        strategy: &MinerStrategy,
        number: u32,
        miner: HotkeyId,
    ) -> Result<Option<(Made, Rao)>, SimulateError> {
        let costs = self.of.scenario.costs;
        let quality = &self.attack().quality;
        let name = format!("{}/{miner}", self.ledger.epoch);
        Ok(Some(match strategy {
            MinerStrategy::Honest => (self.honest(miner, quality)?, costs.dataset),
            MinerStrategy::Cheap { quality } => (self.honest(miner, quality)?, costs.copy),
            MinerStrategy::CopyPublic { quality, found } => {
                let mut made = self.honest(miner, quality)?;
                if self.of.luck.hits(&format!("public/{name}"), *found) {
                    made.truth.outcome = Outcome::Rejected;
                }
                (made, costs.copy)
            }
            MinerStrategy::CopyPeers { way } => {
                let peers = self.past.iter().filter(|made| !self.parties.is_coalition(&made.miner));
                let mut numbered = (0..).zip(peers);
                let source = numbered.find(|(place, _)| *place == number);
                let Some(source) = source.map(|(_, made)| made.clone()) else { return Ok(None) };
                (self.copied(source, way, number, miner)?, costs.copy)
            }
            MinerStrategy::Overfit { known, known_hidden, lift: over } => {
                let mut made = self.honest(miner, quality)?;
                if let Outcome::Scored(taught) = &mut made.truth.outcome {
                    taught.all = mixed(taught.all, *over, *known);
                    taught.hidden = mixed(taught.hidden, *over, *known_hidden);
                    taught.bound = taught.bound.max(mixed(taught.bound, *over, *known));
                }
                (made, costs.dataset)
            }
            MinerStrategy::GrindSeeds { tries } => {
                let tried = costs.evaluation.0.saturating_mul(tries.get().into());
                let cost = Rao(costs.dataset.0.saturating_add(tried));
                (self.honest(miner, quality)?, cost)
            }
            MinerStrategy::Swarm { way } => {
                let first = self.parties.coalition_miners.first().copied().unwrap_or(miner);
                let cost = if number == 0 { costs.dataset } else { Rao(0) };
                (self.swarmed(way, number, first, miner)?, cost)
            }
        }))
    }

    fn copied(
        &mut self,
        source: Made,
        way: &Copying,
        number: u32,
        miner: HotkeyId,
    ) -> Result<Made, SimulateError> {
        let Made { dataset, rows: of_source, truth, .. } = source;
        let copy = self.digest(miner, "copy");
        let data = match (way, &mut self.trainer) {
            (Copying::Verbatim, _) => Data { dataset, rows: of_source },
            (Copying::Reordered, Some(trainer)) => {
                Data { dataset: trainer.reorder(dataset, number)?, rows: vec![] }
            }
            (Copying::Reordered, None) => Data { dataset: copy, rows: of_source },
            (Copying::Paraphrased { found }, _) => {
                let mut stream =
                    self.of.luck.stream(&format!("found/{}/{miner}", self.ledger.epoch));
                let reworded = rows(copy);
                let row = |(old, reworded)| match stream.below(WHOLE) < u64::from(found.0) {
                    true => old,
                    false => reworded,
                };
                let rows = of_source.into_iter().zip(reworded).map(row).collect();
                Data { dataset: copy, rows }
            }
        };
        self.made(miner, data, Assumed::Outcome(truth.outcome))
    }

    fn swarmed(
        &mut self,
        way: &Swarming,
        number: u32,
        first: HotkeyId,
        miner: HotkeyId,
    ) -> Result<Made, SimulateError> {
        let own = &self.attack().quality;
        let whole = self.own(first, own)?;
        let part = self.digest(miner, "part");
        let parts = u32::try_from(self.parties.coalition_miners.len()).unwrap_or(u32::MAX).max(1);
        let mine = |place: u32| place.checked_rem(parts) == number.checked_rem(parts);
        // All of them teach what the first one's dataset does, but for parts of it.
        let of_first = Assumed::Quality(own, first);
        let (data, assumed) = match (way, &mut self.trainer) {
            (Swarming::Same, _) => (whole, of_first),
            (Swarming::Reordered, None) => (Data { dataset: part, ..whole }, of_first),
            (Swarming::Split { quality }, None) => {
                let rows = (0..).zip(whole.rows).filter(|(place, _)| mine(*place));
                let rows = rows.map(|(_, row)| row).collect();
                (Data { dataset: part, rows }, Assumed::Quality(quality, miner))
            }
            (Swarming::Reordered, Some(trainer)) => {
                let dataset = trainer.reorder(whole.dataset, number)?;
                (Data { dataset, rows: vec![] }, of_first)
            }
            (Swarming::Split { quality }, Some(trainer)) => {
                let dataset = trainer.part(whole.dataset, number, parts)?;
                (Data { dataset, rows: vec![] }, Assumed::Quality(quality, miner))
            }
        };
        self.made(miner, data, assumed)
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
