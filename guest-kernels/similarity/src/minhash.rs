//! MinHash (Broder 1997) with signatures of one byte per permutation (Li and König 2010) and bands
//! for locality-sensitive hashing (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4).

use dataforge_guest_text::mixed;

/// Permutations. The estimate of a Jaccard similarity J has the variance of J (1 − J) / 128.
const PERMUTATIONS: usize = 128;

/// Minima of a band. Two texts share at least one of the 32 bands with probability
/// 1 − (1 − J⁴)³²: 0.4 for J = 0.35, 0.99 for J = 0.6.
const BAND: usize = 4;

/// Lanes of 32 bits that are worked on together: one SIMD register of WebAssembly.
const LANES: usize = 4;

/// The least value of each permutation.
pub(crate) type Minima = [u32; PERMUTATIONS];

/// Permutations of the numbers of 32 bits: `x → a · x + b` with odd `a`.
struct Permutations {
    a: Minima,
    b: Minima,
}

const PERMUTATION: Permutations = permutations();

const fn permutations() -> Permutations {
    let (mut a, mut b) = ([0; PERMUTATIONS], [0; PERMUTATIONS]);
    let mut index = 0;
    while index < PERMUTATIONS {
        let random = mixed(index as u64 + 1);
        a[index] = random as u32 | 1;
        b[index] = (random >> 32) as u32;
        index += 1;
    }
    Permutations { a, b }
}

/// The minima of a set of hashes; all ones for the empty set.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn minima(hashes: impl Iterator<Item = u64>) -> Minima {
    let mut minima = [u32::MAX; PERMUTATIONS];
    for hash in hashes {
        let hash = hash as u32;
        let lanes = minima
            .chunks_exact_mut(LANES)
            .zip(PERMUTATION.a.chunks_exact(LANES).zip(PERMUTATION.b.chunks_exact(LANES)));
        for (minima, (a, b)) in lanes {
            for lane in 0..LANES {
                let value = hash.wrapping_mul(a[lane]).wrapping_add(b[lane]);
                minima[lane] = minima[lane].min(value);
            }
        }
    }
    minima
}

/// The low byte of each minimum.
pub(crate) fn signature(minima: &Minima) -> Vec<u8> {
    minima.iter().map(|minimum| *minimum as u8).collect()
}

/// One key for every [`BAND`] minima.
pub(crate) fn bands(minima: &Minima) -> Vec<u32> {
    let key = |band: &[u32]| band.iter().fold(0, |key, &minimum| mixed(key ^ u64::from(minimum)));
    minima.chunks_exact(BAND).map(|band| key(band) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u64>) -> Minima {
        minima(range.map(mixed))
    }

    /// Share of equal bytes, in thousandths.
    fn agreement(one: &Minima, other: &Minima) -> usize {
        let pairs = signature(one).into_iter().zip(signature(other));
        1000 * pairs.filter(|(a, b)| a == b).count() / PERMUTATIONS
    }

    #[test]
    fn agreement_estimates_the_jaccard_similarity() {
        // Means over 64 pairs of sets, for which the estimate's deviation is below 0.006.
        for (shared, expect) in [(0, 3), (250, 145), (500, 335), (750, 600), (1000, 1000)] {
            let pair = |i: u64| {
                let from = 10_000 * i;
                agreement(&of(from..from + 1000), &of(from + 1000 - shared..from + 2000 - shared))
            };
            let mean = (0..64).map(pair).sum::<usize>() / 64;
            assert!(mean.abs_diff(expect) <= 18, "{shared} shared: {mean}, not {expect}");
        }
    }

    #[test]
    fn bands_are_shared_by_what_is_alike() {
        let shared = |one: &Minima, other: &Minima| {
            bands(one).iter().zip(bands(other)).filter(|(a, b)| *a == b).count()
        };
        assert_eq!(shared(&of(0..1000), &of(0..1000)), PERMUTATIONS / BAND);
        assert_eq!(shared(&of(0..1000), &of(1000..2000)), 0);
        assert!(shared(&of(0..1000), &of(100..1100)) > 5);
    }

    #[test]
    fn an_empty_set_is_like_itself_only() {
        assert_eq!(agreement(&of(0..0), &of(0..0)), 1000);
        assert!(agreement(&of(0..0), &of(0..10)) < 30);
    }
}
