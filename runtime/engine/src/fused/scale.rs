//! Snapping scales as the integers that snapped operands are.
//!
//! An operand snapped to b bits is an integer multiple n of one power of two, its unit. Following
//! [`dataforge_graph::exact`], with C = max|x| · 2^(24−b): where C − max|x| stays in C's binade the
//! unit is the spacing of C, else half of it, and never less than the smallest subnormal. Then
//! |n| ≤ [`integer_max`].

use dataforge_graph::exact::snap_factor;

/// How to turn an f32 into its snapped integer, and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// Snapping constant.
    pub(crate) c: f32,
    /// Two powers of two whose product is 1 / unit; the unit itself can be too small to have an
    /// f32 reciprocal.
    pub(crate) up: [f32; 2],
    /// What an integer 1 is worth; NaN where the largest operand snaps to no number.
    pub(crate) unit: f64,
}

impl Scale {
    /// The scale of what fills up a tile: everything is 0.
    pub(crate) const NOTHING: Self = Self { c: 0.0, up: [0.0; 2], unit: 0.0 };

    /// The scale of operands of at most `max`, a magnitude, at `bits`.
    pub(crate) fn new(max: f32, bits: u32) -> Self {
        const MANTISSA: u32 = 0x007f_ffff;
        let c = max * snap_factor(bits);
        if !c.is_finite() {
            return Self { unit: f64::NAN, ..Self::NOTHING };
        }
        let exponent = ((c.to_bits() >> 23) as i32).max(1) - 127;
        let binade = f32::from_bits(c.to_bits() & !MANTISSA);
        let below = f64::from(c) - f64::from(max) < f64::from(binade);
        let unit = (exponent - 23 - i32::from(below)).max(-149);
        let half = -unit / 2;
        Self { c, up: [power(half) as f32, power(-unit - half) as f32], unit: power(unit) }
    }
}

/// The largest magnitude of an operand snapped to `bits`: where x ⊕ C leaves C's binade downwards,
/// C itself is at most 2^e / (1 − 2^(bits−24)).
pub(crate) fn integer_max(bits: u32) -> u64 {
    let share = (1u64 << 24) - (1u64 << bits);
    (1u64 << (bits + 24)).div_ceil(share) + 1
}

/// 2^n for an n whose result is a normal f64.
pub(crate) fn power(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// Adding this to an integer of magnitude up to 2²² puts the integer into the low bits.
const LOW_BITS: f32 = 12_582_912.0;

/// The snapped integer of x; `WIDE` where it may exceed 2²² (bits over 21). Where x is not finite,
/// any integer.
#[inline(always)]
pub(crate) fn integer<const WIDE: bool>(x: f32, c: f32, up0: f32, up1: f32) -> i32 {
    let scaled = ((x + c) - c) * up0 * up1;
    if WIDE {
        return scaled as i32;
    }
    (scaled + LOW_BITS).to_bits().wrapping_sub(LOW_BITS.to_bits()) as i32
}

/// The bits of |x|. Their order as integers is the order of magnitudes, with NaN above infinity.
#[inline(always)]
pub(crate) fn magnitude_bits(x: f32) -> u32 {
    x.to_bits() & 0x7fff_ffff
}

/// The bits of max|x|: not finite when an element is not.
#[inline(always)]
pub(crate) fn max_magnitude_bits(data: &[f32]) -> u32 {
    data.iter().fold(0, |max, x| max.max(magnitude_bits(*x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_give_back_the_snapped_values_and_keep_their_bound() {
        let mantissas = [0, 1, 0x0000_ffff, 0x0007_ffff, 0x0008_0000, 0x0040_0000, 0x007f_ffff];
        for bits in 8..=22 {
            for exponent in [0u32, 1, 2, 3, 30, 64, 120, 127, 128, 200] {
                for mantissa in mantissas {
                    let max = f32::from_bits(exponent << 23 | mantissa);
                    let scale = Scale::new(max, bits);
                    let shares = [1.0, -1.0, 0.999_999_9, -0.75, 0.5, 0.1, -1e-3, 1e-6, 0.0];
                    for share in shares {
                        let x: f32 = max * share;
                        let n = integer::<true>(x, scale.c, scale.up[0], scale.up[1]);
                        let snapped = (x + scale.c) - scale.c;
                        assert_eq!(f64::from(n) * scale.unit, f64::from(snapped), "{max} {bits}");
                        assert!(u64::from(n.unsigned_abs()) <= integer_max(bits), "{max} {bits}");
                        if bits < 22 {
                            let quick = integer::<false>(x, scale.c, scale.up[0], scale.up[1]);
                            assert_eq!(quick, n);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_largest_operand_that_is_not_finite_makes_everything_nan() {
        for max in [f32::INFINITY, f32::NAN, f32::MAX] {
            assert!(Scale::new(max, 20).unit.is_nan());
        }
    }
}
