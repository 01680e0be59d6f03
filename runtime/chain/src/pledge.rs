//! What a validator pledges on chain of an epoch: under which spec it scored, and the root of its
//! score proofs.
//!
//! A hotkey has one commitment for each subnet, which the next one replaces; whoever wants the
//! history reads the chain's old blocks.

use dataforge_core::hash::{MerkleRoot, SpecId};
use subxt::dynamic::Value;
use subxt::ext::scale_decode::DecodeAsType;

use crate::client::{Client, View};
use crate::error::ChainError;
use crate::ids::{AccountId, NetUid};
use crate::submit::{Call, Receipt, Until};
use crate::wallet::Keypair;

/// A pledge's first bytes, by which it is told from what others commit to.
const TAG: &[u8; 4] = b"DFP1";

/// The bytes of a pledge; the chain takes 128.
pub const PLEDGE_BYTES: usize = 76;

/// The field in which the chain keeps so many bytes.
const FIELD: &str = "Raw76";

/// What a validator stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pledge {
    /// The spec that the epoch's submissions were evaluated by.
    pub spec: SpecId,
    /// The market's epoch.
    pub epoch: u64,
    /// The Merkle root of the epoch's score proofs.
    pub proofs: MerkleRoot,
}

impl Pledge {
    /// The bytes: `DFP1`, the spec id (32), the epoch (8, least significant first), the root (32).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PLEDGE_BYTES] {
        let mut bytes = [0; PLEDGE_BYTES];
        let parts: [&[u8]; 4] = [TAG, &self.spec.0, &self.epoch.to_le_bytes(), &self.proofs.0];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (start, behind) = rest.split_at_mut(part.len());
            start.copy_from_slice(part);
            rest = behind;
        }
        bytes
    }

    /// Reads the bytes of a pledge; nothing where they are something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PLEDGE_BYTES] = bytes.try_into().ok()?;
        let (spec, rest) = bytes.strip_prefix(TAG)?.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (proofs, _) = rest.split_first_chunk()?;
        let epoch = u64::from_le_bytes(*epoch);
        Some(Self { spec: SpecId(*spec), epoch, proofs: MerkleRoot(*proofs) })
    }
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Registration {
    block: u32,
    info: Info,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Info {
    fields: Vec<Value>,
}

impl Client {
    /// Commits a hotkey to a pledge.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn pledge(
        &mut self,
        hotkey: &Keypair,
        netuid: NetUid,
        pledge: &Pledge,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let field = Value::unnamed_variant(FIELD, [Value::from_bytes(pledge.to_bytes())]);
        let info = Value::named_composite([("fields", Value::unnamed_composite([field]))]);
        let arguments = vec![("netuid", netuid.0.into()), ("info", info)];
        self.send(Call::commitments("set_commitment", arguments), hotkey, until).await
    }
}

impl View {
    /// What a hotkey is pledged to, and since which block; nothing where it has committed to
    /// nothing, or to something else.
    ///
    /// # Errors
    /// [`ChainError::Nonsense`].
    pub async fn pledge(
        &self,
        netuid: NetUid,
        hotkey: &AccountId,
    ) -> Result<Option<(Pledge, u32)>, ChainError> {
        let keys = vec![netuid.0.into(), Value::from_bytes(hotkey.0)];
        let found: Option<Registration> =
            self.stored_maybe("Commitments", "CommitmentOf", keys).await?;
        Ok(found.and_then(|found| {
            let [field] = found.info.fields.as_slice() else { return None };
            Some((Pledge::from_bytes(&raw_bytes(field)?)?, found.block))
        }))
    }
}

/// The bytes of a field `RawN`.
fn raw_bytes(field: &Value) -> Option<Vec<u8>> {
    use subxt::ext::scale_value::{Composite, ValueDef};
    let ValueDef::Variant(variant) = &field.value else { return None };
    let Composite::Unnamed(values) = &variant.values else { return None };
    let ValueDef::Composite(bytes) = &values.first()?.value else { return None };
    bytes.values().map(|byte| u8::try_from(byte.as_u128()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pledge_is_read_as_it_was_written_and_nothing_else_is() {
        let pledge = Pledge { spec: SpecId([1; 32]), epoch: 7, proofs: MerkleRoot([2; 32]) };
        let bytes = pledge.to_bytes();
        assert_eq!(Pledge::from_bytes(&bytes), Some(pledge));
        assert_eq!(&bytes[..6], b"DFP1\x01\x01");
        assert_eq!(bytes[36..44], 7_u64.to_le_bytes());
        assert_eq!(Pledge::from_bytes(&bytes[..75]), None);
        assert_eq!(Pledge::from_bytes(&[0; PLEDGE_BYTES]), None);
    }
}
