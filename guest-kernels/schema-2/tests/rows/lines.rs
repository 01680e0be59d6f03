//! What a line has to be before any rule is looked at.

use dataforge_kernel_schema_2::RowOutcome;

use crate::{outcome, outcomes, rules};

fn check(line: &str, expected: &str) {
    assert_eq!(outcome(rules(), line), expected, "{line}");
}

#[test]
fn one_json_value() {
    check(r#"{"input": "a\u0062c", "output": "é\n"}"#, "abc => é\n");
    check("", " ! malformed JSON: EOF while parsing a value at column 0");
    check(
        r#"{"input": "a", "output": "b"} 1"#,
        " ! malformed JSON: trailing characters at column 31",
    );
    check(r#"{"input": "a",}"#, " ! malformed JSON: trailing comma at column 15");
    check(r#"{"input": 1e999}"#, " ! malformed JSON: number out of range at column 15");
    check(r#"{"input": "\ud800"}"#, " ! malformed JSON: unexpected end of hex escape at column 18");
    check("[]", " ! the row is not an object");
}

#[test]
fn utf_8() {
    let line = b"{\"input\": \"a\xff\"}";
    let RowOutcome::Fault(fault) = outcomes(rules(), &[line]).remove(0) else { panic!() };
    assert_eq!((&*fault.pointer, &*fault.reason), ("", "invalid UTF-8 at byte 12"));
}

#[test]
fn member_names_stand_once_in_an_object() {
    let two =
        |name: &str| format!(r#"{{"input": "a", "output": "b", "x": {{{name}: 1, {name}: 2}}}}"#);
    check(&two(r#""n""#), r#" ! malformed JSON: repeated member name "n" at column 47"#);
    check(&two(r#""""#), r#" ! malformed JSON: repeated member name "" at column 45"#);
    let spelt = r#"{"input": "a", "output": "b", "\u0069nput": "c"}"#;
    check(spelt, r#" ! malformed JSON: repeated member name "input" at column 42"#);
    check(r#"{"input": "a", "output": "b", "x": {"input": 1}}"#, "a => b");
    let many: String = (0..100).map(|n| format!(r#""{}": {n}, "#, n % 99)).collect();
    let line = format!(r#"{{{many}"input": "a", "output": "b"}}"#);
    assert!(outcome(rules(), &line).contains(r#"repeated member name "0""#));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"input": "a", "output": "b", "x": {open}{close}}}"#)
    };
    check(&nested(126), "a => b");
    check(&nested(127), " ! malformed JSON: recursion limit exceeded at column 162");
}

#[test]
fn each_line_has_its_own_outcome() {
    let good = br#"{"input": "a", "output": "b"}"#;
    let found = outcomes(rules(), &[good, b"{", good, b"[]"]);
    let faults: Vec<bool> =
        found.iter().map(|outcome| matches!(outcome, RowOutcome::Fault(_))).collect();
    assert_eq!(faults, [false, true, false, true]);
}

#[test]
fn faults_are_short_and_printable() {
    let name = "\u{1b}[2J".repeat(200);
    let line = serde_json::json!({"input": "a", "output": "b", "x": {&name: 1}}).to_string();
    let mut rules = rules();
    rules.schema_json =
        r#"{"properties": {"x": {"additionalProperties": {"type": "string"}}}}"#.to_owned();
    let RowOutcome::Fault(fault) = outcomes(rules, &[line.as_bytes()]).remove(0) else { panic!() };
    assert!(fault.pointer.starts_with("/x/\u{fffd}[2J") && fault.pointer.ends_with('…'));
    assert!(fault.pointer.len() <= 300, "{}", fault.pointer.len());
    assert_eq!(fault.reason, r#"value is not of type "string""#);
}
