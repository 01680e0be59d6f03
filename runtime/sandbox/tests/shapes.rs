//! The pinned kernels of `wit/2.0.0`: rows of every shape, chats by a template, and the fuel that
//! they take, which is golden.
//!
//! What they say in full is tested beside their sources, in `guest-kernels/`.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dataforge_sandbox::{
    Chat, ChatTemplate, KernelLimits, RowOutcome, Sandbox, SandboxError, SchemaKernel, SchemaRules,
    Shape, TokenizerKernel,
};

/// Compiled once for all tests of this file: compiling takes longer than all calls.
static SCHEMA: LazyLock<SchemaKernel> = LazyLock::new(|| {
    let wasm = pinned("schema-2.0.0");
    Sandbox::new().unwrap().schema_kernel(&wasm, KernelLimits::default()).unwrap()
});
static TOKENIZER: LazyLock<TokenizerKernel> = LazyLock::new(|| {
    let wasm = pinned("tokenizer-2.0.0");
    Sandbox::new().unwrap().tokenizer_kernel(&wasm, KernelLimits::default()).unwrap()
});

fn pinned(name: &str) -> Vec<u8> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../eval-specs/kernels");
    fs::read(kernels.join(name).with_added_extension("wasm")).unwrap()
}

/// Any row with these members.
fn rules(shape: Shape<'static>, input: &'static str, output: &'static str) -> SchemaRules<'static> {
    SchemaRules { shape, ..SchemaRules::pair("true", input, output, 100) }
}

/// Checks one line: its texts with a bar between, or its fault.
#[track_caller]
fn check(rules: &SchemaRules<'_>, line: &str, expect: &str) {
    let found = match SCHEMA.check(rules, &[line.as_bytes()]).unwrap().rows.remove(0) {
        RowOutcome::Row { input, output } => format!("{input}|{output}"),
        RowOutcome::Fault { pointer, reason } => format!("{pointer}: {reason}"),
    };
    assert_eq!(found, expect);
}

#[test]
fn every_shape_has_two_texts() {
    check(&rules(Shape::Pair, "a", "b"), r#"{"a": "x", "b": "y"}"#, "x|y");
    let dialogue = rules(Shape::Dialogue, "turns", "turns");
    let turns =
        r#"{"turns": [{"role": "user", "content": "hi"}, {"content": "ho", "role": "assistant"}]}"#;
    check(&dialogue, turns, r#"[{"role":"user","content":"hi"}]|ho"#);
    let steps = rules(Shape::Reasoning("steps"), "q", "a");
    check(&steps, r#"{"q": "1 + 2", "steps": ["one", "two"], "a": "3"}"#, "1 + 2|one\ntwo\n3");
    let choice = rules(Shape::Choice("options"), "q", "right");
    let row = r#"{"q": "1 + 2", "options": ["2", "3"], "right": 1}"#;
    check(&choice, row, "1 + 2\nA. 2\nB. 3|3");
}

#[test]
fn formats_and_scripts_are_asserted() {
    let schema = r#"{"properties": {"a": {"format": "email"}}}"#;
    let rules = SchemaRules {
        scripts: &["Grek"],
        script_ppm_min: 500_000,
        ..SchemaRules::pair(schema, "a", "b", 100)
    };
    let fault = |line: &str| match SCHEMA.check(&rules, &[line.as_bytes()]).unwrap().rows.remove(0)
    {
        RowOutcome::Fault { reason, .. } => reason,
        row => panic!("accepted: {row:?}"),
    };
    assert!(fault(r#"{"a": "x", "b": "y"}"#).contains("email"));
    let row = r#"{"a": "x@y.zz", "b": "Αθήνα"}"#;
    check(&rules, row, "x@y.zz|Αθήνα");
    let most = SchemaRules { script_ppm_min: 555_556, ..rules };
    check(
        &most,
        row,
        ": 555555 of a million letters are of the scripts asked for, the least is 555556",
    );
}

#[test]
fn a_batch_takes_golden_fuel() {
    let lines: Vec<String> =
        (0..4096).map(|i| format!(r#"{{"input": "in {i}", "output": "out {}"}}"#, i % 7)).collect();
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let schema = r#"{"required": ["input"], "properties": {"output": {"maxLength": 9}}}"#;
    let rules = SchemaRules::pair(schema, "input", "output", 12);
    let checked = SCHEMA.check(&rules, &lines).unwrap();
    assert_eq!(checked.fuel, 33_773_033);
    assert_eq!(SCHEMA.check(&rules, &lines).unwrap(), checked);
}

const TOKENIZER_JSON: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 0, "content": "<end>", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
        "ignore_merges": false, "vocab": {"<end>": 0, "u": 1, "a": 2, "x": 3, "y": 4, ":": 5},
        "merges": []}
}"#;

const TEMPLATE: ChatTemplate<'static> = ChatTemplate {
    jinja: "{% for m in messages %}{{ m.role[0] + ':' + m.content + eos_token }}{% endfor %}\
            {% if add_generation_prompt %}a:{% endif %}",
    bos_token: "",
    eos_token: "<end>",
};

#[test]
fn chats_are_rendered_and_encoded() {
    let messages = r#"[{"role": "user", "content": "x"}]"#;
    let chats = [
        Chat { messages, reply: "yy" },
        Chat { messages, reply: "<end>" },
        Chat { messages: "[]", reply: "y" },
    ];
    let answer = TOKENIZER.encode_chats(TOKENIZER_JSON.as_bytes(), &TEMPLATE, &chats).unwrap();
    let tokens = answer.value[0].as_ref().unwrap();
    assert_eq!((&tokens.prompt[..], &tokens.reply[..]), (&[1, 5, 3, 0, 2, 5][..], &[4, 4, 0][..]));
    assert!(answer.value[1].as_ref().unwrap_err().contains("<end>"));
    assert!(answer.value[2].is_err());
    assert_eq!(answer.fuel, 700_143);
    let texts = TOKENIZER.encode(TOKENIZER_JSON.as_bytes(), &["xy"]).unwrap().value;
    assert_eq!(texts, [Ok(vec![3, 4])]);
}

#[test]
fn a_text_without_ids_is_told_beside_the_others() {
    let (before, _) = TOKENIZER_JSON.split_once(r#""model":"#).unwrap();
    let words = r#"{"type": "WordLevel", "unk_token": "?", "vocab": {"x": 3, "y": 4}}"#;
    let json = format!(r#"{before} "model": {words}}}"#);
    let found = TOKENIZER.encode(json.as_bytes(), &["y", "z", "x"]).unwrap().value;
    assert_eq!([&found[0], &found[2]], [&Ok(vec![4]), &Ok(vec![3])]);
    assert!(found[1].as_ref().unwrap_err().starts_with("a text cannot be encoded"), "{found:?}");
}

#[test]
fn a_template_that_cannot_be_used_is_reported() {
    let broken = ChatTemplate { jinja: "{% for", ..TEMPLATE };
    let error = TOKENIZER.encode_chats(TOKENIZER_JSON.as_bytes(), &broken, &[]).unwrap_err();
    assert!(matches!(error, SandboxError::Reported(_)), "{error:?}");
    let endless = ChatTemplate {
        jinja: "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        ..TEMPLATE
    };
    let chats = [Chat { messages: r#"[{"role": "user", "content": "x"}]"#, reply: "y" }];
    let limits = KernelLimits { fuel_per_call: 500_000_000, ..KernelLimits::default() };
    let kernel = Sandbox::new().unwrap().tokenizer_kernel(&pinned("tokenizer-2.0.0"), limits);
    let error = kernel.unwrap().encode_chats(TOKENIZER_JSON.as_bytes(), &endless, &chats);
    let error = error.unwrap_err();
    assert!(matches!(error, SandboxError::OutOfFuel { .. }), "{error:?}");
}
