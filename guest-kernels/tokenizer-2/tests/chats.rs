//! What is refused, by row and by call, and what a template can do.

use dataforge_kernel_tokenizer_2::{Chat, ChatOutcome, Guest, Kernel, Template, TextOutcome};
use serde_json::{Value, json};

const PLAIN: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }};{% endfor %}";

fn tokenizer() -> Vec<u8> {
    include_bytes!("tokenizer.json").to_vec()
}

fn template(jinja: &str) -> Template {
    Template { jinja: jinja.to_owned(), bos_token: "<s>".to_owned(), eos_token: "</s>".to_owned() }
}

fn ask(
    tokenizer: Vec<u8>,
    jinja: &str,
    messages: &str,
    reply: &str,
) -> Result<ChatOutcome, String> {
    let chat = Chat { messages: messages.to_owned(), reply: reply.to_owned() };
    let mut outcomes = Kernel::encode_chats(tokenizer, template(jinja), vec![chat])?;
    assert_eq!(outcomes.len(), 1);
    Ok(outcomes.remove(0))
}

/// The fault of a chat.
fn fault(jinja: &str, messages: &str, reply: &str) -> String {
    match ask(tokenizer(), jinja, messages, reply) {
        Ok(ChatOutcome::Fault(reason)) => reason,
        other => panic!("{messages} by {jinja}: {other:?}"),
    }
}

fn user(content: &str) -> String {
    json!([{"role": "user", "content": content}]).to_string()
}

#[test]
fn messages_are_what_the_contract_says() {
    let check = |messages: &str, reason: &str| {
        let fault = fault(PLAIN, messages, "");
        assert!(fault.contains(reason), "{messages}: {fault}");
        assert!(fault.len() <= 300 && !fault.contains(char::is_control), "{fault}");
    };
    check("", "unusable");
    check("{}", "unusable");
    check("[]", "there are no messages");
    check(r#"[{"role":"user","content":"a"}] x"#, "trailing");
    check(r#"[["user","a"]]"#, "expected an object with the string members role and content");
    check(r#"[{"role":"user"}]"#, "must each be there once");
    check(r#"[{"role":"user","role":"user"}]"#, "must each be there once");
    check(r#"[{"role":"user","content":"a","content":"b"}]"#, "must each be there once");
    check(r#"[{"role":"user","content":"a","name":"b"}]"#, "unknown field `name`");
    check(r#"[{"role":"user","content":["a"]}]"#, "expected a string");
    check(r#"[{"role":"user","content":null}]"#, "expected a string");
    check(r#"[{"role":"user","content":"\ud800"}]"#, "hex escape");
    let long = format!(r#"[{{"role":"user","content":"a","{}\u001b":"b"}}]"#, "ü".repeat(500));
    check(&long, "…");
}

#[test]
fn a_control_token_cannot_be_spelled() {
    let second = r#"[{"role":"system","content":"a"},{"role":"user","content":"b<|im_end|>"}]"#;
    let check = |messages: &str, reply: &str, reason: &str| {
        assert_eq!(fault(PLAIN, messages, reply), reason);
    };
    check(second, "", "message 2 spells the control token <|im_end|>");
    check(&user("a[INST]b</s>"), "", "message 1 spells the control token [INST]");
    check(&user("a"), "b</s>", "the reply spells the control token </s>");
    let role = r#"[{"role":"<s>","content":"a"}]"#;
    check(role, "", "message 1 spells the control token <s>");
    // One that is nearly spelled is text.
    let near = ask(tokenizer(), PLAIN, &user("<|im_end|"), "</ s>").unwrap();
    assert!(matches!(near, ChatOutcome::Ok(_)), "{near:?}");
}

#[test]
fn a_control_token_cannot_be_spelled_as_the_tokenizer_would_normalise_it() {
    let mut json: Value = serde_json::from_slice(&tokenizer()).unwrap();
    json["normalizer"] = json!({"type": "Lowercase"});
    let stop = json["added_tokens"][5].as_object_mut().unwrap();
    stop.insert("normalized".to_owned(), json!(true));
    let tokenizer = json.to_string().into_bytes();
    let said = ask(tokenizer, PLAIN, &user("[inst]"), "").unwrap();
    let reason = "message 1 spells the control token [INST]".to_owned();
    assert_eq!(format!("{said:?}"), format!("{:?}", ChatOutcome::Fault(reason)));
}

#[test]
fn a_template_is_refused_when_it_cannot_be_compiled() {
    let check = |jinja: &str, reason: &str| {
        let error = ask(tokenizer(), jinja, &user("a"), "b").unwrap_err();
        assert!(error.contains("the template cannot be loaded"), "{jinja}: {error}");
        assert!(error.contains(reason) && error.len() <= 300, "{jinja}: {error}");
    };
    check("{% for m in messages %}", "end of input");
    check("{{ 'a' ", "");
    check("{% include 'x' %}", "include");
    check("{% generation %}{{ 1 }}", "end of input");
    check(&format!("{{{{ {}1 }}}}", "(".repeat(10_000)), "recursion");
    let error = ask(b"{}".to_vec(), PLAIN, &user("a"), "b").unwrap_err();
    assert!(error.contains("the tokenizer cannot be loaded"), "{error}");
}

#[test]
fn a_template_that_fails_is_a_fault_of_the_chat() {
    let check = |jinja: &str, reason: &str| {
        let fault = fault(jinja, &user("a"), "b");
        assert!(fault.contains(reason) && fault.len() <= 300, "{jinja}: {fault}");
    };
    check("{{ raise_exception('no ' ~ messages[0].role) }}", "no user");
    check("{{ raise_exception('x' * 1000) }}", "…");
    check("{{ strftime_now('%Y') }}", "strftime_now is unknown");
    check("{{ messages[0].a.b }}", "undefined");
    check("{{ messages.append(1) }}", "append");
    check("{{ messages[0].content | escape }}", "escape");
    check("{{ 0.5 | tojson }}", "tojson");
    check("{{ messages | tojson(colour=1) }}", "colour");
    check("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion");
    let deep = ["{% for a in [1] %}", "{% endfor %}"].map(|tag| tag.repeat(130)).concat();
    check(&deep, "recursion");
    check("{{ messages|length }}", "does not begin with the prompt");
}

#[test]
fn batches_keep_their_order_and_the_rest_of_a_batch_changes_nothing() {
    let chat = |text: &str| Chat { messages: user(text), reply: text.to_owned() };
    let texts = ["eins", "<s>", "二", "dreiundzwanzig"];
    let together =
        Kernel::encode_chats(tokenizer(), template(PLAIN), texts.map(chat).into()).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, found) in texts.iter().zip(together) {
        let alone = ask(tokenizer(), PLAIN, &user(text), text).unwrap();
        assert_eq!(format!("{found:?}"), format!("{alone:?}"));
        assert_eq!(matches!(found, ChatOutcome::Fault(_)), *text == "<s>");
    }
}

#[test]
fn text_alone_is_plain_and_nothing_is_added() {
    let mut json: Value = serde_json::from_slice(&tokenizer()).unwrap();
    json["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 9}, "direction": "Right",
        "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"});
    let texts = ["", "the user", "<s>"].map(str::to_owned).to_vec();
    let encode = |json: Vec<u8>| -> Vec<Vec<u32>> {
        let ids = |outcome| match outcome {
            TextOutcome::Ok(ids) => ids,
            TextOutcome::Fault(reason) => panic!("{reason}"),
        };
        Kernel::encode(json, texts.clone()).unwrap().into_iter().map(ids).collect()
    };
    let ids = encode(json.to_string().into_bytes());
    assert_eq!(ids, encode(tokenizer()));
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [0, 3, 3]);
    let error = Kernel::encode(b"[]".to_vec(), vec![]).unwrap_err();
    assert!(error.contains("the tokenizer cannot be loaded"), "{error}");
}
