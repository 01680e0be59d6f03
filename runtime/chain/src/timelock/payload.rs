//! What is encrypted: weights, and for whom they are.

use parity_scale_codec::{DecodeAll as _, Encode as _};

use super::TimelockError;
use crate::ids::{AccountId, Uid};

/// The weights that a commit hides.
///
/// Byte format (SCALE): the hotkey's length, 32, and its bytes; the uids' count and each uid; the
/// values' count and each value; the version key. Numbers are u16, the version key is u64, both
/// least significant byte first; lengths and counts are SCALE's compact numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsPayload {
    /// Whose weights they are; the chain refuses those of another key.
    pub hotkey: AccountId,
    /// Whom they weigh.
    pub uids: Vec<Uid>,
    /// One for each uid, the largest 65535.
    pub values: Vec<u16>,
    /// The subnet's version key.
    pub version_key: u64,
}

/// The same, as SCALE has it.
type Scale = (Vec<u8>, Vec<u16>, Vec<u16>, u64);

impl WeightsPayload {
    /// The bytes to [`encrypt`](super::encrypt).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let uids: Vec<u16> = self.uids.iter().map(|uid| uid.0).collect();
        (self.hotkey.0.as_slice(), uids, self.values.as_slice(), self.version_key).encode()
    }

    /// Reads what [`decrypt`](super::decrypt) returned.
    ///
    /// # Errors
    ///
    /// [`TimelockError::Payload`] where the bytes are not canonical, the hotkey has not 32 bytes,
    /// or there is not one value for each uid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimelockError> {
        let mut rest = bytes;
        let (hotkey, uids, values, version_key) = Scale::decode_all(&mut rest)
            .map_err(|_| TimelockError::Payload("the bytes are not SCALE of weights"))?;
        let hotkey: [u8; 32] =
            hotkey.try_into().map_err(|_| TimelockError::Payload("the hotkey has not 32 bytes"))?;
        if uids.len() != values.len() {
            return Err(TimelockError::Payload("there is not one value for each uid"));
        }
        let uids = uids.into_iter().map(Uid).collect();
        Ok(Self { hotkey: AccountId(hotkey), uids, values, version_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> WeightsPayload {
        let uids = [0, 255, 65_535].map(Uid).to_vec();
        WeightsPayload {
            hotkey: AccountId([7; 32]),
            uids,
            values: vec![1, 2, 65_535],
            version_key: 9,
        }
    }

    #[test]
    fn bytes_are_as_documented() {
        let expected = [
            &[128][..],
            &[7; 32],
            &[12, 0, 0, 255, 0, 255, 255],
            &[12, 1, 0, 2, 0, 255, 255],
            &[9, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(payload().to_bytes(), expected.concat());
        assert_eq!(WeightsPayload::from_bytes(&expected.concat()), Ok(payload()));
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = payload().to_bytes();
        for length in 0..bytes.len() {
            assert!(WeightsPayload::from_bytes(&bytes[..length]).is_err(), "{length} are taken");
        }
        assert!(WeightsPayload::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        // A hotkey of 2^30 - 1 bytes, none of which are there.
        assert!(WeightsPayload::from_bytes(&[0xfe, 0xff, 0xff, 0xff]).is_err());
        let uneven = WeightsPayload { values: vec![1], ..payload() }.to_bytes();
        let refused = TimelockError::Payload("there is not one value for each uid");
        assert_eq!(WeightsPayload::from_bytes(&uneven), Err(refused));
        let short = (vec![7u8; 31], vec![0u16], vec![1u16], 9u64).encode();
        let refused = TimelockError::Payload("the hotkey has not 32 bytes");
        assert_eq!(WeightsPayload::from_bytes(&short), Err(refused));
    }
}
