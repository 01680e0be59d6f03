//! The exactness rule: how many bits an operand may keep so that a sum over K terms has no
//! rounding.
//!
//! `snap(x, b) = (x ⊕ C) ⊖ C` with `C = max|x| · 2^(24−b)`, in f32. Where |x| ≤ max|x| and b ≤ 23,
//! x ⊕ C lies within a factor of two of C, so ⊖ is exact (Sterbenz) and every result is an integer
//! multiple of one power of two with at most b + 1 bits. Products of two such integers, and sums of
//! K of them, then fit the 53 bits of an f64, whatever the order.

/// Significant bits of an f64.
const F64_BITS: u32 = 53;

/// Bits that a term of a plain sum keeps.
pub const SUM_BITS: u32 = 23;

/// Most terms of a plain sum: `(SUM_BITS + 1) + log2 K ≤ 53`.
pub const SUM_TERMS_MAX: usize = 1 << (F64_BITS - SUM_BITS - 1);

/// Most terms of a contraction; beyond it operands would keep fewer than 12 bits.
pub const PRODUCT_TERMS_MAX: usize = 1 << 27;

/// ⌈log2 k⌉ for k ≥ 1.
fn ceil_log2(k: usize) -> u32 {
    k.next_power_of_two().trailing_zeros()
}

/// Bits that each operand of a contraction over `terms` keeps: the largest b with
/// `2(b + 1) + ⌈log2 terms⌉ ≤ 53`, at most `widest`, which is the spec's operand width.
///
/// # Panics
/// When `terms` is 0 or over [`PRODUCT_TERMS_MAX`]: our bug, since shapes come from validated
/// specs.
#[must_use]
pub fn product_bits(terms: usize, widest: u32) -> u32 {
    assert!((1..=PRODUCT_TERMS_MAX).contains(&terms), "no exact contraction over {terms} terms");
    widest.min((F64_BITS - ceil_log2(terms)) / 2 - 1)
}

/// The factor `2^(24−b)` that turns max|x| into the snapping constant C.
#[must_use]
pub fn snap_factor(bits: u32) -> f32 {
    (1u32 << (24 - bits)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_core::limits::OPERAND_BITS;

    #[test]
    fn the_widest_sum_fits_an_f64() {
        for log2 in 0..=27 {
            let terms = 1usize << log2;
            for widest in OPERAND_BITS {
                assert!(2 * (product_bits(terms, widest) + 1) + log2 <= F64_BITS, "K = 2^{log2}");
            }
        }
        assert_eq!(product_bits(2048, 20), 20);
        assert_eq!(product_bits(2049, 20), 19);
        assert_eq!(product_bits(128, 22), 22);
        assert!(SUM_BITS + 1 + ceil_log2(SUM_TERMS_MAX) <= F64_BITS);
    }
}
