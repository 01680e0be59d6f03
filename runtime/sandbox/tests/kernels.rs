//! The pinned kernels of `eval-specs/kernels/`: what they answer and what fuel that takes.
//!
//! The fuel values are golden. They must be the same on every machine, and they change only
//! together with a kernel's bytes or with wasmtime.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dataforge_sandbox::{
    Answer, KernelLimits, RowOutcome, Sandbox, SandboxError, SchemaKernel, SchemaRules,
    TokenizerKernel,
};

/// Compiled once for all tests of this file: compiling takes longer than all calls.
static SCHEMA: LazyLock<SchemaKernel> = LazyLock::new(|| {
    let wasm = pinned("schema-1.0.0.wasm");
    Sandbox::new().unwrap().schema_kernel(&wasm, KernelLimits::default()).unwrap()
});
static TOKENIZER: LazyLock<TokenizerKernel> = LazyLock::new(|| {
    let wasm = pinned("tokenizer-1.0.0.wasm");
    Sandbox::new().unwrap().tokenizer_kernel(&wasm, KernelLimits::default()).unwrap()
});

const RULES: SchemaRules<'static> = SchemaRules::pair(
    r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["input", "output"],
        "properties": {
            "input": {"type": "string", "maxLength": 40},
            "output": {"type": "string", "pattern": "^[^\\u0000]*$"},
            "a": {"type": "integer"},
            "b": {"prefixItems": [{"const": 1}, {"const": 2}], "items": false}
        },
        "additionalProperties": false
    }"#,
    "input",
    "output",
    12,
);

fn pinned(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../eval-specs/kernels");
    fs::read(folder.join(name)).unwrap()
}

fn outcome(line: &[u8]) -> RowOutcome {
    SCHEMA.check(&RULES, &[line]).unwrap().rows.remove(0)
}

/// Checks one line and compares `pointer: reason`.
#[track_caller]
fn check_fault(line: impl AsRef<[u8]>, expect: &str) {
    match outcome(line.as_ref()) {
        RowOutcome::Fault { pointer, reason } => assert_eq!(format!("{pointer}: {reason}"), expect),
        row => panic!("accepted: {row:?}"),
    }
}

#[track_caller]
fn check_row(line: &str, input: &str, output: &str) {
    let row = RowOutcome::Row { input: input.to_owned(), output: output.to_owned() };
    assert_eq!(outcome(line.as_bytes()), row);
}

#[test]
fn good_rows() {
    check_row(r#"{"input": "a", "output": "b"}"#, "a", "b");
    check_row(r#"  {"output":"\u00e9\ud83d\ude00","input":" "}"#, " ", "é😀");
    check_row(r#"{"input": "123456789012", "output": "b", "a": 3.0}"#, "123456789012", "b");
}

#[test]
fn lines_that_are_not_json() {
    check_fault(b"{\"input\": \"a\xff\"}", ": invalid UTF-8 at byte 12");
    check_fault("", ": malformed JSON: EOF while parsing a value at column 0");
    check_fault("{\"input\": \"a\"", ": malformed JSON: EOF while parsing an object at column 13");
    check_fault("{} {}", ": malformed JSON: trailing characters at column 4");
    check_fault("{\"a\": NaN}", ": malformed JSON: expected value at column 7");
    check_fault("{\"a\": 1e999}", ": malformed JSON: number out of range at column 11");
    check_fault(
        r#"{"input": "\ud800", "output": "b"}"#,
        ": malformed JSON: unexpected end of hex escape at column 18",
    );
    check_fault("\u{feff}{}", ": malformed JSON: expected value at column 1");
    check_fault("[".repeat(100_000), ": malformed JSON: recursion limit exceeded at column 128");
    check_fault(
        r#"{"input": "a", "output": "b", "input": "c"}"#,
        r#": malformed JSON: repeated member name "input" at column 37"#,
    );
}

#[test]
fn rows_that_break_the_schema() {
    check_fault("[]", r#": value is not of type "object""#);
    check_fault(r#"{"input": "a"}"#, r#": "output" is a required property"#);
    check_fault(r#"{"input": 1, "output": "b"}"#, r#"/input: value is not of type "string""#);
    check_fault(
        r#"{"input": "a", "output": "\u0000"}"#,
        r#"/output: value does not match "^[^\u0000]*$""#,
    );
    check_fault(
        r#"{"input": "a", "output": "b", "c": 1}"#,
        ": Additional properties are not allowed ('c' was unexpected)",
    );
    check_fault(r#"{"input": "a", "output": "b", "b": [1, 3]}"#, "/b/1: 2 was expected");
    // Several at once: the least pointer is reported, wherever it stands in the row.
    check_fault(
        r#"{"output": 1, "input": 1, "b": [2], "a": "x"}"#,
        r#"/a: value is not of type "integer""#,
    );
}

#[test]
fn fields_that_break_the_rules() {
    check_fault(r#"{"input": "", "output": "b"}"#, "/input: the text is empty");
    let long = r#"{"input": "a", "output": "1234567890123"}"#;
    check_fault(long, "/output: the text has 13 bytes, the limit is 12");
    let rules = SchemaRules { schema_json: "true", output: "x/~y", ..RULES };
    for (line, expect) in [
        ("3", (String::new(), "the row is not an object")),
        (r#"{"input": "a"}"#, (String::new(), "the member \"x/~y\" is missing")),
        (r#"{"input": "a", "x/~y": 1}"#, ("/x~1~0y".to_owned(), "the value is not a string")),
    ] {
        let rows = SCHEMA.check(&rules, &[line.as_bytes()]).unwrap().rows;
        let (pointer, reason) = (expect.0, expect.1.to_owned());
        assert_eq!(rows, [RowOutcome::Fault { pointer, reason }], "{line}");
    }
}

#[test]
fn a_fault_cannot_be_made_long() {
    let line = format!(r#"{{"input": "a", "output": "b", "{}": 1}}"#, "é".repeat(10_000));
    let RowOutcome::Fault { reason, .. } = outcome(line.as_bytes()) else {
        panic!("accepted");
    };
    assert!(reason.len() <= 300 && reason.ends_with('…'), "{} bytes: {reason}", reason.len());
    // Nor can it clear the screen of whoever reads it.
    let expect = ": Additional properties are not allowed ('\u{fffd}[2J' was unexpected)";
    check_fault(r#"{"input": "a", "output": "b", "\u001b[2J": 1}"#, expect);
}

#[test]
fn a_schema_that_cannot_be_used_is_reported() {
    for (schema_json, expect) in [
        ("{", "the schema is not JSON"),
        (r#"{"type": "strnig"}"#, "the schema is unusable"),
        (r#"{"$ref": "https://example.org/other.json"}"#, "the schema is unusable"),
    ] {
        match SCHEMA.check(&SchemaRules { schema_json, ..RULES }, &[]) {
            Err(SandboxError::Reported(why)) => assert!(why.starts_with(expect), "{why}"),
            other => panic!("{schema_json}: {other:?}"),
        }
    }
}

/// The outcome of a line does not depend on its batch, and the fuel is a golden value.
#[test]
fn a_batch() {
    let lines: Vec<String> =
        (0..4096).map(|i| format!(r#"{{"input": "in {i}", "output": "out {}"}}"#, i % 7)).collect();
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let checked = SCHEMA.check(&RULES, &lines).unwrap();
    assert_eq!(checked.rows.len(), lines.len());
    assert_eq!(checked.rows[4095], outcome(lines[4095]));
    assert_eq!(checked.fuel, 55_238_954);
    assert_eq!(SCHEMA.check(&RULES, &lines).unwrap(), checked);
    assert_eq!(SCHEMA.check(&RULES, &[]).unwrap().rows, []);
}

/// A tokenizer with the parts that the demo's model uses: NFC, a word mark for each space, a split
/// by regular expression, BPE with an unknown token. It also asks for padding and truncation, which
/// the kernel does not do.
const TOKENIZER_JSON: &str = r#"{
    "version": "1.0",
    "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 1, "pad_type_id": 0, "pad_token": "<eos>"},
    "added_tokens": [
        {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true},
        {"id": 1, "content": "<eos>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}
    ],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFC"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    ]},
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\n|▁*[^▁\n]+|▁+"},
        "behavior": "Isolated", "invert": false},
    "post_processor": null,
    "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>",
        "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
        "byte_fallback": false, "ignore_merges": false,
        "vocab": {"<unk>": 0, "<eos>": 1, "▁": 2, "a": 3, "b": 4, "é": 5, "\n": 6, "ab": 7,
            "▁ab": 8, "▁▁": 9, "e": 10, "o": 11, "s": 12, "<": 13, ">": 14, "b▁": 15},
        "merges": [["b", "▁"], ["a", "b"], ["▁", "ab"], ["▁", "▁"]]}
}"#;

#[track_caller]
fn check_ids(text: &str, expect: &[u32]) {
    let found = TOKENIZER.encode(TOKENIZER_JSON.as_bytes(), &[text]).unwrap().value;
    assert_eq!(found, [Ok(expect.to_vec())]);
}

#[test]
fn text_becomes_ids() {
    check_ids("", &[]);
    check_ids("ab", &[7]);
    // The first merge rule would join b and the mark, but they are in different pieces.
    check_ids("ab ab", &[7, 8]);
    check_ids("a\nab  ", &[3, 6, 7, 9]);
    // Decomposed and composed spelling are one text.
    check_ids("e\u{301}", &[5]);
    check_ids("é", &[5]);
    check_ids("a?b", &[3, 0, 4]);
    // A special token's spelling is plain text.
    check_ids("<eos>", &[13, 10, 11, 12, 14]);
}

#[test]
fn a_tokenizer_that_cannot_be_used_is_reported() {
    for json in ["", "{}", "\u{0}"] {
        let error = TOKENIZER.encode(json.as_bytes(), &[]).unwrap_err();
        assert!(matches!(error, SandboxError::Reported(_)), "{error:?}");
    }
}

/// The ids of a text do not depend on its batch, and the fuel is a golden value.
#[test]
fn a_batch_of_texts() {
    let texts: Vec<String> = (0..1000).map(|i| format!("ab a{}b\nab", " ".repeat(i % 5))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Answer { value, fuel } = TOKENIZER.encode(TOKENIZER_JSON.as_bytes(), &texts).unwrap();
    assert_eq!(value.len(), texts.len());
    check_ids(texts[999], value[999].as_ref().unwrap());
    assert_eq!(fuel, 80_088_900);
}
