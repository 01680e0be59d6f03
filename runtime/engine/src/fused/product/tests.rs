//! Products against sums of integers, at every operand width, shape and SIMD level.

use super::*;
use crate::fused::scale::max_magnitude_bits;
use dataforge_graph::exact::snap_factor;

/// Numbers from a linear congruential generator: most near 1, some tiny, subnormal or huge.
fn numbers(seed: u64, count: usize, spread: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let number = |bits: u32, pick: u32| {
        let exponent = if spread == 0 { 127 } else { 127 - pick % spread };
        if pick.is_multiple_of(17) {
            0.0
        } else {
            f32::from_bits(bits & 0x807f_ffff | exponent << 23)
        }
    };
    (0..count).map(|_| number(next(), next())).collect()
}

/// The definition: snap in f32, multiply and add in f64, round once.
fn reference(p: &Product, a: &[f32], b: &[f32], slice: bool) -> Vec<f32> {
    let Product { pages, m, k, n, ta, tb, bits } = *p;
    let at_a = |page, i, t| page * m * k + if ta { t * m + i } else { i * k + t };
    let at_b = |page, t, j| page * k * n + if tb { j * k + t } else { t * n + j };
    let all = |x: &[f32]| x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let snap = |x: f32, max: f32| {
        let c = max * snap_factor(bits);
        f64::from((x + c) - c)
    };
    let mut out = Vec::new();
    for page in 0..pages {
        for i in 0..m {
            for j in 0..n {
                let of_a = |t: usize| a[at_a(page, i, t)];
                let of_b = |t: usize| b[at_b(page, t, j)];
                let (max_a, max_b) = if slice {
                    let (a, b): (Vec<_>, Vec<_>) = (0..k).map(|t| (of_a(t), of_b(t))).unzip();
                    (all(&a), all(&b))
                } else {
                    (all(a), all(b))
                };
                let sum = (0..k).fold(0.0, |s, t| s + snap(of_a(t), max_a) * snap(of_b(t), max_b));
                out.push(sum as f32);
            }
        }
    }
    out
}

fn check(p: Product, spread: u32, level: Level) {
    let a = numbers(1 + p.k as u64, p.pages * p.m * p.k, spread);
    let b = numbers(2 + p.n as u64, p.pages * p.k * p.n, spread);
    let max = |x: &[f32]| Maxima::Tensor(f32::from_bits(max_magnitude_bits(x)));
    for slice in [false, true] {
        let (a_max, b_max) =
            if slice { (Maxima::Slice, Maxima::Slice) } else { (max(&a), max(&b)) };
        let mut out = vec![f32::NAN; p.pages * p.m * p.n];
        let serial: Parallel<'_> = &|n, f| (0..n).for_each(f);
        let found = p.multiply(level, (&a, a_max), (&b, b_max), &mut out, serial);
        let expected = reference(&p, &a, &b, slice);
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(bits(&out) == bits(&expected), "{p:?} slice {slice} spread {spread} {level:?}");
        assert_eq!(found, max_magnitude_bits(&out));
        if p.pages == 1 {
            let mut packed = vec![i32::MAX; p.pack().len()];
            p.pack().run(level, (&b, b_max), &mut packed, serial);
            let mut again = vec![f32::NAN; out.len()];
            p.multiply_packed(level, (&a, a_max), &packed, &mut again, serial);
            assert_eq!(bits(&again), bits(&out), "{p:?} packed");
        }
    }
}

#[test]
fn products_are_the_definition_at_every_level_and_width() {
    let shapes = [
        (1, 1, 1, 1),
        (1, 9, 33, 31),
        (3, 65, 32, 5),
        (1, 10, 601, 40),
        (2, 8, 2, 64),
        (1, 3, 5, 300),
    ];
    for level in Level::available() {
        for bits in [8, 12, 13, 14, 15, 20, 22] {
            for (pages, m, k, n) in shapes {
                for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                    for spread in [0, 126] {
                        check(Product { pages, m, k, n, ta, tb, bits }, spread, level);
                    }
                }
            }
        }
    }
}

#[test]
fn extreme_integers_do_not_overflow() {
    for level in Level::available() {
        for bits in [8, 12, 13, 14, 15, 20, 22] {
            for sign in [1.0, -1.0] {
                let p = Product { pages: 1, m: 8, k: 700, n: 32, ta: false, tb: false, bits };
                // Just above a power of two, and negative: the largest integers.
                let (a, b) =
                    (vec![sign * 1.000_000_1f32; 8 * 700], vec![-1.000_000_1f32; 700 * 32]);
                let max = Maxima::Tensor(1.000_000_1);
                let mut out = vec![0.0; 8 * 32];
                p.multiply(level, (&a, max), (&b, max), &mut out, &|n, f| (0..n).for_each(f));
                assert_eq!(out, reference(&p, &a, &b, false));
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let p = Product { pages: 1, m: 2, k: 3, n: 2, ta: false, tb: false, bits: 20 };
    for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
        let a = [1.0, bad, 2.0, 3.0, 4.0, 5.0];
        let b = [1.0; 6];
        let mut out = [0.0; 4];
        let serial: Parallel<'_> = &|n, f| (0..n).for_each(f);
        let max = Maxima::Tensor(f32::from_bits(max_magnitude_bits(&a)));
        let found =
            p.multiply(Level::fastest(), (&a, max), (&b, Maxima::Tensor(1.0)), &mut out, serial);
        assert!(out.iter().all(|x| x.is_nan()) && f32::from_bits(found).is_nan());
        p.multiply(Level::fastest(), (&a, Maxima::Slice), (&b, Maxima::Slice), &mut out, serial);
        assert!(out[0].is_nan() && out[1].is_nan() && out[2..] == [12.0, 12.0]);
    }
}
