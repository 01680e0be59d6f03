//! An evaluation that is killed goes on from its last checkpoint, to the same proof.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;
use dataforge_tests::{Answer, Short};

fn start(short: &Short, proof: &Path) -> Child {
    let mut command = short.program();
    Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), proof);
    command.args(["--checkpoint-seconds", "0", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(child: Child) -> serde_json::Value {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checkpoints that lie in a folder of states.
fn checkpoints(states: &Path) -> usize {
    let listed = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let runs = listed(&states.join("runs"));
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    runs.flat_map(|run| listed(&run.path())).filter_map(|entry| number(&entry)).count()
}

/// Kills as many evaluations at moments between start and end, and finishes each; how many went on
/// from a checkpoint.
fn killed_and_resumed(trials: u32) -> u32 {
    let short = Short::of_epochs(12);
    let whole = short.scratch().path("whole/short.proof");
    let steps = finish(start(&short, &whole))["timings"]["steps"].as_u64().unwrap();
    let mut random = SeedStream::new(&EpochSeed([5; 32]), "kill");
    let mut resumed = 0;
    for trial in 0..trials {
        let proof = short.scratch().path(&format!("{trial}/short.proof"));
        let mut child = start(&short, &proof);
        // From before the first checkpoint to after the last, while the benchmark is scored.
        let kept = random.below(steps / 2 + 1) as usize;
        let then = Duration::from_millis(random.below(60));
        let states = proof.with_file_name("states");
        while checkpoints(&states) < kept && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(then);
        child.kill().unwrap();
        child.wait().unwrap();
        let taken = finish(start(&short, &proof))["timings"]["steps"].as_u64().unwrap();
        resumed += u32::from(taken < steps);
        assert_eq!(
            fs::read(&proof).unwrap(),
            fs::read(&whole).unwrap(),
            "killed {then:?} after {kept}"
        );
        fs::remove_dir_all(proof.parent().unwrap()).unwrap();
    }
    resumed
}

#[test]
fn a_killed_evaluation_goes_on_to_the_same_proof() {
    assert!(killed_and_resumed(4) > 0, "none was killed after its first checkpoint");
}

#[test]
#[ignore = "takes minutes"]
fn fifty_killed_evaluations_go_on_to_the_same_proof() {
    let resumed = killed_and_resumed(50);
    println!("{resumed} of 50 went on from a checkpoint");
    assert!(resumed >= 10, "{resumed}");
}

/// What finished is computed again: who evaluates twice wants to see the same twice.
#[test]
fn a_finished_evaluation_is_not_resumed() {
    let short = Short::new();
    let proof = short.scratch().path("short.proof");
    let steps = |short| finish(start(short, &proof))["timings"]["steps"].clone();
    assert_eq!(steps(&short), steps(&short));
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let short = Short::of_epochs(12);
    let whole = short.scratch().path("whole/short.proof");
    finish(start(&short, &whole));
    let states = whole.with_file_name("states");
    // As if it had been killed before its proof was written.
    fs::remove_dir_all(states.join("finished")).unwrap();
    let run = fs::read_dir(states.join("runs")).unwrap().next().unwrap().unwrap().path();
    let last = fs::read_dir(&run)
        .unwrap()
        .map(|e| e.unwrap().path())
        .max_by_key(|path| number(path))
        .unwrap();
    fs::remove_file(last).unwrap();
    for tensor in fs::read_dir(states.join("tensors")).unwrap() {
        fs::write(tensor.unwrap().path(), [0; 64]).unwrap();
    }
    let again = whole.with_file_name("again.proof");
    let mut command = short.program();
    Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), &again);
    let json = Answer::of(command.arg("--json")).expect(0, &[]).json();
    assert_eq!(json["timings"]["steps"], 60);
    assert_eq!(fs::read(again).unwrap(), fs::read(whole).unwrap());
}

fn number(path: &Path) -> u32 {
    path.file_name().unwrap().to_str().unwrap().parse().unwrap()
}
