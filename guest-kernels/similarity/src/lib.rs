//! The similarity kernel: what is needed to find texts that are nearly the same.
//!
//! It sketches each text by itself and compares none: comparing needs the whole dataset and others'
//! datasets, and is the host's. `README.md` beside this crate says what each part of a sketch is.
//!
//! Invariant: the sketch of a text depends on that text alone.

mod minhash;

pub use bindings::exports::dataforge::kernel::sketches::{Guest, Sketch};
use dataforge_guest_text::{folded, ngram_hashes};
use sha2::{Digest, Sha256};

dataforge_kernel_sdk::kernel!("similarity" in "../../wit/1.1.0");

/// Characters of a shingle.
const SHINGLE: usize = 5;

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn make(texts: Vec<String>) -> Result<Vec<Sketch>, String> {
        Ok(texts.iter().map(|text| sketch(text)).collect())
    }
}

fn sketch(text: &str) -> Sketch {
    let folded = folded(text);
    let characters: Vec<u64> = folded.chars().map(u64::from).collect();
    // A text that is shorter than a shingle is one shingle.
    let length = SHINGLE.min(characters.len()).max(1);
    let minima = minhash::minima(ngram_hashes(&characters, length));
    Sketch {
        digest: Sha256::digest(&folded).to_vec(),
        signature: minhash::signature(&minima),
        bands: minhash::bands(&minima),
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
