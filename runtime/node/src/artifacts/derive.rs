//! Artifacts that are computed: deterministic conversions of pinned bytes into pinned bytes.
//!
//! A conversion is pure and versioned. Its result is pinned by digest like a download, so a change
//! here that alters a single byte is a refusal at run time and a failing test before that.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// A named, versioned conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Derivation {
    /// glassllm's own tokenizer file to a Hugging Face `tokenizer.json` with the same token ids.
    #[serde(rename = "glassllm-tokenizer-v1")]
    GlassllmTokenizerV1,
}

impl Derivation {
    /// Converts `source`.
    ///
    /// # Errors
    /// Why `source` is not in the format this conversion reads.
    pub(super) fn apply(self, source: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::GlassllmTokenizerV1 => glassllm_tokenizer(source),
        }
    }
}

/// glassllm puts these before its alphabet, in this order; their ids are 0 to 3.
const SPECIALS: [&str; 4] = ["<pad>", "<unk>", "<bos>", "<eos>"];

/// glassllm's chunk pattern: a newline, a word with the space marks before it, or trailing marks.
const CHUNK: &str = r"\n|▁*[^▁\n]+|▁+";

/// glassllm's file: ids are specials, then alphabet, then one per merge, in order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GlassllmTokenizer {
    version: u32,
    alphabet: Vec<String>,
    merges: Vec<(String, String)>,
}

fn glassllm_tokenizer(source: &[u8]) -> Result<Vec<u8>, String> {
    let source: GlassllmTokenizer =
        serde_json::from_slice(source).map_err(|error| error.to_string())?;
    if source.version != 1 {
        return Err(format!("its version is {}, known is 1", source.version));
    }
    let vocab = SPECIALS
        .iter()
        .map(|token| (*token).to_owned())
        .chain(source.alphabet)
        .chain(source.merges.iter().map(|(left, right)| format!("{left}{right}")))
        .collect();
    serde_json::to_vec(&tokenizer_json(vocab, source.merges)).map_err(|error| error.to_string())
}

/// The document, with the field order that its digest pins.
fn tokenizer_json(vocab: Vec<String>, merges: Vec<(String, String)>) -> TokenizerJson {
    TokenizerJson {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens: [],
        normalizer: Normalizer::Sequence {
            normalizers: [
                NormalizerStep::Nfc,
                NormalizerStep::Replace { pattern: Pattern::String(" "), content: "▁" },
            ],
        },
        pre_tokenizer: PreTokenizer {
            kind: "Split",
            pattern: Pattern::Regex(CHUNK),
            behavior: "Isolated",
            invert: false,
        },
        post_processor: None,
        decoder: None,
        model: Model {
            kind: "BPE",
            dropout: None,
            unk_token: "<unk>",
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            vocab: Vocab(vocab),
            merges,
        },
    }
}

#[derive(Serialize)]
struct TokenizerJson {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: [(); 0],
    normalizer: Normalizer,
    pre_tokenizer: PreTokenizer,
    post_processor: Option<()>,
    decoder: Option<()>,
    model: Model,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Normalizer {
    Sequence { normalizers: [NormalizerStep; 2] },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum NormalizerStep {
    #[serde(rename = "NFC")]
    Nfc,
    Replace {
        pattern: Pattern,
        content: &'static str,
    },
}

#[derive(Serialize)]
struct PreTokenizer {
    #[serde(rename = "type")]
    kind: &'static str,
    pattern: Pattern,
    behavior: &'static str,
    invert: bool,
}

#[derive(Serialize)]
enum Pattern {
    String(&'static str),
    Regex(&'static str),
}

#[derive(Serialize)]
struct Model {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Option<()>,
    unk_token: &'static str,
    continuing_subword_prefix: Option<()>,
    end_of_word_suffix: Option<()>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: Vocab,
    merges: Vec<(String, String)>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_specials_alphabet_merges() {
        let source = br#"{"version": 1, "alphabet": ["a", "\n"], "merges": [["a", "a"]]}"#;
        let json =
            String::from_utf8(Derivation::GlassllmTokenizerV1.apply(source).unwrap()).unwrap();
        let vocab = r#""vocab":{"<pad>":0,"<unk>":1,"<bos>":2,"<eos>":3,"a":4,"\n":5,"aa":6}"#;
        assert!(json.contains(vocab), "{json}");
        assert!(json.contains(r#""merges":[["a","a"]]"#), "{json}");
        assert!(json.contains(r#"{"type":"NFC"},{"type":"Replace","pattern":{"String":" "}"#));
    }

    #[test]
    fn another_format_is_refused() {
        for source in [&b"{"[..], b"[]", br#"{"version": 2, "alphabet": [], "merges": []}"#] {
            assert!(Derivation::GlassllmTokenizerV1.apply(source).is_err());
        }
    }
}
