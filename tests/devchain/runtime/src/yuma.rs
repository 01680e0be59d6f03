//! Yuma consensus of one epoch, in integers: who agrees on what, and what each earns by it.
//!
//! It follows the chain's epoch in its original form, step by step, with 32 bits of fraction as
//! there. Left out: liquid alpha, the bonds penalty (weights for bonds are the clipped ones) and
//! the owner's exemptions. It reads no storage; which weights and bonds are outdated is the
//! caller's to see.

use alloc::vec;
use alloc::vec::Vec;

/// The whole, of which shares are parts.
const ONE: u128 = 1 << 32;

/// The whole of a share as it is stored.
const STORED_ONE: u128 = u16::MAX as u128;

/// The whole of the moving average's part.
const MILLION: u128 = 1_000_000;

/// A neuron as consensus sees it.
#[derive(Clone, Debug, Default)]
pub struct Neuron {
    /// Its stake in rao; 0 where it is below the threshold.
    pub stake: u64,
    /// Whether it set weights lately.
    pub active: bool,
    /// Whether its weights count.
    pub permit: bool,
    /// Its weights by uid.
    pub weights: Vec<(u16, u16)>,
    /// Its bonds by uid, as the last epoch stored them.
    pub bonds: Vec<(u16, u16)>,
}

/// The subnet's rules that consensus asks for.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The majority, of 65535.
    pub kappa: u16,
    /// The part of old bonds that stays, in millionths.
    pub bonds_moving_average: u64,
    /// Most validators.
    pub validators_max: usize,
    /// What the epoch gives to miners and validators, in rao.
    pub emission: u64,
}

/// What an epoch came to, by uid; shares are of 65535.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Parts of the stake.
    pub stake_weight: Vec<u16>,
    /// What validators agree each is worth.
    pub consensus: Vec<u16>,
    /// How much of a validator's weights is within consensus.
    pub trust: Vec<u16>,
    /// Parts of what miners earn.
    pub incentive: Vec<u16>,
    /// Parts of what validators earn.
    pub dividends: Vec<u16>,
    /// Who may set weights from here on.
    pub permits: Vec<bool>,
    /// Each validator's bonds by uid: of each column, the largest is the whole.
    pub bonds: Vec<Vec<(u16, u16)>>,
    /// What each earns, in rao.
    pub emission: Vec<u64>,
}

/// A number for each validator and miner.
type Matrix = Vec<Vec<u128>>;

/// Runs an epoch.
#[must_use]
pub fn epoch(neurons: &[Neuron], rules: Rules) -> Outcome {
    let count = neurons.len();
    let stake = shares(neurons.iter().map(|neuron| u128::from(neuron.stake)));
    let voting = |neuron: &Neuron| neuron.active && neuron.permit;
    let active = shares(neurons.iter().zip(&stake).map(|(n, s)| if voting(n) { *s } else { 0 }));
    let weights = weights(neurons);
    let kappa = u128::from(rules.kappa) * ONE / STORED_ONE;
    let consensus: Vec<_> = (0..count).map(|uid| agreed(&active, &weights, uid, kappa)).collect();
    let clipped: Matrix = weights
        .iter()
        .map(|row| row.iter().zip(&consensus).map(|(weight, most)| *weight.min(most)).collect())
        .collect();
    let support: Matrix = clipped
        .iter()
        .zip(&active)
        .map(|(row, stake)| row.iter().map(|weight| weight * stake / ONE).collect())
        .collect();
    let incentive = shares((0..count).map(|uid| support.iter().map(|row| row[uid]).sum::<u128>()));
    let bonds = bonds(neurons, support, rules.bonds_moving_average);
    let earned = bonds.iter().map(|row| {
        row.iter().zip(&incentive).map(|(bond, share)| bond * share / ONE).sum::<u128>()
    });
    let dividends = shares(earned);
    let permits = largest(&stake, rules.validators_max);
    Outcome {
        emission: emission(&incentive, &dividends, &active, &stake, rules.emission),
        bonds: stored_bonds(&bonds, &permits),
        stake_weight: stored(&stake),
        consensus: stored(&consensus),
        trust: clipped.iter().map(|row| stored_share(row.iter().sum())).collect(),
        incentive: stored(&incentive),
        dividends: stored(&dividends),
        permits,
    }
}

/// Each validator's weights as parts of the whole: of those with a permit, and of others alone.
fn weights(neurons: &[Neuron]) -> Matrix {
    let rows = neurons.iter().enumerate().map(|(uid, neuron)| {
        let mut row = dense(&neuron.weights, neurons.len());
        row[uid] = 0;
        if !neuron.permit {
            row.fill(0);
        }
        shares(row.into_iter())
    });
    rows.collect()
}

/// The largest weight that validators with a part `kappa` of the stake give at least.
fn agreed(stake: &[u128], weights: &Matrix, uid: usize, kappa: u128) -> u128 {
    let mut given: Vec<_> = weights.iter().zip(stake).map(|(row, s)| (row[uid], *s)).collect();
    given.retain(|(_, stake)| *stake > 0);
    given.sort_unstable_by(|left, right| right.cmp(left));
    let mut behind = 0;
    for (weight, stake) in given {
        behind += stake;
        if behind >= kappa {
            return weight;
        }
    }
    0
}

/// Each validator's bonds: the moving average of its part of each miner's support.
fn bonds(neurons: &[Neuron], support: Matrix, kept: u64) -> Matrix {
    let kept = u128::from(kept).min(MILLION);
    let old: Matrix = neurons.iter().map(|n| dense(&n.bonds, neurons.len())).collect();
    let (old, fresh) = (by_column(old), by_column(support));
    let mixed = old.iter().zip(&fresh).map(|(old, fresh)| {
        let row = old.iter().zip(fresh);
        row.map(|(old, fresh)| (old * kept + fresh * (MILLION - kept)) / MILLION).collect()
    });
    by_column(mixed.collect())
}

/// The same with every column brought to the whole; those of nothing stay.
fn by_column(mut rows: Matrix) -> Matrix {
    for uid in 0..rows.len() {
        let column = shares(rows.iter().map(|row| row[uid]));
        for (row, share) in rows.iter_mut().zip(column) {
            row[uid] = share;
        }
    }
    rows
}

/// The bonds of those with a permit, of each column the largest brought to the whole.
fn stored_bonds(bonds: &Matrix, permits: &[bool]) -> Vec<Vec<(u16, u16)>> {
    let largest: Vec<_> =
        (0..bonds.len()).map(|uid| bonds.iter().map(|row| row[uid]).max().unwrap_or(0)).collect();
    let rows = bonds.iter().zip(permits).map(|(row, permit)| {
        let row = row.iter().zip(&largest).enumerate().filter(|(_, (bond, _))| **bond > 0);
        let row = row.map(|(uid, (bond, most))| (uid as u16, stored_share(bond * ONE / most)));
        if *permit { row.collect() } else { Vec::new() }
    });
    rows.collect()
}

/// What each earns. Where nobody weighs anybody, validators earn by their stake.
fn emission(
    incentive: &[u128],
    dividends: &[u128],
    active: &[u128],
    stake: &[u128],
    emission: u64,
) -> Vec<u64> {
    let mut parts =
        shares(incentive.iter().zip(dividends).map(|(miner, validator)| miner + validator));
    if parts.iter().all(|part| *part == 0) {
        let idle = active.iter().all(|part| *part == 0);
        parts = if idle { stake.to_vec() } else { active.to_vec() };
    }
    parts.into_iter().map(|part| (part * u128::from(emission) / ONE) as u64).collect()
}

/// Marks the `most` largest that are not 0; of equal ones, those with higher uids.
fn largest(stake: &[u128], most: usize) -> Vec<bool> {
    let mut order: Vec<_> = (0..stake.len()).filter(|uid| stake[*uid] > 0).collect();
    order.sort_by_key(|uid| core::cmp::Reverse((stake[*uid], *uid)));
    let mut marked = vec![false; stake.len()];
    for uid in order.into_iter().take(most) {
        marked[uid] = true;
    }
    marked
}

/// Parts of the whole; nothing for anybody where all is nothing.
fn shares(amounts: impl Iterator<Item = u128>) -> Vec<u128> {
    let amounts: Vec<_> = amounts.collect();
    let total: u128 = amounts.iter().sum();
    amounts.into_iter().map(|amount| (amount * ONE).checked_div(total).unwrap_or(0)).collect()
}

fn dense(row: &[(u16, u16)], count: usize) -> Vec<u128> {
    let mut all = vec![0; count];
    for (uid, value) in row {
        if let Some(place) = all.get_mut(usize::from(*uid)) {
            *place = u128::from(*value);
        }
    }
    all
}

fn stored(shares: &[u128]) -> Vec<u16> {
    shares.iter().map(|share| stored_share(*share)).collect()
}

/// A share of 65535, rounded down.
fn stored_share(share: u128) -> u16 {
    u16::try_from(share * STORED_ONE / ONE).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
