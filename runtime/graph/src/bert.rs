//! The BERT family: learned positions, attention in both directions, LayerNorm after each sublayer,
//! GELU.
//!
//! Builds the forward pass over a [`Graph`], from token ids to one vector per row, its embedding,
//! and to class logits. Weights multiply from the right (`x · W`, W `[in, out]`). A row's result
//! depends on its real tokens alone, not on how many padded ones follow: those get no attention,
//! and their values are 0 before anything that a snapping scale is taken over. References: Devlin
//! et al. 2018 (BERT), Ba et al. 2016 (LayerNorm), Reimers & Gurevych 2019 (mean pooling).

use crate::activation::gelu;
use crate::ir::{Element, Graph, Scales, Value};
use crate::llama::Parameter;
use dataforge_core::spec::BertShape;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Added to the score of a padded position. Far enough below any score for its weight to be exactly
/// 0, near enough for the score's own NaN or infinity to survive.
const MASKED: f32 = -1e9;

/// A batch of token rows.
#[derive(Debug, Clone, Copy)]
pub struct Tokens {
    /// Token ids `[rows, positions]`.
    pub ids: Value,
    /// Token types `[rows, positions]`.
    pub types: Value,
    /// 1 for a real token, 0 for a padded one, f32 `[rows, positions]`. Every row has a real one.
    pub real: Value,
}

impl Tokens {
    /// Inputs `ids`, `types` and `real`.
    pub fn inputs(g: &mut Graph, rows: usize, positions: usize) -> Self {
        let shape = [rows, positions];
        Self {
            ids: g.input("ids", &shape, Element::I64),
            types: g.input("types", &shape, Element::I64),
            real: g.input("real", &shape, Element::F32),
        }
    }
}

/// Every parameter of the encoder in canonical order.
#[must_use]
pub fn parameters(shape: &BertShape) -> Vec<Parameter> {
    let size = |n: NonZeroU32| n.get() as usize;
    let (d, h) = (size(shape.width), size(shape.hidden));
    let mut all = vec![
        parameter("word_embedding", &[size(shape.vocabulary), d]),
        parameter("position_embedding", &[size(shape.context), d]),
        parameter("type_embedding", &[size(shape.types), d]),
        parameter("embedding_norm", &[d]),
        parameter("embedding_norm_bias", &[d]),
    ];
    for layer in 0..shape.layers.get() {
        for (name, dims) in [
            ("query", &[d, d][..]),
            ("key", &[d, d]),
            ("value", &[d, d]),
            ("attention_output", &[d, d]),
            ("attention_norm", &[d]),
            ("up", &[d, h]),
            ("down", &[h, d]),
            ("feed_forward_norm", &[d]),
        ] {
            let name = format!("layer.{layer}.{name}");
            all.push(parameter(&name, dims));
            all.push(parameter(&bias(&name), &dims[dims.len() - 1..]));
        }
    }
    all
}

/// The parameters of a classification head over the embedding.
#[must_use]
pub fn head_parameters(shape: &BertShape, classes: usize) -> Vec<Parameter> {
    let width = shape.width.get() as usize;
    vec![parameter("head", &[width, classes]), parameter(&bias("head"), &[classes])]
}

fn parameter(name: &str, shape: &[usize]) -> Parameter {
    Parameter { name: name.to_owned(), shape: shape.to_vec() }
}

/// The name of what is added after a product or a norm.
fn bias(name: &str) -> String {
    format!("{name}_bias")
}

/// The last hidden states `[rows · positions, width]`.
pub fn forward(
    g: &mut Graph,
    shape: &BertShape,
    weights: &BTreeMap<String, Value>,
    tokens: Tokens,
    scales: Scales,
) -> Value {
    let mut model = Model::new(g, shape, weights, tokens, scales);
    let mut x = model.embed(tokens);
    for layer in 0..shape.layers.get() {
        x = model.block(x, layer);
    }
    x
}

/// The mean of `hidden` `[rows · positions, width]` over each row's real tokens: `[rows, width]`.
pub fn mean_pool(g: &mut Graph, hidden: Value, real: Value) -> Value {
    let [rows, positions] = *g.shape(real) else { panic!("a batch is rows of positions") };
    let width = g.shape(hidden)[1];
    let hidden = g.reshape(hidden, &[rows, positions, width]);
    let column = g.reshape(real, &[rows, positions, 1]);
    let kept = g.mul(hidden, column);
    let sum = g.reduce_sum(kept, &[1]);
    let sum = g.reshape(sum, &[rows, width]);
    let count = g.reduce_sum(real, &[1]);
    g.div(sum, count)
}

/// Each row of `x` `[rows, width]` over its Euclidean length. A row of zeros gives NaN.
pub fn normalise(g: &mut Graph, x: Value) -> Value {
    let square = g.mul(x, x);
    let sum = g.reduce_sum(square, &[1]);
    let length = g.sqrt(sum);
    g.div(x, length)
}

/// Class logits `[rows, classes]` of embeddings `[rows, width]`.
pub fn classify(
    g: &mut Graph,
    weights: &BTreeMap<String, Value>,
    embedding: Value,
    scales: Scales,
) -> Value {
    let logits = g.matmul(embedding, weights["head"], false, false, scales);
    g.add(logits, weights[&bias("head")])
}

/// The graph that embeds a batch: inputs as [`Tokens::inputs`] and the parameters, output
/// `embedding` `[rows, width]`, of length 1. Scales are per slice, so that a row's embedding does
/// not depend on its batch.
#[must_use]
pub fn embedding(shape: &BertShape, rows: usize, positions: usize, operand_bits: u32) -> Graph {
    let mut g = Graph::new(operand_bits);
    let tokens = Tokens::inputs(&mut g, rows, positions);
    let weights = parameters(shape)
        .into_iter()
        .map(|p| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32)))
        .collect();
    let hidden = forward(&mut g, shape, &weights, tokens, Scales::Slice);
    let pooled = mean_pool(&mut g, hidden, tokens.real);
    let embedding = normalise(&mut g, pooled);
    g.output("embedding", embedding);
    g
}

/// The model's and the batch's dimensions.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: usize,
    positions: usize,
    width: usize,
    heads: usize,
    head: usize,
}

struct Model<'a> {
    g: &'a mut Graph,
    shape: &'a BertShape,
    weights: &'a BTreeMap<String, Value>,
    scales: Scales,
    sizes: Sizes,
    /// What is added to scores, `[rows, 1, 1, positions]`.
    mask: Value,
    /// 1 for a real token, 0 for a padded one, `[rows · positions, 1]`.
    real: Value,
}

impl<'a> Model<'a> {
    fn new(
        g: &'a mut Graph,
        shape: &'a BertShape,
        weights: &'a BTreeMap<String, Value>,
        tokens: Tokens,
        scales: Scales,
    ) -> Self {
        let [rows, positions] = *g.shape(tokens.ids) else {
            panic!("a batch is rows of positions")
        };
        let (width, heads) = (shape.width.get() as usize, shape.heads.get() as usize);
        let sizes = Sizes { rows, positions, width, heads, head: width / heads };
        let (one, masked) = (g.scalar(1.0), g.scalar(-MASKED));
        let padded = g.sub(tokens.real, one);
        let mask = g.mul(padded, masked);
        let mask = g.reshape(mask, &[rows, 1, 1, positions]);
        let real = g.reshape(tokens.real, &[rows * positions, 1]);
        Self { g, shape, weights, scales, sizes, mask, real }
    }

    /// LayerNorm of the sum of word, position and type embeddings.
    fn embed(&mut self, tokens: Tokens) -> Value {
        let Sizes { rows, positions, width, .. } = self.sizes;
        let g = &mut *self.g;
        let order: Vec<i64> = (0i64..).take(positions).collect();
        let order = g.indices(&[positions], &order);
        let words = g.gather(self.weights["word_embedding"], tokens.ids);
        let places = g.gather(self.weights["position_embedding"], order);
        let types = g.gather(self.weights["type_embedding"], tokens.types);
        let sum = g.add(words, types);
        let sum = g.add(sum, places);
        let sum = g.reshape(sum, &[rows * positions, width]);
        self.norm(sum, "embedding_norm")
    }

    fn block(&mut self, x: Value, layer: u32) -> Value {
        let attended = self.attention(x, layer);
        let sum = self.g.add(x, attended);
        let x = self.norm(sum, &format!("layer.{layer}.attention_norm"));
        let wide = self.project(x, layer, "up");
        let wide = gelu(self.g, wide);
        let fed = self.project(wide, layer, "down");
        let sum = self.g.add(x, fed);
        self.norm(sum, &format!("layer.{layer}.feed_forward_norm"))
    }

    /// x · W + b.
    fn project(&mut self, x: Value, layer: u32, name: &str) -> Value {
        let name = format!("layer.{layer}.{name}");
        let product = self.g.matmul(x, self.weights[&name], false, false, self.scales);
        self.g.add(product, self.weights[&bias(&name)])
    }

    /// (x − mean x) / √(variance + ε) · γ + β.
    fn norm(&mut self, x: Value, gamma: &str) -> Value {
        let epsilon = f64::from(self.shape.norm_epsilon_pico.get()) / 1e12;
        let (gamma, beta) = (self.weights[gamma], self.weights[&bias(gamma)]);
        let g = &mut *self.g;
        let (width, epsilon) = (g.scalar(self.sizes.width as f32), g.scalar(epsilon as f32));
        let sum = g.reduce_sum(x, &[1]);
        let mean = g.div(sum, width);
        let centred = g.sub(x, mean);
        let square = g.mul(centred, centred);
        let sum = g.reduce_sum(square, &[1]);
        let variance = g.div(sum, width);
        let shifted = g.add(variance, epsilon);
        let root = g.sqrt(shifted);
        let normal = g.div(centred, root);
        let scaled = g.mul(normal, gamma);
        g.add(scaled, beta)
    }

    fn attention(&mut self, x: Value, layer: u32) -> Value {
        let Sizes { rows, positions, width, heads, head } = self.sizes;
        let [q, k, v] = ["query", "key", "value"].map(|name| self.project(x, layer, name));
        let g = &mut *self.g;
        // The scale that snaps a column of values is taken over all positions.
        let v = g.mul(v, self.real);
        let [q, k, v] = [q, k, v].map(|t| {
            let t = g.reshape(t, &[rows, positions, heads, head]);
            g.transpose(t, &[0, 2, 1, 3])
        });
        let scale = g.scalar((1.0 / (head as f64).sqrt()) as f32);
        let q = g.mul(q, scale);
        let scores = g.matmul(q, k, false, true, self.scales);
        let scores = g.add(scores, self.mask);
        let shares = g.softmax(scores);
        let mixed = g.matmul(shares, v, false, false, self.scales);
        let mixed = g.transpose(mixed, &[0, 2, 1, 3]);
        let mixed = g.reshape(mixed, &[rows * positions, width]);
        self.project(mixed, layer, "attention_output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite::expand;
    use crate::grad::backward;
    use crate::interp::{Arithmetic, Tensor, run};
    use dataforge_core::hash::EpochSeed;
    use dataforge_core::random::SeedStream;

    const CLASSES: usize = 3;

    fn tiny() -> BertShape {
        let n = |n: u32| n.try_into().unwrap();
        BertShape {
            vocabulary: n(11),
            width: n(8),
            layers: n(2),
            heads: n(2),
            hidden: n(12),
            context: n(9),
            types: n(2),
            norm_epsilon_pico: n(1_000_000),
        }
    }

    fn all_parameters() -> Vec<Parameter> {
        [parameters(&tiny()), head_parameters(&tiny(), CLASSES)].concat()
    }

    fn random_weights() -> BTreeMap<String, Tensor> {
        let mut random = SeedStream::new(&EpochSeed([5; 32]), "bert test");
        let mut draw = |p: Parameter| {
            let count = p.shape.iter().product::<usize>();
            let data = (0..count).map(|_| random.below(2001) as f64 / 1000.0 - 1.0);
            let data = data.map(|x| f64::from(x as f32)).collect();
            (p.name, Tensor { shape: p.shape, data })
        };
        all_parameters().into_iter().map(&mut draw).collect()
    }

    /// Rows of tokens, padded with `filler` to `positions`.
    fn batch(rows: &[&[i64]], positions: usize, filler: i64) -> BTreeMap<String, Tensor> {
        let shape = [rows.len(), positions];
        let cell = |of: &dyn Fn(Option<&i64>, usize) -> i64| {
            let cells: Vec<i64> =
                rows.iter().flat_map(|r| (0..positions).map(|i| of(r.get(i), i))).collect();
            Tensor::from_indices(&shape, &cells)
        };
        BTreeMap::from([
            ("ids".to_owned(), cell(&|id, _| *id.unwrap_or(&filler))),
            ("types".to_owned(), cell(&|id, i| id.map_or(1, |_| i64::from(i > 2)))),
            ("real".to_owned(), cell(&|id, _| i64::from(id.is_some()))),
        ])
    }

    const ROWS: [&[i64]; 3] = [&[1, 2, 3, 4, 5, 6], &[7, 1], &[10, 9, 0, 0]];

    fn embed(rows: &[&[i64]], positions: usize, filler: i64) -> Vec<f64> {
        let graph = expand(&embedding(&tiny(), rows.len(), positions, 20));
        let mut inputs = random_weights();
        inputs.append(&mut batch(rows, positions, filler));
        run(&graph, &inputs, Arithmetic::Exact)["embedding"].data.clone()
    }

    #[test]
    fn an_embedding_depends_on_its_real_tokens_alone() {
        let together = embed(&ROWS, 6, 0);
        for (row, expect) in ROWS.iter().zip(together.chunks(8)) {
            assert!(expect.iter().all(|x| x.is_finite()));
            assert!((expect.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-6);
            assert_eq!(embed(&[row], row.len(), 0), expect);
            assert_eq!(embed(&[row], 9, 8), expect);
        }
    }

    /// Cross-entropy-like: the logits weighted by fixed numbers, so that the seed is a constant.
    fn logits_and_gradients() -> Graph {
        let mut g = Graph::new(20);
        let tokens = Tokens::inputs(&mut g, ROWS.len(), 6);
        let weights: BTreeMap<String, Value> = all_parameters()
            .into_iter()
            .map(|p| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32)))
            .collect();
        let hidden = forward(&mut g, &tiny(), &weights, tokens, Scales::Tensor);
        let pooled = mean_pool(&mut g, hidden, tokens.real);
        let unit = normalise(&mut g, pooled);
        let logits = classify(&mut g, &weights, unit, Scales::Tensor);
        g.output("logits", logits);
        let seed: Vec<f32> = (0..ROWS.len() * CLASSES).map(|i| (i as f32 - 4.0) / 8.0).collect();
        let seed = g.constant(&[ROWS.len(), CLASSES], &seed);
        let wrt: Vec<Value> = all_parameters().iter().map(|p| weights[&p.name]).collect();
        let gradients = backward(&mut g, &[(logits, seed)], &wrt, Scales::Tensor);
        for (parameter, gradient) in all_parameters().iter().zip(gradients) {
            g.output(parameter.name.clone(), gradient);
        }
        expand(&g)
    }

    #[test]
    fn gradients_match_finite_differences() {
        const STEP: f64 = 1e-4;
        let graph = logits_and_gradients();
        let mut inputs = random_weights();
        inputs.append(&mut batch(&ROWS, 6, 0));
        let loss = |inputs: &BTreeMap<String, Tensor>| -> f64 {
            let logits = &run(&graph, inputs, Arithmetic::Real)["logits"].data;
            logits.iter().enumerate().map(|(i, x)| x * (i as f64 - 4.0) / 8.0).sum()
        };
        let analytic = run(&graph, &inputs, Arithmetic::Real);
        for parameter in all_parameters() {
            let count = inputs[&parameter.name].data.len();
            for at in [0, count / 2, count - 1] {
                let moved = |by: f64| {
                    let mut inputs = inputs.clone();
                    inputs.get_mut(&parameter.name).unwrap().data[at] += by;
                    loss(&inputs)
                };
                let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let exact = analytic[&parameter.name].data[at];
                let close = (numeric - exact).abs() <= 1e-6 + 1e-4 * exact.abs();
                assert!(close, "{}[{at}]: {exact} but {numeric}", parameter.name);
            }
        }
    }
}
