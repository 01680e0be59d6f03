//! The byte-level vocabulary inside a GGUF model to a `tokenizer.json` with the same token ids.
//!
//! Knows the pre-tokeniser that GGUF calls `smollm`: each digit is a piece, the rest is split by
//! GPT-2's pattern, no space is put before the text.

use super::gguf::Gguf;
use super::tokenizer_json::{AddedToken, Model, PreTokenizer, TokenizerJson};

/// An ordinary token, and one that only markup may produce, as `tokenizer.ggml.token_type` tells.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

pub(super) fn derive(source: &[u8]) -> Result<Vec<u8>, String> {
    let gguf = Gguf::parse(source)?;
    for (key, known) in [("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "smollm")] {
        let found = gguf.string(key)?;
        if found != known {
            return Err(format!("metadata {key:?} is {found:?}, known is {known:?}"));
        }
    }
    for key in ["tokenizer.ggml.add_space_prefix", "tokenizer.ggml.add_bos_token"] {
        if gguf.flag(key)? {
            return Err(format!("metadata {key:?} is true, known is false"));
        }
    }
    let tokens = gguf.strings("tokenizer.ggml.tokens")?;
    let merges = gguf.strings("tokenizer.ggml.merges")?;
    let byte_level =
        || PreTokenizer::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex: true };
    let digits = PreTokenizer::Digits { individual_digits: true };
    let pieces = PreTokenizer::Sequence { pretokenizers: vec![digits, byte_level()] };
    let vocab = tokens.iter().map(|token| (*token).to_owned()).collect();
    let mut json = TokenizerJson::new(None, pieces, Model::bpe(None, vocab, pairs(merges)?));
    json.added_tokens = specials(tokens, gguf.i32s("tokenizer.ggml.token_type")?)?;
    json.decoder = Some(byte_level());
    json.to_vec()
}

/// Merges are two tokens with a space between; in byte-level tokens a space is `Ġ`.
fn pairs(merges: &[&str]) -> Result<Vec<(String, String)>, String> {
    let pair = |merge: &&str| match merge.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(format!("the merge {merge:?} is not two tokens")),
    };
    merges.iter().map(pair).collect()
}

fn specials(tokens: &[&str], types: &[i32]) -> Result<Vec<AddedToken>, String> {
    if types.len() != tokens.len() {
        return Err(format!("it has {} tokens and {} token types", tokens.len(), types.len()));
    }
    let mut specials = Vec::new();
    for (id, (token, kind)) in tokens.iter().zip(types).enumerate() {
        match *kind {
            NORMAL => {}
            CONTROL => specials.push(AddedToken {
                id,
                content: (*token).to_owned(),
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: false,
                special: true,
            }),
            other => return Err(format!("token {token:?} has the unknown type {other}")),
        }
    }
    Ok(specials)
}

#[cfg(test)]
mod tests {
    use super::super::gguf::tests::Writer;
    use super::*;

    fn sample(pre: &str, types: &[i32], merges: &[&str]) -> Vec<u8> {
        Writer::default()
            .string("tokenizer.ggml.model", "gpt2")
            .string("tokenizer.ggml.pre", pre)
            .flag("tokenizer.ggml.add_space_prefix", false)
            .flag("tokenizer.ggml.add_bos_token", false)
            .strings("tokenizer.ggml.tokens", &["<|end|>", "a", "Ġ", "Ġa"])
            .i32s("tokenizer.ggml.token_type", types)
            .strings("tokenizer.ggml.merges", merges)
            .file()
    }

    #[track_caller]
    fn refused(file: &[u8], expect: &str) {
        let error = derive(file).unwrap_err();
        assert!(error.contains(expect), "{error:?} lacks {expect:?}");
    }

    #[test]
    fn ids_merges_and_specials_are_kept() {
        let json = derive(&sample("smollm", &[3, 1, 1, 1], &["Ġ a"])).unwrap();
        let json = String::from_utf8(json).unwrap();
        for part in [
            r#""vocab":{"<|end|>":0,"a":1,"Ġ":2,"Ġa":3},"merges":[["Ġ","a"]]"#,
            r#""added_tokens":[{"id":0,"content":"<|end|>","single_word":false,"#,
            r#"[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space""#,
        ] {
            assert!(json.contains(part), "{json} lacks {part}");
        }
    }

    #[test]
    fn another_vocabulary_is_refused() {
        refused(&sample("llama-bpe", &[3, 1, 1, 1], &[]), "\"llama-bpe\", known is \"smollm\"");
        refused(&sample("smollm", &[3, 1, 1], &[]), "4 tokens and 3 token types");
        refused(&sample("smollm", &[3, 1, 6, 1], &[]), "token \"Ġ\" has the unknown type 6");
        for merge in ["Ġa", " a", "a ", "a b c"] {
            refused(&sample("smollm", &[3, 1, 1, 1], &[merge]), "is not two tokens");
        }
        refused(b"", "cut off");
    }
}
