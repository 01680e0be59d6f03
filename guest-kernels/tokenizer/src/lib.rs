//! The tokenizer kernel: text to token ids with a Hugging Face `tokenizer.json`.
//!
//! It does not decide what is encoded or in which order, adds no special tokens, and keeps no
//! vocabulary of its own. Invariant: the ids of a text depend on the tokenizer and that text alone.

pub use bindings::exports::dataforge::kernel::tokens::Guest;
use dataforge_kernel_sdk::bounded;
use tokenizers::Tokenizer;

dataforge_kernel_sdk::kernel!("tokenizer" in "../../wit/1.0.0");

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn encode(tokenizer_json: Vec<u8>, texts: Vec<String>) -> Result<Vec<Vec<u32>>, String> {
        let tokenizer = load(&tokenizer_json)
            .map_err(|error| bounded(format!("the tokenizer cannot be loaded: {error}")))?;
        texts.iter().map(|text| encode(&tokenizer, text)).collect()
    }
}

fn load(json: &[u8]) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(json)?;
    // A tokenizer.json may ask for both, which would change ids by what else is in the batch or
    // drop the end of a text.
    tokenizer.with_padding(None).with_truncation(None)?;
    // A text that spells a control token must not become one.
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, String> {
    let encoding = tokenizer
        .encode_fast(text, false)
        .map_err(|error| bounded(format!("a text cannot be encoded: {error}")))?;
    Ok(encoding.get_ids().to_vec())
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);
