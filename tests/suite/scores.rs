//! The score rules that need a second model: its training is proven, replayed and named like the
//! first one's.

use std::fs;

use dataforge_core::proof::{End, Metrics, ProofFile, Run, ScoreProof};
use dataforge_core::units::MicroNats;
use dataforge_tests::{Answer, Short, proof_in};

use crate::trunk::{kept, own_home, program};

const CHOICE: &str = "rule = \"choice\"";
const SPEC: &str = "short/1/spec.toml";

/// `short@1` under another rule, locked.
fn ruled(rule: &str) -> Short {
    locked(Short::new().replacing(SPEC, CHOICE, rule))
}

fn locked(short: Short) -> Short {
    Answer::of(short.program().args(["spec", "lock", "short@1"])).expect(0, &[]);
    short
}

fn control(measure: &str) -> Short {
    ruled(&format!("rule = \"control\"\nmeasure = \"{measure}\""))
}

/// `short@1` that is warmed on these rows.
fn warmed(measure: &str, rows: &[u8]) -> Short {
    let short = Short::new();
    let _ = short.scratch().file("specs/short/1/warm.jsonl", rows);
    let rule =
        format!("rule = \"warmed\"\nmeasure = \"{measure}\"\nrows = \"warm.jsonl\"\nepochs = 2");
    locked(short.replacing(SPEC, CHOICE, &rule))
}

/// The first rows of the golden dataset.
fn public_rows() -> Vec<u8> {
    let rows = String::from_utf8(Short::golden("dataset.jsonl")).unwrap();
    rows.lines().take(20).collect::<Vec<_>>().join("\n").into_bytes()
}

fn proof(file: &[u8]) -> ScoreProof {
    proof_in(file)
}

fn on_threads(short: &Short, threads: &str) -> Vec<u8> {
    let mut program = short.program();
    program.args(["--threads", threads]);
    short.prove(program)
}

/// A replay of a proof, changed by `change` and sealed again.
fn replay(short: &Short, file: &[u8], change: impl FnOnce(&mut ScoreProof)) -> Answer {
    let mut proof = proof(file);
    change(&mut proof);
    let path = short.scratch().file("some.proof", ProofFile::from(proof).to_bytes());
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut short.program(), &path, &dataset))
}

fn control_of(proof: &mut ScoreProof) -> &mut Run {
    proof.training.as_mut().unwrap().control.as_mut().unwrap()
}

fn metrics(run: &Run) -> Metrics {
    run.measured().unwrap().metrics
}

#[test]
fn a_control_is_proven_and_replayed() {
    let short = control("nll");
    let file = on_threads(&short, "1");
    assert_eq!(file, on_threads(&short, "2"));

    let training = proof(&file).training.unwrap();
    let control = training.control.unwrap();
    let (nll, model) = (metrics(&control).token_nll, metrics(&training.model).token_nll);
    // Another pairing of the same rows, in the same order.
    assert_ne!(control.plan, training.model.plan);
    assert_eq!(control.steps.len(), training.model.steps.len());
    assert!(model < training.baseline.token_nll);
    assert_eq!(training.lift.0, nll.0 - model.0);
    // The choice rule trains the same model from the same start.
    let golden = proof(&Short::golden("short.proof")).training.unwrap();
    assert_eq!((golden.model, golden.baseline), (training.model, training.baseline));

    replay(&short, &file, |_| {}).expect(0, &["holds"]);
    let refused = |change: fn(&mut Run), mention: &str| {
        let mentions = [&format!("control, {mention}")[..]];
        replay(&short, &file, |proof| change(control_of(proof))).expect(1, &mentions);
    };
    refused(|control| control.steps[2].loss.0 -= 1, "step 2, loss in micro-nats: the proof says");
    refused(
        |control| {
            let End::Measured(measured) = &mut control.end else { panic!("it diverged") };
            measured.final_state.0[0] ^= 1;
        },
        "final state: training ended with",
    );

    let path = short.scratch().file("some.proof", &file);
    let show = Answer::of(short.program().args(["proof", "show", "--steps"]).arg(path));
    show.expect(0, &["control   choice loss", "control, step      4", "per token"]);
}

#[test]
fn a_model_below_chance_earns_nothing_however_bad_its_control() {
    let short = control("choice");
    let proof = proof(&short.prove(short.program()));
    let training = proof.training.unwrap();
    let [trained, control] =
        [&training.model, training.control.as_ref().unwrap()].map(|run| metrics(run).choice_loss);
    assert!(MicroNats(1_386_294) < trained && trained < control);
    assert_eq!(training.lift, MicroNats(0));
}

#[test]
fn a_prompt_leaves_room_for_any_output() {
    let short = control("nll");
    let long = format!("{{\"input\":\"{}\",\"output\":\"x\"}}\n", "9".repeat(40));
    let rows = [long.as_bytes(), &Short::golden("dataset.jsonl")].concat();
    let dataset = short.scratch().file("long.jsonl", rows);
    let path = short.scratch().path("long.proof");
    let answer = Answer::of(Short::evaluate(&mut short.program(), &dataset, &path));
    answer.expect(1, &["row 1: ", "the spec allows 17 before any output"]);
}

#[test]
fn a_warmed_reference_is_trained_once_and_proven() {
    let short = warmed("nll", &public_rows());
    let home = own_home(&short);
    let file = short.prove(program(&short, &home, "1"));
    let [state, _scores] = &kept(&home)[..] else { panic!("a state and its scores are kept") };
    assert_eq!(short.prove(program(&short, &home, "2")), file, "recalled");
    let whole = fs::read(state).unwrap();
    fs::write(state, &whole[..40]).unwrap();
    assert_eq!(short.prove(program(&short, &home, "2")), file, "cut short");
    assert_eq!(fs::read(state).unwrap(), whole, "what is damaged is replaced");
    replay(&short, &file, |_| {}).expect(0, &["holds"]);

    let (proof, golden) = (proof(&file), proof(&Short::golden("short.proof")));
    let (training, cold) = (proof.training.unwrap(), golden.training.unwrap());
    assert_eq!(training.model.plan, cold.model.plan);
    assert_ne!(training.initial_state, cold.initial_state);
    assert!(training.baseline.answer_nll < cold.baseline.answer_nll, "the format is learned");
    let trained = metrics(&training.model).token_nll;
    assert_eq!(training.lift.0, training.baseline.token_nll.0 - trained.0);
    assert!(training.control.is_none());
}

/// Answers to the first rows, beside the golden proof.
fn answers(rows: &str, threads: &str) -> serde_json::Value {
    let short = Short::new();
    let path = short.scratch().path("short.proof");
    let mut program = short.program();
    program.args(["--json", "--threads", threads]);
    let command = Short::evaluate(&mut program, &Short::golden_path("dataset.jsonl"), &path);
    let answer = Answer::of(command.args(["--answers", rows]));
    let mut json = answer.expect(0, &[]).json();
    assert_eq!(fs::read(path).unwrap(), Short::golden("short.proof"));
    let nll = |metrics: &serde_json::Value| metrics["token_nll"].as_f64();
    assert!(nll(&json["model"]["metrics"]) < nll(&json["baseline"]));
    json["answers"].take()
}

#[test]
fn answers_depend_on_neither_batch_nor_threads_and_change_no_proof() {
    let (few, all) = (answers("3", "1"), answers("99", "2"));
    let texts = |of: &serde_json::Value| of["texts"].as_array().unwrap().clone();
    assert_eq!((texts(&few).len(), texts(&all).len()), (3, 12));
    assert_eq!(texts(&few), texts(&all)[..3]);
    assert!(texts(&all).iter().all(|text| !text.as_str().unwrap().is_empty()), "{all}");
    for share in ["exact_match", "token_f1", "rouge_l"] {
        assert!((0.0..=1.0).contains(&all[share].as_f64().unwrap()), "{all}");
    }
}

/// An evaluation that is warmed on these rows is refused.
#[track_caller]
fn bad_rows(rows: &[u8], mentions: &[&str]) {
    let short = warmed("nll", rows);
    let path = short.scratch().path("none.proof");
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::evaluate(&mut short.program(), &dataset, &path)).expect(2, mentions);
    assert!(fs::metadata(path).is_err());
}

#[test]
fn warm_up_rows_obey_the_schema() {
    bad_rows(b"", &["file warm.jsonl: ", "empty"]);
    bad_rows(b"{\"input\":\"x\",\"output\":\"y\"}\n{}", &["file warm.jsonl: row 2: "]);
    bad_rows(b"\xff", &["file warm.jsonl: row 1: "]);
}

#[test]
fn warm_up_rows_are_pinned() {
    let short = warmed("nll", &public_rows()).with("short/1/warm.jsonl", |rows| rows.truncate(60));
    Answer::of(short.program().args(["spec", "verify", "short@1"]))
        .expect(1, &["DIFFERS", "file warm.jsonl"]);
}
