//! Exact products as products of 8-bit slices, with stock operators.
//!
//! A snapped operand is n · q with an integer |n| ≤ 2^(b+1) + 1 and a power of two q for all
//! elements that share a scale. n is written in balanced digits: base 128 with digits in −64..63
//! on the left, base 256 with digits in −128..127 on the right. `MatMulInteger` multiplies a left
//! digit matrix by a right one with 32-bit sums, and the sums are put together in double by
//! Horner's rule, from the highest power of two down. Every intermediate is an integer multiple
//! of the power of two it has reached and differs from the end result by less than the digits
//! that are left out, so it fits 53 bits as the result does ([`crate::exact`]); the product with
//! q of both sides is exact, and the one rounding is the cast to f32.
//!
//! A left digit is at most 7 bits wide, so that no engine's pairwise 16-bit sums saturate:
//! 2 · 127 · 128 < 2^15.

use super::sums::{SnapKey, Snapped, contracted};
use super::{Emitter, data_type};
use crate::ir::{Node, Scales, matrix};

/// Most terms of a 32-bit sum, counted as the engine may compute it, with unsigned left digits:
/// 2^17 · 127 · 128 < 2^31. Longer products are left to f64.
const SLICED_TERMS_MAX: usize = 1 << 17;

/// Factors that give the power of two at or below |x|: y = φx, then |y − (1 − 2⁻⁵³)y| (Rump, Ogita
/// & Oishi 2008, "Accurate floating-point summation, part I", algorithm 3.5).
const UFP_FACTOR: f64 = 4_503_599_627_370_497.0;
const UFP_REST: f64 = 1.0 - f64::EPSILON / 2.0;

/// Stands in for a scale of 0, whose elements are all 0: any normal number whose reciprocal is one.
const TINY: f64 = f64::MIN_POSITIVE * 16.0;

/// An operand's place in a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// Bits of a digit.
    fn digit_bits(self) -> u32 {
        match self {
            Self::Left => 7,
            Self::Right => 8,
        }
    }

    /// Digits that hold every integer up to 2^(bits + 1) + 1.
    fn digits(self, bits: u32) -> u32 {
        let base = 1i64 << self.digit_bits();
        let largest = |count: u32| (base / 2 - 1) * (base.pow(count) - 1) / (base - 1);
        let needed = (1i64 << (bits + 1)) + 1;
        (1u32..).find(|count| largest(*count) >= needed).unwrap_or(u32::MAX)
    }
}

/// q of the elements that share a scale.
#[derive(Clone)]
pub(super) struct Unit {
    /// Double; NaN where an element is not finite.
    q: String,
    reciprocal: String,
}

/// Digits of a snapped operand, and whether they are transposed.
pub(super) type SliceKey = (SnapKey, Side, bool);

/// An operand in digits.
#[derive(Clone)]
pub(super) struct Sliced {
    /// Byte matrices, lowest digit first.
    digits: Vec<String>,
    /// q, double.
    unit: String,
}

impl Emitter<'_> {
    pub(super) fn sliced_product(
        &mut self,
        result: &str,
        node: &Node,
        (ta, tb): (bool, bool),
        scales: Scales,
        bits: u32,
    ) {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let shape = self.graph.shape(a);
        let (_, _, terms) = matrix(shape, ta);
        if terms > SLICED_TERMS_MAX {
            return self.wide_product(result, node, (ta, tb), scales, bits);
        }
        let [axes_a, axes_b] = contracted(shape.len(), (ta, tb));
        let axes_a = self.scale_axes(a, &axes_a, scales);
        let axes_b = self.scale_axes(b, &axes_b, scales);
        let left = self.slices((a, bits, axes_a), Side::Left, ta);
        let right = self.slices((b, bits, axes_b), Side::Right, tb);
        let sum = self.sum_of_products(result, &left.digits, &right.digits);
        let [unit, wide] = ["unit", "wide"].map(|part| format!("{result}.{part}"));
        self.emit("Mul", &[&left.unit, &right.unit], &unit, vec![]);
        self.emit("Mul", &[&sum, &unit], &wide, vec![]);
        self.narrow(&wide, result);
    }

    /// The exact integer product, as double.
    fn sum_of_products(&mut self, result: &str, left: &[String], right: &[String]) -> String {
        let (left_bits, right_bits) = (Side::Left.digit_bits(), Side::Right.digit_bits());
        let mut pairs: Vec<(u32, &String, &String)> = Vec::new();
        for (i, a) in (0..).zip(left) {
            pairs.extend((0..).zip(right).map(|(j, b)| (i * left_bits + j * right_bits, a, b)));
        }
        pairs.sort_by_key(|(shift, ..)| std::cmp::Reverse(*shift));
        let zero_point = (!self.options.signed_slices)
            .then(|| self.constant(data_type::UINT8, &[], vec![1 << (left_bits - 1)]));
        let mut sum: Option<(u32, String)> = None;
        for (shift, a, b) in pairs {
            let part = |what: &str| format!("{result}.{what}_{shift}");
            let [product, wide, raised, next] = ["product", "wide", "raised", "sum"].map(part);
            let inputs: Vec<&str> =
                [a.as_str(), b.as_str()].into_iter().chain(zero_point.as_deref()).collect();
            self.emit("MatMulInteger", &inputs, &product, vec![]);
            self.widen(&product, &wide);
            sum = Some(match sum {
                None => (shift, wide),
                Some((above, so_far)) => {
                    let step = self.double(f64::from(1u32 << (above - shift)));
                    self.emit("Mul", &[&so_far, &step], &raised, vec![]);
                    self.emit("Add", &[&raised, &wide], &next, vec![]);
                    (shift, next)
                }
            });
        }
        sum.map(|(_, name)| name).unwrap_or_default()
    }

    fn slices(&mut self, key: SnapKey, side: Side, flip: bool) -> Sliced {
        let (value, bits, axes) = key.clone();
        let cached = (key, side, flip);
        if let Some(sliced) = self.sliced.get(&cached) {
            return sliced.clone();
        }
        let rank = self.graph.shape(value).len();
        let sliced = if flip {
            let plain = self.slices((value, bits, axes.clone()), side, false);
            let mut flip = |x: String| {
                let name = format!("{x}.flipped");
                self.flipped(x, rank, true, &name)
            };
            let digits = plain.digits.into_iter().map(&mut flip).collect();
            // One scale for all is the same either way.
            let unit = if axes.len() == rank { plain.unit } else { flip(plain.unit) };
            Sliced { digits, unit }
        } else {
            let snapped = self.snap(value, bits, axes.clone());
            let unit = self.unit(&snapped, &axes);
            Sliced {
                digits: self.digits(&snapped.wide, &unit.reciprocal, side, bits),
                unit: unit.q,
            }
        };
        self.sliced.insert(cached, sliced.clone());
        sliced
    }

    /// q of a snapped operand, and 1/q. The snapping constant C is a multiple of q = 2^(e−24) for
    /// 2^e ≤ C < 2^(e+1), and so is every x ⊕ C, which is at least C/2.
    fn unit(&mut self, snapped: &Snapped, axes: &[usize]) -> Unit {
        let Snapped { wide, scale } = snapped;
        if let Some(unit) = self.units.get(wide) {
            return unit.clone();
        }
        let part = |what: &str| format!("{wide}.{what}");
        let c = part("c");
        self.widen(scale, &c);
        let [factor, rest] = [UFP_FACTOR, UFP_REST].map(|x| self.double(x));
        let [y, z, difference, power] = ["y", "z", "difference", "power"].map(part);
        self.emit("Mul", &[&c, &factor], &y, vec![]);
        self.emit("Mul", &[&y, &rest], &z, vec![]);
        self.emit("Sub", &[&y, &z], &difference, vec![]);
        self.emit("Abs", &[&difference], &power, vec![]);
        let grid = self.double(1.0 / f64::from(1u32 << 24));
        let [grid_unit, positive, reciprocal] = ["grid", "positive", "reciprocal"].map(part);
        self.emit("Mul", &[&power, &grid], &grid_unit, vec![]);
        let [smallest, one] = [TINY, 1.0].map(|x| self.double(x));
        self.emit("Max", &[&grid_unit, &smallest], &positive, vec![]);
        self.emit("Div", &[&one, &positive], &reciprocal, vec![]);
        // A maximum may pass over a NaN; a sum does not. s − s is 0, or NaN where s is not finite.
        let [sum, poison, q] = ["sum", "poison", "q"].map(part);
        let axes = self.integers(axes);
        self.emit("ReduceSum", &[wide, &axes], &sum, vec![]);
        self.emit("Sub", &[&sum, &sum], &poison, vec![]);
        self.emit("Add", &[&grid_unit, &poison], &q, vec![]);
        let unit = Unit { q, reciprocal };
        self.units.insert(wide.clone(), unit.clone());
        unit
    }

    /// Byte matrices of the digits of `wide` · `reciprocal`, lowest first. All in f32: the integers
    /// stay below 2^24.
    fn digits(&mut self, wide: &str, reciprocal: &str, side: Side, bits: u32) -> Vec<String> {
        let base = f32::from(1u16 << side.digit_bits());
        let [half, base, inverse] = [base / 2.0, base, 1.0 / base].map(|x| self.float(x));
        let unsigned = side == Side::Left && !self.options.signed_slices;
        let element = if unsigned { data_type::UINT8 } else { data_type::INT8 };
        let part = |what: &str| format!("{wide}.{side:?}.{what}");
        let (scaled, mut n) = (part("scaled"), part("n"));
        self.emit("Mul", &[wide, reciprocal], &scaled, vec![]);
        self.narrow(&scaled, &n);
        let count = side.digits(bits);
        let mut digits = Vec::new();
        for i in 0..count {
            let part = |what: &str| part(&format!("{what}{i}"));
            let mut digit = n.clone();
            if i + 1 < count {
                let [up, quotient, carry, low, rest] =
                    ["up", "quotient", "carry", "low", "digit"].map(part);
                self.emit("Add", &[&n, &half], &up, vec![]);
                self.emit("Mul", &[&up, &inverse], &quotient, vec![]);
                self.emit("Floor", &[&quotient], &carry, vec![]);
                self.emit("Mul", &[&carry, &base], &low, vec![]);
                self.emit("Sub", &[&n, &low], &rest, vec![]);
                (n, digit) = (carry, rest);
            }
            if unsigned {
                let raised = part("raised");
                self.emit("Add", &[&digit, &half], &raised, vec![]);
                digit = raised;
            }
            let byte = part("byte");
            self.cast(&digit, &byte, element);
            digits.push(byte);
        }
        digits
    }

    fn double(&mut self, x: f64) -> String {
        self.constant(data_type::DOUBLE, &[1], x.to_le_bytes().into())
    }

    fn float(&mut self, x: f32) -> String {
        self.constant(data_type::FLOAT, &[1], x.to_le_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_core::limits::OPERAND_BITS;

    #[test]
    fn digits_hold_the_widest_operand_of_each_width() {
        let counts = |side: Side| OPERAND_BITS.map(|bits| side.digits(bits)).collect::<Vec<_>>();
        assert_eq!(counts(Side::Left), [2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4]);
        assert_eq!(counts(Side::Right), [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
    }

    #[test]
    fn a_power_of_two_comes_out_of_every_magnitude() {
        for exponent in -149..128 {
            let power = libm::exp2(f64::from(exponent));
            for c in [power, power * 1.5, power * (2.0 - f64::from(f32::EPSILON))] {
                let y = c * UFP_FACTOR;
                assert_eq!((y - y * UFP_REST).abs(), power, "{c:e}");
            }
        }
    }
}
