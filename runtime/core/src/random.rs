//! Deterministic randomness from an epoch seed: the only source of shuffling, sampling and
//! initialisation.
//!
//! Each purpose has its own stream, so that drawing more for one purpose never shifts another.

use crate::hash::{EpochSeed, Hasher, MerkleRoot};
use std::num::NonZeroU64;

/// A stream of bytes that depends on a seed and a purpose alone.
///
/// Byte format: block i is SHA-256 under the tag `dataforge/stream/v1` of seed (32 bytes), purpose
/// (UTF-8), `0x00`, i (u64 little-endian); blocks are read as little-endian u64 words, in order.
pub struct SeedStream {
    seed: EpochSeed,
    purpose: String,
    block: u64,
    words: Vec<u64>,
}

impl SeedStream {
    /// The stream of `purpose` (no NUL in it) under `seed`.
    #[must_use]
    pub fn new(seed: &EpochSeed, purpose: &str) -> Self {
        Self { seed: *seed, purpose: purpose.to_owned(), block: 0, words: Vec::new() }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        loop {
            if let Some(word) = self.words.pop() {
                return word;
            }
            let mut hasher = Hasher::new("dataforge/stream/v1");
            hasher
                .update(self.seed.0)
                .update(&self.purpose)
                .update([0])
                .update(self.block.to_le_bytes());
            let MerkleRoot(bytes) = hasher.finish();
            self.block = self.block.wrapping_add(1);
            let (words, _) = bytes.as_chunks::<8>();
            self.words = words.iter().rev().map(|word| u64::from_le_bytes(*word)).collect();
        }
    }

    /// A uniform integer in `0..bound`, by rejection (no modulo bias). 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let Some(bound) = NonZeroU64::new(bound) else { return 0 };
        // The largest multiple of `bound` that fits; words at or above it would favour small
        // results.
        let fair = u64::MAX.wrapping_sub(u64::MAX % bound);
        loop {
            let word = self.next_u64();
            if word < fair {
                return word % bound;
            }
        }
    }

    /// A uniform index below `len`. 0 when `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A uniform permutation in place (Fisher–Yates from the end; Knuth, TAOCP 3.4.2, algorithm P).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.index(end.saturating_add(1));
            items.swap(end, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_stream_and_shuffle() {
        let mut stream = SeedStream::new(&EpochSeed([7; 32]), "test");
        let mut order: Vec<u8> = (0..10).collect();
        stream.shuffle(&mut order);
        let mut again: Vec<u8> = (0..10).collect();
        SeedStream::new(&EpochSeed([7; 32]), "test").shuffle(&mut again);
        assert_eq!(order, again);
        SeedStream::new(&EpochSeed([7; 32]), "other").shuffle(&mut again);
        assert_ne!(order, again);
        assert_eq!(order, [3, 0, 8, 5, 9, 2, 4, 6, 7, 1]);
    }

    #[test]
    fn below_stays_below() {
        let mut stream = SeedStream::new(&EpochSeed([1; 32]), "below");
        assert!((0..1000).all(|_| stream.below(3) < 3));
        assert_eq!(stream.below(0), 0);
    }
}
