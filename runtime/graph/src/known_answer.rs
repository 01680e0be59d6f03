//! The known-answer graph: every operator of the IR on inputs chosen to expose an engine that is
//! not exact.
//!
//! An engine runs [`graph`] on [`inputs`] and hashes the bits of the outputs in order; the digest
//! must be the one in [`DIGEST`], which the reference engine gives. The inputs hold subnormals,
//! ties, huge and tiny magnitudes, signed zeros, cancellation, repeated scatter indices, and
//! contractions as long as the bit widths allow.

use crate::composite;
use crate::interp::Tensor;
use crate::ir::{Element, Graph, Scales, Value};
use dataforge_core::hash::{EpochSeed, FileDigest, Hasher};
use dataforge_core::random::SeedStream;
use std::collections::BTreeMap;

/// What every exact engine answers.
pub const DIGEST: &str = include_str!("known_answer.txt");

/// The inputs that are indices; the others are f32.
pub const INDICES: [&str; 2] = ["ids", "column"];

/// Elements of the elementwise operands.
const LANES: usize = 4096;
/// Longest contraction: the last at which operands keep all their bits.
const TERMS: usize = 2048;

/// The graph, expanded.
#[must_use]
pub fn graph() -> Graph {
    let mut g = Graph::new(20);
    elementwise(&mut g);
    movement(&mut g);
    sums(&mut g);
    for scales in [Scales::Tensor, Scales::Slice] {
        products(&mut g, scales);
    }
    composite::expand(&g)
}

fn elementwise(g: &mut Graph) {
    let [a, b] = ["a", "b"].map(|name| g.input(name, &[LANES], Element::F32));
    let positive = g.input("positive", &[LANES], Element::F32);
    let logits = g.input("logits", &[LANES / 64, 64], Element::F32);
    // No selection or floor of -0, which engines answer with either zero: ONNX Runtime 1.20 takes
    // the floor of -0 to be +0. Adding +0 to the result would not help: optimisers take it away.
    let smaller = g.less(a, b);
    let absolute = g.abs(a);
    let difference = g.sub(a, b);
    let results = [
        ("add", g.add(a, b)),
        ("sub", difference),
        ("mul", g.mul(a, b)),
        ("div", g.div(a, positive)),
        ("max", g.max(a, b)),
        ("neg", g.neg(a)),
        ("abs", absolute),
        ("sqrt", g.sqrt(positive)),
        ("floor", g.floor(difference)),
        ("select", g.select(smaller, absolute, b)),
        ("exp", g.exp(logits)),
        ("sigmoid", g.sigmoid(logits)),
        ("erf", g.erf(logits)),
        ("tanh", g.tanh(logits)),
        ("softmax", g.softmax(logits)),
        ("max_last", g.max_last(logits)),
    ];
    declare(g, "", &results);
}

fn movement(g: &mut Graph) {
    let matrix = g.input("matrix", &[64, 48], Element::F32);
    let ids = g.input("ids", &[4, 16], Element::I64);
    let column = g.input("column", &[64, 1], Element::I64);
    let classes: Vec<i64> = (0..48).collect();
    let classes = g.indices(&[1, 48], &classes);
    let hit = g.equal(column, classes);
    let zero = g.scalar(0.0);
    let backwards: Vec<usize> = (0..48).rev().collect();
    let row = g.max_last(matrix);
    let flat = g.reshape(row, &[64]);
    let results = [
        ("transpose", g.transpose(matrix, &[1, 0])),
        ("permute", g.permute_last(matrix, &backwards)),
        ("gather", g.gather(matrix, ids)),
        ("take", g.take_last(matrix, column)),
        ("one_hot", g.select(hit, matrix, zero)),
        ("expand", g.expand(row, &[64, 48])),
        ("concat", g.concat(&[flat, flat], 0)),
        ("concat_last", g.concat(&[matrix, row, matrix], 1)),
        ("slice", g.slice(matrix, 1, 3, 7, 5)),
        ("slice_rows", g.slice(matrix, 0, 8, 1, 16)),
        ("float", g.to_float(ids)),
        ("scatter", g.scatter_add(matrix, column, 48)),
    ];
    declare(g, "", &results);
}

/// Sums over rows, columns and everything.
fn sums(g: &mut Graph) {
    let a = g.input("long_a", &[5, TERMS], Element::F32);
    let b = g.input("long_b", &[TERMS, 7], Element::F32);
    let matrix = g.input("matrix", &[64, 48], Element::F32);
    let results = [
        ("sum_rows", g.reduce_sum(a, &[1])),
        ("sum_columns", g.reduce_sum(b, &[0])),
        ("sum_all", g.reduce_sum(matrix, &[0, 1])),
    ];
    declare(g, "", &results);
}

/// Contractions of awkward shapes in all four transpositions, batched and not.
fn products(g: &mut Graph, scales: Scales) {
    let a = g.input("long_a", &[5, TERMS], Element::F32);
    let b = g.input("long_b", &[TERMS, 7], Element::F32);
    let matrix = g.input("matrix", &[64, 48], Element::F32);
    let pages = g.reshape(matrix, &[4, 16, 48]);
    let at = g.transpose(a, &[1, 0]);
    let bt = g.transpose(b, &[1, 0]);
    let results = [
        ("matmul", g.matmul(a, b, false, false, scales)),
        ("matmul_ta", g.matmul(at, b, true, false, scales)),
        ("matmul_tb", g.matmul(a, bt, false, true, scales)),
        ("matmul_tatb", g.matmul(at, bt, true, true, scales)),
        ("batched", g.matmul(pages, pages, false, true, scales)),
        ("batched_ta", g.matmul(pages, pages, true, false, scales)),
    ];
    let suffix = if scales == Scales::Tensor { ".tensor" } else { ".slice" };
    declare(g, suffix, &results);
}

fn declare(g: &mut Graph, suffix: &str, results: &[(&str, Value)]) {
    for (name, value) in results {
        g.output(format!("{name}{suffix}"), *value);
    }
}

/// The inputs, by name.
#[must_use]
pub fn inputs() -> BTreeMap<String, Tensor> {
    let f32s = |name: &str, shape: &[usize], make: fn(&mut SeedStream) -> f32| {
        let mut random = stream(name);
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| make(&mut random)).collect();
        (name.to_owned(), Tensor::from_f32(shape, &data))
    };
    let indices = |name: &str, shape: &[usize], below: u64| {
        let mut random = stream(name);
        let data: Vec<f64> =
            (0..shape.iter().product::<usize>()).map(|_| random.below(below) as f64).collect();
        (name.to_owned(), Tensor { shape: shape.to_vec(), data })
    };
    BTreeMap::from([
        f32s("a", &[LANES], any_finite),
        f32s("b", &[LANES], near_ties),
        f32s("positive", &[LANES], |random| any_finite(random).abs().max(f32::from_bits(1))),
        f32s("logits", &[LANES / 64, 64], |random| {
            (random.below(1 << 20) as f32 - 524_288.0) / 4096.0
        }),
        f32s("matrix", &[64, 48], wide_range),
        f32s("long_a", &[5, TERMS], cancelling),
        f32s("long_b", &[TERMS, 7], wide_range),
        indices("ids", &[4, 16], 64),
        // Few distinct values: many rows of a scatter meet in one.
        indices("column", &[64, 1], 5),
    ])
}

fn stream(name: &str) -> SeedStream {
    SeedStream::new(&EpochSeed([0; 32]), &format!("known-answer/{name}"))
}

/// Any finite f32 of the middle half of the exponents, or a special one.
fn any_finite(random: &mut SeedStream) -> f32 {
    const SPECIAL: [f32; 8] =
        [0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1.0, -1.0, f32::MAX, f32::EPSILON];
    let word = random.next_u64();
    let bits = (word >> 32) as u32;
    match word % 8 {
        0 => SPECIAL[(word as usize >> 8) % SPECIAL.len()],
        // Subnormals of either sign.
        1 => f32::from_bits(bits & 0x807f_ffff),
        _ => f32::from_bits((bits & 0x807f_ffff) | ((64 + (word as u32 >> 8) % 128) << 23)),
    }
}

/// Values whose sums and products with small integers fall on ties.
fn near_ties(random: &mut SeedStream) -> f32 {
    let word = random.next_u64();
    let odd = ((word as u32 & 0x00ff_ffff) | 1) as f32;
    let scaled = if word & 1 << 40 == 0 { odd / 16_777_216.0 } else { odd };
    if word & 1 << 41 == 0 { scaled } else { -scaled }
}

/// Magnitudes over 2⁴⁰: most of them are small against the scale that snaps them.
fn wide_range(random: &mut SeedStream) -> f32 {
    let word = random.next_u64();
    f32::from_bits((word as u32 & 0x807f_ffff) | ((107 + (word >> 40) as u32 % 40) << 23))
}

/// Near ±1, so that long sums cancel and every low bit counts.
fn cancelling(random: &mut SeedStream) -> f32 {
    let word = random.next_u64();
    f32::from_bits((word as u32 & 0x807f_ffff) | 0x3f80_0000)
}

/// Byte format: tag `dataforge/known-answer/v1`; per output, in the graph's order: name, `0x00`,
/// and the elements as little-endian f32.
#[must_use]
pub fn digest<'a>(outputs: impl IntoIterator<Item = (&'a str, Vec<f32>)>) -> FileDigest {
    let mut hasher = Hasher::new("dataforge/known-answer/v1");
    for (name, data) in outputs {
        hasher.update(name).update([0]);
        for x in data {
            hasher.update(x.to_bits().to_le_bytes());
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::{Arithmetic, run};

    #[test]
    fn the_reference_engine_gives_the_committed_digest() {
        let graph = graph();
        let out = run(&graph, &inputs(), Arithmetic::Exact);
        let outputs = graph.outputs().iter().map(|(name, _)| {
            let data: Vec<f32> = out[name].data.iter().map(|x| *x as f32).collect();
            assert!(
                data.iter().all(|x| !x.is_nan()),
                "{name} has a NaN, whose bits engines choose"
            );
            (name.as_str(), data)
        });
        assert_eq!(digest(outputs).to_string(), DIGEST.trim());
    }
}
