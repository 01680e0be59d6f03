//! Where hotkeys say that they are served.

use frame_support::ensure;
use sp_runtime::DispatchResult;

use super::pallet::*;

impl<T: Config> Pallet<T> {
    pub(super) fn serve(hotkey: T::AccountId, netuid: u16, axon: AxonInfo) -> DispatchResult {
        ensure!(NetworksAdded::<T>::get(netuid), Error::<T>::SubnetNotExists);
        let AxonInfo { ip, port, ip_type, .. } = axon;
        Self::ensure_served(&hotkey, netuid, ip, port, ip_type)?;
        Axons::<T>::insert(netuid, &hotkey, axon);
        Self::deposit_event(Event::AxonServed(netuid, hotkey));
        Ok(())
    }

    /// Whether a hotkey may say in this block that it is served there.
    ///
    /// # Errors
    /// The first of the chain's reasons.
    pub fn ensure_served(
        hotkey: &T::AccountId,
        netuid: u16,
        ip: u128,
        port: u16,
        ip_type: u8,
    ) -> Result<(), Error<T>> {
        let registered = Uids::<T>::contains_key(netuid, hotkey);
        ensure!(registered, Error::HotKeyNotRegisteredInNetwork);
        ensure!(matches!(ip_type, 4 | 6), Error::InvalidIpType);
        ensure!(is_address(ip_type, ip), Error::InvalidIpAddress);
        let last = Axons::<T>::get(netuid, hotkey).map_or(0, |axon| axon.block);
        let limit = ServingRateLimit::<T>::get(netuid);
        let rested = last == 0 || Self::block().saturating_sub(last) >= limit;
        ensure!(rested, Error::ServingRateLimitExceeded);
        ensure!(port != 0, Error::InvalidPort);
        Ok(())
    }
}

/// Whether an address is one for the chain, which refuses this machine's own and the last of each
/// kind only.
fn is_address(ip_type: u8, ip: u128) -> bool {
    const LOOPBACK: u128 = 0x7f00_0001;
    match ip_type {
        4 => ip < u128::from(u32::MAX) && ip != LOOPBACK,
        _ => ip != u128::MAX && ip != 1,
    }
}
