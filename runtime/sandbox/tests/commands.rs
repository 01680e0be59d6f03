//! Checkers: every command under `guest-kernels/hostile/commands/` gives the end that is named here
//! and harms nobody, and the pinned ones answer as their pages say, for golden fuel.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dataforge_sandbox::{
    Answer, CheckerCommand, CommandFault, KernelLimits, Refusal, Sandbox, SandboxError, Traps,
};

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

type Found = Result<Vec<Option<CommandFault>>, SandboxError>;
type Expect = fn(&Found) -> bool;

const COMMANDS: &[(&str, Expect)] = &[
    ("answers-huge-line", |f| reason(f).is_some_and(|r| r.len() <= 300 && r.ends_with('…'))),
    ("answers-not-json", |f| invalid(f, "answer 1: expected")),
    ("asks-randomness-without-end", out_of_fuel),
    ("exits-3", |f| matches!(f, Err(SandboxError::Exit(3)))),
    ("grows-memory", |f| matches!(f, Err(SandboxError::OutOfMemory { .. }))),
    ("loops-forever", out_of_fuel),
    ("many-iovecs", out_of_fuel),
    ("no-start", |f| refused(f, |r| matches!(r, Refusal::NotACommand(_)))),
    ("not-utf8-answer", |f| invalid(f, "answer 1: invalid unicode code point")),
    ("opens-a-file", |f| matches!(f.as_deref(), Ok([None]))),
    ("reads-nothing-answers-nothing", |f| invalid(f, "0 answers for 1 rows")),
    ("sleeps", |f| matches!(f.as_deref(), Ok([None]))),
    ("tells-randomness", |f| reason(f) == Some("fb2a5383ec1dd79e")),
    ("tells-time", |f| reason(f) == Some("0000000000000000 0000000000000000")),
    ("traps", |f| matches!(f, Err(SandboxError::Trap(_)))),
    ("unknown-import", |f| {
        refused(f, |r| matches!(r, Refusal::CommandImports(n) if n == "env.abort"))
    }),
    ("writes-errors-without-end", out_of_fuel),
    ("writes-without-end", |f| matches!(f, Err(SandboxError::OutputTooLarge { .. }))),
];

fn out_of_fuel(found: &Found) -> bool {
    matches!(found, Err(SandboxError::OutOfFuel { fuel: 50_000_000 }))
}

fn reason(found: &Found) -> Option<&str> {
    let Ok([Some(fault)]) = found.as_deref() else { return None };
    Some(&fault.reason)
}

fn invalid(found: &Found, start: &str) -> bool {
    matches!(found, Err(SandboxError::InvalidAnswer(what)) if what.starts_with(start))
}

fn refused(found: &Found, expect: fn(&Refusal) -> bool) -> bool {
    matches!(found, Err(SandboxError::Refused(refusal)) if expect(refusal))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-kernels/hostile/commands")
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
    for (name, expect) in COMMANDS {
        let run = || -> Result<_, SandboxError> { load(&sandbox, name)?.check(&[b"{}"]) };
        let found = run();
        let again = run();
        assert_eq!(fuel(&found), fuel(&again), "{name} takes other fuel the second time");
        let found = found.map(|answer| answer.value);
        assert!(expect(&found), "{name}: {found:?}");
        assert!(bystander.check(&[b"{}"]).is_ok(), "{name} harmed another command");
    }
}

fn fuel<T>(answer: &Result<Answer<T>, SandboxError>) -> Option<u64> {
    answer.as_ref().ok().map(|answer| answer.fuel)
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect());
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
