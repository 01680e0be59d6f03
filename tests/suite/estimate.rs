//! A miner's quick look: near the score that the proof says, and nothing that passes for a proof.

use std::fs;

use dataforge_tests::{Answer, SEED, Short};
use serde_json::Value;

/// What `dataforge --json estimate` says of `dataset` under the golden spec.
fn estimate(short: &Short, dataset: &std::path::Path, code: i32) -> Value {
    let mut command = short.program();
    command.arg("--json").arg("estimate").arg(dataset).args(["--spec", "short@1", "--seed", SEED]);
    command.arg("--benchmark").arg(Short::golden_path("benchmark.jsonl"));
    Answer::of(&mut command).expect(code, &[]).json()
}

#[test]
fn an_estimate_is_near_the_proof_and_says_what_it_is() {
    let short = Short::new();
    let found = estimate(&short, &Short::golden_path("dataset.jsonl"), 0);
    assert_eq!(found["canonical"], false);
    assert!(found["note"].as_str().unwrap().contains("proves nothing"), "{found}");
    assert!(found["engine"].as_str().unwrap().contains("fast lowering"), "{found}");
    for absent in ["digest", "final_state", "inputs", "steps"] {
        assert!(found.get(absent).is_none(), "an estimate has {absent}");
    }
    let mut command = short.program();
    command.args(["--json", "proof", "show"]).arg(Short::golden_path("short.proof"));
    let proof = Answer::of(&mut command).expect(0, &[]).json();
    let exact = [
        ("baseline", &proof["baseline"]["choice_loss"]),
        ("trained", &proof["model"]["metrics"]["choice_loss"]),
        ("lift", &proof["lift"]),
    ];
    for (number, exact) in exact {
        let [fast, exact] = [&found[number], exact].map(|of| of.as_f64().unwrap());
        assert!((fast - exact).abs() < 0.02, "{number}: {fast} in f32, {exact} exactly");
    }
}

#[test]
fn a_rejected_dataset_is_rejected_here_too() {
    let short = Short::new();
    let dataset = short.scratch().file("bad.jsonl", "{}\n");
    let found = estimate(&short, &dataset, 1);
    assert_eq!(found["verdict"], "rejected");
    assert_eq!(found["check"]["accepted"], false);
    assert!(fs::read_dir(dataset.parent().unwrap()).unwrap().all(|entry| {
        entry.unwrap().path().extension().is_none_or(|extension| extension != "proof")
    }));
}
