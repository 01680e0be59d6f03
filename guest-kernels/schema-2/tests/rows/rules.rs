//! Rules that cannot be used fail the call.

use dataforge_kernel_schema_2::{Rules, Shape};

use crate::{refusal, rules};

fn check(rules: Rules, expected: &str) {
    assert_eq!(refusal(rules), expected);
}

fn schema(schema: &str, expected: &str) {
    let found = refusal(Rules { schema_json: schema.to_owned(), ..rules() });
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn schemas() {
    schema("", "the schema is not JSON: EOF");
    schema("1", "the schema is unusable: 1 is not of types");
    schema(r#"{"type": "text"}"#, "the schema is unusable: ");
    schema(r#"{"pattern": "("}"#, "the schema is unusable: ");
    let remote = "the schema is unusable: Resource 'https://example.com/schema' is not present";
    schema(r#"{"$ref": "https://example.com/schema"}"#, remote);
    schema(r##"{"$ref": "#/$defs/absent"}"##, "the schema is unusable: ");
}

#[test]
fn formats_that_nobody_checks() {
    for name in ["colour", "Date"] {
        let text = format!(r#"{{"format": "{name}"}}"#);
        schema(&text, &format!("the schema is unusable: Unknown format: '{name}'"));
    }
}

#[test]
fn sizes_and_shares() {
    check(
        Rules { text_bytes_max: 0, ..rules() },
        "text-bytes-max is 0: a text has at least one byte",
    );
    let share = "script-ppm-min is 1000001: a share is at most 1000000";
    check(Rules { script_ppm_min: 1_000_001, ..rules() }, share);
}

#[test]
fn codes_of_scripts() {
    let scripts =
        |code: &str| Rules { scripts: vec!["Latn".to_owned(), code.to_owned()], ..rules() };
    let unknown =
        |code: &str| format!("no script has the code {code:?}: Unicode names them, such as Latn");
    for code in ["Latin", "latn", "Jpan", "", "Xxxx"] {
        check(scripts(code), &unknown(code));
    }
    for code in ["Zyyy", "Zinh"] {
        check(scripts(code), &format!("letters of the script {code} are not counted: name others"));
    }
}

#[test]
fn members_of_shapes() {
    let apart = "the input and the output of a dialogue are the same member";
    check(Rules { shape: Shape::Dialogue, ..rules() }, apart);
    let shared = "two parts of a row have the same member: each takes its own";
    for name in ["input", "output"] {
        check(Rules { shape: Shape::Reasoning(name.to_owned()), ..rules() }, shared);
        check(Rules { shape: Shape::Choice(name.to_owned()), ..rules() }, shared);
    }
    let one = Rules { output: "input".to_owned(), ..rules() };
    check(Rules { shape: Shape::Choice("choices".to_owned()), ..one }, shared);
}
