//! A decoder that starts from random weights and learns to continue real text: the diagnoses of the
//! ICD-10-CM as a stream of words.
//!
//! A token is one of the most frequent words, or token 0 for all others. The stream is cut into
//! rows; a seeded choice of them is hidden, the others are trained on once.

use crate::prepare::{Prepared, Unavailable};
use crate::workload::Workload;
use anyhow::{Context as _, ensure};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::random::SeedStream;
use dataforge_core::spec::{LlamaShape, Method, Recipe};
use dataforge_core::units::Micro;
use dataforge_engine::Weights;
use dataforge_graph::llama;
use dataforge_node::artifacts::{Artifacts, Silent};
use dataforge_node::benchmarks::SPLIT_SEED;
use dataforge_node::fs::read_bounded;
use dataforge_node::public_sets::{SET_BYTES_MAX, icd_chapter_rows};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

const SET: &str = "icd10cm-tabular";
const HIDDEN_ROWS: usize = 128;

/// Sizes of a decoder and of its batches.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sizes {
    /// Width of the decoder; heads have 32, the feed-forward layer 8/3 of it.
    #[arg(long, default_value = "128")]
    width: NonZeroU32,
    /// Blocks of the decoder.
    #[arg(long, default_value = "4")]
    layers: NonZeroU32,
    /// Positions of a row of the decoder's text.
    #[arg(long, default_value = "64")]
    positions: NonZeroU32,
    /// Rows of a batch of the decoder.
    #[arg(long, default_value = "16")]
    batch_rows: NonZeroU32,
}

const HEAD_WIDTH: u32 = 32;

impl Sizes {
    fn shape(self) -> anyhow::Result<LlamaShape> {
        let width = self.width.get();
        ensure!(width.is_multiple_of(HEAD_WIDTH), "the width must be a multiple of {HEAD_WIDTH}");
        let count = |n: u32| NonZeroU32::new(n).context("a count of 0: this is our bug");
        Ok(LlamaShape {
            vocabulary: count(2048)?,
            width: self.width,
            layers: self.layers,
            heads: count(width / HEAD_WIDTH)?,
            kv_heads: count(width / HEAD_WIDTH)?,
            // As in the reference model: 341 for a width of 128, 1.31 million parameters in all.
            hidden: count(width * 8 / 3)?,
            context: self.positions,
            rope_base: count(10_000)?,
            norm_epsilon_nano: count(1_000)?,
            tied_head: false,
        })
    }

    /// One pass: AdamW, 10 % linear warm-up, then linear down to 10 %.
    fn recipe(self) -> anyhow::Result<Recipe> {
        let count = |n: u32| NonZeroU32::new(n).context("a count of 0: this is our bug");
        Ok(Recipe {
            method: Method::Full,
            epochs: NonZeroU32::MIN,
            batch_rows: self.batch_rows,
            positions: self.positions,
            output_tokens: self.positions,
            learning_rate_micro: Micro(2_000),
            warmup_micro: Micro(100_000),
            final_rate_micro: Micro(100_000),
            beta1_micro: Micro(900_000),
            beta2_micro: Micro(950_000),
            epsilon_nano: count(10)?,
            weight_decay_micro: Micro(10_000),
            clip_norm_micro: Micro(1_000_000),
            state_root_every: count(5)?,
        })
    }
}

/// The decoder of these sizes over at most `rows_max` rows of text.
pub(crate) fn decoder(
    artifacts: &Artifacts,
    sizes: Sizes,
    seed: &EpochSeed,
    rows_max: usize,
) -> anyhow::Result<Prepared> {
    let (model, training) = (sizes.shape()?, sizes.recipe()?);
    artifacts.fetch(&["onnxruntime", SET], &Silent)?;
    let diagnoses = icd_chapter_rows(&read_bounded(&artifacts.path(SET)?, SET_BYTES_MAX)?)?;
    let texts = diagnoses.iter().map(|row| row.input.as_str());
    let stream = tokens(texts, model.vocabulary.get());
    let mut rows = cut(&stream, sizes.positions.get() as usize);
    SeedStream::new(&SPLIT_SEED, "bench/decoder/hidden").shuffle(&mut rows);
    if rows.len() <= HIDDEN_ROWS {
        return Err(Unavailable("the text has too few rows of this many positions".into()).into());
    }
    let candidates = rows.split_off(rows.len() - HIDDEN_ROWS);
    rows.truncate(rows_max);
    let workload = Workload {
        name: "decoder".into(),
        seed: *seed,
        model,
        training,
        operand_bits: 20,
        plan: TokenPlan::new(rows, training.batch_shape(), training.epochs, seed),
        candidates,
        answers: vec![],
        tensors: vec![],
    };
    Ok(Prepared {
        workload,
        weights: Weights::new(llama::parameters(&model), random(&model, seed))?,
    })
}

/// The words of all texts as tokens: the most frequent one is 1, ties in alphabetical order; 0 is
/// every word beyond the vocabulary.
fn tokens<'t>(texts: impl Iterator<Item = &'t str>, vocabulary: u32) -> Vec<u32> {
    let words: Vec<String> = texts
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in &words {
        *counts.entry(word).or_default() += 1;
    }
    let mut frequent: Vec<(&str, usize)> = counts.into_iter().collect();
    // Stable: words of one frequency stay in alphabetical order.
    frequent.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let ids: BTreeMap<&str, u32> =
        frequent.into_iter().map(|(word, _)| word).zip(1..vocabulary).collect();
    words.iter().map(|word| ids.get(word.as_str()).copied().unwrap_or(0)).collect()
}

/// Rows of one token more than positions; every token but a row's first is learned.
fn cut(stream: &[u32], positions: usize) -> Vec<TokenRow> {
    let rows = stream.chunks_exact(positions + 1);
    rows.map(|ids| TokenRow { ids: ids.to_vec(), prompt_tokens: 1 }).collect()
}

/// Norms are 1; matrices are uniform with a standard deviation of 0.02, by the seed's stream
/// `bench/init/` and the parameter's name.
fn random(model: &LlamaShape, seed: &EpochSeed) -> BTreeMap<String, Vec<f32>> {
    const STEPS: u64 = 1 << 24;
    let bound = 0.02 * 3f64.sqrt();
    let tensors = llama::parameters(model).into_iter().map(|parameter| {
        let mut random = SeedStream::new(seed, &format!("bench/init/{}", parameter.name));
        let mut draw = || {
            let unit = (2 * random.below(STEPS) + 1) as f64 / STEPS as f64 - 1.0;
            (unit * bound) as f32
        };
        let size = parameter.shape.iter().product();
        let norm = parameter.shape.len() == 1;
        let data = (0..size).map(|_| if norm { 1.0 } else { draw() }).collect();
        (parameter.name, data)
    });
    tensors.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_are_tokens_and_the_others_are_0() {
        let texts = ["Burn of left eye, burn", "fever of eye"];
        assert_eq!(tokens(texts.into_iter(), 4), [1, 3, 0, 2, 1, 0, 3, 2]);
    }

    #[test]
    fn a_row_has_one_token_more_than_positions() {
        let rows = cut(&[1, 2, 3, 4, 5, 6, 7], 2);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].ids.as_slice(), rows[1].prompt_tokens), (&[4, 5, 6][..], 1));
    }

    #[test]
    fn the_default_decoder_has_1_3_million_parameters() {
        let n = |n: u32| n.try_into().unwrap();
        let sizes = Sizes { width: n(128), layers: n(4), positions: n(64), batch_rows: n(16) };
        let shape = sizes.shape().unwrap();
        let sizes =
            llama::parameters(&shape).into_iter().map(|p| p.shape.iter().product::<usize>());
        assert_eq!(sizes.sum::<usize>(), 1_311_360);
    }
}
