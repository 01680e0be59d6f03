//! Hashes of words and of runs of words. Fast and well mixed, not secret: who wants two texts to
//! collide can have it, and gains nothing but to look like a copy.

/// An odd number without structure (the fraction of the golden ratio).
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of MurmurHash3 for 64 bits: every bit of the input moves every bit of the output.
#[must_use]
pub const fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Hash of one text: FNV-1a, mixed.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mixed(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Hashes of all runs of `n` neighbours in a sequence of values, in order; none if it is shorter.
///
/// Each is `mixed(Σ values[i] · BASE^(n − 1 − i))`, which moves on by one value in constant time
/// (Karp and Rabin 1987).
pub fn ngram_hashes(values: &[u64], n: usize) -> impl Iterator<Item = u64> {
    let next = |sum: u64, value: u64| sum.wrapping_mul(BASE).wrapping_add(value);
    let (first, rest) = values.split_at(n.saturating_sub(1).min(values.len()));
    let highest = (1..n).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut sum = first.iter().copied().fold(0, next);
    rest.iter().zip(values).map(move |(&last, &leaving)| {
        let hash = next(sum, last);
        sum = hash.wrapping_sub(leaving.wrapping_mul(highest));
        mixed(hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_on_gives_what_starting_afresh_gives() {
        let values: Vec<u64> = (0..40).map(mixed).collect();
        for n in 1..8 {
            let moved: Vec<u64> = ngram_hashes(&values, n).collect();
            let fresh = |run: &[u64]| ngram_hashes(run, n).next().unwrap();
            assert_eq!(moved, values.windows(n).map(fresh).collect::<Vec<_>>(), "{n}");
        }
        assert_eq!(ngram_hashes(&values[..2], 3).count(), 0);
        assert_eq!(ngram_hashes(&[], 1).count(), 0);
    }

    #[test]
    fn order_counts() {
        let hash = |values: &[u64]| ngram_hashes(values, values.len()).next();
        assert_ne!(hash(&[1, 2, 3]), hash(&[3, 2, 1]));
        assert_ne!(text_hash("ab"), text_hash("ba"));
    }
}
