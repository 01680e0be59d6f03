//! Results that later evaluations share, kept by the world under the digest of all they depend on.
//!
//! Kept bytes are taken for what they are only when they carry their own digest; anything else is
//! computed again. So is what an engine gave whose operators meant something else: its known answer
//! is part of every key.

use crate::world::World;
use dataforge_core::codec;
use dataforge_core::hash::{FileDigest, file_digest, tagged};
use dataforge_graph::known_answer;

/// Bytes of the digest that goes before what is kept.
const DIGEST_BYTES: usize = 32;

/// What `read` makes of the bytes kept under `key`, if they are there, whole, and to its liking.
pub(crate) fn recall<T>(
    world: &dyn World,
    key: &FileDigest,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    let bytes = world.recall(&here(key))?;
    let (digest, data) = bytes.split_at_checked(DIGEST_BYTES)?;
    if file_digest(data).0 != *digest {
        return None;
    }
    read(data)
}

/// Keeps bytes for [`recall`].
pub(crate) fn keep(world: &dyn World, key: &FileDigest, data: &[u8]) {
    world.keep(&here(key), &[&file_digest(data).0[..], data].concat());
}

/// Byte format: tag `dataforge/kept/v1` over the canonical encoding of the key and the known
/// answer.
fn here(key: &FileDigest) -> FileDigest {
    tagged("dataforge/kept/v1", &codec::encode(&(key, known_answer::DIGEST.trim())))
}
