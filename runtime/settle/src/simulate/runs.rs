//! Runs of a scenario, in pairs, and what their profits say.

use std::ops::ControlFlow;

use dataforge_core::hash::{Hasher, LedgerDigest};
use dataforge_core::units::Ppm;
use serde::Serialize;

use super::chance::{Luck, ratio};
use super::error::SimulateError;
use super::market::{Market, Setup};
use super::scenario::Scenario;
use super::trainer::Trainer;
use crate::Rules;

/// What a scenario came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// The attack's name.
    pub name: String,
    /// What it tries.
    pub about: String,
    /// One line for each share of stake.
    pub lines: Vec<AttackLine>,
    /// The least share of stake, of those tried, with which the attack pays: the whole interval is
    /// above zero.
    pub pays_from: Option<Ppm>,
    /// SHA-256 under the tag `dataforge/simulate/runs/v1` of the digests of the last ledgers of all
    /// runs, in order: equal wherever the scenario is run.
    pub runs: LedgerDigest,
}

/// What an attack earns with a share of the stake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackLine {
    /// The attack's name.
    pub name: String,
    /// The coalition's share of all stake.
    pub stake: Ppm,
    /// What attacking earned more than honest work with the same stake and hotkeys, in parts per
    /// million of the honest profit.
    pub profit_over_honest: i64,
    /// The lower bound of its 95 % interval over replications.
    pub low: i64,
    /// The upper bound.
    pub high: i64,
    /// Mean profit of honest work, in units per epoch.
    pub honest: i64,
    /// The same of the attack.
    pub attack: i64,
    /// What was taken from the coalition's bonds, in units per epoch.
    pub slashed: i64,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Pairs of runs that have ended.
    pub pairs: u64,
    /// All of them.
    pub of: u64,
}

/// What one run came to.
struct Played {
    profit: i128,
    slashed: u128,
    ledger: LedgerDigest,
}

/// Runs a scenario. `step` hears after every pair of runs how far it is, and can stop it. The
/// trainer is for a scenario with [`super::Training`], and for no other.
///
/// Takes time in proportion to stakes, replications, epochs and submissions: some thousand epochs
/// of fifty parties take seconds, if nothing is trained.
///
/// # Errors
/// [`SimulateError`]: the scenario, the rules or the trainer, or that `step` stopped it.
pub fn simulate(
    scenario: &Scenario,
    rules: &Rules,
    mut trainer: Option<&mut dyn Trainer>,
    step: &mut dyn FnMut(Done) -> ControlFlow<()>,
) -> Result<Simulation, SimulateError> {
    scenario.check()?;
    if trainer.is_some() != scenario.training.is_some() {
        return Err(SimulateError::NoTrainer);
    }
    let replications = scenario.replications.get();
    let stakes = &scenario.attack.stakes;
    let of = u64::from(replications).saturating_mul(stakes.len() as u64);
    let mut pairs = 0u64;
    let mut lines = Vec::with_capacity(stakes.len());
    let mut runs = Hasher::new("dataforge/simulate/runs/v1");
    for stake in stakes {
        let mut played = Vec::with_capacity(scenario.replications.get() as usize);
        for replication in 0..replications {
            let luck = Luck::of(&scenario.seed, &format!("replication/{replication}"));
            let mut play = |attacks| {
                let setup = Setup { scenario, rules, stake: *stake, luck, attacks };
                run(setup, trainer.as_mut().map(|trainer| &mut **trainer as _))
            };
            let pair = (play(false)?, play(true)?);
            runs.update(pair.0.ledger.0).update(pair.1.ledger.0);
            played.push(pair);
            pairs = pairs.saturating_add(1);
            if step(Done { pairs, of }).is_break() {
                return Err(SimulateError::Stopped);
            }
        }
        lines.push(line(scenario, *stake, &played));
    }
    let pays = lines.iter().filter(|line| line.low > 0).map(|line| line.stake).min();
    let (name, about) = (scenario.name.clone(), scenario.about.clone());
    Ok(Simulation { name, about, lines, pays_from: pays, runs: runs.finish() })
}

fn run<'t>(
    setup: Setup<'_>,
    trainer: Option<&'t mut (dyn Trainer + 't)>,
) -> Result<Played, SimulateError> {
    let mut market = Market::new(setup, trainer);
    for _ in 0..setup.scenario.epochs.get() {
        market.play()?;
    }
    let ledger = market.ledger.digest();
    Ok(Played { profit: market.profit(), slashed: market.slashed, ledger })
}

fn line(scenario: &Scenario, stake: Ppm, played: &[(Played, Played)]) -> AttackLine {
    let gain = |(honest, attack): &(Played, Played)| {
        (attack.profit.saturating_sub(honest.profit), honest.profit)
    };
    let pairs: Vec<(i128, i128)> = played.iter().map(gain).collect();
    let luck = Luck::of(&scenario.seed, &format!("interval/{}", stake.0));
    let ratio = ratio(&pairs, &mut luck.stream("resample"));
    let epochs = i128::from(scenario.epochs.get()).saturating_mul(played.len() as i128);
    let mean = |of: fn(&(Played, Played)) -> i128| {
        let sum = played.iter().map(of).fold(0, i128::saturating_add);
        i64::try_from(sum.checked_div(epochs).unwrap_or(0)).unwrap_or(0)
    };
    AttackLine {
        name: scenario.name.clone(),
        stake,
        profit_over_honest: ratio.ppm,
        low: ratio.low,
        high: ratio.high,
        honest: mean(|(honest, _)| honest.profit),
        attack: mean(|(_, attack)| attack.profit),
        slashed: mean(|(_, attack)| i128::try_from(attack.slashed).unwrap_or(i128::MAX)),
    }
}
