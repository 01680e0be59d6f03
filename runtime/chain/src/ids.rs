//! The chain's names of things, as types.
//!
//! None is checked against a chain: that a subnet exists, or a uid is taken, is for whoever reads
//! the chain to say. An account's address is checked as text; see [`crate::ss58`].

use std::fmt;
use std::str::FromStr;

use dataforge_core::hash::{HotkeyId, ValidatorKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ss58::{self, AddressError};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

numbers! {
    /// A subnet.
    NetUid(u16);
    /// One of a subnet's mechanisms, each with weights of its own; the first is 0.
    MechanismId(u8);
    /// A neuron of a subnet. Another key may have it later.
    Uid(u16);
}

impl NetUid {
    /// Under which number the chain keeps what a mechanism has of its own: `mechanism · 4096 +
    /// netuid`, modulo 2^16.
    #[must_use]
    pub fn index(self, mechanism: MechanismId) -> u16 {
        u16::from(mechanism.0).wrapping_mul(4096).wrapping_add(self.0)
    }
}

/// A chain's identity: the hash of its first block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Genesis(pub [u8; 32]);

impl fmt::Display for Genesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Genesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Genesis {
    type Err = GenesisError;

    /// 64 hexadecimal digits, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, GenesisError> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| GenesisError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

/// No hash of a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no genesis hash of 64 hexadecimal digits")]
pub struct GenesisError(String);

/// The public key of an account: a hotkey, which acts, or a coldkey, which owns.
///
/// Written as its address ([`crate::ss58`]); also read from 64 hexadecimal digits after `0x`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 32]);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ss58::encode(&self.0))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({self})")
    }
}

impl FromStr for AccountId {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some(digits) = text.strip_prefix("0x") else {
            return ss58::decode(text).map(Self);
        };
        let mut key = [0; 32];
        hex::decode_to_slice(digits, &mut key).map_err(|_| AddressError::Hex)?;
        Ok(Self(key))
    }
}

/// The address in human-readable formats, 32 raw bytes in others.
impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

impl From<AccountId> for ValidatorKey {
    fn from(id: AccountId) -> Self {
        Self(id.0)
    }
}

impl From<ValidatorKey> for AccountId {
    fn from(key: ValidatorKey) -> Self {
        Self(key.0)
    }
}

impl From<AccountId> for HotkeyId {
    fn from(id: AccountId) -> Self {
        Self(id.0)
    }
}

impl From<HotkeyId> for AccountId {
    fn from(key: HotkeyId) -> Self {
        Self(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const HEX: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn an_account_is_written_as_its_address_and_read_as_either() {
        let id: AccountId = ADDRESS.parse().unwrap();
        assert_eq!(HEX.parse(), Ok(id));
        assert_eq!(id.to_string(), ADDRESS);
        assert_eq!(format!("{id:?}"), format!("AccountId({ADDRESS})"));
        assert_eq!(HEX[..65].parse::<AccountId>(), Err(AddressError::Hex));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{ADDRESS}\""));
        assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), id);
        assert_eq!(AccountId::from(ValidatorKey::from(id)), id);
        assert_eq!(AccountId::from(HotkeyId::from(id)), id);
    }

    #[test]
    fn numbers_are_written_as_numbers() {
        assert_eq!(serde_json::to_string(&NetUid(7)).unwrap(), "7");
        assert_eq!("65535".parse(), Ok(Uid(u16::MAX)));
        assert!("65536".parse::<Uid>().is_err());
        assert_eq!(NetUid(3).index(MechanismId(2)), 8195);
    }

    #[test]
    fn a_genesis_hash_is_read_as_it_is_printed() {
        let printed = "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03";
        assert_eq!(printed.parse::<Genesis>().unwrap().to_string(), printed);
        assert!("0x2f".parse::<Genesis>().is_err());
    }
}
