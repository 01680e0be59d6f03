//! Token ids back to text, for reports.
//!
//! The tokenizer kernel of WIT 1.0.0 cannot decode, and nothing that is hashed needs it to; so the
//! host reads the vocabulary of the pinned `tokenizer.json` itself. It knows the two decoders that
//! byte-pair models use and refuses others.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A decoder's vocabulary.
#[derive(Debug)]
pub(crate) struct Detokenizer {
    /// The bytes of each id.
    pieces: BTreeMap<u32, Vec<u8>>,
}

/// What of `tokenizer.json` matters here.
#[derive(Deserialize)]
struct Json {
    model: Model,
    decoder: Option<Step>,
    normalizer: Option<Step>,
}

#[derive(Deserialize)]
struct Model {
    vocab: BTreeMap<String, u32>,
}

/// A decoder or a normalizer.
#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Vec<Step>,
    pattern: Option<Pattern>,
    content: Option<String>,
}

#[derive(Deserialize)]
struct Pattern {
    #[serde(rename = "String")]
    text: Option<String>,
}

impl Detokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn new(tokenizer_json: &[u8]) -> Result<Self, String> {
        let json: Json = serde_json::from_slice(tokenizer_json).map_err(|e| e.to_string())?;
        let spelling = match &json.decoder {
            Some(decoder) if decoder.kind == "ByteLevel" => Spelling::ByteLevel,
            None => json.normalizer.as_ref().and_then(replaced).unwrap_or(Spelling::Plain),
            Some(decoder) => return Err(format!("no way to decode {:?} is known", decoder.kind)),
        };
        let pieces = json.model.vocab.iter().map(|(piece, id)| (*id, spelling.bytes(piece)));
        Ok(Self { pieces: pieces.collect() })
    }

    /// The text of ids. Ids that are not in the vocabulary are left out, bytes that are not UTF-8
    /// become U+FFFD.
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> =
            ids.iter().filter_map(|id| self.pieces.get(id)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// How a vocabulary writes its pieces.
enum Spelling {
    /// As they are.
    Plain,
    /// With one text in place of another.
    Replaced { text: String, by: String },
    /// In GPT-2's alphabet.
    ByteLevel,
}

impl Spelling {
    fn bytes(&self, piece: &str) -> Vec<u8> {
        match self {
            Self::Plain => piece.as_bytes().to_vec(),
            Self::Replaced { text, by } => piece.replace(by, text).into_bytes(),
            Self::ByteLevel => byte_level(piece),
        }
    }
}

/// What a normalizer, or a step of it, puts in place of a text.
fn replaced(normalizer: &Step) -> Option<Spelling> {
    let here = || {
        let text = normalizer.pattern.as_ref()?.text.clone()?;
        let by = normalizer.content.clone().filter(|content| !content.is_empty())?;
        Some(Spelling::Replaced { text, by })
    };
    here().or_else(|| normalizer.normalizers.iter().find_map(replaced))
}

/// GPT-2's alphabet: bytes that print as themselves in Latin-1 stand for themselves, the others for
/// the characters from U+0100 on, in order. A character outside the alphabet stays as it is.
fn byte_level(piece: &str) -> Vec<u8> {
    let prints = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let hidden: Vec<u8> = (0..=u8::MAX).filter(|byte| !prints(byte)).collect();
    let mut bytes = Vec::new();
    for c in piece.chars() {
        let shifted = (c as usize).checked_sub(0x100).and_then(|at| hidden.get(at));
        match (u8::try_from(c), shifted) {
            (Ok(byte), _) if prints(&byte) => bytes.push(byte),
            (_, Some(byte)) => bytes.push(*byte),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vocab: &str, rest: &str) -> Result<Detokenizer, String> {
        let json = format!("{{\"model\":{{\"type\":\"BPE\",\"vocab\":{vocab}}},{rest}}}");
        Detokenizer::new(json.as_bytes())
    }

    #[test]
    fn decodes_byte_level_pieces() {
        let vocab = r#"{"Ġthe":0,"Ċ":1,"Ã©":2,"Ã":3}"#;
        let tokens = with(vocab, r#""decoder":{"type":"ByteLevel"},"normalizer":null"#).unwrap();
        assert_eq!(tokens.text(&[0, 1, 2, 99]), " the\né");
        assert_eq!(tokens.text(&[3]), "\u{fffd}");
    }

    #[test]
    fn undoes_a_replaced_space() {
        let normalizer = r#""decoder":null,"normalizer":{"type":"Sequence","normalizers":[
            {"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}"#;
        let tokens = with(r#"{"▁a":0,"b":1}"#, normalizer).unwrap();
        assert_eq!(tokens.text(&[0, 1, 0]), " ab a");
    }

    #[test]
    fn refuses_what_it_cannot_decode() {
        let error = with("{}", r#""decoder":{"type":"WordPiece"}"#).unwrap_err();
        assert!(error.contains("WordPiece"), "{error}");
        assert!(Detokenizer::new(b"{}").is_err());
        assert!(Detokenizer::new(b"\xff").is_err());
    }
}
