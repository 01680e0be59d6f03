//! Specs of format 2: what they demand of a dataset beyond its schema, each rule broken once, and
//! rows of every shape.
//!
//! Each test writes its own table `[checks]` into `short@1` and locks it.

use std::fs;

use dataforge_core::proof::Verdict;
use dataforge_tests::{Answer, Short, proof_in};
use serde_json::{Value, json};

/// `short@1` in format 2 with these rules behind `[checks]`, locked.
fn short(rules: &str) -> Short {
    let spec = "short/1/spec.toml";
    let checks = format!("margin_micronats = 50_000\n\n[checks]\n{rules}\n");
    let short = Short::new()
        .replacing(spec, "format = 1", "format = 2")
        .replacing(spec, "schema-1.0.0", "schema-2.0.0")
        .replacing(spec, "tokenizer-1.0.0", "tokenizer-2.0.0")
        .replacing(spec, "margin_micronats = 50_000\n", &checks);
    locked(short)
}

fn locked(short: Short) -> Short {
    let mut lock = short.program();
    lock.args(["spec", "lock", "short@1"]);
    Answer::of(&mut lock).expect(0, &["short@1"]);
    short
}

const PAIR: &str = "shape = { kind = \"pair\" }\nfuel_per_row = 20_000_000\n";

fn golden() -> Vec<Value> {
    let rows = String::from_utf8(Short::golden("dataset.jsonl")).unwrap();
    rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

/// What `check` says of rows.
fn check(short: &Short, rows: &[Value], code: i32, mentions: &[&str]) {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let dataset = short.scratch().file("rows.jsonl", lines);
    let mut check = short.program();
    check.args(["check", "--spec", "short@1"]).arg(dataset);
    Answer::of(&mut check).expect(code, mentions);
}

#[test]
fn a_checker_in_c_names_the_wrong_weekday() {
    let short = short(&format!("{PAIR}checker = \"weekday-1.0.0\""));
    let mut rows = golden();
    check(&short, &rows, 0, &["accepted"]);
    rows[6]["output"] = json!("Sunday, November 16, 2009.");
    rows[6]["input"] = json!("2009-11-16");
    let wrong = "row 7: /output: the weekday is Sunday, that of the date is Monday";
    check(&short, &rows, 1, &[wrong, "1 faults"]);
}

#[test]
fn copies_are_counted() {
    let rule = "[checks.copies]\nkernel = \"similarity-1.0.0\"\nsimilarity_min_ppm = 900_000\n\
                share_max_ppm = 40_000";
    let short = short(&format!("{PAIR}{rule}"));
    let mut rows = golden();
    rows[1] = rows[0].clone();
    check(&short, &rows, 0, &["accepted"]);
    rows[2] = rows[0].clone();
    check(&short, &rows, 1, &["2 rows say what earlier ones said", "at most 4.0 % may", "help: "]);
}

#[test]
fn known_text_is_refused_row_by_row() {
    let short = Short::new();
    let rows = golden();
    let known = short.scratch().file("known.jsonl", format!("{}\n{}", rows[3], rows[5]));
    let index = short.scratch().path("specs/short/1/known.index");
    let mut make = short.program();
    make.args(["index", "--rows", "--words", "5", "--out"]).arg(&index).arg(known);
    Answer::of(&mut make).expect(0, &["2 documents"]);
    let spec = "short/1/spec.toml";
    let rule = "[checks.known]\nkernel = \"contamination-1.0.0\"\nindex = \"known.index\"\n\
                share_max_ppm = 700_000";
    let checks = format!("margin_micronats = 50_000\n\n[checks]\n{PAIR}{rule}\n");
    let short = short.replacing(spec, "format = 1", "format = 2").replacing(
        spec,
        "margin_micronats = 50_000\n",
        &checks,
    );
    let short = locked(short);
    check(&short, &rows, 1, &["row 4: 100.0 % of it is known text", "row 6: ", "2 faults"]);
    fs::write(&index, b"DFNG").unwrap();
    check(&short, &rows, 1, &["known.index is not the pinned one", "spec.lock"]);
}

#[test]
fn rows_by_one_pattern_are_refused() {
    let rule = "[checks.variety]\nkernel = \"diversity-1.0.0\"\ndistinct2_min_ppm = 999_000\n\
                compression_max_ppm = 1_000_000\nself_similarity_max_ppm = 1_000";
    let short = short(&format!("{PAIR}{rule}"));
    let said = ["of the bigrams are distinct", "compresses", "alike on average", "3 faults"];
    check(&short, &golden(), 1, &said);
}

#[test]
fn letters_of_another_script_are_refused() {
    let rule = "[checks.script]\nany_of = [\"Grek\"]\nshare_min_ppm = 500_000";
    check(
        &short(&format!("{PAIR}{rule}")),
        &golden(),
        1,
        &["row 1: ", "letters", "help: write the texts in the scripts"],
    );
}

#[test]
fn fuel_is_granted_by_the_row() {
    let short = short("shape = { kind = \"pair\" }\nfuel_per_row = 10").replacing(
        "short/1/spec.toml",
        "fuel_per_call = 20_000_000_000",
        "fuel_per_call = 1000",
    );
    check(&locked(short), &golden(), 1, &["rows 1 to 40: the kernel used up its 1400 units"]);
}

/// Everything at once, from a dataset to a proof that another evaluation comes to again.
#[test]
fn the_report_is_part_of_the_proof() {
    let short = short(&format!("{PAIR}checker = \"weekday-1.0.0\""));
    let dataset = Short::golden_path("dataset.jsonl");
    let proof = proof_in(&short.prove(short.program()));
    assert_eq!(proof.verdict(), Verdict::Scored);
    let proof = short.scratch().path("short.proof");
    Answer::of(Short::replay(&mut short.program(), &proof, &dataset)).expect(0, &["holds"]);
}

/// A spec of another shape, with a schema that asks for nothing.
fn shaped(shape: &str, members: [&str; 2], around: bool) -> Short {
    let spec = "short/1/spec.toml";
    let rules = format!("shape = {shape}\nfuel_per_row = 200_000_000\n");
    let checks = format!("margin_micronats = 50_000\n\n[checks]\n{rules}\n");
    let [input, output] = members;
    let mut short = Short::new()
        .replacing(spec, "format = 1", "format = 2")
        .replacing(spec, "schema-1.0.0", "schema-2.0.0")
        .replacing(spec, "tokenizer-1.0.0", "tokenizer-2.0.0")
        .replacing(spec, "input = \"input\"", &format!("input = {input:?}"))
        .replacing(spec, "output = \"output\"", &format!("output = {output:?}"))
        .replacing(spec, "count_min = 32", "count_min = 1")
        .replacing(spec, "margin_micronats = 50_000\n", &checks)
        .with("short/1/row.schema.json", |schema| *schema = b"true".to_vec());
    if !around {
        short = short.replacing(spec, "after_input = [\"\\n\"]", "after_input = []").replacing(
            spec,
            "before_output = [\" \"]",
            "before_output = []",
        );
        let template = "{% for message in messages %}{{ message.role + ': ' + message.content + \
                        '\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
        let _ = short.scratch().file("specs/short/1/chat.jinja", template);
    }
    locked(short)
}

#[test]
fn a_dialogue_is_messages_by_a_template() {
    let shape = "{ kind = \"dialogue\", template = \"chat.jinja\", bos_token = \"\", \
                 eos_token = \"\" }";
    let short = shaped(shape, ["messages", "messages"], false);
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let good = json!({"messages": [
        turn("system", "Be brief."), turn("user", "a date"), turn("assistant", "1 May"),
        turn("user", "and?"), turn("assistant", "2 May"),
    ]});
    check(&short, std::slice::from_ref(&good), 0, &["accepted"]);
    let mut bad = good.clone();
    bad["messages"][2]["role"] = json!("user");
    check(&short, &[good, bad], 1, &["row 2: /messages/2/role: "]);
}

#[test]
fn reasoning_has_steps_and_a_choice_has_choices() {
    let short = shaped("{ kind = \"reasoning\", steps = \"steps\" }", ["q", "a"], true);
    let good = json!({"q": "1 + 2", "steps": ["one", "two"], "a": "3"});
    check(&short, &[good, json!({"q": "1 + 2", "steps": [], "a": "3"})], 1, &["row 2: /steps: "]);

    let short = shaped("{ kind = \"choice\", choices = \"choices\" }", ["q", "right"], true);
    let good = json!({"q": "1 + 2", "choices": ["2", "3"], "right": 1});
    check(&short, std::slice::from_ref(&good), 0, &["accepted"]);
    let beyond = json!({"q": "1 + 2", "choices": ["2", "3"], "right": 2});
    let alike = json!({"q": "1 + 2", "choices": ["2", "2"], "right": 0});
    check(&short, &[good, beyond, alike], 1, &["row 2: /right: ", "row 3: /choices", "2 faults"]);
}
