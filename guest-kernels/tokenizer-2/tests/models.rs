//! Models other than the byte-level BPE of `tokenizer.json`: ids as `tokenizers` 0.22.2 gives them,
//! and those whose ids would be up to chance.

use dataforge_kernel_tokenizer_2::{Guest, Kernel, TextOutcome};

fn tokenizer(pre_tokenizer: &str, model: &str) -> Vec<u8> {
    let json = format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {pre_tokenizer}, "post_processor": null,
        "decoder": null, "model": {model}}}"#
    );
    json.into_bytes()
}

/// Of each text its ids or why it has none.
type Outcomes = Vec<Result<Vec<u32>, String>>;

fn outcomes(tokenizer: &[u8], texts: &[&str]) -> Result<Outcomes, String> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let outcome = |outcome| match outcome {
        TextOutcome::Ok(ids) => Ok(ids),
        TextOutcome::Fault(reason) => Err(reason),
    };
    Ok(Kernel::encode(tokenizer.to_vec(), texts)?.into_iter().map(outcome).collect())
}

fn encode(tokenizer: &[u8], texts: &[&str]) -> Result<Vec<Vec<u32>>, String> {
    outcomes(tokenizer, texts)?.into_iter().collect()
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

/// A text that the vocabulary cannot spell is at fault where nothing stands for it, and so is one
/// that spells a control token which is among the words; the texts beside it have their ids.
#[test]
fn a_text_without_ids_is_at_fault_by_itself() {
    let special = |id: u32, content: &str| {
        format!(
            r#"{{"id": {id}, "content": "{content}", "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false}}"#
        )
    };
    let with = |tokenizer: Vec<u8>, added: &[String]| {
        let json = String::from_utf8(tokenizer).unwrap();
        let added = format!(r#""added_tokens": [{}]"#, added.join(", "));
        json.replace(r#""added_tokens": []"#, &added).into_bytes()
    };
    let words = r#"{"type": "WordLevel", "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "</s>": 1, "a": 2}}"#;
    let words = with(
        tokenizer(r#"{"type": "WhitespaceSplit"}"#, words),
        &[special(0, "<unk>"), special(1, "</s>")],
    );
    let spelt = Err("the text spells the control token </s>".to_owned());
    let expect = [Ok(vec![2]), spelt.clone(), Ok(vec![0, 2])];
    assert_eq!(outcomes(&words, &["a", "a </s>", "b a"]).unwrap(), expect);
    let pieces = String::from_utf8(unigram("")).unwrap();
    let pieces = pieces.replace(r#"["b", -2.5]"#, r#"["</s>", -2.5]"#).into_bytes();
    let pieces = with(pieces, &[special(0, "<unk>"), special(3, "</s>")]);
    assert_eq!(outcomes(&pieces, &["a</s>", "é"]).unwrap(), [spelt, Ok(vec![1, 0])]);
    let silent =
        String::from_utf8(unigram("")).unwrap().replace(r#""unk_id": 0"#, r#""unk_id": null"#);
    let found = outcomes(silent.as_bytes(), &["a", "é"]).unwrap();
    assert_eq!(found[0], Ok(vec![1, 2]));
    assert!(found[1].as_ref().unwrap_err().starts_with("a text cannot be encoded: "), "{found:?}");
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
