//! Setting weights: the chain's checks in the chain's order, and what is written.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use frame_support::ensure;
use frame_system::ensure_signed;
use frame_system::pallet_prelude::OriginFor;
use sp_runtime::{DispatchError, DispatchResult, SaturatedConversion};

use super::pallet::*;

/// The number of netuids, by which mechanisms are told apart in an index.
const NETUIDS: u16 = 4_096;

impl<T: Config> Pallet<T> {
    /// The block that is being made.
    #[must_use]
    pub fn block() -> u64 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// What a mechanism's rows are kept under.
    #[must_use]
    pub fn storage_index(netuid: u16, mecid: u8) -> u16 {
        u16::from(mecid).saturating_mul(NETUIDS).saturating_add(netuid)
    }

    /// The subnets that there are, but for the root network, by number.
    pub(super) fn subnets() -> BTreeSet<u16> {
        let added = NetworksAdded::<T>::iter().filter(|(netuid, added)| *added && *netuid != 0);
        added.map(|(netuid, _)| netuid).collect()
    }

    /// Whether there is such a mechanism of such a subnet.
    ///
    /// # Errors
    /// `MechanismDoesNotExist`.
    pub fn ensure_mechanism(netuid: u16, mecid: u8) -> Result<(), Error<T>> {
        let there =
            NetworksAdded::<T>::get(netuid) && mecid < MechanismCountCurrent::<T>::get(netuid);
        if there { Ok(()) } else { Err(Error::MechanismDoesNotExist) }
    }

    /// Whether a hotkey has the stake that setting weights needs.
    #[must_use]
    pub fn has_stake(hotkey: &T::AccountId, netuid: u16) -> bool {
        TotalHotkeyAlpha::<T>::get(hotkey, netuid) >= StakeThreshold::<T>::get()
    }

    /// Whether a neuron's last weights are long enough ago.
    #[must_use]
    pub fn is_rested(netuid: u16, index: u16, uid: u16) -> bool {
        let last = LastUpdate::<T>::get(index).get(usize::from(uid)).copied().unwrap_or(0);
        let since = Self::block().saturating_sub(last);
        last == 0 || since >= WeightsSetRateLimit::<T>::get(netuid)
    }

    /// Notes that a neuron set or committed weights, or was registered.
    pub(super) fn note_update(index: u16, uid: u16) {
        LastUpdate::<T>::mutate(index, |blocks| {
            let place = usize::from(uid);
            if blocks.len() <= place {
                blocks.resize(place + 1, 0);
            }
            blocks[place] = Self::block();
        });
    }

    /// Sets weights where they are not committed first.
    pub(super) fn set_openly(
        origin: OriginFor<T>,
        netuid: u16,
        mecid: u8,
        uids: Vec<u16>,
        values: Vec<u16>,
        version_key: u64,
    ) -> DispatchResult {
        let closed = CommitRevealWeightsEnabled::<T>::get(netuid);
        ensure!(!closed, Error::<T>::CommitRevealEnabled);
        Self::set(&ensure_signed(origin)?, netuid, mecid, uids, values, version_key)
    }

    /// Sets weights, whichever way they came.
    pub(super) fn set(
        hotkey: &T::AccountId,
        netuid: u16,
        mecid: u8,
        uids: Vec<u16>,
        values: Vec<u16>,
        version_key: u64,
    ) -> DispatchResult {
        let index = Self::storage_index(netuid, mecid);
        let open = !CommitRevealWeightsEnabled::<T>::get(netuid);
        ensure!(netuid != 0, Error::<T>::CanNotSetRootNetworkWeights);
        ensure!(uids.len() == values.len(), Error::<T>::WeightVecNotEqualSize);
        Self::ensure_mechanism(netuid, mecid)?;
        let neurons = SubnetworkN::<T>::get(netuid);
        ensure!(uids.len() <= usize::from(neurons), Error::<T>::UidsLengthExceedUidsInSubNet);
        let uid = Uids::<T>::get(netuid, hotkey).ok_or(Error::<T>::HotKeyNotRegisteredInSubNet)?;
        ensure!(Self::has_stake(hotkey, netuid), Error::<T>::NotEnoughStakeToSetWeights);
        let version = WeightsVersionKey::<T>::get(netuid);
        ensure!(version_key >= version, Error::<T>::IncorrectWeightVersionKey);
        if open {
            ensure!(Self::is_rested(netuid, index, uid), Error::<T>::SettingWeightsTooFast);
        }
        Self::ensure_vector(netuid, uid, neurons, &uids, &values)?;
        let weights = uids.into_iter().zip(upscaled(values)).collect::<Vec<_>>();
        Weights::<T>::insert(index, uid, weights);
        if open {
            Self::note_update(index, uid);
        }
        Self::deposit_event(Event::WeightsSet(index, uid));
        Ok(())
    }

    /// Whether a neuron may set these weights. A single weight for itself is always free.
    fn ensure_vector(
        netuid: u16,
        uid: u16,
        neurons: u16,
        uids: &[u16],
        values: &[u16],
    ) -> Result<(), DispatchError> {
        let own = uids == [uid];
        let permits = ValidatorPermit::<T>::get(netuid);
        let permit = permits.get(usize::from(uid)).copied().unwrap_or(false);
        ensure!(own || permit, Error::<T>::NeuronNoValidatorPermit);
        let different: BTreeSet<_> = uids.iter().collect();
        ensure!(different.len() == uids.len(), Error::<T>::DuplicateUids);
        let known = uids.iter().all(|uid| *uid < neurons);
        ensure!(known, Error::<T>::UidVecContainInvalidOne);
        let fewest = usize::from(MinAllowedWeights::<T>::get(netuid).min(neurons));
        ensure!(own || uids.len() >= fewest, Error::<T>::WeightVecLengthIsLow);
        let most = MaxWeightsLimit::<T>::get(netuid);
        ensure!(own || within(values, most), Error::<T>::MaxWeightExceeded);
        Ok(())
    }
}

/// The weights with the largest brought to 65535, the others in proportion, to the nearest.
fn upscaled(values: Vec<u16>) -> Vec<u16> {
    let one = u32::from(u16::MAX);
    let largest = values.iter().copied().max().map_or(0, u32::from);
    if largest == 0 {
        return values;
    }
    let scaled = values.into_iter().map(|value| (u32::from(value) * one + largest / 2) / largest);
    scaled.map(|value| value as u16).collect()
}

/// Whether none has more than `most` 65535ths of the sum.
fn within(values: &[u16], most: u16) -> bool {
    let sum: u64 = values.iter().copied().map(u64::from).sum();
    let largest = values.iter().copied().max().map_or(0, u64::from);
    largest * u64::from(u16::MAX) <= u64::from(most) * sum
}
