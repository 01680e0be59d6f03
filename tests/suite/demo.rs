//! The demonstration, run once for all tests of this module, and what must be seen in it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use dataforge_tests::{Answer, Scratch, dataforge, proof_in};
use serde_json::Value;

struct Demo {
    folder: Scratch,
    json: Value,
}

fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = Scratch::new();
        let mut command = dataforge();
        let answer = Answer::of(command.args(["--json", "demo", "--out"]).arg(folder.path("")));
        Demo { json: answer.expect(0, &[]).json(), folder }
    })
}

fn submissions() -> BTreeMap<&'static str, &'static Value> {
    let list = demo().json["submissions"].as_array().unwrap();
    list.iter().map(|entry| (entry["name"].as_str().unwrap(), entry)).collect()
}

fn number(name: &str, field: &str) -> f64 {
    submissions()[name][field].as_f64().unwrap_or_else(|| panic!("{field} of {name}"))
}

fn verdict(name: &str) -> &'static str {
    submissions()[name]["verdict"].as_str().unwrap()
}

#[test]
fn every_submission_is_shown_with_every_figure() {
    let names: Vec<_> = submissions().into_keys().collect();
    assert_eq!(names, ["copy", "garbage", "half", "honest", "shuffled"]);
    for (name, entry) in submissions() {
        assert!(entry["verdict"].is_string(), "{entry}");
        assert!(entry["rows"].as_u64().unwrap() >= 100, "{entry}");
        assert_eq!(entry["proof_digest"].as_str().unwrap().len(), 64, "{entry}");
        // Chance is ln 4 nats: what is gained over it is the lift.
        let gained = 2.0 * std::f64::consts::LN_2 - number(name, "trained");
        assert!((gained - number(name, "lift")).abs() < 1e-6, "{entry}");
        assert_eq!(number(name, "baseline"), number("honest", "baseline"), "{entry}");
    }
}

#[test]
fn honest_data_is_paid_most() {
    for name in ["half", "shuffled", "garbage"] {
        assert!(number("honest", "lift") > number(name, "lift"), "{name}");
        assert!(number("honest", "share") > number(name, "share"), "{name}");
    }
    assert_eq!(verdict("honest"), "paid");
    let paid: f64 = submissions().into_keys().map(|name| number(name, "share")).sum();
    // Each share is rounded down to a millionth; what is lost so is not paid to anyone.
    assert!(paid <= 1.0 + 1e-9 && paid > 1.0 - 5.5e-6, "shares add up to {paid}");
}

#[test]
fn shuffled_and_garbage_earn_nothing() {
    for name in ["shuffled", "garbage"] {
        assert_eq!(verdict(name), "below margin");
        assert_eq!(number(name, "share"), 0.0);
    }
}

#[test]
fn a_copy_earns_nothing_whatever_it_taught() {
    assert_eq!(verdict("copy"), "copy of honest");
    assert_eq!(number("copy", "share"), 0.0);
    assert!(number("copy", "lift") > number("half", "lift"));
}

#[test]
fn the_proofs_lie_beside_the_datasets() {
    for (name, entry) in submissions() {
        let file = fs::read(demo().folder.path(&format!("{name}.proof"))).unwrap();
        let proof = proof_in(&file);
        assert_eq!(entry["proof_digest"], proof.digest().to_string());
        assert!(demo().folder.path(&format!("{name}.jsonl")).is_file());
    }
    demo().folder.expect_nothing_partial();
}

#[test]
fn the_replay_gives_the_same_digest() {
    let replay = &demo().json["replay"];
    assert_eq!(replay["submission"], "honest");
    assert_eq!(replay["proof_digest"], submissions()["honest"]["proof_digest"]);
}

#[test]
fn every_tampering_is_refused_with_its_reason() {
    let refusals = demo().json["refusals"].as_array().unwrap();
    let reason = |what: &str| {
        let mut found = refusals.iter().filter(|refusal| {
            refusal["what"].as_str().unwrap().contains(what) && refusal["refused"] == true
        });
        found.next().unwrap_or_else(|| panic!("{what}: {refusals:?}"))["reason"].to_string()
    };
    assert_eq!(refusals.len(), 3);
    assert!(reason("proof").contains("checksum"));
    assert!(reason("dataset").contains("hashes to"));
    assert!(reason("kernel").contains("spec.lock says"));
}

#[test]
fn the_doctor_shows_what_it_found() {
    let answer = Answer::of(dataforge().args(["--json", "doctor"]));
    let json = answer.expect(0, &[]).json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["onnxruntime"], "1.31.1");
    assert_eq!(json["provider"], "CPUExecutionProvider");
    assert_eq!(json["known_answer"], json["expected"]);
    assert_eq!(json["expected"].as_str().unwrap().len(), 64);
    Answer::of(dataforge().arg("doctor")).expect(0, &["known answer", "ok: "]);
}

#[test]
fn the_specs_are_listed_shown_and_verified() {
    let list = Answer::of(dataforge().args(["--json", "spec", "list"])).expect(0, &[]).json();
    let date = list["specs"].as_array().unwrap().iter().find(|row| row["spec"] == "date@1");
    let id = date.unwrap()["id"].as_str().unwrap();
    Answer::of(dataforge().args(["spec", "show", "date@1"])).expect(0, &[id, "margin"]);
    for row in list["specs"].as_array().unwrap() {
        let spec = row["spec"].as_str().unwrap();
        Answer::of(dataforge().args(["spec", "verify", spec])).expect(0, &["ok ", "kernel "]);
    }
}
