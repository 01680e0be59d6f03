//! A machine that cannot evaluate: the message names what is missing and the command that mends it.
//!
//! Every failure here has exit code 3, or 1 where `artifacts verify` is asked whether the cache
//! holds. The tests work on copies of the cache, never on the user's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dataforge_tests::{Answer, Scratch, Short, dataforge};
use serde_json::Value;

/// The artifacts that an evaluation under `short@1` opens.
const NEEDED: &[&str] = &["onnxruntime", "glassllm-en-weights", "glassllm-en-tokenizer"];

/// A home that holds these artifacts and nothing else, with the path of each.
fn home(names: &[&str]) -> (Scratch, Vec<PathBuf>) {
    let scratch = Scratch::new();
    let fetched = Answer::of(dataforge().args(["--json", "artifacts", "fetch"]).args(names));
    let copy = |artifact: &Value| {
        let original = Path::new(artifact["path"].as_str().unwrap());
        let name = original.file_name().unwrap().to_str().unwrap();
        scratch.file(&format!("home/objects/{name}"), fs::read(original).unwrap())
    };
    let copies = fetched.json()["artifacts"].as_array().unwrap().iter().map(copy).collect();
    (scratch, copies)
}

/// Changes one byte in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// `command` with the home of `scratch`, on a machine without network.
fn offline(scratch: &Scratch, mut command: Command) -> Command {
    command.env("DATAFORGE_HOME", scratch.path("home"));
    command.env("PIP_NO_INDEX", "1").env_remove("PIP_FIND_LINKS");
    command
}

/// `evaluate` with the home of `scratch`, once `change` has had its way, cannot work.
#[track_caller]
fn cannot_evaluate(scratch: &Scratch, change: impl FnOnce(&mut Command), mentions: &[&str]) {
    let short = Short::new();
    let proof = scratch.path("out/short.proof");
    let mut command = offline(scratch, short.program());
    change(Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), &proof));
    Answer::of(&mut command).expect(3, mentions);
    assert!(!proof.exists(), "a proof was written");
    scratch.expect_nothing_partial();
}

#[test]
fn a_missing_artifact_without_network_is_named() {
    let mends = "dataforge artifacts fetch glassllm-en-weights";
    cannot_evaluate(&Scratch::new(), |_| {}, &["cannot fetch `glassllm-en-weights ", mends]);
    let mends = "dataforge artifacts fetch onnxruntime";
    dataforge_doctor(&Scratch::new()).expect(3, &["cannot fetch `onnxruntime`", mends]);
}

fn dataforge_doctor(scratch: &Scratch) -> Answer {
    let mut command = offline(scratch, dataforge());
    Answer::of(command.arg("doctor"))
}

#[test]
fn a_machine_without_python_is_told_so() {
    let change = |command: &mut Command| {
        command.env("DATAFORGE_PYTHON", "/nonexistent/python3");
    };
    cannot_evaluate(&Scratch::new(), change, &["/nonexistent/python3", "install Python 3"]);
}

#[test]
fn a_damaged_artifact_is_noticed_and_named() {
    let (scratch, paths) = home(NEEDED);
    damage(&paths[1]);
    let mut verify = offline(&scratch, dataforge());
    Answer::of(verify.args(["artifacts", "verify"])).expect(1, &["glassllm-en-weights", "corrupt"]);
    let mut path = offline(&scratch, dataforge());
    let mends = "dataforge artifacts fetch glassllm-en-weights";
    Answer::of(path.args(["artifacts", "path", "glassllm-en-weights"]))
        .expect(3, &["`glassllm-en-weights` is damaged", mends]);
    cannot_evaluate(&scratch, |_| {}, &["cannot fetch `glassllm-en-weights`", mends]);
}

#[test]
fn a_damaged_artifact_is_mended_where_it_can_be() {
    let name = "glassllm-en-tokenizer";
    let (scratch, paths) = home(&[name, "glassllm-en-tokenizer-source"]);
    let whole = fs::read(&paths[0]).unwrap();
    damage(&paths[0]);
    let mut fetch = offline(&scratch, dataforge());
    Answer::of(fetch.args(["artifacts", "fetch", name])).expect(0, &[name]);
    assert_eq!(fs::read(&paths[0]).unwrap(), whole);
    scratch.expect_nothing_partial();
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let scratch = Scratch::new();
    let _ = scratch.file("home", "a file where a folder should be");
    dataforge_doctor(&scratch).expect(3, &["cannot", &scratch.path("home").to_string_lossy()]);
}

#[test]
fn a_user_without_a_home_is_told_what_to_set() {
    let mut command = dataforge();
    for name in ["DATAFORGE_HOME", "XDG_CACHE_HOME", "HOME"] {
        command.env_remove(name);
    }
    Answer::of(command.arg("doctor")).expect(3, &["DATAFORGE_HOME"]);
}

#[test]
fn a_library_without_cuda_is_told_where_it_runs() {
    let (scratch, paths) = home(NEEDED);
    let mut command = offline(&scratch, dataforge());
    command.env("ORT_DYLIB_PATH", &paths[0]).args(["--provider", "cuda", "doctor"]);
    Answer::of(&mut command).expect(3, &["no CUDAExecutionProvider", "--provider cpu"]);
}

/// Neither `doctor` nor `evaluate` works with this in `ORT_DYLIB_PATH`.
#[track_caller]
fn no_library(library: &Path, mention: &str) {
    let (scratch, _) = home(&NEEDED[1..]);
    let mentions = [mention, "ORT_DYLIB_PATH", &*library.to_string_lossy()];
    let set = |command: &mut Command| {
        command.env("ORT_DYLIB_PATH", library);
    };
    cannot_evaluate(&scratch, set, &mentions);
    let mut doctor = offline(&scratch, dataforge());
    set(&mut doctor);
    Answer::of(doctor.arg("doctor")).expect(3, &mentions);
}

#[test]
fn a_library_that_is_not_there_is_named() {
    no_library(Path::new("/nonexistent/libonnxruntime.so"), "which is not a file");
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let scratch = Scratch::new();
    no_library(&scratch.file("library.so", "not a library"), "cannot load ONNX Runtime");
}

/// An engine that is honest and not exact: the pinned library in a process that flushes subnormals.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_library_that_is_not_exact_is_refused() {
    let (scratch, _) = home(NEEDED);
    let shim = scratch.path("flush.so");
    let source = dataforge_tests::root().join("tests/fixtures/flush-subnormals.c");
    let mut compile = Command::new("cc");
    compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source);
    Answer::of(&mut compile).expect(0, &[]);

    let mut doctor = offline(&scratch, dataforge());
    let answer = Answer::of(doctor.env("LD_PRELOAD", &shim).args(["--json", "doctor"]));
    answer.expect(3, &["fails the known-answer test", "dataforge artifacts fetch onnxruntime"]);
    let json = answer.json();
    assert_eq!(json["ok"], false);
    assert_ne!(json["known_answer"], json["expected"]);

    let preload = |command: &mut Command| {
        command.env("LD_PRELOAD", &shim);
    };
    cannot_evaluate(&scratch, preload, &["fails the known-answer test"]);
}
