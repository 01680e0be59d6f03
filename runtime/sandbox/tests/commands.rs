//! Checkers: every command under `guest-kernels/hostile/commands/` ends as `ends/commands.txt`
//! says, for the same fuel, and harms nobody, and the pinned ones answer as their pages say, for
//! golden fuel.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod ends;

use std::fs;
use std::path::{Path, PathBuf};

use dataforge_sandbox::{Answer, CheckerCommand, KernelLimits, Sandbox, SandboxError, Traps};
use ends::{end, names};

/// Small, so that a command reaches its limit at once.
const LIMITS: KernelLimits = KernelLimits {
    module_bytes_max: 64 << 10,
    memory_bytes_max: 16 << 20,
    table_elements_max: 1_000,
    fuel_per_call: 50_000_000,
    fuel_per_item: 0,
    input_bytes_max: 1 << 20,
    output_bytes_max: 1 << 20,
};

/// Takes as long as no other; has a test of its own.
const SLOW: &str = "copies-memory";

fn folder() -> PathBuf {
    ends::folder().join("commands")
}

fn load(sandbox: &Sandbox<'_>, name: &str) -> Result<CheckerCommand, SandboxError> {
    let wasm = wat::parse_file(folder().join(name).with_extension("wat")).unwrap();
    sandbox.checker_command(&wasm, LIMITS)
}

#[test]
fn every_command_comes_to_its_end_and_harms_nobody_by_signals() {
    every_command_comes_to_its_end_and_harms_nobody(Traps::Signals);
}

#[test]
fn every_command_comes_to_its_end_and_harms_nobody_by_checks() {
    every_command_comes_to_its_end_and_harms_nobody(Traps::Checks);
}

#[track_caller]
fn every_command_comes_to_its_end_and_harms_nobody(traps: Traps) {
    let sandbox = Sandbox::trapping(traps).unwrap();
    let bystander = load(&sandbox, "opens-a-file").unwrap();
    let run = |name: &str| {
        let found = load(&sandbox, name).and_then(|command| command.check(&[b"{}"]));
        end(&found.map(|of| (of.value, of.fuel)))
    };
    let mut ends = vec![];
    for name in names(&folder()).into_iter().filter(|name| name != SLOW) {
        let end = run(&name);
        assert_eq!(run(&name), end, "{name} ends otherwise the second time");
        assert!(bystander.check(&[b"{}"]).is_ok(), "{name} harmed another command");
        ends.push((name, end));
    }
    ends::check("commands.txt", &ends);
}

/// What fuel does not bound, a clock does.
#[test]
fn a_run_that_runs_away_is_ended() {
    let command = load(&Sandbox::trapping(Traps::Checks).unwrap(), SLOW).unwrap();
    let error = command.check(&[b"{}"]).unwrap_err();
    assert!(matches!(error, SandboxError::TooSlow { seconds: 15 }), "{error:?}");
}

#[test]
fn what_is_no_command_is_refused() {
    let sandbox = Sandbox::new().unwrap();
    let refusal = |wat: &str| match sandbox.checker_command(&wat::parse_str(wat).unwrap(), LIMITS) {
        Err(SandboxError::Refused(refusal)) => refusal.to_string(),
        other => panic!("{:?}", other.err()),
    };
    let no_memory = refusal("(module (func (export \"_start\")))");
    assert!(no_memory.contains("does not export a memory"), "{no_memory}");
    let parameter =
        "(module (memory (export \"memory\") 1) (func (export \"_start\") (param i32)))";
    assert!(refusal(parameter).contains("without parameters"));
    let ours = "(module (import \"wasi_snapshot_preview1\" \"fd_fly\" (func)))";
    assert!(refusal(ours).contains("fd_fly") || refusal(ours).contains("does not export"));
    assert!(refusal("(component)").contains("not a valid WASI command"));
}

#[test]
fn rows_over_the_limit_are_refused() {
    let command = load(&Sandbox::new().unwrap(), "opens-a-file").unwrap();
    let row = vec![b' '; (1 << 20) - 8];
    assert!(command.check(&[&row]).is_ok());
    let error = command.check(&[&row, b""]).unwrap_err();
    assert!(matches!(error, SandboxError::InputTooLarge { .. }), "{error:?}");
}

/// Fuel is granted for each row.
#[test]
fn a_larger_batch_may_take_longer() {
    let sandbox = Sandbox::new().unwrap();
    let limits = KernelLimits { fuel_per_call: 20_000, fuel_per_item: 10_000, ..LIMITS };
    let command = sandbox.checker_command(&weekday(), limits).unwrap();
    let row: &[u8] = br#"{"input": "1945-07-12", "output": "Thursday, July 12, 1945."}"#;
    let found = command.check(&vec![row; 200]).unwrap();
    assert!(found.fuel > 1_000_000, "{}", found.fuel);
    let longer = format!("{}{}", " ".repeat(100_000), str::from_utf8(row).unwrap());
    let error = command.check(&[longer.as_bytes()]).unwrap_err();
    assert!(matches!(error, SandboxError::OutOfFuel { fuel: 30_000 }), "{error:?}");
}

fn weekday() -> Vec<u8> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../eval-specs/kernels");
    fs::read(kernels.join("weekday-1.0.0.wasm")).unwrap()
}

#[test]
fn the_weekday_checker_tells_right_from_wrong() {
    let rows: &[&[u8]] = &[
        br#"{"input": "1945-07-12", "output": "Thursday, July 12, 1945."}"#,
        br#"{"input": "1945-07-12", "output": "Friday, July 12, 1945."}"#,
        br#"{"input": "1945-02-29", "output": "Thursday, March 1, 1945."}"#,
        br#"{"output": "Thursday, July 12, 1946.", "\u0069nput": "1945-07-12"}"#,
    ];
    let command = Sandbox::new().unwrap().checker_command(&weekday(), LIMITS).unwrap();
    let Answer { value, fuel } = command.check(rows).unwrap();
    let found: Vec<String> = value
        .iter()
        .map(|fault| {
            fault.as_ref().map_or("good".into(), |f| format!("{}: {}", f.pointer, f.reason))
        })
        .collect();
    assert_eq!(
        found,
        [
            "good",
            "/output: the weekday is Friday, that of the date is Thursday",
            "/input: the month has no such day",
            "/output: the year is 1946, that of the date is 1945",
        ]
    );
    assert_eq!(fuel, 42_267);
}
