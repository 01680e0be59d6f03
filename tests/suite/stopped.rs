//! Ctrl-C: a clean end with its own exit code, and nothing half-written.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use dataforge_tests::Short;

/// Long enough for the program to listen.
const WAIT: Duration = Duration::from_secs(2);

#[cfg(unix)]
#[test]
fn an_evaluation_that_is_stopped_writes_nothing() {
    // More steps than any machine takes while this test waits.
    let endless = ("epochs = 1", "epochs = 100_000");
    let short = Short::new().replacing("short/1/spec.toml", endless.0, endless.1);
    let proof = short.scratch().path("out/short.proof");
    let mut command = short.program();
    Short::evaluate(&mut command, &Short::golden_path("dataset.jsonl"), &proof);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(WAIT);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success(), "it had ended by itself");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped"), "{said}");
    assert!(!proof.exists(), "a proof was written");
    short.scratch().expect_nothing_partial();
}
