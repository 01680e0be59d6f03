//! The pinned reference model: its files, its template and its shape.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The pinned reference model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Artifact with the weights.
    pub weights: String,
    /// Artifact with the Hugging Face `tokenizer.json`.
    pub tokenizer: String,
    /// Put before a row's input.
    pub before_input: Vec<Piece>,
    /// Follows a row's input before the output begins.
    pub after_input: Vec<Piece>,
    /// Put before an output; belongs to what is learned.
    pub before_output: Vec<Piece>,
    /// Put after an output; belongs to what is learned.
    pub after_output: Vec<Piece>,
    /// Architecture.
    pub llama: LlamaShape,
}

/// A piece of the template around a row's fields. In TOML a string or an integer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PieceValue", rename_all = "kebab-case")]
pub enum Piece {
    /// Text, tokenised together with the text beside it. Never yields a control token, whatever it
    /// spells; nor does a row's text.
    Text(String),
    /// A token by its id: the only way to a control token.
    Token(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PieceValue {
    Text(String),
    Token(u32),
}

impl Piece {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Token(_) => None,
        }
    }
}

impl From<PieceValue> for Piece {
    fn from(value: PieceValue) -> Self {
        match value {
            PieceValue::Text(text) => Self::Text(text),
            PieceValue::Token(id) => Self::Token(id),
        }
    }
}

/// Shape of a llama-family decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaShape {
    /// Token ids.
    pub vocabulary: NonZeroU32,
    /// Width of the residual stream.
    pub width: NonZeroU32,
    /// Transformer blocks.
    pub layers: NonZeroU32,
    /// Query heads; divides the width.
    pub heads: NonZeroU32,
    /// Key and value heads; divides the query heads.
    pub kv_heads: NonZeroU32,
    /// Width of the feed-forward layer.
    pub hidden: NonZeroU32,
    /// Longest sequence the model was made for.
    pub context: NonZeroU32,
    /// Base of the rotary angles.
    pub rope_base: NonZeroU32,
    /// ε of RMSNorm in 10⁻⁹.
    pub norm_epsilon_nano: NonZeroU32,
    /// Whether the output projection is the transposed embedding.
    pub tied_head: bool,
}

/// Shape of a BERT-family encoder: learned positions, LayerNorm after each sublayer, GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertShape {
    /// Token ids.
    pub vocabulary: NonZeroU32,
    /// Width of the residual stream.
    pub width: NonZeroU32,
    /// Transformer blocks.
    pub layers: NonZeroU32,
    /// Attention heads; divides the width.
    pub heads: NonZeroU32,
    /// Width of the feed-forward layer.
    pub hidden: NonZeroU32,
    /// Longest sequence: the number of learned positions.
    pub context: NonZeroU32,
    /// Token types: which of a pair's texts a token belongs to.
    pub types: NonZeroU32,
    /// ε of LayerNorm in 10⁻¹².
    pub norm_epsilon_pico: NonZeroU32,
}

impl BertShape {
    /// all-MiniLM-L6-v2, of 22.7 million parameters.
    pub const MINILM_L6: Self = {
        const fn size(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(size) => size,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            vocabulary: size(30_522),
            width: size(384),
            layers: size(6),
            heads: size(12),
            hidden: size(1_536),
            context: size(512),
            types: size(2),
            norm_epsilon_pico: size(1),
        }
    };
}
