//! One step of generation: one new token per row over a cache of keys and values.
//!
//! Inputs: `token` `[rows]`, the token at this position; `position` `[1]`, the same for every row;
//! per layer the caches `layer.N.keys` and `layer.N.values` `[rows, kv heads, positions, head]`,
//! whose places from this position on are 0; and every parameter by name. Outputs: `logits` `[rows,
//! vocabulary]` for the next token, and each cache with this position filled, named as
//! [`crate::step::next_name`] says.
//!
//! Semantics: scales are per slice, and a column of the values is a slice over positions. Since
//! later positions are 0, its scale depends on the prefix alone, and so does every bit of the
//! result: a key or value is what it was when its token was the last, whatever follows, and
//! whatever shares its batch. Scoring takes the whole row at once and so has other scales; its
//! logits agree with these to rounding, not to the bit.

use super::{Model, Rotary, Sizes, Tuning, causal_mask, parameters, part};
use crate::composite;
use crate::ir::{Element, Graph, Scales, Value};
use crate::llama::Parameter;
use crate::step::next_name;
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::Method;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Every parameter that generation takes: the model's, then its adapters'.
#[must_use]
pub fn decoding_parameters(tuning: &Tuning) -> Vec<Parameter> {
    let mut all = parameters(&tuning.shape);
    if matches!(tuning.method, Method::Lora { .. }) {
        all.extend(tuning.trained());
    }
    all
}

/// The caches, layer by layer: keys, then values.
#[must_use]
pub fn caches(tuning: &Tuning, rows: NonZeroU32, positions: NonZeroU32) -> Vec<Parameter> {
    let sizes = Sizes::new(&tuning.shape, rows, positions);
    let shape = [sizes.rows, sizes.kv_heads, sizes.positions, sizes.head];
    let layers = 0..tuning.shape.layers.get();
    let names = layers.flat_map(|layer| ["keys", "values"].map(|name| part(layer, name)));
    names.map(|name| Parameter::new(name, &shape)).collect()
}

/// The graph of one step, expanded.
#[must_use]
pub fn decoding(tuning: &Tuning, rows: NonZeroU32, positions: NonZeroU32) -> Graph {
    let mut graph = Graph::new(tuning.operand_bits);
    let token = graph.input("token", &[rows.get() as usize], Element::I64);
    let position = graph.input("position", &[1], Element::I64);
    let mut inputs = BTreeMap::new();
    for tensor in [decoding_parameters(tuning), caches(tuning, rows, positions)].concat() {
        let value = graph.input(&tensor.name, &tensor.shape, Element::F32);
        inputs.insert(tensor.name, value);
    }
    let batch = BatchShape { rows, positions, output_tokens: NonZeroU32::MIN };
    let plain = Tuning { method: Method::Full, ..*tuning };
    let mut model = Model::new(&mut graph, &plain, &inputs, batch, Scales::Slice);
    let place = Place::new(&mut model, position);
    let table = model.weight("embedding");
    let mut x = model.g.gather(table, token);
    for layer in 0..tuning.shape.layers.get() {
        if layer == tuning.trunk().unwrap_or(0) {
            model.tuning = tuning;
        }
        x = model.decoding_block(x, layer, &place);
    }
    let logits = model.logits(x);
    graph.output("logits", logits);
    composite::expand(&graph)
}

/// What depends on the position alone.
struct Place {
    /// `[positions, 1]`: whether it is this one.
    here: Value,
    /// `[1, positions]`: 0 up to this one.
    mask: Value,
    rotary: Rotary,
}

impl Place {
    fn new(model: &mut Model<'_>, position: Value) -> Self {
        let positions = model.sizes.positions;
        let (g, rotary) = (&mut *model.g, &model.rotary);
        let all: Vec<i64> = (0..positions as i64).collect();
        let all = g.indices(&[positions, 1], &all);
        let here = g.equal(all, position);
        let mask = causal_mask(g, positions);
        let mask = g.gather(mask, position);
        let [cosine, sine] = [rotary.cosine, rotary.sine].map(|table| g.gather(table, position));
        Self { here, mask, rotary: Rotary { cosine, sine, swap: rotary.swap.clone() } }
    }
}

impl Model<'_> {
    fn decoding_block(&mut self, x: Value, layer: u32, place: &Place) -> Value {
        let normed = self.norm(x, &part(layer, "attention_norm"));
        let attended = self.decoding_attention(normed, layer, place);
        let x = self.g.add(x, attended);
        let normed = self.norm(x, &part(layer, "feed_forward_norm"));
        let fed = self.feed_forward(normed, layer);
        self.g.add(x, fed)
    }

    fn decoding_attention(&mut self, x: Value, layer: u32, place: &Place) -> Value {
        let Sizes { rows, width, kv_heads, group, head, .. } = self.sizes;
        let [q, k, v] = ["query", "key", "value"].map(|name| self.project(x, layer, name));
        let [keys, values] = ["keys", "values"].map(|name| part(layer, name));
        let caches = [&keys, &values].map(|name| self.weight(name));
        let g = &mut *self.g;

        let q = g.reshape(q, &[rows, kv_heads, group, head]);
        let q = place.rotary.turn(g, q);
        let scale = g.scalar((1.0 / (head as f64).sqrt()) as f32);
        let q = g.mul(q, scale);
        let [k, v] = [k, v].map(|t| g.reshape(t, &[rows, kv_heads, 1, head]));
        let k = place.rotary.turn(g, k);
        let k = g.select(place.here, k, caches[0]);
        let v = g.select(place.here, v, caches[1]);
        g.output(next_name(&keys), k);
        g.output(next_name(&values), v);

        let scores = g.matmul(q, k, false, true, self.scales);
        let scores = g.add(scores, place.mask);
        let shares = g.softmax(scores);
        let mixed = g.matmul(shares, v, false, false, self.scales);
        let mixed = g.reshape(mixed, &[rows, width]);
        self.project(mixed, layer, "attention_output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::{Arithmetic, Tensor, run};
    use dataforge_core::hash::EpochSeed;
    use dataforge_core::random::SeedStream;
    use dataforge_core::spec::LlamaShape;
    use dataforge_core::units::Micro;

    const POSITIONS: usize = 6;
    const VOCABULARY: u64 = 7;

    fn tuning(method: Method) -> Tuning {
        let n = |n: u32| n.try_into().unwrap();
        let shape = LlamaShape {
            vocabulary: n(VOCABULARY as u32),
            width: n(8),
            layers: n(2),
            heads: n(4),
            kv_heads: n(2),
            hidden: n(5),
            context: n(8),
            rope_base: n(10_000),
            norm_epsilon_nano: n(1000),
            tied_head: true,
        };
        Tuning { shape, method, operand_bits: 20 }
    }

    fn lora() -> Tuning {
        let (layers, rank) = (1.try_into().unwrap(), 2.try_into().unwrap());
        tuning(Method::Lora { layers, rank, scale_micro: Micro(1_500_000) })
    }

    fn weights(tuning: &Tuning) -> BTreeMap<String, Tensor> {
        let mut random = SeedStream::new(&EpochSeed([4; 32]), "decoding test");
        let mut draw = |shape: &[usize]| {
            let mut one = |_| random.below(2000) as f64 * 1e-3 - 1.0;
            let data = (0..shape.iter().product()).map(&mut one).map(|x| f64::from(x as f32));
            Tensor { shape: shape.to_vec(), data: data.collect() }
        };
        let all = decoding_parameters(tuning).into_iter();
        all.map(|parameter| (parameter.name, draw(&parameter.shape))).collect()
    }

    fn random_rows(count: usize) -> Vec<Vec<i64>> {
        let mut random = SeedStream::new(&EpochSeed([5; 32]), "rows");
        let mut row = || (0..POSITIONS).map(|_| random.below(VOCABULARY) as i64).collect();
        (0..count).map(|_| row()).collect()
    }

    /// Logits of every position of each row, step by step over the cache.
    fn cached(tuning: &Tuning, rows: &[Vec<i64>]) -> Vec<Vec<Vec<f64>>> {
        let [count, positions] = [rows.len(), POSITIONS].map(|n| (n as u32).try_into().unwrap());
        let graph = decoding(tuning, count, positions);
        let mut inputs = weights(tuning);
        for cache in caches(tuning, count, positions) {
            let data = vec![0.0; cache.shape.iter().product()];
            inputs.insert(cache.name, Tensor { shape: cache.shape, data });
        }
        let mut logits = vec![vec![]; rows.len()];
        for position in 0..POSITIONS {
            let tokens: Vec<i64> = rows.iter().map(|row| row[position]).collect();
            inputs.insert("token".into(), Tensor::from_indices(&[rows.len()], &tokens));
            inputs.insert("position".into(), Tensor::from_indices(&[1], &[position as i64]));
            let mut out = run(&graph, &inputs, Arithmetic::Exact);
            let now = out.remove("logits").unwrap().data;
            for (row, now) in logits.iter_mut().zip(now.chunks(VOCABULARY as usize)) {
                row.push(now.to_vec());
            }
            for (name, tensor) in out {
                inputs.insert(name.strip_prefix("next.").unwrap().to_owned(), tensor);
            }
        }
        logits
    }

    /// Attention without a cache: all positions at once, each with keys and values of its own in
    /// which later positions are 0.
    fn whole_attention(model: &mut Model<'_>, x: Value, layer: u32) -> Value {
        let Sizes { rows, positions, width, kv_heads, group, head } = model.sizes;
        let [q, k, v] = ["query", "key", "value"].map(|name| model.project(x, layer, name));
        let (g, rotary) = (&mut *model.g, &model.rotary);
        let split = |g: &mut Graph, t: Value, group: usize| {
            let t = g.reshape(t, &[rows, positions, kv_heads, group, head]);
            g.transpose(t, &[0, 2, 3, 1, 4])
        };
        let q = split(g, q, group);
        let q = rotary.turn(g, q);
        let scale = g.scalar((1.0 / (head as f64).sqrt()) as f32);
        let q = g.mul(q, scale);
        let q = g.transpose(q, &[0, 1, 3, 2, 4]);
        let [k, v] = [k, v].map(|t| split(g, t, 1));
        let k = rotary.turn(g, k);
        let full = [rows, kv_heads, positions, positions, head];
        let k = g.expand(k, &full);
        let past = |i: usize| f32::from(u8::from(i % positions <= i / positions));
        let past: Vec<f32> = (0..positions * positions).map(past).collect();
        let past = g.constant(&[positions, positions, 1], &past);
        let v = g.mul(v, past);
        let scores = g.matmul(q, k, false, true, Scales::Slice);
        let mask = causal_mask(g, positions);
        let mask = g.reshape(mask, &[positions, 1, positions]);
        let scores = g.add(scores, mask);
        let shares = g.softmax(scores);
        let mixed = g.matmul(shares, v, false, false, Scales::Slice);
        let mixed = g.transpose(mixed, &[0, 2, 1, 3, 4]);
        let mixed = g.reshape(mixed, &[rows * positions, width]);
        model.project(mixed, layer, "attention_output")
    }

    /// Logits of every position of each row, all at once.
    fn whole(tuning: &Tuning, rows: &[Vec<i64>]) -> Vec<Vec<Vec<f64>>> {
        let [count, positions] = [rows.len(), POSITIONS].map(|n| (n as u32).try_into().unwrap());
        let mut graph = Graph::new(tuning.operand_bits);
        let ids = graph.input("ids", &[rows.len(), POSITIONS], Element::I64);
        let mut values = BTreeMap::new();
        for tensor in decoding_parameters(tuning) {
            let value = graph.input(&tensor.name, &tensor.shape, Element::F32);
            values.insert(tensor.name, value);
        }
        let output_tokens = NonZeroU32::MIN;
        let batch = BatchShape { rows: count, positions, output_tokens };
        let plain = Tuning { method: Method::Full, ..*tuning };
        let mut model = Model::new(&mut graph, &plain, &values, batch, Scales::Slice);
        let mut x = model.embed(ids);
        for layer in 0..tuning.shape.layers.get() {
            if layer == tuning.trunk().unwrap_or(0) {
                model.tuning = tuning;
            }
            let normed = model.norm(x, &part(layer, "attention_norm"));
            let attended = whole_attention(&mut model, normed, layer);
            let y = model.g.add(x, attended);
            let normed = model.norm(y, &part(layer, "feed_forward_norm"));
            let fed = model.feed_forward(normed, layer);
            x = model.g.add(y, fed);
        }
        let logits = model.logits(x);
        graph.output("logits", logits);
        let mut inputs = weights(tuning);
        inputs.insert("ids".into(), Tensor::from_indices(&[rows.len(), POSITIONS], &rows.concat()));
        let out = run(&composite::expand(&graph), &inputs, Arithmetic::Exact);
        let logits: Vec<Vec<f64>> =
            out["logits"].data.chunks(VOCABULARY as usize).map(<[f64]>::to_vec).collect();
        logits.chunks(POSITIONS).map(<[Vec<f64>]>::to_vec).collect()
    }

    #[test]
    fn the_cache_changes_no_bit() {
        for tuning in [tuning(Method::Full), lora()] {
            let rows = random_rows(3);
            assert_eq!(cached(&tuning, &rows), whole(&tuning, &rows));
        }
    }

    #[test]
    fn a_row_alone_gives_the_same_bits_as_in_a_batch() {
        let rows = random_rows(4);
        let together = cached(&lora(), &rows);
        for (row, expect) in rows.iter().zip(together) {
            assert_eq!(cached(&lora(), std::slice::from_ref(row)), [expect]);
        }
    }

    #[test]
    fn what_follows_changes_no_earlier_bit() {
        let rows = random_rows(1);
        let mut other = rows.clone();
        other[0][4] = (other[0][4] + 1) % VOCABULARY as i64;
        let [a, b] = [&rows, &other].map(|rows| cached(&lora(), rows).remove(0));
        assert_eq!(a[..4], b[..4]);
        assert_ne!(a[4], b[4]);
    }
}
