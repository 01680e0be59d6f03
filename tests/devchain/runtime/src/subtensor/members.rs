//! Who has a uid, and with how much stake.
//!
//! Stake costs its own amount of balance. A full subnet gives a newcomer the uid of the neuron that
//! earned least, of those that are not immune first.

use frame_support::ensure;
use frame_support::traits::{Currency, ExistenceRequirement, WithdrawReasons};
use sp_runtime::DispatchResult;

use super::pallet::*;

/// The least stake to add, in rao.
const STAKE_MIN: u64 = 500_000;

type Balances<T> = pallet_balances::Pallet<T>;

impl<T: Config> Pallet<T> {
    /// Makes a subnet, with the chain's rules where who makes it has no choice of its own.
    pub(super) fn begin(netuid: u16) {
        NetworksAdded::<T>::insert(netuid, true);
        NetworkRegisteredAt::<T>::insert(netuid, Self::block());
        NetworkRegistrationAllowed::<T>::insert(netuid, true);
        MaxRegistrationsPerBlock::<T>::insert(netuid, 256);
        Burn::<T>::insert(netuid, 1_000_000_000);
        MinAllowedWeights::<T>::insert(netuid, 1);
        MaxWeightsLimit::<T>::insert(netuid, u16::MAX);
        MaxAllowedUids::<T>::insert(netuid, 256);
        MaxAllowedValidators::<T>::insert(netuid, 128);
        ImmunityPeriod::<T>::insert(netuid, 4_096);
        ActivityCutoff::<T>::insert(netuid, 5_000);
        ActivityCutoffFactorMilli::<T>::insert(netuid, 13_889);
        Kappa::<T>::insert(netuid, 32_767);
        BondsMovingAverage::<T>::insert(netuid, 900_000);
        MechanismCountCurrent::<T>::insert(netuid, 1);
        RevealPeriodEpochs::<T>::insert(netuid, 1);
        CommitRevealWeightsVersion::<T>::put(4);
    }

    pub(super) fn register(
        coldkey: T::AccountId,
        netuid: u16,
        hotkey: T::AccountId,
    ) -> DispatchResult {
        ensure!(netuid != 0, Error::<T>::RegistrationNotPermittedOnRootSubnet);
        ensure!(NetworksAdded::<T>::get(netuid), Error::<T>::SubnetNotExists);
        let open = NetworkRegistrationAllowed::<T>::get(netuid);
        ensure!(open, Error::<T>::SubNetRegistrationDisabled);
        let most = MaxRegistrationsPerBlock::<T>::get(netuid);
        let few = RegistrationsThisBlock::<T>::get(netuid) < most;
        ensure!(few, Error::<T>::TooManyRegistrationsThisBlock);
        let known = Uids::<T>::contains_key(netuid, &hotkey);
        ensure!(!known, Error::<T>::HotKeyAlreadyRegisteredInSubNet);
        let burn = Burn::<T>::get(netuid);
        let rich = free::<T>(&coldkey) >= burn;
        ensure!(rich, Error::<T>::NotEnoughBalanceToStake);
        let owner = Owner::<T>::get(&hotkey).unwrap_or_else(|| coldkey.clone());
        ensure!(owner == coldkey, Error::<T>::NonAssociatedColdKey);
        let uid = Self::place(netuid).ok_or(Error::<T>::NoNeuronIdAvailable)?;
        Self::take(&coldkey, burn)?;
        Owner::<T>::insert(&hotkey, coldkey);
        Self::seat(netuid, uid, &hotkey);
        RegistrationsThisBlock::<T>::mutate(netuid, |count| *count += 1);
        Self::deposit_event(Event::NeuronRegistered(netuid, uid, hotkey));
        Ok(())
    }

    /// The uid of the next newcomer.
    fn place(netuid: u16) -> Option<u16> {
        let count = SubnetworkN::<T>::get(netuid);
        if count < MaxAllowedUids::<T>::get(netuid) {
            return Some(count);
        }
        let earned = Emission::<T>::get(netuid);
        let immunity = u64::from(ImmunityPeriod::<T>::get(netuid));
        (0..count).min_by_key(|uid| {
            let registered = BlockAtRegistration::<T>::get(netuid, uid);
            let immune = Self::block().saturating_sub(registered) < immunity;
            let earned = earned.get(usize::from(*uid)).copied().unwrap_or(0);
            (immune, earned, registered, *uid)
        })
    }

    /// Gives a uid to a hotkey. Nothing of who had it stays, but what others weighed it.
    fn seat(netuid: u16, uid: u16, hotkey: &T::AccountId) {
        let place = usize::from(uid);
        if let Some(before) = Keys::<T>::get(netuid, uid) {
            Uids::<T>::remove(netuid, &before);
            IsNetworkMember::<T>::remove(&before, netuid);
            Axons::<T>::remove(netuid, &before);
        } else {
            SubnetworkN::<T>::insert(netuid, uid + 1);
        }
        Keys::<T>::insert(netuid, uid, hotkey);
        Uids::<T>::insert(netuid, hotkey, uid);
        IsNetworkMember::<T>::insert(hotkey, netuid, true);
        BlockAtRegistration::<T>::insert(netuid, uid, Self::block());
        Active::<T>::mutate(netuid, |row| put(row, place, true));
        Consensus::<T>::mutate(netuid, |row| put(row, place, 0));
        Dividends::<T>::mutate(netuid, |row| put(row, place, 0));
        Emission::<T>::mutate(netuid, |row| put(row, place, 0));
        StakeWeight::<T>::mutate(netuid, |row| put(row, place, 0));
        ValidatorTrust::<T>::mutate(netuid, |row| put(row, place, 0));
        ValidatorPermit::<T>::mutate(netuid, |row| put(row, place, false));
        for mecid in 0..MechanismCountCurrent::<T>::get(netuid) {
            let index = Self::storage_index(netuid, mecid);
            Incentive::<T>::mutate(index, |row| put(row, place, 0));
            Weights::<T>::remove(index, uid);
            Bonds::<T>::remove(index, uid);
            // A rate limit counts from here, and weights set before do not count for a newcomer.
            Self::note_update(index, uid);
        }
    }

    pub(super) fn stake(
        coldkey: T::AccountId,
        hotkey: T::AccountId,
        netuid: u16,
        amount: u64,
    ) -> DispatchResult {
        ensure!(NetworksAdded::<T>::get(netuid), Error::<T>::SubnetNotExists);
        ensure!(amount >= STAKE_MIN, Error::<T>::AmountTooLow);
        ensure!(free::<T>(&coldkey) >= amount, Error::<T>::NotEnoughBalanceToStake);
        ensure!(Owner::<T>::contains_key(&hotkey), Error::<T>::HotKeyAccountNotExists);
        Self::take(&coldkey, amount)?;
        TotalHotkeyAlpha::<T>::mutate(&hotkey, netuid, |stake| *stake += amount);
        Self::deposit_event(Event::StakeAdded(coldkey, hotkey, amount, amount, netuid, 0));
        Ok(())
    }

    /// Takes an amount out of the world; the account stays alive.
    fn take(coldkey: &T::AccountId, amount: u64) -> DispatchResult {
        let alive = ExistenceRequirement::KeepAlive;
        let taken = Balances::<T>::withdraw(coldkey, amount, WithdrawReasons::all(), alive);
        taken.map(drop).map_err(|_| Error::<T>::NotEnoughBalanceToStake.into())
    }
}

/// What an account can spend and stay alive.
fn free<T: Config>(coldkey: &T::AccountId) -> u64 {
    let minimum = <Balances<T> as Currency<T::AccountId>>::minimum_balance();
    Balances::<T>::free_balance(coldkey).saturating_sub(minimum)
}

fn put<V: Clone + Default>(row: &mut alloc::vec::Vec<V>, place: usize, value: V) {
    if row.len() <= place {
        row.resize(place + 1, V::default());
    }
    row[place] = value;
}
