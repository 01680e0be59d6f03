//! What is wrong with an input is said with file, row and reason, and nothing half-written stays.
//!
//! A dataset that breaks a rule of its spec is an answer (exit code 1, and a proof that says so); a
//! file that cannot be read as what it should be is bad input (2).

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dataforge_core::proof::Verdict;
use dataforge_tests::{Answer, Scratch, Short, dataforge, proof_in, root};

/// The golden dataset with its lines edited.
fn edited(edit: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let text = Short::golden("dataset.jsonl");
    let mut lines: Vec<Vec<u8>> = text
        .strip_suffix(b"\n")
        .unwrap()
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    edit(&mut lines);
    lines.join(&b'\n')
}

/// The kernels reject this dataset, and say so.
#[track_caller]
fn rejected(edit: impl FnOnce(&mut Vec<Vec<u8>>), mentions: &[&str]) {
    let short = Short::new();
    let dataset = short.scratch().file("rows.jsonl", edited(edit));
    let mut check = short.program();
    check.args(["check", "--spec", "short@1"]).arg(dataset);
    Answer::of(&mut check).expect(1, mentions).expect(1, &["rejected", "rows.jsonl"]);
}

fn malformed(lines: &mut [Vec<u8>]) {
    lines[2] = br#"{"input":"2009-11-15","output""#.to_vec();
}

fn breaks_the_schema(lines: &mut [Vec<u8>]) {
    lines[4] = br#"{"input":20091115,"output":"Sunday, November 15, 2009."}"#.to_vec();
}

fn not_utf8(lines: &mut [Vec<u8>]) {
    lines[6] = b"{\"input\":\"2009\xff11-15\",\"output\":\"Sunday, November 15, 2009.\"}".to_vec();
}

fn too_few(lines: &mut Vec<Vec<u8>>) {
    lines.truncate(31);
}

#[test]
fn malformed_json_is_named_by_row() {
    rejected(|lines| malformed(lines), &["row 3: "]);
}

#[test]
fn a_row_that_breaks_the_schema_is_named_by_row_and_pointer() {
    rejected(|lines| breaks_the_schema(lines), &["row 5: /input: ", "string"]);
}

#[test]
fn invalid_utf8_is_named_by_row() {
    rejected(|lines| not_utf8(lines), &["row 7: ", "UTF-8"]);
}

#[test]
fn a_wrong_row_count_is_named_with_the_right_one() {
    rejected(too_few, &["31 rows, the spec asks for 32 to 64"]);
}

#[test]
fn a_rejected_submission_is_a_result_with_a_proof() {
    let short = Short::new();
    let bytes = edited(|lines| {
        malformed(lines);
        breaks_the_schema(lines);
        not_utf8(lines);
        too_few(lines);
    });
    let dataset = short.scratch().file("rows.jsonl", bytes);
    let proof = short.scratch().path("rows.proof");
    let answer = Answer::of(Short::evaluate(&mut short.program(), &dataset, &proof));
    answer.expect(1, &["row 3: ", "row 5: /input: ", "row 7: ", "31 rows", "rejected"]);
    let proof = proof_in(&fs::read(proof).unwrap());
    assert_eq!(proof.verdict(), Verdict::Rejected);
    short.scratch().expect_nothing_partial();
}

/// `check` and `evaluate` both call this file bad input; neither writes anything.
#[track_caller]
fn refused(dataset: &Path, mentions: &[&str]) {
    let short = Short::new();
    let mut check = short.program();
    check.args(["check", "--spec", "short@1"]).arg(dataset);
    Answer::of(&mut check).expect(2, mentions);
    writes_nothing(&short, 2, mentions, |command, proof| {
        Short::evaluate(command, dataset, proof);
    });
}

/// The evaluation that `arguments` ask for fails, and leaves nothing behind.
#[track_caller]
fn writes_nothing(
    short: &Short,
    code: i32,
    mentions: &[&str],
    arguments: impl FnOnce(&mut Command, &Path),
) {
    let proof = short.scratch().path("out/rows.proof");
    let mut command = short.program();
    arguments(&mut command, &proof);
    Answer::of(&mut command).expect(code, mentions);
    assert!(!proof.exists(), "a proof was written");
    short.scratch().expect_nothing_partial();
}

#[test]
fn an_empty_file_is_refused() {
    let scratch = Scratch::new();
    refused(&scratch.file("empty.jsonl", ""), &["empty.jsonl", "the file is empty"]);
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    refused(&Scratch::new().path("absent.jsonl"), &["cannot open", "absent.jsonl"]);
}

#[test]
fn a_long_line_is_named_by_row() {
    let scratch = Scratch::new();
    let bytes = edited(|lines| lines[1] = vec![b'x'; 300 * 1024]);
    refused(&scratch.file("long.jsonl", bytes), &["long.jsonl", "row 2: ", "longer than"]);
}

#[test]
fn a_line_of_a_gigabyte_is_refused_without_reading_it() {
    let scratch = Scratch::new();
    let dataset = scratch.path("huge.jsonl");
    File::create(&dataset).unwrap().set_len(1 << 30).unwrap();
    let start = Instant::now();
    // Half of the file would fit.
    let mut limited = limited_to_kibibytes(512 * 1024, &dataforge());
    limited.args(["check", "--spec", "date@1"]).arg(&dataset);
    Answer::of(&mut limited).expect(2, &["huge.jsonl", "row 1: longer than"]);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// The same program with this much address space.
fn limited_to_kibibytes(limit: u32, program: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "sh", &limit.to_string()]);
    shell.arg(program.get_program()).current_dir(root());
    shell
}

/// `proof show` and `audit replay` both call these bytes no proof.
#[track_caller]
fn no_proof(bytes: &[u8], mention: &str) {
    let scratch = Scratch::new();
    let proof = scratch.file("bad.proof", bytes);
    let mentions = ["bad.proof", mention];
    Answer::of(dataforge().args(["proof", "show"]).arg(&proof)).expect(2, &mentions);
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut dataforge(), &proof, &dataset)).expect(2, &mentions);
}

#[test]
fn a_truncated_proof_is_refused() {
    let proof = Short::golden("short.proof");
    no_proof(&proof[..proof.len() - 1], "cut short");
    no_proof(&proof[..20], "cut short");
}

#[test]
fn a_file_that_is_no_proof_is_refused() {
    no_proof(b"", "not a score proof");
    no_proof(&Short::golden("dataset.jsonl"), "not a score proof");
}

#[test]
fn a_proof_of_a_later_format_is_refused() {
    let mut proof = Short::golden("short.proof");
    proof[8] = 3;
    no_proof(&proof, "proof format 3 is unknown here");
}

/// Both `spec verify` and `evaluate` notice a specs folder that is not what its lock says.
#[track_caller]
fn not_the_pinned(short: &Short, what: &str) {
    let verify = Answer::of(short.program().args(["spec", "verify", "short@1"]));
    verify.expect(1, &["DIFFERS", what]);
    writes_nothing(short, 1, &[what, "is not the pinned one"], |command, proof| {
        Short::evaluate(command, &Short::golden_path("dataset.jsonl"), proof);
    });
}

#[test]
fn a_lock_that_pins_another_file_is_noticed() {
    let short = Short::new().with("short/1/spec.lock", |lock| {
        let at = lock.windows(18).position(|text| text == b"row.schema.json\" =").unwrap() + 25;
        lock[at] = if lock[at] == b'0' { b'1' } else { b'0' };
    });
    not_the_pinned(&short, "file row.schema.json");
}

#[test]
fn a_schema_that_was_edited_is_noticed() {
    let short = Short::new().replacing("short/1/row.schema.json", "64", "640");
    not_the_pinned(&short, "file row.schema.json");
}

/// The spec itself is bad input, whatever is done with it.
#[track_caller]
fn bad_spec(short: &Short, mentions: &[&str]) {
    Answer::of(short.program().args(["spec", "verify", "short@1"])).expect(2, mentions);
    writes_nothing(short, 2, mentions, |command, proof| {
        Short::evaluate(command, &Short::golden_path("dataset.jsonl"), proof);
    });
}

#[test]
fn a_lock_that_pins_too_little_is_refused() {
    let short = Short::new().replacing("short/1/spec.lock", "glassllm-en-weights", "other");
    bad_spec(&short, &["spec.lock", "\"glassllm-en-weights\" is not pinned"]);
}

#[test]
fn a_spec_with_an_unknown_key_is_refused() {
    let short = Short::new().replacing("short/1/spec.toml", "title =", "colour = 1\ntitle =");
    bad_spec(&short, &["spec.toml", "colour"]);
}

#[test]
fn a_spec_in_the_folder_of_another_is_refused() {
    let short = Short::new().replacing("short/1/spec.toml", "\"short\"", "\"other\"");
    bad_spec(&short, &["other@1"]);
}

#[test]
fn a_spec_that_is_not_there_is_refused() {
    let short = Short::new();
    Answer::of(short.program().args(["spec", "show", "none@1"])).expect(2, &["no spec \"none@1\""]);
    Answer::of(short.program().args(["spec", "show", "short"])).expect(2, &["name@version"]);
    Answer::of(short.program().args(["spec", "show", "../x@1"])).expect(2, &["name@version"]);
}

#[test]
fn a_hidden_benchmark_must_be_given() {
    let dataset = Short::golden_path("dataset.jsonl");
    writes_nothing(&Short::new(), 2, &["--benchmark"], |command, proof| {
        command.arg("evaluate").arg(&dataset).args(["--spec", "short@1", "--seed"]);
        command.arg(dataforge_tests::SEED).arg("--out").arg(proof);
    });
}

/// Evaluates with this as the file of the benchmark.
#[track_caller]
fn benchmark(code: i32, rows: &[u8], mentions: &[&str]) {
    let dataset = Short::golden_path("dataset.jsonl");
    let short = Short::new();
    let benchmark = short.scratch().file("hidden.jsonl", rows);
    writes_nothing(&short, code, mentions, |command, proof| {
        command.arg("evaluate").arg(&dataset).args(["--spec", "short@1", "--seed"]);
        command.arg(dataforge_tests::SEED).arg("--benchmark").arg(&benchmark);
        command.arg("--out").arg(proof);
    });
}

#[test]
fn a_benchmark_that_is_not_the_committed_one_is_noticed() {
    let golden = String::from_utf8(Short::golden("benchmark.jsonl")).unwrap();
    let (first, rest) = golden.split_once('\n').unwrap();
    benchmark(2, rest.as_bytes(), &["the benchmark has 11 rows, the spec says 12"]);
    let reordered = format!("{rest}{first}\n");
    benchmark(1, reordered.as_bytes(), &["root is", "the spec commits to"]);
    let broken = format!("{first}\nnot JSON\n{rest}");
    benchmark(2, broken.as_bytes(), &["hidden.jsonl: row 2: "]);
}
