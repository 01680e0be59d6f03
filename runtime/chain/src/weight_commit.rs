//! The older commit–reveal of weights: a hash first, the weights by `reveal_weights` later.
//!
//! Subnets that use it are revealed by the validator itself, which must keep weights and salt until
//! then; keeping them is not done here. [`timelock`](crate::timelock) needs no second step.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use parity_scale_codec::Encode as _;

use crate::ids::{AccountId, MechanismId, NetUid, Uid};

/// What `commit_weights` is given, and `reveal_weights` must have as its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revealed<'a> {
    /// Whose weights they are.
    pub hotkey: &'a AccountId,
    /// In which subnet.
    pub netuid: NetUid,
    /// For which mechanism.
    pub mechanism: MechanismId,
    /// Whom they weigh.
    pub uids: &'a [Uid],
    /// One for each uid.
    pub values: &'a [u16],
    /// Random numbers, so that nobody finds the weights by trying; at least eight of them.
    pub salt: &'a [u16],
    /// The subnet's version key.
    pub version_key: u64,
}

impl Revealed<'_> {
    /// The hash to commit to.
    ///
    /// Byte format: BLAKE2b with 32 bytes of output, without a key, over the SCALE bytes of the
    /// hotkey (32), [`NetUid::index`] (u16), uids, values and salt (each a compact count and u16),
    /// and the version key (u64); numbers have their least significant byte first.
    #[must_use]
    pub fn commit_hash(&self) -> [u8; 32] {
        let index = self.netuid.index(self.mechanism);
        let uids: Vec<u16> = self.uids.iter().map(|uid| uid.0).collect();
        let revealed = (self.hotkey.0, index, uids, self.values, self.salt, self.version_key);
        Blake2b::<U32>::digest(revealed.encode()).into()
    }
}
