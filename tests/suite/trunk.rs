//! Training over frozen blocks: adapters and last layers, with the blocks' features computed anew,
//! recalled, or found damaged, give one proof.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dataforge_tests::{Answer, Short, dataforge};

const FULL: &str = r#"method = { kind = "full" }"#;
const LORA: &str = r#"method = { kind = "lora", layers = 2, rank = 4, scale_micro = 2_000_000 }"#;
const LAST: &str = r#"method = { kind = "last-layers", layers = 1 }"#;

/// `short@1` with another training method.
fn short(method: &str) -> Short {
    Short::new().replacing("short/1/spec.toml", FULL, method)
}

/// A home with the artifacts of the shared one and nothing else.
pub(crate) fn own_home(short: &Short) -> PathBuf {
    let own = short.scratch().path("home");
    fs::create_dir_all(&own).unwrap();
    let answer = Answer::of(dataforge().args(["artifacts", "path", "glassllm-en-weights"]));
    let object = answer.out.trim();
    let objects = Path::new(object).parent().unwrap();
    std::os::unix::fs::symlink(objects, own.join("objects")).unwrap();
    own
}

pub(crate) fn program(short: &Short, home: &Path, threads: &str) -> Command {
    let mut command = short.used_by(dataforge());
    command.env("DATAFORGE_HOME", home).args(["--threads", threads]);
    command
}

/// Every file kept for later evaluations, the largest first.
pub(crate) fn kept(home: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(home.join("kept")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| std::cmp::Reverse(fs::metadata(file).unwrap().len()));
    files
}

#[test]
fn what_is_kept_and_threads_do_not_change_a_proof() {
    let short = short(LORA);
    let home = own_home(&short);
    let cold = short.prove(program(&short, &home, "1"));
    let files = kept(&home);
    assert_eq!(files.len(), 2, "the benchmark's features, and the reference's scores");
    assert_eq!(short.prove(program(&short, &home, "2")), cold, "recalled");

    for file in &files {
        let whole = fs::read(file).unwrap();
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(file, &damaged).unwrap();
        assert_eq!(short.prove(program(&short, &home, "2")), cold, "damaged");
        assert_eq!(fs::read(file).unwrap(), whole, "what is damaged is replaced");

        fs::write(file, &whole[..40]).unwrap();
        assert_eq!(short.prove(program(&short, &home, "2")), cold, "cut short");
    }
}

#[test]
fn last_layers_train_and_replay() {
    let short = short(LAST);
    let home = own_home(&short);
    let proof = short.scratch().file("last.proof", short.prove(program(&short, &home, "2")));
    assert_ne!(fs::read(&proof).unwrap(), Short::golden("short.proof"));
    let mut replay = program(&short, &home, "1");
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut replay, &proof, &dataset)).expect(0, &[]);
}
