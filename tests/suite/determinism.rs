//! The same inputs give the same proof: on one thread and two, again, on an older CPU, and as long
//! as the formats live.

use std::fs;
use std::path::Path;
use std::process::Command;

use dataforge_tests::{Answer, SEED, Scratch, Short, dataforge, dataforge_on, proof_in};

/// When set, the golden files are written afresh instead of compared. For a format or a spec that
/// nobody has relied on yet; a published proof never changes.
const UPDATE: &str = "DATAFORGE_UPDATE_GOLDEN";

/// The proof of the golden dataset with these arguments added is the golden one, byte for byte.
#[track_caller]
fn golden_again(arguments: &[&str]) {
    let short = Short::new();
    let mut command = short.program();
    command.args(arguments);
    assert_eq!(short.prove(command), Short::golden("short.proof"), "with {arguments:?}");
}

#[test]
fn one_thread_gives_the_golden_proof() {
    golden_again(&["--threads", "1"]);
}

#[test]
fn two_threads_give_the_golden_proof() {
    golden_again(&["--threads", "2"]);
}

#[test]
fn three_threads_give_the_golden_proof() {
    golden_again(&["--threads", "3"]);
}

#[test]
fn int8_slices_give_the_golden_proof() {
    golden_again(&["--lowering", "slices"]);
}

#[test]
fn fused_operators_give_the_golden_proof() {
    golden_again(&["--lowering", "fused"]);
}

/// `short@1` with a rate and a decay that blow the weights up within its five steps.
fn divergent() -> Short {
    let [rate, decay] = ["learning_rate_micro", "weight_decay_micro"];
    Short::new()
        .replacing(
            "short/1/spec.toml",
            &format!("{rate} = 1_000"),
            &format!("{rate} = 4_000_000_000"),
        )
        .replacing(
            "short/1/spec.toml",
            &format!("{decay} = 10_000"),
            &format!("{decay} = 4_000_000_000"),
        )
}

/// The proof file of a run that diverges, by `command`.
#[track_caller]
fn diverged(short: &Short, mut command: Command) -> Vec<u8> {
    let path = short.scratch().path("diverged.proof");
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::evaluate(&mut command, &dataset, &path)).expect(0, &["diverged", "step"]);
    fs::read(path).unwrap()
}

#[test]
fn divergence_is_a_verdict_that_is_the_same_everywhere_and_replays() {
    let short = divergent();
    let file = diverged(&short, short.program());
    for arguments in [
        ["--threads", "1"],
        ["--lowering", "stock"],
        ["--lowering", "slices"],
        ["--lowering", "fused"],
    ] {
        let mut command = short.program();
        command.args(arguments);
        assert_eq!(diverged(&short, command), file, "with {arguments:?}");
    }
    let proof = proof_in(&file);
    assert_eq!(proof.verdict().to_string(), "diverged");
    assert_eq!(proof.lift().0, 0);
    let path = short.scratch().path("diverged.proof");
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut short.program(), &path, &dataset)).expect(0, &["holds"]);
}

#[test]
#[ignore = "needs qemu-x86_64"]
fn divergence_is_the_same_verdict_without_avx() {
    let short = divergent();
    let file = diverged(&short, short.program());
    assert_eq!(diverged(&short, short.used_by(dataforge_on("Nehalem"))), file);
}

#[test]
#[ignore = "needs qemu-x86_64"]
fn a_cpu_without_avx_gives_the_golden_proof() {
    let short = Short::new();
    let command = short.used_by(dataforge_on("Nehalem"));
    assert_eq!(short.prove(command), Short::golden("short.proof"));
}

#[test]
fn the_golden_proof_decodes_has_its_digest_and_replays() {
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        update();
    }
    let short = Short::new();
    let proof = proof_in(&Short::golden("short.proof"));
    let digest = String::from_utf8(Short::golden("short.digest")).unwrap();
    assert_eq!(proof.digest().to_string(), digest.trim());
    let path = Short::golden_path("short.proof");
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut short.program(), &path, &dataset)).expect(0, &[digest.trim()]);
}

/// Writes the lock, the proof and its digest.
fn update() {
    let short = Short::new();
    Answer::of(short.program().args(["spec", "lock", "short@1"])).expect(0, &[]);
    let lock = fs::read(short.scratch().path("specs/short/1/spec.lock")).unwrap();
    let file = short.prove(short.program());
    let digest = proof_in(&file).digest();
    fs::write(Short::golden_path("spec.lock"), lock).unwrap();
    fs::write(Short::golden_path("short.proof"), file).unwrap();
    fs::write(Short::golden_path("short.digest"), format!("{digest}\n")).unwrap();
}

#[test]
fn another_seed_gives_another_run() {
    let short = Short::new();
    let mut command = short.program();
    let proof = short.scratch().path("other.proof");
    Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), &proof);
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut other = dataforge();
    other.args(
        arguments.into_iter().map(|argument| {
            if argument == SEED { SEED.replace('2', "3").into() } else { argument }
        }),
    );
    Answer::of(&mut other).expect(0, &[]);
    let other = proof_in(&fs::read(proof).unwrap());
    let golden = proof_in(&Short::golden("short.proof"));
    assert_ne!(other.digest(), golden.digest());
    let [other, golden] = [other, golden].map(|proof| proof.training.unwrap());
    assert_eq!(other.model.plan.rows, golden.model.plan.rows);
    assert_ne!(other.model.plan.batches, golden.model.plan.batches);
    assert_eq!(other.baseline, golden.baseline);
}

#[test]
fn a_published_spec_gives_one_proof_on_one_thread_and_two() {
    let scratch = Scratch::new();
    let dataset = first_rows(&scratch, 104);
    let prove = |threads: &str| {
        let proof = scratch.path(&format!("{threads}.proof"));
        let mut command = dataforge();
        command.args(["--threads", threads, "evaluate", "--spec", "date@1", "--seed", SEED]);
        Answer::of(command.arg("--out").arg(&proof).arg(&dataset)).expect(0, &["scored"]);
        fs::read(proof).unwrap()
    };
    assert_eq!(prove("1"), prove("2"));
}

/// A file with the first rows of the demonstration's honest submission.
fn first_rows(scratch: &Scratch, count: usize) -> std::path::PathBuf {
    prepare(&mut dataforge(), &scratch.path("demo"));
    let honest = fs::read_to_string(scratch.path("demo/honest.jsonl")).unwrap();
    let rows: Vec<&str> = honest.lines().take(count).collect();
    scratch.file("short.jsonl", rows.join("\n"))
}

fn prepare(command: &mut Command, folder: &Path) {
    Answer::of(command.args(["demo", "--prepare-only", "--out"]).arg(folder)).expect(0, &[]);
}
