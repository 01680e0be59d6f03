//! The JSON Schema of the rules: which of its faults is reported, and how.

use dataforge_kernel_schema_2::Rules;
use serde_json::json;

use crate::{outcome, rules};

/// The outcome of a row with a member `x`, which the schema is about.
fn check(schema: &str, value: &str, expected: &str) {
    let rules = Rules { schema_json: format!(r#"{{"properties": {{"x": {schema}}}}}"#), ..rules() };
    let line = format!(r#"{{"input": "a", "output": "b", "x": {value}}}"#);
    assert_eq!(outcome(rules, &line), expected, "{schema} of {value}");
}

/// A format: a text that has it and one that has not.
fn format(name: &str, good: &str, bad: &str) {
    let schema = json!({"format": name}).to_string();
    check(&schema, &json!(good).to_string(), "a => b");
    check(&schema, &json!(bad).to_string(), &format!(r#"/x ! value is not a "{name}""#));
}

#[test]
fn formats_are_asserted() {
    format("date", "2024-02-29", "2023-02-29");
    format("date-time", "2024-02-29T23:59:60Z", "2024-02-29 12:00:00Z");
    format("time", "12:00:00+01:00", "12:00:00");
    format("duration", "P1Y2M3DT4H", "P");
    format("email", "a@example.com", "a@");
    format("hostname", "example.com", "-example.com");
    format("ipv4", "127.0.0.1", "127.0.0.01");
    format("ipv6", "2001:db8::1", "2001:db8::1::2");
    format("uri", "https://example.com/a?b#c", "/a");
    format("uri-reference", "/a", "\\a");
    format("uri-template", "https://example.com/{id}", "https://example.com/{id");
    format("iri", "https://example.com/é", "/é");
    format("iri-reference", "/é", "\\é");
    format("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380");
    format("json-pointer", "/a~0b", "a");
    format("relative-json-pointer", "1/a", "/a");
    format("regex", "^a+$", "^(a$");
    check(r#"{"format": "date"}"#, "1", "a => b");
}

#[test]
fn keywords_hold() {
    check(r#"{"type": "string", "maxLength": 2}"#, r#""éé""#, "a => b");
    check(r#"{"maxLength": 2}"#, r#""ééé""#, "/x ! value is longer than 2 characters");
    check(r#"{"minLength": 2}"#, r#""é""#, "/x ! value is shorter than 2 characters");
    check(r#"{"minLength": 3, "maxLength": 4}"#, r#""éééé""#, "a => b");
    check(
        r#"{"minLength": 3, "maxLength": 4}"#,
        r#""éééée""#,
        "/x ! value is longer than 4 characters",
    );
    check(r#"{"pattern": "^\\d+$"}"#, r#""12""#, "a => b");
    check(r#"{"pattern": "^\\d+$"}"#, r#""1٣""#, r#"/x ! value does not match "^\d+$""#);
    check(r#"{"pattern": "^(?!no)"}"#, r#""no""#, r#"/x ! value does not match "^(?!no)""#);
    check(r#"{"const": {"a": [1, null]}}"#, r#"{"a": [1.0, null]}"#, "a => b");
    check(r#"{"const": {"a": 1}}"#, r#"{"a": true}"#, r#"/x ! {"a":1} was expected"#);
    check(r#"{"enum": ["a", 2, null]}"#, r#""a""#, "a => b");
    check(r#"{"enum": ["a", 2, null]}"#, "2.0", "a => b");
    check(r#"{"enum": ["a", 2]}"#, r#""b""#, r#"/x ! value is not one of "a" or 2"#);
    check(r#"{"type": "integer"}"#, "1.0", "a => b");
    check(r#"{"type": "integer"}"#, "1.5", r#"/x ! value is not of type "integer""#);
    check(r#"{"multipleOf": 0.1}"#, "0.3", "a => b");
    check(
        r#"{"maximum": 18446744073709551614}"#,
        "18446744073709551615",
        "/x ! value is greater than the maximum of 18446744073709551614",
    );
    check(
        r#"{"uniqueItems": true}"#,
        r#"[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]"#,
        "/x ! value has non-unique elements",
    );
    check(r#"{"uniqueItems": true}"#, r#"[1, "1", [1], true]"#, "a => b");
    check(
        r#"{"contains": {"type": "null"}}"#,
        "[1]",
        "/x ! None of value are valid under the given schema",
    );
    check(
        r#"{"prefixItems": [true], "items": false}"#,
        "[1, 2]",
        "/x/1 ! False schema does not allow value",
    );
    check(
        r#"{"propertyNames": {"maxLength": 2}}"#,
        r#"{"abc": 1}"#,
        r#"/x ! "abc" is longer than 2 characters"#,
    );
    check(r#"{"required": ["a"]}"#, "{}", r#"/x ! "a" is a required property"#);
    check(
        r#"{"dependentRequired": {"a": ["b"]}}"#,
        r#"{"a": 1}"#,
        r#"/x ! "b" is a required property"#,
    );
    check(
        r#"{"unevaluatedProperties": false, "properties": {"a": true}}"#,
        r#"{"a": 1, "b": 1}"#,
        "/x ! Unevaluated properties are not allowed ('b' was unexpected)",
    );
}

#[test]
fn properties_are_found_among_few_and_many() {
    let schema = r#"{"properties": {"m": {"type": "null"}, "z": false}}"#;
    for others in [0, 7, 8, 9, 100] {
        let others: String = (0..others).map(|n| format!(r#", "k{n}": 1"#)).collect();
        check(schema, &format!(r#"{{"m": null{others}}}"#), "a => b");
        check(schema, &format!(r#"{{"m": 1{others}}}"#), r#"/x/m ! value is not of type "null""#);
        check(
            schema,
            &format!(r#"{{"m": null, "z": 1{others}}}"#),
            "/x/z ! False schema does not allow value",
        );
    }
}

#[test]
fn schemas_refer_to_themselves() {
    let list = r##"{"items": {"$ref": "#/$defs/t"}, "type": "array"}"##;
    let tree =
        &format!(r##"{{"$id": "urn:tree", "$defs": {{"t": {list}}}, "$ref": "#/$defs/t"}}"##);
    check(tree, "[[], [[]]]", "a => b");
    check(tree, "[[], [[1]]]", r#"/x/1/0/0 ! value is not of type "array""#);
}

#[test]
fn the_meta_schema_is_known() {
    let meta = r#"{"$ref": "https://json-schema.org/draft/2020-12/schema"}"#;
    check(meta, r#"{"type": "string"}"#, "a => b");
    check(meta, r#"{"minLength": -1}"#, "/x/minLength ! value is less than the minimum of 0");
}

#[test]
fn matches_without_an_end_are_faults() {
    let text = format!("{:?}", "a".repeat(40));
    let undecided = "/x ! Error executing regex: Max limit for backtracking count exceeded";
    check(r#"{"pattern": "^(a|a)*(?!c)b$"}"#, &text, undecided);
}

#[test]
fn the_least_fault_is_reported() {
    let texts = r#"{"maxLength": 1, "type": "null", "enum": [1]}"#;
    let schema = &format!(r#"{{"properties": {{"b": {texts}, "a": {{"items": false}}}}}}"#);
    check(schema, r#"{"b": "bb", "a": []}"#, "/x/b ! value is not one of 1");
    check(schema, r#"{"b": "bb", "a": [1]}"#, "/x/a/0 ! False schema does not allow value");
    // In byte order, in which 10 is before 9.
    let list = &format!("[{}, 1, 1]", ["null"; 9].join(", "));
    check(r#"{"items": {"type": "null"}}"#, list, r#"/x/10 ! value is not of type "null""#);
}

#[test]
fn messages_do_not_quote_values() {
    check(r#"{"enum": [1]}"#, r#""secret""#, "/x ! value is not one of 1");
    check(r#"{"not": {}}"#, r#""secret""#, "/x ! {} is not allowed for value");
}
