//! Models other than the byte-level BPE of `tokenizer.json`: ids as `tokenizers` 0.22.2 gives them,
//! and those whose ids would be up to chance.

use dataforge_kernel_tokenizer_2::{Guest, Kernel};

fn tokenizer(pre_tokenizer: &str, model: &str) -> Vec<u8> {
    let json = format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {pre_tokenizer}, "post_processor": null,
        "decoder": null, "model": {model}}}"#
    );
    json.into_bytes()
}

fn encode(tokenizer: &[u8], texts: &[&str]) -> Result<Vec<Vec<u32>>, String> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Kernel::encode(tokenizer.to_vec(), texts)
}

fn unigram(more: &str) -> Vec<u8> {
    let metaspace = r#"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
        "split": true}"#;
    let model = format!(
        r#"{{"type": "Unigram", "unk_id": 0, "byte_fallback": false{more},
        "vocab": [["<unk>", 0.0], ["▁", -3.0], ["a", -2.0], ["b", -2.5], ["ab", -3.0],
        ["▁ab", -4.0]]}}"#
    );
    tokenizer(metaspace, &model)
}

#[test]
fn unigram_takes_the_likeliest_pieces() {
    let found = encode(&unigram(""), &["ab ab b", "ba", "aé b", ""]).unwrap();
    assert_eq!(found, [vec![5, 5, 1, 3], vec![1, 3, 2], vec![1, 2, 0, 1, 3], vec![]]);
}

#[test]
fn ids_by_chance_are_refused() {
    let bpe = |dropout: &str| {
        let model = format!(
            r#"{{"type": "BPE", "dropout": {dropout}, "unk_token": null,
            "vocab": {{"a": 0, "b": 1, "ab": 2}}, "merges": ["a b"]}}"#
        );
        encode(&tokenizer("null", &model), &["ab"])
    };
    assert_eq!(bpe("null").unwrap(), [[2]]);
    assert_eq!(bpe("0.0").unwrap(), [[2]]);
    let reason = bpe("0.3").unwrap_err();
    assert!(reason.contains("it draws ids by chance"), "{reason}");
    // That of Unigram is for programs to set; a file cannot ask for it.
    assert_eq!(encode(&unigram(r#", "alpha": 0.1"#), &["ab"]).unwrap(), [[5]]);
}
