//! From what miners have earned to the weights that a chain takes, and whether it would take them.

use std::collections::BTreeMap;

use dataforge_core::weights::max_upscaled;
use serde::Serialize;

use crate::error::Refusal;
use crate::ids::{AccountId, Uid};
use crate::metagraph::{Metagraph, Neuron};
use crate::timelock::COMMIT_REVEAL_VERSION;
use crate::weight_vector::{WeightVector, WeightsError};

/// A vector, and who is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// What would be sent.
    pub vector: WeightVector,
    /// Keys with a share that have no uid: what they have earned goes to nobody through weights.
    pub unregistered: Vec<AccountId>,
}

/// The vector of these shares: those who are registered, the largest at 65535, without zeros.
///
/// # Errors
/// [`WeightsError::TwoShares`]; [`WeightsError::Nobody`].
pub fn prepare(
    shares: &[(AccountId, u64)],
    metagraph: &Metagraph,
) -> Result<Prepared, WeightsError> {
    let uids: BTreeMap<_, _> = metagraph.neurons.iter().map(|n| (n.hotkey, n.uid)).collect();
    let by_key: BTreeMap<_, _> = shares.iter().copied().collect();
    if by_key.len() < shares.len() {
        let mut keys: Vec<_> = shares.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
        return Err(twice.map_or(WeightsError::Nobody, |pair| WeightsError::TwoShares(pair[0])));
    }
    let earned = by_key.iter().filter(|(_, share)| **share > 0);
    let unregistered =
        earned.clone().map(|(key, _)| *key).filter(|key| !uids.contains_key(key)).collect();
    let registered: Vec<_> =
        earned.filter_map(|(key, share)| Some((*uids.get(key)?, *share))).collect();
    let shares: Vec<_> = registered.iter().map(|(_, share)| *share).collect();
    let weights = registered.iter().map(|(uid, _)| *uid).zip(max_upscaled(&shares));
    // A share so small that it rounds to nothing is no weight.
    let vector = WeightVector::new(weights.filter(|(_, weight)| *weight > 0).collect())?;
    if vector.pairs().is_empty() {
        Err(WeightsError::Nobody)
    } else {
        Ok(Prepared { vector, unregistered })
    }
}

/// How weights reach the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// At once, for everybody to see.
    Set,
    /// Encrypted to a time at which the chain itself reveals them.
    Timelocked,
    /// By a hash, to be revealed by whoever committed.
    Hashed,
}

impl Method {
    /// What the subnet takes.
    #[must_use]
    pub fn of(metagraph: &Metagraph) -> Self {
        if metagraph.rules.commit_reveal { Self::Timelocked } else { Self::Set }
    }
}

/// Every check of the chain that these weights would not pass, in the chain's order.
///
/// `block` is the block after which they would be sent. The chain has the last word: what it
/// checks may change before they arrive.
#[must_use]
pub fn refusals(
    metagraph: &Metagraph,
    hotkey: &AccountId,
    vector: &WeightVector,
    version_key: u64,
    method: Method,
    block: u64,
) -> Vec<Refusal> {
    let rules = &metagraph.rules;
    let mut refusals = Vec::new();
    match method {
        Method::Set if rules.commit_reveal => refusals.push(Refusal::CommitReveal),
        Method::Timelocked | Method::Hashed if !rules.commit_reveal => {
            refusals.push(Refusal::NoCommitReveal);
        }
        Method::Timelocked if rules.commit_version != COMMIT_REVEAL_VERSION => {
            refusals.push(Refusal::CommitVersion(rules.commit_version));
        }
        _ => {}
    }
    if metagraph.mechanism.0 >= rules.mechanisms {
        refusals.push(Refusal::Mechanism(rules.mechanisms));
    }
    let Some(neuron) = metagraph.neuron(hotkey) else {
        refusals.push(Refusal::Unregistered);
        return refusals;
    };
    refusals.extend(of_the_neuron(metagraph, neuron, vector, version_key, block));
    refusals.extend(of_the_vector(metagraph, neuron, vector));
    refusals
}

fn of_the_neuron(
    metagraph: &Metagraph,
    neuron: &Neuron,
    vector: &WeightVector,
    version_key: u64,
    block: u64,
) -> Vec<Refusal> {
    let (rules, mut refusals) = (&metagraph.rules, Vec::new());
    if neuron.stake < rules.stake_threshold {
        let (stake, needed) = (neuron.stake, rules.stake_threshold);
        refusals.push(Refusal::Stake { stake, needed });
    }
    if version_key < rules.weights_version {
        let (given, needed) = (version_key, rules.weights_version);
        refusals.push(Refusal::VersionKey { given, needed });
    }
    let next = neuron.last_update.saturating_add(rules.weights_rate_limit);
    if neuron.last_update != 0 && block < next {
        refusals.push(Refusal::TooFast { last: neuron.last_update, next });
    }
    if !neuron.validator_permit && !only_itself(neuron, vector) {
        refusals.push(Refusal::NoPermit);
    }
    refusals
}

fn of_the_vector(metagraph: &Metagraph, neuron: &Neuron, vector: &WeightVector) -> Vec<Refusal> {
    let (rules, mut refusals) = (&metagraph.rules, Vec::new());
    let neurons = metagraph.neurons.len();
    let strangers = vector.pairs().iter().filter(|(uid, _)| usize::from(uid.0) >= neurons);
    refusals.extend(strangers.map(|(uid, _)| Refusal::NoSuchUid(*uid)));
    let given = vector.pairs().len();
    // A small subnet has not so many as its rules ask for.
    let needed = usize::from(rules.min_allowed_weights).min(neurons);
    if given < needed && !only_itself(neuron, vector) {
        refusals.push(Refusal::TooFew { given, needed });
    }
    refusals.extend(too_large(vector, rules.max_weights_limit).map(Refusal::TooLarge));
    refusals
}

/// One who gives all weight to itself needs no permit.
fn only_itself(neuron: &Neuron, vector: &WeightVector) -> bool {
    matches!(vector.pairs(), [(uid, _)] if *uid == neuron.uid)
}

/// The first uid whose part of the whole is above `limit` of 65535.
fn too_large(vector: &WeightVector, limit: u16) -> Option<Uid> {
    let total: u64 = vector.values().map(u64::from).sum();
    let above = |weight: u16| {
        limit != u16::MAX && u64::from(weight) * u64::from(u16::MAX) > u64::from(limit) * total
    };
    vector.pairs().iter().find(|(_, weight)| above(*weight)).map(|(uid, _)| *uid)
}
