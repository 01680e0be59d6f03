//! Audits of parts of a run: what is false is found and named, and little is recomputed.

use std::path::{Path, PathBuf};

use dataforge_core::hash::StateRoot;
use dataforge_core::proof::{ProofFile, Run, ScoreProof};
use dataforge_core::units::MicroNats;
use dataforge_tests::{Answer, Short, proof_in};

/// Evaluates and keeps a checkpoint at every committed step.
pub(crate) fn proven(short: &Short) -> PathBuf {
    let proof = short.scratch().path("short.proof");
    let mut command = short.program();
    Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), &proof);
    Answer::of(command.args(["--checkpoint-seconds", "0"])).expect(0, &["scored"]);
    proof
}

fn audit(short: &Short, kind: &str, proof: &Path, arguments: &[&str]) -> Answer {
    let mut command = short.program();
    command.args(["audit", kind]).arg(proof).arg("--dataset");
    command.arg(Short::golden_path("dataset.jsonl"));
    command.arg("--states").arg(short.scratch().path("states"));
    Answer::of(command.args(arguments))
}

fn changed(short: &Short, proof: &Path, change: impl FnOnce(&mut Run)) -> PathBuf {
    let mut proof: ScoreProof = proof_in(&std::fs::read(proof).unwrap());
    change(&mut proof.training.as_mut().unwrap().model);
    short.scratch().file("changed.proof", ProofFile::from(proof).to_bytes())
}

#[test]
fn a_step_is_audited_from_the_state_before_it() {
    let short = Short::of_epochs(12);
    let proof = proven(&short);
    let json = audit(&short, "step", &proof, &["--step", "41", "--json"]).expect(0, &[]).json();
    assert_eq!(json["steps_taken"], 2);
    assert_eq!((&json["parts"][0]["from"], &json["parts"][0]["to"]), (&40.into(), &42.into()));
    // Without the prover's states, all before it is taken as well.
    std::fs::remove_dir_all(short.scratch().path("states")).unwrap();
    let json = audit(&short, "step", &proof, &["--step", "41", "--json"]).expect(0, &[]).json();
    assert_eq!((&json["steps_asked"], &json["steps_taken"]), (&2.into(), &42.into()));
    audit(&short, "step", &proof, &["--step", "60"]).expect(2, &["step 60 was not taken"]);
    audit(&short, "step", &proof, &["--step", "1", "--control"]).expect(2, &["control"]);
}

#[test]
fn a_false_step_is_named_and_others_are_not_blamed() {
    let short = Short::of_epochs(12);
    let proof = proven(&short);
    let loss = changed(&short, &proof, |run| run.steps[30].loss = MicroNats(1));
    audit(&short, "step", &loss, &["--step", "30"]).expect(1, &["step 30, loss"]);
    audit(&short, "step", &loss, &["--step", "41"]).expect(0, &["holds"]);
    let state = changed(&short, &proof, |run| run.steps[31].state = Some(StateRoot([3; 32])));
    audit(&short, "step", &state, &["--step", "30"]).expect(1, &["step 31, state"]);
}

#[test]
fn a_spot_check_says_what_it_bought() {
    let short = Short::of_epochs(12);
    let proof = proven(&short);
    let randomness = "0505050505050505050505050505050505050505050505050505050505050505";
    let some = ["--samples", "3", "--randomness", randomness, "--json"];
    let json = audit(&short, "spot", &proof, &some).expect(0, &[]).json();
    assert_eq!((&json["steps_taken"], &json["parts_total"]), (&6.into(), &30.into()));
    assert!((json["detection"]["one_part"].as_f64().unwrap() - 0.1).abs() < 1e-9);
    assert_eq!(audit(&short, "spot", &proof, &some).expect(0, &[]).json(), json);
    // All parts are a replay of the training.
    let all = ["--samples", "30", "--randomness", randomness];
    audit(&short, "spot", &proof, &all).expect(0, &["taken     60 of 60", "100.0 %"]);
    let state = changed(&short, &proof, |run| run.steps[31].state = Some(StateRoot([3; 32])));
    audit(&short, "spot", &state, &all).expect(1, &["step 31, state"]);
}
