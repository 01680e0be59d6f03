//! Artifacts that are computed: deterministic conversions of pinned bytes into pinned bytes.
//!
//! A conversion is pure and versioned. Its result is pinned by digest like a download, so a change
//! here that alters a single byte is a refusal at run time and a failing test before that.

mod gguf;
mod gguf_safetensors;
mod gguf_tokenizer;
mod glassllm_tokenizer;
mod minilm_safetensors;
mod minilm_tokenizer;
mod tensors;
mod tokenizer_json;

use serde::Deserialize;

/// A named, versioned conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Derivation {
    /// glassllm's own tokenizer file to a Hugging Face `tokenizer.json` with the same token ids.
    #[serde(rename = "glassllm-tokenizer-v1")]
    GlassllmTokenizerV1,
    /// A llama-family GGUF model to f32 safetensors with this project's parameter names and
    /// `[in, out]` matrices.
    #[serde(rename = "gguf-safetensors-v1")]
    GgufSafetensorsV1,
    /// The vocabulary inside a GGUF model to a Hugging Face `tokenizer.json` with the same token
    /// ids.
    #[serde(rename = "gguf-tokenizer-v1")]
    GgufTokenizerV1,
    /// all-MiniLM-L6-v2's encoder to safetensors with this project's parameter names and
    /// `[in, out]` matrices.
    #[serde(rename = "minilm-safetensors-v1")]
    MinilmSafetensorsV1,
    /// all-MiniLM-L6-v2's `tokenizer.json` without its padding and truncation.
    #[serde(rename = "minilm-tokenizer-v1")]
    MinilmTokenizerV1,
}

impl Derivation {
    /// Converts `source`. Source and result are held in memory at once.
    ///
    /// # Errors
    /// Why `source` is not in the format this conversion reads.
    pub fn apply(self, source: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::GlassllmTokenizerV1 => glassllm_tokenizer::derive(source),
            Self::GgufSafetensorsV1 => gguf_safetensors::derive(source),
            Self::GgufTokenizerV1 => gguf_tokenizer::derive(source),
            Self::MinilmSafetensorsV1 => minilm_safetensors::derive(source),
            Self::MinilmTokenizerV1 => minilm_tokenizer::derive(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::artifacts::Source;
    use crate::testing::{real, real_artifacts};
    use dataforge_core::hash::file_digest;

    #[test]
    fn every_pinned_result_is_what_its_conversion_gives() {
        let artifacts = real_artifacts();
        for artifact in artifacts.lock().all() {
            if let Source::Derived { from, by } = &artifact.source {
                let result = by.apply(&real(from)).unwrap();
                assert_eq!(file_digest(&result), artifact.digest, "{}", artifact.name);
            }
        }
    }
}
