//! Scenarios: a market, a coalition, and what is assumed about both.
//!
//! A scenario is a TOML file. It is checked before anything runs: a share of more than everything,
//! a name that stands for nothing, or a size that would run for days is refused with the reason.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use dataforge_core::hash::EpochSeed;
use dataforge_core::units::{MicroNats, Ppm};
use serde::{Deserialize, Serialize};

use super::error::ScenarioError;
use super::strategy::{Copying, MinerStrategy, Swarming, ValidatorStrategy};
use crate::amount::{AMOUNT_MAX, WHOLE};
use crate::rules::LIFT_MAX;
use crate::{Epoch, Rao};

/// Most parties of one kind.
const PARTIES_MAX: u32 = 500;

/// Most epochs of all runs together, each times the parties: some hours.
const WORK_MAX: u64 = 100_000_000;

/// The same where datasets are trained on.
const TRAINED_WORK_MAX: u64 = 5_000;

/// Most rows of a dataset that is trained on.
const ROWS_MAX: u32 = 1_000;

/// Most that one piece of work may cost: a thousandth of every amount, so that sums stay within.
const COST_MAX: Rao = Rao(AMOUNT_MAX.0 / 1_024);

/// Most characters of a name or sentence.
const TEXT_MAX: usize = 1_000;

/// A market, a coalition, and what is assumed about both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The attack's name.
    pub name: String,
    /// What it tries, in a sentence.
    pub about: String,
    /// The file of the market's rules, relative to the scenario's.
    pub rules: String,
    /// What all chance comes from.
    pub seed: EpochSeed,
    /// Epochs of each run.
    pub epochs: NonZeroU32,
    /// Runs for each share of stake, each with seeds of its own.
    pub replications: NonZeroU32,
    /// The parties who are honest.
    pub market: Population,
    /// What work costs.
    pub costs: Costs,
    /// How often somebody replays.
    pub replays: Replays,
    /// What datasets teach, by quality, where it is assumed.
    #[serde(default)]
    pub response: Vec<Response>,
    /// What datasets are, where they are written and trained on.
    pub training: Option<Training>,
    /// The coalition.
    pub attack: Attack,
}

/// The parties who are honest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// All stake, the coalition's among it.
    pub stake: Rao,
    /// Validators, who share evenly what stake the coalition does not have.
    pub validators: NonZeroU32,
    /// Miners of several skills.
    pub miners: Vec<Skill>,
}

/// Miners alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// The quality of their datasets.
    pub quality: String,
    /// How many.
    pub count: u32,
}

/// What work costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// An honest dataset.
    pub dataset: Rao,
    /// A dataset that is copied or made of nothing.
    pub copy: Rao,
    /// An evaluation.
    pub evaluation: Rao,
    /// A miner's hotkey, each epoch.
    pub hotkey: Rao,
}

/// How often somebody replays a submission. Anybody can, and nothing in the rules makes anybody:
/// what an attack earns depends on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replays {
    /// The chance that scores that differ are replayed in their epoch.
    pub disputed: Ppm,
    /// The same for scores that are alike, false or not.
    pub unanimous: Ppm,
    /// The chance that an honest miner, who can evaluate its own dataset, replays a score that is
    /// too low.
    pub wronged: Ppm,
    /// The chance, in each later epoch in which an amount is held, that it is appealed.
    pub appealed: Ppm,
}

/// What datasets of a quality teach. Units are millionths of a nat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Its name.
    pub quality: String,
    /// The mean lift of such datasets.
    pub mean: MicroNats,
    /// The standard deviation of the lift between datasets and seeds.
    pub deviation: MicroNats,
    /// How far the lower bound of the bootstrap over benchmark rows lies below the lift.
    pub bound_below: MicroNats,
}

/// Datasets that are written and trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The spec, as `name@version`; the one that the rules name.
    pub spec: String,
    /// Rows of a dataset.
    pub rows: NonZeroU32,
    /// What there is, by quality.
    pub quality: Vec<Quality>,
}

/// What the rows of a dataset are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Its name.
    pub name: String,
    /// The share of rows with the right outputs; the others have outputs of other rows.
    pub right: Ppm,
}

/// The coalition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// The shares of all stake with which the attack is tried, the least first; `[0]` for miners
    /// alone.
    pub stakes: Vec<Ppm>,
    /// Hotkeys among which that stake is split evenly.
    pub validators: u32,
    /// Hotkeys of miners.
    pub miners: u32,
    /// Those of them that work where the coalition is honest: what its budget is good for.
    pub honest_miners: u32,
    /// The quality of its honest datasets.
    pub quality: String,
    /// Before this epoch it works honestly.
    pub from_epoch: Epoch,
    /// What its miners do.
    pub miner: MinerStrategy,
    /// What its validators do.
    pub validator: ValidatorStrategy,
}

impl Scenario {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// [`ScenarioError`], for the first thing that is wrong.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let Self { replays, market, attack, costs, .. } = self;
        for (what, text) in [("name", &self.name), ("about", &self.about), ("rules", &self.rules)] {
            if text.is_empty() || text.len() > TEXT_MAX {
                return Err(ScenarioError::Text { what, most: TEXT_MAX });
            }
        }
        for (what, share) in [
            ("replays.disputed", replays.disputed),
            ("replays.unanimous", replays.unanimous),
            ("replays.wronged", replays.wronged),
            ("replays.appealed", replays.appealed),
        ] {
            whole(what, share)?;
        }
        for (what, cost) in [
            ("costs.dataset", costs.dataset),
            ("costs.copy", costs.copy),
            ("costs.evaluation", costs.evaluation),
            ("costs.hotkey", costs.hotkey),
        ] {
            if cost > COST_MAX {
                return Err(ScenarioError::TooLarge { what, found: cost.0, most: COST_MAX.0 });
            }
        }
        if !(Rao(1_000_000)..=AMOUNT_MAX).contains(&market.stake) {
            return Err(ScenarioError::Stake { found: market.stake });
        }
        self.check_sizes()?;
        self.check_response()?;
        attack.check()?;
        match &self.training {
            None => self.qualities().try_for_each(|quality| self.response(quality).map(drop)),
            Some(_) if !self.response.is_empty() => Err(ScenarioError::TrainedAndAssumed),
            Some(training) => {
                training.check()?;
                // Each of them has an order, or a part, of its own.
                let (miners, rows) = (attack.miners, training.rows.get());
                if miners >= rows {
                    let (found, most) = (miners.into(), rows.saturating_sub(1).into());
                    return Err(ScenarioError::TooLarge { what: "attack.miners", found, most });
                }
                attack.miner.check_trained()?;
                self.qualities().try_for_each(|quality| training.right(quality).map(drop))
            }
        }
    }

    fn check_sizes(&self) -> Result<(), ScenarioError> {
        let Self { market, attack, .. } = self;
        let miners = market.miners.iter().fold(0u32, |sum, skill| sum.saturating_add(skill.count));
        for (what, count) in [
            ("market.validators", market.validators.get()),
            ("market.miners", miners),
            ("attack.validators", attack.validators),
            ("attack.miners", attack.miners),
            ("attack.stakes", u32::try_from(attack.stakes.len()).unwrap_or(u32::MAX)),
        ] {
            if count > PARTIES_MAX {
                let (found, most) = (count.into(), PARTIES_MAX.into());
                return Err(ScenarioError::TooLarge { what, found, most });
            }
        }
        let parties = [market.validators.get(), miners, attack.validators, attack.miners];
        let parties = parties.iter().map(|count| u64::from(*count)).sum::<u64>();
        let work = [self.epochs.get(), self.replications.get()]
            .iter()
            .fold(parties, |work, factor| work.saturating_mul(u64::from(*factor)))
            .saturating_mul(attack.stakes.len() as u64);
        let most = if self.training.is_some() { TRAINED_WORK_MAX } else { WORK_MAX };
        if work > most {
            let what = "epochs · replications · stakes · parties";
            return Err(ScenarioError::TooLarge { what, found: work, most });
        }
        Ok(())
    }

    fn check_response(&self) -> Result<(), ScenarioError> {
        let mut names = BTreeSet::new();
        for Response { quality, mean, deviation, bound_below } in &self.response {
            if !names.insert(quality) {
                return Err(ScenarioError::TwoQualities { quality: quality.clone() });
            }
            let positive = MicroNats(0)..=LIFT_MAX;
            let fine = (MicroNats(-LIFT_MAX.0)..=LIFT_MAX).contains(mean)
                && positive.contains(deviation)
                && positive.contains(bound_below);
            if !fine {
                return Err(ScenarioError::Response { quality: quality.clone() });
            }
        }
        Ok(())
    }

    /// Every quality that is named.
    fn qualities(&self) -> impl Iterator<Item = &str> {
        let of_attack = match &self.attack.miner {
            MinerStrategy::Cheap { quality } | MinerStrategy::CopyPublic { quality, .. } => {
                Some(quality)
            }
            MinerStrategy::Swarm { way: Swarming::Split { quality } } => {
                // Where parts are trained on, what they teach is no assumption.
                self.training.is_none().then_some(quality)
            }
            _ => None,
        };
        let honest = self.market.miners.iter().map(|skill| &skill.quality);
        honest.chain([&self.attack.quality]).chain(of_attack).map(String::as_str)
    }

    pub(super) fn response(&self, quality: &str) -> Result<&Response, ScenarioError> {
        let found = self.response.iter().find(|response| response.quality == quality);
        found.ok_or_else(|| ScenarioError::NoQuality { quality: quality.to_owned() })
    }
}

impl Training {
    fn check(&self) -> Result<(), ScenarioError> {
        if self.spec.is_empty() || self.spec.len() > TEXT_MAX {
            return Err(ScenarioError::Text { what: "training.spec", most: TEXT_MAX });
        }
        if self.rows.get() > ROWS_MAX {
            let (found, most) = (self.rows.get().into(), ROWS_MAX.into());
            return Err(ScenarioError::TooLarge { what: "training.rows", found, most });
        }
        let mut names = BTreeSet::new();
        for Quality { name, right } in &self.quality {
            whole("training.quality.right", *right)?;
            if !names.insert(name) {
                return Err(ScenarioError::TwoQualities { quality: name.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn right(&self, quality: &str) -> Result<Ppm, ScenarioError> {
        let found = self.quality.iter().find(|of| of.name == quality);
        let found = found.map(|of| of.right);
        found.ok_or_else(|| ScenarioError::NoQuality { quality: quality.to_owned() })
    }
}

impl MinerStrategy {
    /// Refuses what is assumed about rows and not done to them.
    fn check_trained(&self) -> Result<(), ScenarioError> {
        match self {
            Self::CopyPublic { .. } => Err(ScenarioError::NotTrained { what: "copy_public" }),
            Self::Overfit { .. } => Err(ScenarioError::NotTrained { what: "overfit" }),
            Self::CopyPeers { way: Copying::Paraphrased { .. } } => {
                Err(ScenarioError::NotTrained { what: "paraphrased" })
            }
            _ => Ok(()),
        }
    }
}

impl Attack {
    fn check(&self) -> Result<(), ScenarioError> {
        if self.stakes.is_empty() {
            return Err(ScenarioError::NoStakes);
        }
        if !self.stakes.is_sorted_by(|a, b| a < b) {
            return Err(ScenarioError::StakeOrder);
        }
        for stake in &self.stakes {
            whole("attack.stakes", *stake)?;
            if *stake == Ppm(1_000_000) {
                return Err(ScenarioError::NobodyElse);
            }
            if (*stake > Ppm(0)) != (self.validators > 0) {
                return Err(ScenarioError::StakeWithoutValidators { stake: *stake });
            }
        }
        if self.validators == 0 && self.miners == 0 {
            return Err(ScenarioError::NoCoalition);
        }
        if self.honest_miners > self.miners {
            let (found, most) = (self.honest_miners.into(), self.miners.into());
            return Err(ScenarioError::TooLarge { what: "attack.honest_miners", found, most });
        }
        let most = MicroNats(-LIFT_MAX.0)..=LIFT_MAX;
        let lift = |what, lift: MicroNats| match most.contains(&lift) {
            true => Ok(()),
            false => Err(ScenarioError::Lift { what, found: lift }),
        };
        match &self.miner {
            MinerStrategy::CopyPeers { way: Copying::Paraphrased { found } } => {
                whole("attack.miner.found", *found)?;
            }
            MinerStrategy::CopyPublic { found, .. } => whole("attack.miner.found", *found)?,
            MinerStrategy::Overfit { known, known_hidden, lift: over } => {
                whole("attack.miner.known", *known)?;
                whole("attack.miner.known_hidden", *known_hidden)?;
                lift("attack.miner.lift", *over)?;
            }
            _ => {}
        }
        match &self.validator {
            ValidatorStrategy::Noise { share, deviation } => {
                whole("attack.validator.share", *share)?;
                lift("attack.validator.deviation", *deviation)
            }
            ValidatorStrategy::Equivocate { share } => whole("attack.validator.share", *share),
            ValidatorStrategy::Ring(ring) => match ring.boost {
                Some(boost) => lift("attack.validator.boost", boost),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn whole(what: &'static str, share: Ppm) -> Result<(), ScenarioError> {
    match u64::from(share.0) <= WHOLE {
        true => Ok(()),
        false => Err(ScenarioError::BeyondTheWhole { what, ppm: share }),
    }
}
