//! One run: a market, epoch by epoch, from what its parties do to what they have.

use std::collections::BTreeMap;

use dataforge_core::hash::{DatasetDigest, EpochSeed, Hasher, HotkeyId, RowFingerprint};
use dataforge_core::units::Ppm;

use super::chance::Luck;
use super::error::SimulateError;
use super::scenario::{Attack, Scenario};
use super::trainer::Trainer;
use crate::amount::mul_div;
use crate::{Epoch, HeldFor, Ledger, Outcome, Rao, Report, Rules, Score, Script, settle};

/// What a run is of.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) rules: &'a Rules,
    /// The coalition's share of all stake.
    pub(super) stake: Ppm,
    pub(super) luck: Luck,
    /// Whether the coalition attacks; else it works honestly.
    pub(super) attacks: bool,
}

/// A dataset that somebody submits.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) miner: HotkeyId,
    pub(super) dataset: DatasetDigest,
    /// What it is compared by; a trainer compares by its own.
    pub(super) rows: Vec<RowFingerprint>,
    /// What an honest evaluation finds.
    pub(super) truth: Score,
}

/// A market between two epochs.
pub(super) struct Market<'a, 't> {
    pub(super) of: Setup<'a>,
    /// Makes and evaluates datasets, where neither is assumed.
    pub(super) trainer: Option<&'t mut (dyn Trainer + 't)>,
    pub(super) ledger: Ledger,
    pub(super) parties: Parties,
    /// What the coalition's work has cost.
    pub(super) spent: u128,
    /// What was taken from the coalition's bonds.
    pub(super) slashed: u128,
    /// The datasets of the epoch before, what earned most first.
    pub(super) past: Vec<Made>,
    /// What was found about each miner's submission of the epoch before.
    pub(super) found: BTreeMap<HotkeyId, Outcome>,
    /// What is true of each submission.
    pub(super) truths: BTreeMap<(Epoch, HotkeyId), Truth>,
}

/// What a submission is, and what is true of it.
#[derive(Clone, Copy)]
pub(super) struct Truth {
    pub(super) dataset: DatasetDigest,
    pub(super) score: Score,
}

/// Everybody's hotkeys.
pub(super) struct Parties {
    pub(super) validators: Vec<HotkeyId>,
    /// Each with the quality of its datasets.
    pub(super) miners: Vec<(HotkeyId, String)>,
    pub(super) coalition_validators: Vec<HotkeyId>,
    pub(super) coalition_miners: Vec<HotkeyId>,
}

impl Parties {
    fn of(scenario: &Scenario) -> Self {
        let Scenario { market, attack, .. } = scenario;
        let named = |kind: &str, count: u32| -> Vec<HotkeyId> {
            (0..count).map(|number| named(kind, number)).collect()
        };
        let skills = market.miners.iter().flat_map(|skill| (0..skill.count).map(move |_| skill));
        let miners = (0..)
            .zip(skills)
            .map(|(number, skill)| (self::named("miner", number), skill.quality.clone()));
        Self {
            validators: named("validator", market.validators.get()),
            miners: miners.collect(),
            coalition_validators: named("coalition/validator", attack.validators),
            coalition_miners: named("coalition/miner", attack.miners),
        }
    }

    pub(super) fn is_coalition(&self, party: &HotkeyId) -> bool {
        self.coalition_validators.contains(party) || self.coalition_miners.contains(party)
    }
}

fn named(kind: &str, number: u32) -> HotkeyId {
    let mut hasher = Hasher::new("dataforge/simulate/party/v1");
    hasher.update(kind).update([0]).update(number.to_le_bytes());
    hasher.finish()
}

impl<'a, 't> Market<'a, 't> {
    pub(super) fn new(of: Setup<'a>, trainer: Option<&'t mut (dyn Trainer + 't)>) -> Self {
        Self {
            of,
            trainer,
            ledger: Ledger::default(),
            parties: Parties::of(of.scenario),
            spent: 0,
            slashed: 0,
            past: vec![],
            found: BTreeMap::new(),
            truths: BTreeMap::new(),
        }
    }

    pub(super) fn attack(&self) -> &'a Attack {
        &self.of.scenario.attack
    }

    /// Whether the coalition attacks in this epoch.
    pub(super) fn is_attacking(&self) -> bool {
        self.of.attacks && self.ledger.epoch >= self.attack().from_epoch
    }

    pub(super) fn spend(&mut self, cost: Rao) {
        self.spent = self.spent.saturating_add(cost.0.into());
    }

    /// An epoch's public randomness.
    pub(super) fn seed(&self, epoch: Epoch) -> EpochSeed {
        self.of.luck.seed(&format!("seed/{epoch}"))
    }

    /// The trainer, if there is one, and what it evaluates an epoch's datasets by.
    pub(super) fn trains(&mut self, epoch: Epoch) -> Option<(&mut dyn Trainer, Vec<EpochSeed>)> {
        self.trainer.as_ref()?;
        let seeds = self.seeds(epoch);
        Some((&mut **self.trainer.as_mut()?, seeds))
    }

    /// The seeds of the epochs under the same spec, up to this one.
    fn seeds(&self, epoch: Epoch) -> Vec<EpochSeed> {
        let spec = |epoch| self.of.rules.spec(epoch);
        let epochs = (0..=epoch.0).map(Epoch).filter(|of| spec(*of) == spec(epoch));
        epochs.map(|of| self.seed(of)).collect()
    }

    /// Plays the next epoch.
    pub(super) fn play(&mut self) -> Result<Report, SimulateError> {
        let rules = self.of.rules;
        let epoch = self.ledger.epoch;
        let audits = self.of.luck.seed(&format!("audits/{epoch}"));
        let mut script = Script::new(rules, &self.ledger, self.seed(epoch), audits)?;
        self.list(&mut script)?;
        let made = self.submit(&mut script)?;
        let told = self.tell(&mut script, &made)?;
        self.replay(&mut script, &made, &told)?;
        let settled = settle(rules, &self.ledger, &script.finish())?;
        self.ledger = settled.ledger;
        self.remember(&settled.report, made);
        Ok(settled.report)
    }

    fn list(&self, script: &mut Script<'_>) -> Result<(), SimulateError> {
        let all = self.of.scenario.market.stake;
        let coalition = all.part(self.of.stake.0.into())?;
        let mut list = |stake: Rao, keys: &[HotkeyId]| -> Result<(), SimulateError> {
            let each = mul_div(stake.0.into(), 1, keys.len() as u128)?;
            let each = Rao(u64::try_from(each).unwrap_or(0));
            keys.iter().for_each(|key| script.list(*key, each));
            Ok(())
        };
        list(coalition, &self.parties.coalition_validators)?;
        list(all.minus(coalition)?, &self.parties.validators)?;
        let miners = self.parties.miners.iter().map(|(key, _)| key);
        for miner in miners.chain(&self.parties.coalition_miners) {
            script.list(*miner, Rao(0));
        }
        Ok(())
    }

    fn remember(&mut self, report: &Report, made: Vec<Made>) {
        let reward = |made: &Made| {
            let line = report.submissions.iter().find(|line| line.miner == made.miner);
            std::cmp::Reverse(line.map_or(Rao(0), |line| line.reward))
        };
        self.past = made;
        self.past.sort_by_key(reward);
        let found = report.submissions.iter();
        self.found =
            found.filter_map(|line| Some((line.miner, line.finding?.score.outcome))).collect();
        for slash in &report.slashes {
            if self.parties.is_coalition(&slash.validator) {
                self.slashed = self.slashed.saturating_add(slash.amount.0.into());
            }
        }
    }

    /// What the coalition has earned, its costs subtracted. Bonds count, and so do held rewards:
    /// after the last epoch nobody appeals.
    pub(super) fn profit(&self) -> i128 {
        let of_coalition = |party: &HotkeyId| self.parties.is_coalition(party);
        let accounts = self.ledger.accounts.iter().filter(|(party, _)| of_coalition(party));
        let held = self.ledger.held.iter().filter(|held| match held.reason {
            HeldFor::Dispute { .. } => of_coalition(&held.miner),
            HeldFor::Outlier { .. } => false,
        });
        let revenue = accounts
            .flat_map(|(_, account)| account.bond.values().chain([&account.paid]))
            .chain(held.map(|held| &held.amount))
            .fold(0i128, |sum, amount| sum.saturating_add(amount.0.into()));
        revenue.saturating_sub(i128::try_from(self.spent).unwrap_or(i128::MAX))
    }
}
