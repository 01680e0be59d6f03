//! Commitments to weights, and their reveals.
//!
//! What is committed in epoch n is revealed in epoch n + the reveal period: a hash by who committed
//! it; a time lock by the chain, in the first block of that epoch or as soon as the pulse of its
//! round is there. What is not revealed in its epoch is lost, and so is a time lock that cannot be
//! opened or whose weights are refused; nobody is told.

use alloc::vec::Vec;

use codec::{Decode, Encode};
use frame_support::ensure;
use frame_system::ensure_signed;
use frame_system::pallet_prelude::OriginFor;
use sp_core::H256;
use sp_runtime::DispatchResult;
use sp_runtime::traits::{BlakeTwo256, Hash};

use super::pallet::*;
use crate::drand::Pulses;

/// Most commitments of a key that wait for their reveal.
const WAITING_MAX: usize = 10;

/// What a reveal says that the hash did not.
pub struct Revealed {
    /// Whose weights.
    pub uids: Vec<u16>,
    /// The weights.
    pub values: Vec<u16>,
    /// What kept others from guessing.
    pub salt: Vec<u16>,
    /// Of the validator that set them.
    pub version_key: u64,
}

/// What is encrypted.
#[derive(Encode, Decode)]
struct Payload {
    hotkey: Vec<u8>,
    uids: Vec<u16>,
    values: Vec<u16>,
    version_key: u64,
}

impl<T: Config> Pallet<T> {
    /// The epoch that this block is of; one that is due in this block has begun.
    #[must_use]
    pub fn epoch(netuid: u16) -> u64 {
        SubnetEpochIndex::<T>::get(netuid) + u64::from(Self::is_due(netuid))
    }

    /// Whether this is the epoch in which commitments of an epoch are revealed.
    #[must_use]
    pub fn is_reveal_epoch(netuid: u16, committed: u64) -> bool {
        Self::epoch(netuid) == committed.saturating_add(RevealPeriodEpochs::<T>::get(netuid))
    }

    /// Whether that epoch has passed.
    pub(super) fn is_expired(netuid: u16, committed: u64) -> bool {
        Self::epoch(netuid) > committed.saturating_add(RevealPeriodEpochs::<T>::get(netuid))
    }

    /// The hash that commits to weights.
    #[must_use]
    pub fn commit_hash(hotkey: &T::AccountId, index: u16, revealed: &Revealed) -> H256 {
        let Revealed { uids, values, salt, version_key } = revealed;
        BlakeTwo256::hash_of(&(hotkey, index, uids, values, salt, version_key))
    }

    fn ensure_enabled(netuid: u16) -> Result<(), Error<T>> {
        let enabled = CommitRevealWeightsEnabled::<T>::get(netuid);
        if enabled { Ok(()) } else { Err(Error::CommitRevealDisabled) }
    }

    /// The uid of a key that may commit in this block.
    fn committer(hotkey: &T::AccountId, netuid: u16, index: u16) -> Result<u16, Error<T>> {
        let uid = Uids::<T>::get(netuid, hotkey).ok_or(Error::HotKeyNotRegisteredInSubNet)?;
        let rested = Self::is_rested(netuid, index, uid);
        if rested { Ok(uid) } else { Err(Error::CommittingWeightsTooFast) }
    }

    pub(super) fn commit(
        origin: OriginFor<T>,
        netuid: u16,
        mecid: u8,
        hash: H256,
    ) -> DispatchResult {
        Self::ensure_mechanism(netuid, mecid)?;
        let index = Self::storage_index(netuid, mecid);
        let hotkey = ensure_signed(origin)?;
        Self::ensure_enabled(netuid)?;
        let uid = Self::committer(&hotkey, netuid, index)?;
        WeightCommits::<T>::try_mutate(index, &hotkey, |commits| {
            let commits = commits.get_or_insert_default();
            while commits.front().is_some_and(|(_, epoch, ..)| Self::is_expired(netuid, *epoch)) {
                commits.pop_front();
            }
            ensure!(commits.len() < WAITING_MAX, Error::<T>::TooManyUnrevealedCommits);
            commits.push_back((hash, Self::epoch(netuid), Self::block(), 0));
            DispatchResult::Ok(())
        })?;
        Self::deposit_event(Event::WeightsCommitted(hotkey, index, hash));
        Self::note_update(index, uid);
        Ok(())
    }

    pub(super) fn reveal(
        origin: OriginFor<T>,
        netuid: u16,
        mecid: u8,
        revealed: Revealed,
    ) -> DispatchResult {
        ensure!(NetworksAdded::<T>::get(netuid), Error::<T>::SubnetNotExists);
        let index = Self::storage_index(netuid, mecid);
        let hotkey = ensure_signed(origin)?;
        Self::ensure_enabled(netuid)?;
        let waiting = WeightCommits::<T>::get(index, &hotkey);
        let mut waiting = waiting.ok_or(Error::<T>::NoWeightsCommitFound)?;
        let mut expired = Vec::new();
        while let Some((hash, epoch, ..)) = waiting.front().copied() {
            if !Self::is_expired(netuid, epoch) {
                break;
            }
            expired.push(hash);
            waiting.pop_front();
        }
        let hash = Self::commit_hash(&hotkey, index, &revealed);
        let Some(place) = waiting.iter().position(|(waiting, ..)| *waiting == hash) else {
            ensure!(!expired.contains(&hash), Error::<T>::ExpiredWeightCommit);
            ensure!(!waiting.is_empty(), Error::<T>::NoWeightsCommitFound);
            return Err(Error::<T>::InvalidRevealCommitHashNotMatch.into());
        };
        let (_, epoch, ..) = waiting[place];
        ensure!(Self::is_reveal_epoch(netuid, epoch), Error::<T>::RevealTooEarly);
        let Revealed { uids, values, version_key, .. } = revealed;
        Self::set(&hotkey, netuid, mecid, uids, values, version_key)?;
        waiting.drain(..=place);
        WeightCommits::<T>::set(index, &hotkey, (!waiting.is_empty()).then_some(waiting));
        Self::deposit_event(Event::WeightsRevealed(hotkey, index, hash));
        Ok(())
    }

    pub(super) fn commit_timelocked(
        origin: OriginFor<T>,
        netuid: u16,
        mecid: u8,
        commit: Commit,
        round: u64,
        version: u16,
    ) -> DispatchResult {
        Self::ensure_mechanism(netuid, mecid)?;
        let index = Self::storage_index(netuid, mecid);
        let hotkey = ensure_signed(origin)?;
        Self::ensure_enabled(netuid)?;
        let read = CommitRevealWeightsVersion::<T>::get();
        ensure!(version == read, Error::<T>::IncorrectCommitRevealVersion);
        let uid = Self::committer(&hotkey, netuid, index)?;
        let hash = BlakeTwo256::hash(&commit);
        TimelockedWeightCommits::<T>::try_mutate(index, Self::epoch(netuid), |commits| {
            let waiting = commits.iter().filter(|(whose, ..)| *whose == hotkey).count();
            ensure!(waiting < WAITING_MAX, Error::<T>::TooManyUnrevealedCommits);
            commits.push_back((hotkey.clone(), Self::block(), commit, round));
            DispatchResult::Ok(())
        })?;
        Self::deposit_event(Event::TimelockedWeightsCommitted(hotkey, index, hash, round));
        Self::note_update(index, uid);
        Ok(())
    }

    /// Opens what is to be revealed in this block's epoch, and drops what was not revealed in its.
    pub(super) fn reveal_due(netuid: u16) {
        let epoch = Self::epoch(netuid);
        let period = RevealPeriodEpochs::<T>::get(netuid);
        let committed = epoch.saturating_sub(period);
        for mecid in 0..MechanismCountCurrent::<T>::get(netuid) {
            let index = Self::storage_index(netuid, mecid);
            let waiting = TimelockedWeightCommits::<T>::iter_key_prefix(index);
            for lost in waiting.filter(|epoch| *epoch < committed).collect::<Vec<_>>() {
                TimelockedWeightCommits::<T>::remove(index, lost);
            }
            if epoch < period {
                continue;
            }
            let mut waiting = TimelockedWeightCommits::<T>::take(index, committed);
            waiting.retain(|(hotkey, _, commit, round)| {
                let Some(pulse) = Pulses::<T>::get(round) else { return true };
                Self::open(hotkey, netuid, mecid, commit, &pulse.signature);
                false
            });
            if !waiting.is_empty() {
                TimelockedWeightCommits::<T>::insert(index, committed, waiting);
            }
        }
    }

    /// Sets the weights that a commitment hides, where they may be set.
    fn open(hotkey: &T::AccountId, netuid: u16, mecid: u8, commit: &[u8], signature: &[u8]) {
        let plain = devchain_tlock::open(commit, signature);
        let Some(payload) = plain.and_then(|plain| Payload::decode(&mut &plain[..]).ok()) else {
            return;
        };
        // Or a copier would have its own what another committed.
        let whose = T::AccountId::decode(&mut &payload.hotkey[..]);
        if whose.as_ref() != Ok(hotkey) {
            return;
        }
        let Payload { uids, values, version_key, .. } = payload;
        if Self::set(hotkey, netuid, mecid, uids, values, version_key).is_ok() {
            let index = Self::storage_index(netuid, mecid);
            Self::deposit_event(Event::TimelockedWeightsRevealed(index, hotkey.clone()));
        }
    }
}
