//! Addresses: how people write an account's public key.
//!
//! Byte format (ss58 of Substrate, with a prefix of one byte), in base58: the prefix 42, the 32
//! bytes of the key, and the first two bytes of BLAKE2b-512 over `SS58PRE`, the prefix and the key.
//! Those two are there for mistyped characters; they are no protection against anybody.
//!
//! Prefixes tell networks apart. Addresses of others are refused, although the key in them may be
//! used here too: who gives one has another network in mind.

use blake2::{Blake2b512, Digest as _};

/// The prefix of Bittensor's addresses, which is Substrate's generic one.
const PREFIX: u8 = 42;

/// From this value on, a first byte is half of a prefix of two bytes.
const TWO_BYTES_FROM: u8 = 64;

const CHECKSUM_BYTES: usize = 2;

/// The bytes of an address with a prefix of one byte.
const BYTES: usize = 1 + 32 + CHECKSUM_BYTES;

/// No address of 32 bytes has more characters; longer text is not even decoded, which takes
/// quadratic time.
const CHARS_MAX: usize = 50;

/// Text is no address of an account here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It begins with `0x`, and something else than 64 hexadecimal digits follows.
    #[error("no account: after 0x there are not 64 hexadecimal digits")]
    Hex,
    /// It is not base58, or has another length.
    #[error("no address: an address has 47 or 48 letters and digits, without 0, O, I and l")]
    Shape,
    /// It is mistyped.
    #[error("no address: its checksum does not match, so a character is wrong")]
    Checksum,
    /// It is an address of another network.
    #[error("the address is of another network: its prefix is {0}, not {PREFIX}")]
    Prefix(u16),
}

/// The address of a key.
#[must_use]
pub fn encode(key: &[u8; 32]) -> String {
    let mut bytes = [0; BYTES];
    bytes[0] = PREFIX;
    bytes[1..33].copy_from_slice(key);
    let checksum = checksum(&bytes[..33]);
    bytes[33..].copy_from_slice(&checksum);
    bs58::encode(bytes).into_string()
}

/// The key of an address.
///
/// # Errors
/// [`AddressError`], but not its `Hex`.
pub fn decode(address: &str) -> Result<[u8; 32], AddressError> {
    if address.len() > CHARS_MAX {
        return Err(AddressError::Shape);
    }
    let bytes = bs58::decode(address).into_vec().map_err(|_| AddressError::Shape)?;
    let prefix = match bytes[..] {
        [first, ..] if first < TWO_BYTES_FROM && bytes.len() == BYTES => u16::from(first),
        [first, second, ..] if (64..128).contains(&first) && bytes.len() == BYTES + 1 => {
            let (first, second) = (u16::from(first), u16::from(second));
            (first & 0x3f) << 2 | second >> 6 | (second & 0x3f) << 8
        }
        _ => return Err(AddressError::Shape),
    };
    let (body, sum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if checksum(body)[..] != *sum {
        return Err(AddressError::Checksum);
    }
    match body {
        [PREFIX, key @ ..] => key.try_into().map_err(|_| AddressError::Shape),
        _ => Err(AddressError::Prefix(prefix)),
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Blake2b512::new().chain_update(b"SS58PRE").chain_update(body).finalize();
    [digest[0], digest[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const KEY: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[track_caller]
    fn refused(address: &str, expect: AddressError) {
        assert_eq!(decode(address), Err(expect), "{address}");
    }

    #[test]
    fn an_address_is_its_key() {
        let key = decode(ADDRESS).unwrap();
        assert_eq!(hex::encode(key), KEY);
        assert_eq!(encode(&key), ADDRESS);
        for byte in [0, 255] {
            assert_eq!(decode(&encode(&[byte; 32])), Ok([byte; 32]));
        }
    }

    #[test]
    fn what_is_no_address_here_is_refused_by_name() {
        refused("", AddressError::Shape);
        refused("5Grwva", AddressError::Shape);
        refused(&ADDRESS.replace('G', "0"), AddressError::Shape);
        refused(&ADDRESS.repeat(1000), AddressError::Shape);
        refused(&ADDRESS.replace('Q', "R"), AddressError::Checksum);
        // The same key on Polkadot and Kusama, and under a prefix of two bytes.
        refused("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", AddressError::Prefix(0));
        refused("HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F", AddressError::Prefix(2));
        let mut bytes = vec![0x50, 0x01];
        bytes.extend(hex::decode(KEY).unwrap());
        bytes.extend(checksum(&bytes));
        let expect = 0x10 << 2 | 0x01 << 8;
        refused(&bs58::encode(bytes).into_string(), AddressError::Prefix(expect));
    }
}
