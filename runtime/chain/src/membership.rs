//! Becoming a neuron of a subnet, and saying where it is served.

use std::net::{IpAddr, SocketAddr};

use subxt::dynamic::Value;

use crate::client::Client;
use crate::error::{ChainError, Refusal};
use crate::ids::{AccountId, MechanismId, NetUid};
use crate::submit::{Call, Receipt, Until};
use crate::wallet::Keypair;

/// What the field `version` of an announcement says: the version of what is served there.
const SERVED_VERSION: u32 = 1;

/// What the field `protocol` of an announcement says, as everybody's does.
const PROTOCOL: u8 = 4;

impl Client {
    /// Registers a hotkey for what that costs; `max_burn` is the most that may be, in rao.
    ///
    /// # Errors
    /// [`ChainError::Refused`] where it costs more, registration is closed, or the hotkey is
    /// registered; then nothing is signed.
    pub async fn register(
        &mut self,
        coldkey: &Keypair,
        netuid: NetUid,
        hotkey: &AccountId,
        max_burn: Option<u64>,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let metagraph =
            self.read_to_sign(async |view| view.metagraph(netuid, MechanismId(0)).await).await?;
        let (rules, mut refusals) = (&metagraph.rules, Vec::new());
        if !rules.registration_allowed {
            refusals.push(Refusal::RegistrationClosed);
        }
        if let Some(neuron) = metagraph.neuron(hotkey) {
            refusals.push(Refusal::Registered(neuron.uid));
        }
        if let Some(most) = max_burn.filter(|most| rules.burn > *most) {
            refusals.push(Refusal::Costs { burn: rules.burn, most });
        }
        if !refusals.is_empty() {
            return Err(ChainError::Refused(refusals));
        }
        let hotkey = Value::from_bytes(hotkey.0);
        let arguments = vec![("netuid", netuid.0.into()), ("hotkey", hotkey)];
        self.send(Call::subtensor("burned_register", arguments), coldkey, until).await
    }

    /// Announces where a hotkey is served.
    ///
    /// # Errors
    /// [`ChainError::Refused`] for an address that nobody else can reach; then nothing is signed.
    pub async fn serve(
        &mut self,
        hotkey: &Keypair,
        netuid: NetUid,
        address: SocketAddr,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        if address.port() == 0 || !is_public(address.ip()) {
            return Err(ChainError::Refused(vec![Refusal::Address(address)]));
        }
        let (ip, ip_type) = match address.ip() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), 4_u8),
            IpAddr::V6(ip) => (ip.to_bits(), 6),
        };
        let arguments = vec![
            ("netuid", netuid.0.into()),
            ("version", SERVED_VERSION.into()),
            ("ip", Value::u128(ip)),
            ("port", address.port().into()),
            ("ip_type", ip_type.into()),
            ("protocol", PROTOCOL.into()),
            ("placeholder1", 0_u8.into()),
            ("placeholder2", 0_u8.into()),
        ];
        self.send(Call::subtensor("serve_axon", arguments), hotkey, until).await
    }
}

/// Whether others can reach an address, as far as the address tells.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_private()
                || ip.is_link_local())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ip: &str, expect: bool) {
        assert_eq!(is_public(ip.parse().unwrap()), expect, "{ip}");
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_only_its_owner_has() {
        for ip in ["127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.0.1", "255.255.255.255", "::1"] {
            check(ip, false);
        }
        check("203.0.113.7", true);
        check("2001:db8::7", true);
    }
}
