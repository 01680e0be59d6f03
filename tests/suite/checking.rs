//! `dataforge check`: beside the verdict, what is alike, what is known and how varied it is.

use dataforge_tests::{Answer, Short, dataforge};
use serde_json::{Value, json};
use std::path::Path;

/// Rows of the golden dataset.
fn golden() -> Vec<String> {
    let rows = String::from_utf8(Short::golden("dataset.jsonl")).unwrap();
    rows.lines().map(str::to_owned).collect()
}

/// What `check --json` says, with these arguments behind the dataset.
fn check(short: &Short, dataset: &Path, arguments: &[&str]) -> Value {
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--json"]).arg(dataset).args(arguments);
    Answer::of(&mut check).expect(0, &["accepted"]).json()
}

#[test]
fn copies_are_named_with_what_they_copy() {
    let short = Short::new();
    let mut rows = golden();
    let edited = rows[4].to_uppercase().replace("INPUT", "input").replace("OUTPUT", "output");
    rows[9] = edited.replace("  ", " ");
    let dataset = short.scratch().file("rows.jsonl", rows.join("\n"));
    let alike = &check(&short, &dataset, &[])["alike"];
    assert_eq!(alike["copies"], 1);
    let expected =
        json!({"row": 10, "of_dataset": null, "of_row": 5, "similarity": 1.0, "exact": true});
    assert_eq!(alike["rows"][0], expected);

    let earlier = short.scratch().file("earlier.jsonl", golden().join("\n"));
    let earlier = earlier.to_str().unwrap();
    let alike = &check(&short, &dataset, &["--against", earlier])["alike"];
    assert_eq!(alike["copies"], rows.len());
    assert_eq!(
        (&alike["rows"][9]["of_row"], &alike["rows"][9]["of_dataset"]),
        (&json!(5), &json!(earlier))
    );
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--against", earlier]).arg(&dataset);
    let said = ["row 1: row 1 of", "earlier.jsonl: 40 of its 40 rows compared", "variety"];
    Answer::of(&mut check).expect(0, &said);

    let other = short.scratch().file("other.jsonl", "{\"q\": 1}\n");
    let mut check = short.program();
    check.args(["check", "--spec", "short@1", "--against"]).arg(other).arg(&dataset);
    Answer::of(&mut check).expect(0, &["other.jsonl: 0 of its 1 rows compared"]);
}

#[test]
fn text_of_known_documents_is_named() {
    let short = Short::new();
    let row: Value = serde_json::from_str(&golden()[2]).unwrap();
    let output = row["output"].as_str().unwrap();
    let document = short.scratch().file("known.txt", format!("It was said: {output} So it was."));
    let index = short.scratch().path("known.index");
    let mut make = short.program();
    make.args(["index", "--words", "4", "--out"]).arg(&index).arg(document);
    Answer::of(&mut make).expect(0, &["known.index"]);
    let known = ["--known", index.to_str().unwrap()];
    let known = &check(&short, &Short::golden_path("dataset.jsonl"), &known)["known"];
    assert_eq!((&known["rows_total"], &known["rows"][0]["row"]), (&json!(1), &json!(3)));
    let part = known["rows"][0]["part"].as_str().unwrap();
    assert!(output.starts_with(part) && part.len() + 2 > output.len(), "{part:?}, {output:?}");
}

/// The engine computes vectors exactly, so their distance is a golden number.
#[test]
fn how_far_apart_rows_lie_in_meaning_is_the_same_everywhere() {
    let (short, dataset) = (Short::new(), Short::golden_path("dataset.jsonl"));
    let golden = json!({"sample": 40, "mean_cosine_distance": 0.419_001_747_586_94});
    for threads in ["1", "3"] {
        assert_eq!(check(&short, &dataset, &["--embed", "--threads", threads])["meaning"], golden);
    }
    assert_eq!(check(&short, &dataset, &[])["meaning"], Value::Null);
}

#[test]
fn the_same_rows_in_another_format_are_the_same_rows() {
    let short = Short::new();
    let array = short.scratch().file("rows.json", format!("[\n  {}\n]", golden().join(",\n  ")));
    let mut lines = check(&short, &Short::golden_path("dataset.jsonl"), &[]);
    let mut array = check(&short, &array, &[]);
    assert_eq!(
        (&lines["format"], &array["format"]),
        (&json!("JSON Lines"), &json!("a JSON array"))
    );
    lines["format"] = Value::Null;
    array["format"] = Value::Null;
    assert_eq!(lines, array);
}

#[test]
fn what_is_no_index_is_refused() {
    let short = Short::new();
    let dataset = Short::golden_path("dataset.jsonl");
    for (bytes, mention) in
        [("", "not an n-gram index"), ("DFNG\u{1}\u{1}\0\0", "n-grams of 1 words")]
    {
        let index = short.scratch().file("known.index", bytes);
        let mut check = short.program();
        check.args(["check", "--spec", "short@1", "--known"]).arg(index).arg(&dataset);
        Answer::of(&mut check).expect(2, &["index", mention]);
    }
    let mut make = dataforge();
    make.args(["index", "--words", "65", "--out", "x", "y"]);
    Answer::of(&mut make).expect(2, &["--words", "65"]);
    let document = short.scratch().file("known.txt", b"caf\xe9");
    let mut make = short.program();
    make.arg("index").arg(document).arg("--out").arg(short.scratch().path("x"));
    Answer::of(&mut make).expect(2, &["known.txt", "not UTF-8"]);
    short.scratch().expect_nothing_partial();
}
