//! The llama family: RMSNorm, interleaved rotary positions, grouped-query attention, SwiGLU.
//!
//! Builds the forward pass over a [`Graph`], whole or in two parts: the *trunk*, the frozen blocks
//! whose output depends on the pinned weights and a row alone, and the blocks that [`Tuning`]
//! trains. Weights multiply from the right (`x · W`, W `[in,
//! out]`). Masked positions are pushed down by a constant added to the scores rather than selected
//! away, so that a NaN reaches the loss wherever it arises. References: Touvron et al. 2023
//! (llama), Su et al. 2021 (rotary, equation 34), Ainslie et al. 2023 (grouped queries), Shazeer
//! 2020 (SwiGLU).

use crate::ir::{Graph, Scales, Shape, Value};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::{LlamaShape, Method, Spec};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

mod decode;

pub use decode::{caches, decoding, decoding_parameters};

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

impl Parameter {
    fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec() }
    }
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

impl Sizes {
    fn new(shape: &LlamaShape, rows: NonZeroU32, positions: NonZeroU32) -> Self {
        let size = |n: NonZeroU32| n.get() as usize;
        let (width, heads) = (size(shape.width), size(shape.heads));
        let kv_heads = size(shape.kv_heads);
        let (group, head) = (heads / kv_heads, width / heads);
        Self { rows: size(rows), positions: size(positions), width, kv_heads, group, head }
    }
}

/// Every parameter in canonical order.
#[must_use]
pub fn parameters(shape: &LlamaShape) -> Vec<Parameter> {
    let size = |n: std::num::NonZeroU32| n.get() as usize;
    let (d, v) = (size(shape.width), size(shape.vocabulary));
    let mut all = vec![Parameter::new("embedding", &[v, d])];
    for layer in 0..shape.layers.get() {
        all.extend(block_parameters(shape, layer));
    }
    all.push(Parameter::new("final_norm", &[d]));
    if !shape.tied_head {
        all.push(Parameter::new("head", &[d, v]));
    }
    all
}

/// The parameters of one block, in canonical order.
#[must_use]
pub fn block_parameters(shape: &LlamaShape, layer: u32) -> Vec<Parameter> {
    let norm = |name: &str| Parameter::new(part(layer, name), &[shape.width.get() as usize]);
    let mut all: Vec<Parameter> = projections(shape)
        .into_iter()
        .map(|(name, dims)| Parameter::new(part(layer, name), &dims))
        .collect();
    all.insert(4, norm("feed_forward_norm"));
    all.insert(0, norm("attention_norm"));
    all
}

/// The matrices of a block, `[in, out]`: four of the attention, three of the feed-forward layer.
fn projections(shape: &LlamaShape) -> [(&'static str, [usize; 2]); 7] {
    let size = |n: std::num::NonZeroU32| n.get() as usize;
    let (d, h) = (size(shape.width), size(shape.hidden));
    let kv = d / size(shape.heads) * size(shape.kv_heads);
    [
        ("query", [d, d]),
        ("key", [d, kv]),
        ("value", [d, kv]),
        ("attention_output", [d, d]),
        ("gate", [d, h]),
        ("up", [d, h]),
        ("down", [h, d]),
    ]
}

fn part(layer: u32, name: &str) -> String {
    format!("layer.{layer}.{name}")
}

/// A model and what of it is trained: everything that shapes its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// The model.
    pub shape: LlamaShape,
    /// What is trained.
    pub method: Method,
    /// Bits that operands of products keep.
    pub operand_bits: u32,
}

impl From<&Spec> for Tuning {
    fn from(spec: &Spec) -> Self {
        Self {
            shape: spec.model.llama,
            method: spec.training.method,
            operand_bits: spec.numerics.operand_bits,
        }
    }
}

impl Tuning {
    /// The block that training starts from; those before it are the trunk. `None` when the
    /// embedding is trained too, so that there is no trunk.
    #[must_use]
    pub fn trunk(&self) -> Option<u32> {
        match self.method {
            Method::Full => None,
            Method::LastLayers { layers } | Method::Lora { layers, .. } => {
                Some(self.shape.layers.get() - layers.get())
            }
        }
    }

    /// The parameters that training moves, in canonical order: the order of state roots.
    #[must_use]
    pub fn trained(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        for layer in self.trunk().unwrap_or(0)..self.shape.layers.get() {
            match self.method {
                Method::Full => return parameters(&self.shape),
                Method::LastLayers { .. } => all.extend(block_parameters(&self.shape, layer)),
                Method::Lora { rank, .. } => {
                    let rank = rank.get() as usize;
                    for (name, [inner, outer]) in projections(&self.shape) {
                        let [a, b] = adapter(&part(layer, name));
                        all.push(Parameter::new(a, &[inner, rank]));
                        all.push(Parameter::new(b, &[rank, outer]));
                    }
                }
            }
        }
        if matches!(self.method, Method::LastLayers { .. }) {
            all.push(Parameter::new("final_norm", &[self.shape.width.get() as usize]));
        }
        all
    }

    /// The parameters after the trunk that training leaves alone, in canonical order.
    #[must_use]
    pub fn frozen(&self) -> Vec<Parameter> {
        let Some(first) = self.trunk() else { return vec![] };
        let trained = self.trained();
        let in_trunk = |name: &str| (0..first).any(|layer| name.starts_with(&part(layer, "")));
        let unused = |name: &str| name == "embedding" && !self.shape.tied_head;
        let mut all = parameters(&self.shape);
        all.retain(|p| !in_trunk(&p.name) && !unused(&p.name) && !trained.contains(p));
        all
    }
}

/// The names of a projection's two adapter matrices, `[in, rank]` and `[rank, out]`.
#[must_use]
pub fn adapter(projection: &str) -> [String; 2] {
    [format!("{projection}.adapter_a"), format!("{projection}.adapter_b")]
}

/// Whether a parameter is an adapter's first matrix, the random one.
#[must_use]
pub fn is_inner_adapter(parameter: &str) -> bool {
    parameter.ends_with(".adapter_a")
}

/// Where the forward pass starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// Token ids `[rows, positions]`.
    Ids(Value),
    /// The trunk's output `[rows · positions, width]`.
    Hidden(Value),
}

/// Logits `[slots, vocabulary]` for the positions `at` `[slots]`.
pub fn forward(
    g: &mut Graph,
    tuning: &Tuning,
    weights: &BTreeMap<String, Value>,
    start: Start,
    at: Value,
    batch: BatchShape,
    scales: Scales,
) -> Value {
    let mut model = Model::new(g, tuning, weights, batch, scales);
    let mut x = match start {
        Start::Ids(ids) => model.embed(ids),
        Start::Hidden(hidden) => hidden,
    };
    for layer in tuning.trunk().unwrap_or(0)..tuning.shape.layers.get() {
        x = model.block(x, layer);
    }
    let x = model.g.gather(x, at);
    model.logits(x)
}

/// One block without adapters: `[rows · positions, width]` to the same, with the weights of block
/// 0.
pub fn block(
    g: &mut Graph,
    tuning: &Tuning,
    weights: &BTreeMap<String, Value>,
    hidden: Value,
    batch: BatchShape,
) -> Value {
    let tuning = Tuning { method: Method::Full, ..*tuning };
    Model::new(g, &tuning, weights, batch, Scales::Slice).block(hidden, 0)
}

struct Model<'a> {
    g: &'a mut Graph,
    tuning: &'a Tuning,
    weights: &'a BTreeMap<String, Value>,
    sizes: Sizes,
    scales: Scales,
    rotary: Rotary,
}

impl<'a> Model<'a> {
    fn new(
        g: &'a mut Graph,
        tuning: &'a Tuning,
        weights: &'a BTreeMap<String, Value>,
        batch: BatchShape,
        scales: Scales,
    ) -> Self {
        let shape = &tuning.shape;
        let sizes = Sizes::new(shape, batch.rows, batch.positions);
        let rotary = Rotary::new(g, f64::from(shape.rope_base.get()), sizes);
        Self { g, tuning, weights, sizes, scales, rotary }
    }

    fn embed(&mut self, ids: Value) -> Value {
        let table = self.weight("embedding");
        let embedded = self.g.gather(table, ids);
        let Sizes { rows, positions, width, .. } = self.sizes;
        self.g.reshape(embedded, &[rows * positions, width])
    }

    fn block(&mut self, x: Value, layer: u32) -> Value {
        let normed = self.norm(x, &part(layer, "attention_norm"));
        let attended = self.attention(normed, layer);
        let x = self.g.add(x, attended);
        let normed = self.norm(x, &part(layer, "feed_forward_norm"));
        let fed = self.feed_forward(normed, layer);
        self.g.add(x, fed)
    }

    /// `[n, width]` to `[n, vocabulary]`.
    fn logits(&mut self, x: Value) -> Value {
        let x = self.norm(x, "final_norm");
        let tied = self.tuning.shape.tied_head;
        let head = self.weight(if tied { "embedding" } else { "head" });
        self.g.matmul(x, head, false, tied, self.scales)
    }

    fn weight(&self, name: &str) -> Value {
        self.weights[name]
    }

    /// x · W, and with adapters x · W + scale · ((x · A) · B).
    fn project(&mut self, x: Value, layer: u32, name: &str) -> Value {
        let name = part(layer, name);
        let straight = self.product(x, &name);
        let Method::Lora { scale_micro, .. } = self.tuning.method else { return straight };
        let [a, b] = adapter(&name);
        let inner = self.product(x, &a);
        let detour = self.product(inner, &b);
        let scale = self.g.scalar(scale_micro.to_f64() as f32);
        let detour = self.g.mul(detour, scale);
        self.g.add(straight, detour)
    }

    fn product(&mut self, x: Value, weight: &str) -> Value {
        let weight = self.weight(weight);
        self.g.matmul(x, weight, false, false, self.scales)
    }

    /// x / √(mean x² + ε) · γ.
    fn norm(&mut self, x: Value, gamma: &str) -> Value {
        let gamma = self.weight(gamma);
        let epsilon = f64::from(self.tuning.shape.norm_epsilon_nano.get()) / 1e9;
        let g = &mut *self.g;
        let square = g.mul(x, x);
        let sum = g.reduce_sum(square, &[1]);
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
    fn attention(&mut self, x: Value, layer: u32) -> Value {
        let Sizes { rows, positions, width, kv_heads, group, head } = self.sizes;
        let [q, k, v] = ["query", "key", "value"].map(|name| self.project(x, layer, name));
        let (g, rotary) = (&mut *self.g, &self.rotary);

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
        let shares = g.softmax(scores);
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
