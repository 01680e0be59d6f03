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

    /// A uniform choice of `count` of the integers below `of`, ascending; all of them when there
    /// are no more. By selection sampling (Knuth, TAOCP 3.4.2, algorithm S): an integer i is taken
    /// when a uniform one below `of` − i is less than how many are still to take. Ends when none
    /// is.
    #[must_use]
    pub fn choose(&mut self, of: u32, count: u32) -> Vec<u32> {
        let mut chosen = Vec::with_capacity(of.min(count) as usize);
        let mut wanted = u64::from(count);
        for i in 0..of {
            if wanted == 0 {
                break;
            }
            if self.below(u64::from(of.saturating_sub(i))) < wanted {
                chosen.push(i);
                wanted = wanted.saturating_sub(1);
            }
        }
        chosen
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

    #[test]
    fn a_choice_is_of_distinct_integers_in_order() {
        let mut stream = SeedStream::new(&EpochSeed([1; 32]), "choose");
        for (of, count) in [(0, 0), (0, 3), (1, 1), (7, 0), (7, 3), (7, 7), (7, 9), (1000, 999)] {
            let chosen = stream.choose(of, count);
            assert_eq!(chosen.len(), count.min(of) as usize);
            assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.iter().all(|i| *i < of));
        }
    }

    /// Each pair of ten integers in three is as likely as every other: a fifteenth. Of 15,000
    /// choices that is 1,000, with a standard deviation of 31.
    #[test]
    fn a_choice_favours_no_pair() {
        let mut stream = SeedStream::new(&EpochSeed([2; 32]), "choose");
        let mut pairs = std::collections::BTreeMap::<(u32, u32), u32>::new();
        for _ in 0..15_000 {
            let chosen = stream.choose(10, 3);
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                *pairs.entry((chosen[a], chosen[b])).or_default() += 1;
            }
        }
        assert_eq!(pairs.len(), 45);
        assert!(pairs.values().all(|times| times.abs_diff(1_000) < 125), "{pairs:?}");
    }
}
