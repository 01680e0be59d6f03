//! A replay accepts a good proof and refuses everything else, naming the first place that differs.

use std::fs;
use std::sync::OnceLock;

use dataforge_core::hash::EpochSeed;
use dataforge_core::proof::{End, Measurement, ProofFile, ScoreProof, Training};
use dataforge_core::units::Ppm;
use dataforge_tests::{Answer, Short, proof_in};

/// A good proof of the golden dataset, made once.
fn proof() -> &'static [u8] {
    static PROOF: OnceLock<Vec<u8>> = OnceLock::new();
    PROOF.get_or_init(|| {
        let short = Short::new();
        short.prove(short.program())
    })
}

/// A replay of these bytes, for this dataset, under these specs.
fn replay(short: &Short, proof: &[u8], dataset: &[u8]) -> Answer {
    let proof = short.scratch().file("some.proof", proof);
    let dataset = short.scratch().file("rows.jsonl", dataset);
    Answer::of(Short::replay(&mut short.program(), &proof, &dataset))
}

fn dataset() -> Vec<u8> {
    Short::golden("dataset.jsonl")
}

#[test]
fn a_good_proof_holds() {
    let digest = proof_in(proof()).digest().to_string();
    replay(&Short::new(), proof(), &dataset()).expect(0, &["holds", &digest]);
}

/// A flip of the lowest bit of this byte of the file is refused with this exit code.
#[track_caller]
fn flipped(at: usize, code: i32, mention: &str) {
    let mut bytes = proof().to_vec();
    bytes[at] ^= 1;
    replay(&Short::new(), &bytes, &dataset()).expect(code, &["some.proof", mention]);
}

#[test]
fn a_flipped_byte_of_the_body_is_refused() {
    let (body, length) = (50, proof().len());
    for at in [body, body + 32, length / 2, length / 2 + 1, length * 3 / 4, length - 1] {
        flipped(at, 1, "does not match its checksum");
    }
}

#[test]
fn a_flipped_byte_of_the_header_is_refused() {
    flipped(0, 2, "not a score proof");
    flipped(8, 2, "proof format 3 is unknown");
    flipped(10, 2, "not as long as its header says");
    flipped(18, 1, "does not match its checksum");
}

#[test]
fn another_dataset_is_refused() {
    let mut changed = String::from_utf8(dataset()).unwrap();
    let at = changed.find("day,").unwrap();
    changed.replace_range(at..=at, "D");
    replay(&Short::new(), proof(), changed.as_bytes())
        .expect(1, &["some.proof", "but the file hashes to"]);
}

#[test]
fn a_dataset_with_other_line_ends_is_the_same_dataset() {
    let text = String::from_utf8(dataset()).unwrap().replace('\n', "\r\n");
    replay(&Short::new(), proof(), text.as_bytes()).expect(0, &["holds"]);
}

/// A proof that was changed and sealed again decodes, and is refused with this mention.
#[track_caller]
fn resealed(change: impl FnOnce(&mut ScoreProof), mention: &str) {
    let mut changed = proof_in(proof());
    change(&mut changed);
    let file = ProofFile::from(changed).to_bytes();
    assert_ne!(file, proof());
    replay(&Short::new(), &file, &dataset()).expect(1, &["some.proof", mention]);
}

/// The same, where only a replay can tell.
#[track_caller]
fn replayed(change: impl FnOnce(&mut ScoreProof), place: &str) {
    resealed(change, &format!("{place}: the proof says"));
}

fn training(proof: &mut ScoreProof) -> &mut Training {
    proof.training.as_mut().unwrap()
}

fn measured(proof: &mut ScoreProof) -> &mut Measurement {
    let End::Measured(measurement) = &mut training(proof).model.end else { panic!("it diverged") };
    measurement
}

#[test]
fn a_higher_lift_is_refused() {
    resealed(|proof| training(proof).lift.0 += 1, "lift: the metrics give");
}

#[test]
fn better_metrics_are_refused() {
    let better = |proof: &mut ScoreProof| measured(proof).metrics.accuracy = Ppm(1_000_000);
    resealed(better, "metrics: they do not follow from the results");
}

#[test]
fn another_loss_of_one_step_is_refused() {
    replayed(|proof| training(proof).model.steps[2].loss.0 -= 1, "step 2, loss in micro-nats");
}

#[test]
fn another_state_of_one_step_is_refused() {
    replayed(
        |proof| {
            let steps = &mut training(proof).model.steps;
            steps[3].state = steps[1].state;
        },
        "step 3, state",
    );
}

#[test]
fn swapped_benchmark_rows_are_refused() {
    replayed(|proof| measured(proof).rows.swap(4, 9), "benchmark row 5");
}

#[test]
fn a_truncated_run_is_refused() {
    resealed(|proof| training(proof).model.steps.truncate(4), "4 steps were taken of a plan of 5");
}

#[test]
fn a_better_baseline_is_refused() {
    let better = |proof: &mut ScoreProof| training(proof).baseline.accuracy = Ppm(1_000_000);
    replayed(better, "baseline accuracy");
}

#[test]
fn another_verdict_is_refused() {
    replayed(|proof| proof.training = None, "verdict of the kernels");
}

#[test]
fn another_seed_is_refused() {
    replayed(|proof| proof.inputs.seed = EpochSeed([3; 32]), "batches");
}

#[test]
fn with_json_a_refusal_is_an_answer() {
    let short = Short::new();
    let proof = short.scratch().file("some.proof", proof());
    let dataset = short.scratch().file("rows.jsonl", &dataset()[1..]);
    let mut command = short.program();
    let answer = Answer::of(Short::replay(command.arg("--json"), &proof, &dataset));
    let json = answer.expect(1, &[]).json();
    assert_eq!(json["holds"], false);
    assert!(json["reason"].as_str().unwrap().contains("hashes to"), "{json}");
}

#[test]
fn a_kernel_with_one_byte_changed_is_refused() {
    let short = Short::new().with("kernels/schema-1.0.0.wasm", |kernel| {
        let middle = kernel.len() / 2;
        kernel[middle] ^= 1;
    });
    replay(&short, proof(), &dataset()).expect(1, &["kernel schema-1.0.0 is not the pinned one"]);
}

#[test]
fn a_spec_with_another_recipe_is_another_spec() {
    let rate = ("learning_rate_micro = 1_000", "learning_rate_micro = 1_001");
    let short = Short::new().replacing("short/1/spec.toml", rate.0, rate.1);
    let id = proof_in(proof()).inputs.spec.to_string();
    replay(&short, proof(), &dataset()).expect(2, &["no spec here has the proof's id", &id]);
}

#[test]
fn a_replay_changes_no_file() {
    let short = Short::new();
    replay(&short, proof(), &dataset()).expect(0, &[]);
    assert_eq!(fs::read(short.scratch().path("some.proof")).unwrap(), proof());
    short.scratch().expect_nothing_partial();
}
