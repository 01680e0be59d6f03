//! The command line: help for everything, and wrong arguments named.

use dataforge_tests::{Answer, dataforge};

/// The help of a command says each of these.
#[track_caller]
fn help(command: &str, mentions: &[&str]) {
    let answer = Answer::of(dataforge().args(command.split_whitespace()).arg("--help"));
    answer.expect(0, &["Usage:", "--json", "--threads", "--specs"]).expect(0, mentions);
}

/// These arguments are refused before anything is done.
#[track_caller]
fn refused(arguments: &str, mentions: &[&str]) {
    Answer::of(dataforge().args(arguments.split_whitespace())).expect(2, mentions);
}

#[test]
fn the_program_lists_its_commands_and_exit_codes() {
    help("", &["demo", "doctor", "artifacts", "spec", "check", "evaluate", "proof", "audit"]);
    help("", &["estimate", "model", "--lowering", "slices"]);
    help("", &["Exit codes:", "the answer is no", "bad input", "the environment", "Ctrl-C"]);
}

#[test]
fn every_command_explains_itself() {
    help("demo", &["--spec", "--seed", "--out", "--prepare-only"]);
    help("doctor", &["known-answer"]);
    help("artifacts", &["fetch", "verify", "path"]);
    help("artifacts fetch", &["NAMES"]);
    help("artifacts verify", &["artifacts.lock"]);
    help("artifacts path", &["NAME"]);
    help("spec", &["list", "show", "verify", "lock"]);
    help("spec list", &["specs"]);
    help("spec show", &["SPEC"]);
    help("spec verify", &["SPEC", "lock"]);
    help("spec lock", &["SPEC", "authors"]);
    help("check", &["DATASET", "--spec", "--against", "--known", "Parquet"]);
    help("index", &["DOCUMENTS", "--words", "--out"]);
    help("evaluate", &["DATASET", "--spec", "--seed", "--out", "--benchmark"]);
    help("estimate", &["DATASET", "--spec", "not canonical", "without a proof"]);
    help("model", &["inspect"]);
    help("model inspect", &["MODEL", "--size", "NAME=SIZE"]);
    help("proof", &["show"]);
    help("proof show", &["PROOF", "--steps"]);
    help("settle", &["EPOCH_DIR", "--rules", "explain", "rebuild", "events.jsonl", "Examples:"]);
    help("settle explain", &["HOTKEY", "--epoch", "hexadecimal"]);
    help("settle rebuild", &["EPOCHS_DIR", "first epoch that differs"]);
    help("settle report", &["EPOCH_DIR", "page"]);
    help("audit", &["replay"]);
    help("audit replay", &["PROOF", "--dataset", "--benchmark"]);
}

#[test]
fn wrong_arguments_are_named() {
    refused("", &["Usage:"]);
    refused("evaluat", &["evaluat"]);
    refused("check rows.jsonl", &["--spec"]);
    refused("--threads 0 doctor", &["--threads"]);
    refused("--lowering nosuch doctor", &["nosuch", "stock", "slices"]);
    refused("--lowering fast doctor", &["not exact", "dataforge estimate"]);
    refused("--provider nosuch doctor", &["nosuch", "cpu", "cuda"]);
    refused("estimate rows.jsonl --spec date@1 --out x", &["--out"]);
    refused("model inspect x.onnx --size rows", &["--size", "NAME=SIZE"]);
    refused("settle", &["EPOCH_DIR"]);
    refused("settle epochs/0 rebuild epochs", &["rebuild"]);
    refused("settle explain 12", &["HOTKEY", "8 to 64 hexadecimal digits"]);
    refused("artifacts fetch nosuch", &["nosuch", "onnxruntime"]);
    refused("artifacts path nosuch", &["nosuch", "onnxruntime"]);
}

#[test]
fn a_bad_seed_is_named() {
    refused("evaluate rows.jsonl --spec date@1 --out x --seed 12", &["--seed", "64 hexadecimal"]);
    let digits = "z".repeat(64);
    let arguments = format!("evaluate rows.jsonl --spec date@1 --out x --seed {digits}");
    refused(&arguments, &["--seed", "64 hexadecimal"]);
}
