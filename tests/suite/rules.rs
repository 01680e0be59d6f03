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

/// A checker gets a row as a line, however the array was laid out.
#[test]
fn a_checker_sees_the_rows_of_an_array_one_by_one() {
    let short = short(&format!("{PAIR}checker = \"weekday-1.0.0\""));
    let pretty = serde_json::to_string_pretty(&golden()).unwrap();
    let dataset = short.scratch().file("rows.json", pretty);
    let mut check = short.program();
    check.args(["check", "--spec", "short@1"]).arg(dataset);
    let said = ["accepted", "a JSON array; submit it as plain JSON Lines"];
    Answer::of(&mut check).expect(0, &said);
}

/// Each kind of fault that a kernel finds, with the help that belongs to it, the worst first.
#[test]
fn faults_come_with_help_and_the_worst_first() {
    let schema = json!({
        "required": ["input", "output"],
        "additionalProperties": false,
        "properties": {
            "input": {"type": "string", "minLength": 2, "maxLength": 60, "pattern": "^[^#]"},
            "output": {"type": "string"},
            "date": {"format": "date"},
            "kind": {"enum": ["a", "b"]},
        },
    });
    let short = Short::new()
        .replacing("short/1/spec.toml", "format = 1", "format = 2")
        .replacing("short/1/spec.toml", "schema-1.0.0", "schema-2.0.0")
        .replacing("short/1/spec.toml", "tokenizer-1.0.0", "tokenizer-2.0.0")
        .replacing(
            "short/1/spec.toml",
            "margin_micronats = 50_000\n",
            &format!("margin_micronats = 50_000\n\n[checks]\n{PAIR}\n"),
        )
        .with("short/1/row.schema.json", |bytes| *bytes = schema.to_string().into_bytes());
    let short = locked(short);
    let row = |input: &str, output: &str| json!({"input": input, "output": output});
    let with = |name: &str, value: &str| {
        let mut row = row("in", "out");
        row[name] = json!(value);
        row.to_string()
    };
    let faulty = [
        (row("in", &"many words ".repeat(18)).to_string(), "dataforge spec show"),
        (row("in", &"x".repeat(201)).to_string(), "shorten the text"),
        (row("in", "").to_string(), "leave the row out"),
        (with("kind", "c"), "one of the values"),
        (with("date", "yesterday"), "format that is named"),
        (with("other", "c"), "leave out members"),
        (row("#1", "out").to_string(), "as the pattern"),
        (row("i", "out").to_string(), "lengthen"),
        (row(&"i".repeat(61), "out").to_string(), "shorten the value"),
        (json!({"input": 1, "output": "out"}).to_string(), "the type that the schema"),
        (json!({"input": "in"}).to_string(), "give every row all members"),
        (r#"{"input": "in", "input": "in"}"#.to_owned(), "its own name"),
        ("{".to_owned(), "with a JSON library"),
    ];
    let good = golden().into_iter().map(|row| row.to_string()).take(30);
    let lines: Vec<String> = good.chain(faulty.iter().map(|(line, _)| line.clone())).collect();
    let dataset = short.scratch().file("rows.jsonl", lines.join("\n"));
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--json"]).arg(&dataset);
    let said = Answer::of(&mut check).expect(1, &[]).json();
    assert_eq!(said["faults_total"], faulty.len());
    for fault in said["faults"].as_array().unwrap() {
        let expected = faulty[fault["row"].as_u64().unwrap() as usize - 31].1;
        let hint = fault["hint"].as_str().unwrap_or_default();
        assert!(hint.contains(expected), "{fault}");
    }
    let rows: Vec<_> = said["faults"].as_array().unwrap().iter().map(|of| &of["row"]).collect();
    assert_eq!(
        (rows[0], rows[1], rows[2], rows[12]),
        (&json!(42), &json!(43), &json!(32), &json!(31))
    );
    let kinds = json!([
        {"kind": "against the schema", "faults": 10},
        {"kind": "unreadable", "faults": 2},
        {"kind": "too long for the model", "faults": 1},
    ]);
    assert_eq!(said["kinds"], kinds);
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--list", "2"]).arg(dataset);
    Answer::of(&mut check).expect(1, &["row 42: ", "row 43: ", "… and 11 more", "2 unreadable"]);
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
    check(&short, &[good.clone(), bad], 1, &["row 2: /messages/2/role: "]);

    // What is known is what messages say, not the JSON that they are written in.
    let lines = "One line of a poem\nand another line of it\nwhich somebody else once wrote";
    let copied = json!({"messages": [turn("user", lines), turn("assistant", "I know.")]});
    let poem = short.scratch().file("poem.txt", lines);
    let index = short.scratch().path("poem.index");
    let mut make = short.program();
    make.args(["index", "--words", "4", "--out"]).arg(&index).arg(poem);
    Answer::of(&mut make).expect(0, &["1 documents"]);
    let dataset = short.scratch().file("rows.jsonl", format!("{good}\n{copied}\n"));
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--json", "--known"]).arg(index).arg(dataset);
    let said = Answer::of(&mut check).expect(0, &[]).json();
    // 15 of its 17 words are the poem's: 12 of 14 runs of four.
    let known = &said["known"]["rows"][0];
    assert_eq!((&known["row"], &known["share"]), (&json!(2), &json!(0.857_142)), "{known}");
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
