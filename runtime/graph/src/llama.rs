//! The llama family: RMSNorm, interleaved rotary positions, grouped-query attention, SwiGLU.
//!
//! Builds the forward pass over a [`Graph`]. Weights multiply from the right (`x · W`, W `[in,
//! out]`). Masked positions are pushed down by a constant added to the scores rather than selected
//! away, so that a NaN reaches the loss wherever it arises. References: Touvron et al. 2023
//! (llama), Su et al. 2021 (rotary, equation 34), Ainslie et al. 2023 (grouped queries), Shazeer
//! 2020 (SwiGLU).

use crate::ir::{Graph, Scales, Shape, Value};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::LlamaShape;
use std::collections::BTreeMap;

/// Added to a score that a position may not see. Far enough below any score for its weight to be
/// exactly 0, near enough for the score's own NaN or infinity to survive.
const MASKED: f32 = -1e9;

/// A tensor of the model's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name, unique in the model.
    pub name: String,
    /// Dimensions.
    pub shape: Shape,
}

/// The model's dimensions as sizes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: usize,
    positions: usize,
    width: usize,
    kv_heads: usize,
    group: usize,
    head: usize,
}

/// Every parameter in canonical order: the order of state roots.
#[must_use]
pub fn parameters(shape: &LlamaShape) -> Vec<Parameter> {
    let size = |n: std::num::NonZeroU32| n.get() as usize;
    let (d, h, v) = (size(shape.width), size(shape.hidden), size(shape.vocabulary));
    let kv = d / size(shape.heads) * size(shape.kv_heads);
    let mut all = vec![("embedding".to_owned(), vec![v, d])];
    for layer in 0..shape.layers.get() {
        let named = [
            ("attention_norm", vec![d]),
            ("query", vec![d, d]),
            ("key", vec![d, kv]),
            ("value", vec![d, kv]),
            ("attention_output", vec![d, d]),
            ("feed_forward_norm", vec![d]),
            ("gate", vec![d, h]),
            ("up", vec![d, h]),
            ("down", vec![h, d]),
        ];
        all.extend(named.map(|(name, shape)| (format!("layer.{layer}.{name}"), shape)));
    }
    all.push(("final_norm".to_owned(), vec![d]));
    if !shape.tied_head {
        all.push(("head".to_owned(), vec![d, v]));
    }
    all.into_iter().map(|(name, shape)| Parameter { name, shape }).collect()
}

/// Logits `[rows · positions, vocabulary]` for `ids` `[rows, positions]`.
pub fn forward(
    g: &mut Graph,
    shape: &LlamaShape,
    weights: &BTreeMap<String, Value>,
    ids: Value,
    batch: BatchShape,
    scales: Scales,
) -> Value {
    let width = shape.width.get() as usize;
    let heads = shape.heads.get() as usize;
    let kv_heads = shape.kv_heads.get() as usize;
    let sizes = Sizes {
        rows: batch.rows.get() as usize,
        positions: batch.positions.get() as usize,
        width,
        kv_heads,
        group: heads / kv_heads,
        head: width / heads,
    };
    let rotary = Rotary::new(g, f64::from(shape.rope_base.get()), sizes);
    let mut model = Model { g, shape, weights, sizes, scales };

    let table = model.weight("embedding");
    let embedded = model.g.gather(table, ids);
    let mut x = model.g.reshape(embedded, &[sizes.rows * sizes.positions, width]);
    for layer in 0..shape.layers.get() {
        let normed = model.norm(x, &format!("layer.{layer}.attention_norm"));
        let attended = model.attention(normed, layer, &rotary);
        x = model.g.add(x, attended);
        let normed = model.norm(x, &format!("layer.{layer}.feed_forward_norm"));
        let fed = model.feed_forward(normed, layer);
        x = model.g.add(x, fed);
    }
    let x = model.norm(x, "final_norm");
    let (head, transposed) = if shape.tied_head { ("embedding", true) } else { ("head", false) };
    let head = model.weight(head);
    model.g.matmul(x, head, false, transposed, scales)
}

struct Model<'a> {
    g: &'a mut Graph,
    shape: &'a LlamaShape,
    weights: &'a BTreeMap<String, Value>,
    sizes: Sizes,
    scales: Scales,
}

impl Model<'_> {
    fn weight(&self, name: &str) -> Value {
        self.weights[name]
    }

    fn project(&mut self, x: Value, layer: u32, name: &str) -> Value {
        let weight = self.weight(&format!("layer.{layer}.{name}"));
        self.g.matmul(x, weight, false, false, self.scales)
    }

    /// x / √(mean x² + ε) · γ.
    fn norm(&mut self, x: Value, gamma: &str) -> Value {
        let gamma = self.weight(gamma);
        let epsilon = f64::from(self.shape.norm_epsilon_nano.get()) / 1e9;
        let g = &mut *self.g;
        let square = g.mul(x, x);
        let sum = g.reduce_sum(square, &[1], self.scales);
        let share = g.scalar((1.0 / self.sizes.width as f64) as f32);
        let mean = g.mul(sum, share);
        let epsilon = g.scalar(epsilon as f32);
        let shifted = g.add(mean, epsilon);
        let root = g.sqrt(shifted);
        let normal = g.div(x, root);
        g.mul(normal, gamma)
    }

    /// Queries of one key head lie end to end, `[rows, kv heads, group · positions, head]`, so that
    /// every product has equal leading dimensions and every key's gradient is one sum.
    fn attention(&mut self, x: Value, layer: u32, rotary: &Rotary) -> Value {
        let Sizes { rows, positions, width, kv_heads, group, head } = self.sizes;
        let [q, k, v] = ["query", "key", "value"].map(|name| self.project(x, layer, name));
        let g = &mut *self.g;

        let q = g.reshape(q, &[rows, positions, kv_heads, group, head]);
        let q = g.transpose(q, &[0, 2, 3, 1, 4]);
        let q = rotary.turn(g, q);
        let scale = g.scalar((1.0 / (head as f64).sqrt()) as f32);
        let q = g.mul(q, scale);
        let q = g.reshape(q, &[rows, kv_heads, group * positions, head]);

        let [k, v] = [k, v].map(|t| {
            let t = g.reshape(t, &[rows, positions, kv_heads, head]);
            g.transpose(t, &[0, 2, 1, 3])
        });
        let k = rotary.turn(g, k);

        let scores = g.matmul(q, k, false, true, self.scales);
        let scores = g.reshape(scores, &[rows, kv_heads, group, positions, positions]);
        let mask = causal_mask(g, positions);
        let scores = g.add(scores, mask);
        let shares = g.softmax(scores, self.scales);
        let shares = g.reshape(shares, &[rows, kv_heads, group * positions, positions]);
        let mixed = g.matmul(shares, v, false, false, self.scales);
        let mixed = g.reshape(mixed, &[rows, kv_heads, group, positions, head]);
        let mixed = g.transpose(mixed, &[0, 3, 1, 2, 4]);
        let mixed = g.reshape(mixed, &[rows * positions, width]);
        self.project(mixed, layer, "attention_output")
    }

    /// (silu(x · gate) ⊙ (x · up)) · down.
    fn feed_forward(&mut self, x: Value, layer: u32) -> Value {
        let gate = self.project(x, layer, "gate");
        let up = self.project(x, layer, "up");
        let sigmoid = self.g.sigmoid(gate);
        let silu = self.g.mul(gate, sigmoid);
        let inner = self.g.mul(silu, up);
        self.project(inner, layer, "down")
    }
}

fn causal_mask(g: &mut Graph, positions: usize) -> Value {
    let cell = |i: usize| if i % positions > i / positions { MASKED } else { 0.0 };
    let mask: Vec<f32> = (0..positions * positions).map(cell).collect();
    g.constant(&[positions, positions], &mask)
}

/// Rotary position tables `[positions, head]`: element pairs (2i, 2i+1) turn by position ·
/// base^(−2i/head).
struct Rotary {
    cosine: Value,
    sine: Value,
    swap: Vec<usize>,
}

impl Rotary {
    fn new(g: &mut Graph, base: f64, sizes: Sizes) -> Self {
        let Sizes { positions, head, .. } = sizes;
        let (mut cosine, mut sine) = (Vec::new(), Vec::new());
        for position in 0..positions {
            for element in 0..head {
                let exponent = -((element / 2 * 2) as f64) / head as f64;
                let angle = position as f64 * libm::pow(base, exponent);
                cosine.push(libm::cos(angle) as f32);
                let sign = if element % 2 == 0 { -1.0 } else { 1.0 };
                sine.push((sign * libm::sin(angle)) as f32);
            }
        }
        Self {
            cosine: g.constant(&[positions, head], &cosine),
            sine: g.constant(&[positions, head], &sine),
            swap: (0..head).map(|element| element ^ 1).collect(),
        }
    }

    /// (a, b) → (a cos − b sin, b cos + a sin) for each pair of the last dimension.
    fn turn(&self, g: &mut Graph, x: Value) -> Value {
        let straight = g.mul(x, self.cosine);
        let swapped = g.permute_last(x, &self.swap);
        let crossed = g.mul(swapped, self.sine);
        g.add(straight, crossed)
    }
}
