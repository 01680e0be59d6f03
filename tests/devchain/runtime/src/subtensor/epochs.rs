//! When epochs are, and what is kept of them.
//!
//! The schedule is the chain's: an epoch runs `tempo` blocks after the last one, or where one is
//! pending. Emission is not paid: what each earned is written down, and stakes stay as they are.

use alloc::vec::Vec;

use super::pallet::*;
use crate::yuma::{self, Neuron, Outcome};

/// What a block gives to miners and validators, in rao: one of stake less the owner's 18 %.
const BLOCK_EMISSION: u64 = 820_000_000;

impl<T: Config> Pallet<T> {
    /// Whether an epoch runs in this block.
    pub(super) fn is_due(netuid: u16) -> bool {
        let tempo = u64::from(Tempo::<T>::get(netuid));
        let pending = PendingEpochAt::<T>::get(netuid);
        let since = Self::block().saturating_sub(LastEpochBlock::<T>::get(netuid));
        let asked = pending > 0 && Self::block() >= pending;
        let missed = BlocksSinceLastStep::<T>::get(netuid) > tempo;
        tempo > 0 && (asked || missed || since >= tempo)
    }

    /// The block of the next epoch; nothing where there will be none.
    #[must_use]
    pub fn next_epoch(netuid: u16) -> Option<u64> {
        let tempo = u64::from(Tempo::<T>::get(netuid));
        let by_tempo = LastEpochBlock::<T>::get(netuid).saturating_add(tempo);
        let pending = PendingEpochAt::<T>::get(netuid);
        let next = if pending > 0 { by_tempo.min(pending) } else { by_tempo };
        (tempo > 0).then_some(next)
    }

    /// Blocks after which one who set no weights is not active.
    #[must_use]
    pub fn activity_cutoff(netuid: u16) -> u64 {
        let milli = u64::from(ActivityCutoffFactorMilli::<T>::get(netuid));
        milli * u64::from(Tempo::<T>::get(netuid)) / 1_000
    }

    /// Runs the subnet's epoch, if it is due in this block.
    pub(super) fn run_due(netuid: u16) {
        let most = u64::from(Tempo::<T>::get(netuid)) + 1;
        BlocksSinceLastStep::<T>::mutate(netuid, |blocks| *blocks = (*blocks + 1).min(most));
        if !Self::is_due(netuid) {
            return;
        }
        let blocks = Self::block().saturating_sub(LastEpochBlock::<T>::get(netuid));
        BlocksSinceLastStep::<T>::insert(netuid, 0);
        LastEpochBlock::<T>::insert(netuid, Self::block());
        PendingEpochAt::<T>::insert(netuid, 0);
        SubnetEpochIndex::<T>::mutate(netuid, |epoch| *epoch = epoch.saturating_add(1));
        Self::run(netuid, BLOCK_EMISSION.saturating_mul(blocks));
        LastMechansimStepBlock::<T>::insert(netuid, Self::block());
    }

    /// Runs the epoch of each mechanism; they share the emission evenly.
    fn run(netuid: u16, emission: u64) {
        let mechanisms = MechanismCountCurrent::<T>::get(netuid).max(1);
        let rules = yuma::Rules {
            kappa: Kappa::<T>::get(netuid),
            bonds_moving_average: BondsMovingAverage::<T>::get(netuid),
            validators_max: usize::from(MaxAllowedValidators::<T>::get(netuid)),
            emission: emission / u64::from(mechanisms),
        };
        let outcomes: Vec<_> = (0..mechanisms)
            .map(|mecid| {
                let index = Self::storage_index(netuid, mecid);
                let neurons = Self::neurons(netuid, index);
                let outcome = yuma::epoch(&neurons, rules);
                Incentive::<T>::insert(index, &outcome.incentive);
                for (uid, bonds) in (0_u16..).zip(&outcome.bonds) {
                    Bonds::<T>::insert(index, uid, bonds);
                }
                (neurons, outcome)
            })
            .collect();
        let Some((neurons, first)) = outcomes.first() else { return };
        Active::<T>::insert(netuid, neurons.iter().map(|n| n.active).collect::<Vec<_>>());
        ValidatorPermit::<T>::insert(netuid, &first.permits);
        StakeWeight::<T>::insert(netuid, &first.stake_weight);
        let count = neurons.len();
        let mean = |row: fn(&Outcome) -> &Vec<u16>| -> Vec<u16> {
            let rows = || outcomes.iter().map(|(_, outcome)| row(outcome));
            let sums = (0..count).map(|uid| rows().map(|row| u32::from(row[uid])).sum::<u32>());
            sums.map(|sum| (sum / u32::from(mechanisms)) as u16).collect()
        };
        Consensus::<T>::insert(netuid, mean(|outcome| &outcome.consensus));
        Dividends::<T>::insert(netuid, mean(|outcome| &outcome.dividends));
        ValidatorTrust::<T>::insert(netuid, mean(|outcome| &outcome.trust));
        let earned = |uid: usize| outcomes.iter().map(|(_, outcome)| outcome.emission[uid]).sum();
        Emission::<T>::insert(netuid, (0..count).map(earned).collect::<Vec<u64>>());
    }

    /// The subnet's neurons as the consensus of one mechanism sees them.
    fn neurons(netuid: u16, index: u16) -> Vec<Neuron> {
        let block = Self::block();
        let cutoff = Self::activity_cutoff(netuid);
        let updates = LastUpdate::<T>::get(index);
        let permits = ValidatorPermit::<T>::get(netuid);
        let threshold = StakeThreshold::<T>::get();
        // Bonds to one who came after the last epoch are to another who had the uid.
        let bonded = match LastMechansimStepBlock::<T>::get(netuid) {
            0 => block.saturating_sub(u64::from(Tempo::<T>::get(netuid))),
            last => last + 1,
        };
        let commits = Self::earliest_commits(netuid, index);
        let registered = |uid: &u16| -> u64 { BlockAtRegistration::<T>::get(netuid, uid) };
        let neuron = |uid: u16| {
            let at = usize::from(uid);
            let hotkey = Keys::<T>::get(netuid, uid);
            let stake = hotkey.map_or(0, |key| TotalHotkeyAlpha::<T>::get(key, netuid));
            let updated = updates.get(at).copied().unwrap_or(0);
            let mut weights = Weights::<T>::get(index, uid);
            // Weights for one who came after they were set, or committed, are for another.
            let committed = commits.get(at).copied().unwrap_or(u64::MAX);
            weights.retain(|(to, _)| updated > registered(to) && committed >= registered(to));
            let mut bonds = Bonds::<T>::get(index, uid);
            bonds.retain(|(to, _)| bonded > registered(to));
            Neuron {
                stake: if stake < threshold { 0 } else { stake },
                active: updated.saturating_add(cutoff) >= block,
                permit: permits.get(at).copied().unwrap_or(false),
                weights,
                bonds,
            }
        };
        (0..SubnetworkN::<T>::get(netuid)).map(neuron).collect()
    }

    /// By uid: the block of the earliest commitment that is not revealed; the last number where
    /// there is none.
    fn earliest_commits(netuid: u16, index: u16) -> Vec<u64> {
        let mut earliest = alloc::vec![u64::MAX; usize::from(SubnetworkN::<T>::get(netuid))];
        if !CommitRevealWeightsEnabled::<T>::get(netuid) {
            return earliest;
        }
        let mut note = |hotkey: &T::AccountId, block: u64| {
            let place = Uids::<T>::get(netuid, hotkey).map(usize::from);
            if let Some(noted) = place.and_then(|place| earliest.get_mut(place)) {
                *noted = (*noted).min(block);
            }
        };
        for (hotkey, commits) in WeightCommits::<T>::iter_prefix(index) {
            let waiting = commits.iter().find(|(_, epoch, ..)| !Self::is_expired(netuid, *epoch));
            if let Some((_, _, block, _)) = waiting {
                note(&hotkey, *block);
            }
        }
        for (epoch, commits) in TimelockedWeightCommits::<T>::iter_prefix(index) {
            if !Self::is_expired(netuid, epoch) {
                commits.iter().for_each(|(hotkey, block, ..)| note(hotkey, *block));
            }
        }
        earliest
    }
}
