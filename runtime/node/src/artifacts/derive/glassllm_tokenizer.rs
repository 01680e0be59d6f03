//! glassllm's own tokenizer file to a `tokenizer.json` with the same token ids.

use serde::Deserialize;

use super::tokenizer_json::{
    Model, Normalizer, NormalizerStep, Pattern, PreTokenizer, TokenizerJson,
};

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

pub(super) fn derive(source: &[u8]) -> Result<Vec<u8>, String> {
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
    let normalizer = Normalizer::Sequence {
        normalizers: [
            NormalizerStep::Nfc,
            NormalizerStep::Replace { pattern: Pattern::String(" "), content: "▁" },
        ],
    };
    let chunks =
        PreTokenizer::Split { pattern: Pattern::Regex(CHUNK), behavior: "Isolated", invert: false };
    let model = Model::bpe(Some("<unk>"), vocab, source.merges);
    TokenizerJson::new(Some(normalizer), chunks, model).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_specials_alphabet_merges() {
        let source = br#"{"version": 1, "alphabet": ["a", "\n"], "merges": [["a", "a"]]}"#;
        let json = String::from_utf8(derive(source).unwrap()).unwrap();
        let vocab = r#""vocab":{"<pad>":0,"<unk>":1,"<bos>":2,"<eos>":3,"a":4,"\n":5,"aa":6}"#;
        assert!(json.contains(vocab), "{json}");
        assert!(json.contains(r#""merges":[["a","a"]]"#), "{json}");
        assert!(json.contains(r#"{"type":"NFC"},{"type":"Replace","pattern":{"String":" "}"#));
    }

    #[test]
    fn another_format_is_refused() {
        for source in [&b"{"[..], b"[]", br#"{"version": 2, "alphabet": [], "merges": []}"#] {
            assert!(derive(source).is_err());
        }
    }
}
