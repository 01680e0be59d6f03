//! The diversity kernel: how varied a set of texts is.
//!
//! `README.md` defines each measure. The kernel weighs none against another and knows no threshold.
//! Invariants: every measure is finite, and a function of the texts in their order.

mod compression;
mod cosine;
mod dispersion;
mod distinct;
mod vocabulary;

pub use bindings::exports::dataforge::kernel::variety::{Guest, Measures};

use vocabulary::Vocabulary;

dataforge_kernel_sdk::kernel!("diversity" in "../../wit/1.1.0");

/// The kernel; its functions are those of [`Guest`].
pub struct Kernel;

impl Guest for Kernel {
    fn measure(texts: Vec<String>) -> Result<Measures, String> {
        let mut vocabulary = Vocabulary::default();
        let numbered: Vec<Vec<u32>> = texts.iter().map(|text| vocabulary.numbers(text)).collect();
        Ok(Measures {
            words: numbered.iter().map(|words| words.len() as u64).sum(),
            distinct1: distinct::share::<1>(&numbered),
            distinct2: distinct::share::<2>(&numbered),
            distinct3: distinct::share::<3>(&numbered),
            compression_ratio: compression::ratio(&texts),
            self_similarity: cosine::of_counts(&numbered, vocabulary.len()),
        })
    }

    fn dispersion(vectors: Vec<Vec<f32>>) -> Result<f64, String> {
        dispersion::measure(&vectors)
    }
}

// Linkers for other targets refuse the names of the exports.
#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
