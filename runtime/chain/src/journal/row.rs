//! One row: its bytes, and the digest that chains it to the row before.

use std::fmt;

use dataforge_core::hash::{Digest, Hasher};
use serde::{Deserialize, Serialize, Serializer};

use super::{Intent, Slot};
use crate::ids::{AccountId, Genesis, MechanismId, NetUid, Uid};
use crate::weight_vector::WeightVector;

/// What a vector is committed to with by its hash: eight random numbers, which keep others from
/// finding the weights by trying. Kept for ever, since the reveal must have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt(pub [u16; 8]);

macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub [u8; 32]);

        impl Digest for $name {
            fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    )*};
}

digests! {
    /// The digest of a row and of all before it.
    JournalDigest;
    /// The digest of a vector, by which people tell two apart.
    VectorDigest;
}

impl JournalDigest {
    /// What the first row is chained to.
    pub(super) const NONE: Self = Self([0; 32]);
}

/// 64 hexadecimal digits.
impl Serialize for JournalDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl VectorDigest {
    /// The digest of a vector.
    ///
    /// Byte format: [`Hasher`] under the tag `dataforge journal vector v1` over each weight as its
    /// uid (u16) and value (u16), the lowest uid first, the least significant byte of each first.
    #[must_use]
    pub fn of(vector: &WeightVector) -> Self {
        let mut hasher = Hasher::new("dataforge journal vector v1");
        hasher.update(bytes_of(vector));
        hasher.finish()
    }
}

/// Each uid and value, two bytes each.
fn bytes_of(vector: &WeightVector) -> Vec<u8> {
    let pairs = vector.pairs().iter();
    pairs.flat_map(|(uid, value)| [uid.0.to_le_bytes(), value.to_le_bytes()]).flatten().collect()
}

/// What was permitted, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) intent: Intent,
    pub(super) salt: Salt,
}

impl Row {
    /// The digest of this row behind another.
    ///
    /// Byte format: [`Hasher`] under the tag `dataforge journal row v1` over the digest before
    /// (32), the genesis hash (32), the subnet (u16), the mechanism (u8), the key (32), the epoch
    /// (u64), the version key (u64), the salt (8 × u16), the number of weights (u32), and each
    /// weight as its uid (u16) and value (u16). Numbers have their least significant byte first.
    pub(super) fn digest(&self, before: JournalDigest) -> JournalDigest {
        let Slot { genesis, netuid, mechanism, hotkey, epoch } = self.intent.slot;
        let weights = self.weights_bytes();
        let count = u32::try_from(self.intent.vector.pairs().len()).unwrap_or(u32::MAX);
        let mut hasher = Hasher::new("dataforge journal row v1");
        hasher.update(before.0);
        hasher.update(genesis.0);
        hasher.update(netuid.0.to_le_bytes());
        hasher.update([mechanism.0]);
        hasher.update(hotkey.0);
        hasher.update(epoch.to_le_bytes());
        hasher.update(self.intent.version_key.to_le_bytes());
        hasher.update(self.salt_bytes());
        hasher.update(count.to_le_bytes());
        hasher.update(weights);
        hasher.finish()
    }

    /// The weights as they are kept: each uid and value, two bytes each.
    pub(super) fn weights_bytes(&self) -> Vec<u8> {
        bytes_of(&self.intent.vector)
    }

    /// The salt as it is kept: two bytes for each number.
    pub(super) fn salt_bytes(&self) -> Vec<u8> {
        self.salt.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// The parts of a row as a database has them. Anything may stand there.
pub(super) struct Kept {
    pub(super) genesis: Vec<u8>,
    pub(super) netuid: i64,
    pub(super) mechanism: i64,
    pub(super) hotkey: Vec<u8>,
    pub(super) epoch: i64,
    pub(super) weights: Vec<u8>,
    pub(super) version_key: i64,
    pub(super) salt: Vec<u8>,
}

impl Kept {
    /// The row; a reason where the parts are none.
    pub(super) fn row(&self) -> Result<Row, &'static str> {
        let slot = Slot {
            genesis: Genesis(self.genesis.as_slice().try_into().map_err(|_| "has no genesis")?),
            netuid: NetUid(u16::try_from(self.netuid).map_err(|_| "has no subnet")?),
            mechanism: MechanismId(u8::try_from(self.mechanism).map_err(|_| "has no mechanism")?),
            hotkey: AccountId(self.hotkey.as_slice().try_into().map_err(|_| "has no key")?),
            epoch: u64::try_from(self.epoch).map_err(|_| "has no epoch")?,
        };
        let (pairs, rest) = self.weights.as_chunks::<4>();
        if !rest.is_empty() {
            return Err("has no weights");
        }
        let pair = |[a, b, c, d]: &[u8; 4]| {
            (Uid(u16::from_le_bytes([*a, *b])), u16::from_le_bytes([*c, *d]))
        };
        let vector = WeightVector::new(pairs.iter().map(pair).collect());
        let vector = vector.map_err(|_| "has two weights for a uid")?;
        let (numbers, rest) = self.salt.as_chunks::<2>();
        let numbers: Vec<_> = numbers.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let salt = numbers.try_into().ok().filter(|_| rest.is_empty()).ok_or("has no salt")?;
        let version_key = self.version_key.cast_unsigned();
        Ok(Row { intent: Intent { slot, vector, version_key }, salt: Salt(salt) })
    }
}
