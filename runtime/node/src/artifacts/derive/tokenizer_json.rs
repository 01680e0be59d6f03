//! The Hugging Face `tokenizer.json` of a byte-pair encoding, with the field order that digests
//! pin. Only what the conversions here write; nothing is read.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

#[derive(Serialize)]
pub(super) struct TokenizerJson {
    pub(super) version: &'static str,
    pub(super) truncation: Option<()>,
    pub(super) padding: Option<()>,
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Option<Normalizer>,
    pub(super) pre_tokenizer: PreTokenizer,
    pub(super) post_processor: Option<()>,
    pub(super) decoder: Option<PreTokenizer>,
    pub(super) model: Model,
}

impl TokenizerJson {
    /// Text to pieces, pieces to tokens; nothing added, cut or decoded.
    pub(super) fn new(
        normalizer: Option<Normalizer>,
        pre_tokenizer: PreTokenizer,
        model: Model,
    ) -> Self {
        Self {
            version: "1.0",
            truncation: None,
            padding: None,
            added_tokens: Vec::new(),
            normalizer,
            pre_tokenizer,
            post_processor: None,
            decoder: None,
            model,
        }
    }

    pub(super) fn to_vec(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }
}

/// A token that is matched in the text before anything is split.
#[derive(Serialize)]
pub(super) struct AddedToken {
    pub(super) id: usize,
    pub(super) content: String,
    pub(super) single_word: bool,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) normalized: bool,
    pub(super) special: bool,
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Normalizer {
    Sequence { normalizers: [NormalizerStep; 2] },
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum NormalizerStep {
    #[serde(rename = "NFC")]
    Nfc,
    Replace {
        pattern: Pattern,
        content: &'static str,
    },
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum PreTokenizer {
    Sequence { pretokenizers: Vec<PreTokenizer> },
    Split { pattern: Pattern, behavior: &'static str, invert: bool },
    Digits { individual_digits: bool },
    ByteLevel { add_prefix_space: bool, trim_offsets: bool, use_regex: bool },
}

#[derive(Serialize)]
pub(super) enum Pattern {
    String(&'static str),
    Regex(&'static str),
}

#[derive(Serialize)]
pub(super) struct Model {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Option<()>,
    unk_token: Option<&'static str>,
    continuing_subword_prefix: Option<()>,
    end_of_word_suffix: Option<()>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: Vocab,
    merges: Vec<(String, String)>,
}

impl Model {
    /// Byte-pair encoding; tokens in id order, merges by falling priority.
    pub(super) fn bpe(
        unk_token: Option<&'static str>,
        vocab: Vec<String>,
        merges: Vec<(String, String)>,
    ) -> Self {
        Self {
            kind: "BPE",
            dropout: None,
            unk_token,
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            vocab: Vocab(vocab),
            merges,
        }
    }
}

/// Tokens in id order, written as a JSON object from token to id.
struct Vocab(Vec<String>);

impl Serialize for Vocab {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, token) in self.0.iter().enumerate() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}
