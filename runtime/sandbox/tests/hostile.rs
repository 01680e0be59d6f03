//! Every guest under `guest-kernels/hostile/` gives the error that is named here, and the sandbox
//! goes on to serve the next call.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dataforge_sandbox::{
    Encoded, KernelLimits, Refusal, Sandbox, SandboxError, TokenizerKernel, Traps,
};

/// Small, so that a guest reaches its limit at once. They bind even those that need gigabytes.
const LIMITS: KernelLimits = KernelLimits {
    module_bytes_max: 64 << 10,
    memory_bytes_max: 16 << 20,
    table_elements_max: 100_000,
    fuel_per_call: 50_000_000,
    fuel_per_item: 0,
    input_bytes_max: 1 << 10,
    output_bytes_max: 1 << 20,
};

type Expect = fn(&SandboxError) -> bool;

/// A guest, whether it fails when it is loaded rather than called, and how.
const GUESTS: &[(&str, bool, Expect)] = &[
    ("answer-out-of-bounds", false, |e| matches!(e, SandboxError::InvalidAnswer(_))),
    ("bomb", false, |e| matches!(e, SandboxError::OutOfMemory { .. })),
    ("core-module", true, |e| refused(e, |r| matches!(r, Refusal::NotAComponent(_)))),
    ("deep-recursion", false, |e| matches!(e, SandboxError::StackOverflow)),
    ("extra-export", true, |e| refused(e, |r| matches!(r, Refusal::Exports { .. }))),
    ("extra-import", true, |e| {
        refused(e, |r| matches!(r, Refusal::Imports(name) if name.starts_with("wasi:clocks")))
    }),
    ("huge-answer", false, |e| matches!(e, SandboxError::OutputTooLarge { .. })),
    ("infinite-loop", false, |e| matches!(e, SandboxError::OutOfFuel { fuel: 50_000_000 })),
    ("large-memory", true, |e| matches!(e, SandboxError::OutOfMemory { .. })),
    ("large-table", true, |e| {
        refused(e, |r| matches!(r, Refusal::TooMany { what: "table elements", .. }))
    }),
    ("memory-growth", false, |e| matches!(e, SandboxError::OutOfMemory { .. })),
    ("message-not-utf8", false, |e| matches!(e, SandboxError::InvalidAnswer(_))),
    (
        "missing-answer",
        false,
        |e| matches!(e, SandboxError::InvalidAnswer(what) if what == "0 answers for 1 texts"),
    ),
    ("other-export", true, |e| refused(e, |r| matches!(r, Refusal::Exports { .. }))),
    ("other-function", true, |e| refused(e, |r| matches!(r, Refusal::Signature { .. }))),
    ("other-type", true, |e| refused(e, |r| matches!(r, Refusal::Signature { .. }))),
    ("random-import", true, |e| {
        refused(e, |r| matches!(r, Refusal::Imports(name) if name.starts_with("wasi:random")))
    }),
    ("start-loops", true, |e| matches!(e, SandboxError::OutOfFuel { fuel: 50_000_000 })),
    ("table-growth", false, |e| matches!(e, SandboxError::OutOfMemory { .. })),
    ("trap", false, |e| matches!(e, SandboxError::Trap(_))),
    ("trap-at-start", true, |e| matches!(e, SandboxError::Trap(_))),
];

/// Guests of the folder that have a test of their own below.
const BY_THEMSELVES: &[&str] = &["nan-answer", "remembers"];

fn refused(error: &SandboxError, expect: fn(&Refusal) -> bool) -> bool {
    matches!(error, SandboxError::Refused(refusal) if expect(refusal))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-kernels/hostile")
}

fn guest(name: &str) -> Vec<u8> {
    wat::parse_file(folder().join(name).with_extension("wat")).unwrap()
}

fn load(sandbox: &Sandbox, name: &str) -> Result<TokenizerKernel, SandboxError> {
    sandbox.tokenizer_kernel(&guest(name), LIMITS)
}

#[test]
fn every_guest_gives_its_error_and_harms_nobody_by_signals() {
    every_guest_gives_its_error_and_harms_nobody(Traps::Signals);
}

#[test]
fn every_guest_gives_its_error_and_harms_nobody_by_checks() {
    every_guest_gives_its_error_and_harms_nobody(Traps::Checks);
}

#[track_caller]
fn every_guest_gives_its_error_and_harms_nobody(traps: Traps) {
    let sandbox = Sandbox::trapping(traps).unwrap();
    let bystander = load(&sandbox, "remembers").unwrap();
    for (name, at_load, expect) in GUESTS {
        let loaded = load(&sandbox, name);
        assert_eq!(loaded.is_err(), *at_load, "{name} fails at the wrong time");
        let error = match loaded {
            Err(error) => error,
            Ok(kernel) => kernel.encode(b"{}", &["a"]).unwrap_err(),
        };
        assert!(expect(&error), "{name}: {error:?}");
        assert!(bystander.encode(b"{}", &["a"]).is_ok(), "{name} harmed another kernel");
    }
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let tested = GUESTS.iter().map(|(name, ..)| *name).chain(BY_THEMSELVES.iter().copied());
    assert_eq!(files, tested.map(str::to_owned).collect());
}

#[test]
fn nothing_survives_a_call() {
    let kernel = load(&Sandbox::new().unwrap(), "remembers").unwrap();
    let first = kernel.encode(b"{}", &["a"]).unwrap();
    assert_eq!(first, Encoded { ids: vec![vec![]], fuel: first.fuel });
    assert_eq!(kernel.encode(b"{}", &["a"]).unwrap(), first);
}

#[test]
fn a_number_that_is_none_is_no_answer() {
    let kernel = Sandbox::new().unwrap().diversity_kernel(&guest("nan-answer"), LIMITS).unwrap();
    let errors = [kernel.measure(&["a"]).unwrap_err(), kernel.dispersion(&[]).unwrap_err()];
    for error in errors {
        let expected = |what: &str| what == "NaN is not finite";
        assert!(matches!(&error, SandboxError::InvalidAnswer(what) if expected(what)), "{error:?}");
    }
}

#[test]
fn a_module_over_the_limit_is_refused_unparsed() {
    let sandbox = Sandbox::new().unwrap();
    let garbage = vec![0; 64 << 10];
    let refusal = |wasm: &[u8]| match sandbox.tokenizer_kernel(wasm, LIMITS) {
        Err(SandboxError::Refused(refusal)) => refusal,
        other => panic!("not refused: {:?}", other.err()),
    };
    assert!(matches!(refusal(&garbage), Refusal::NotAComponent(_)));
    let larger = [garbage, vec![0]].concat();
    assert!(matches!(
        refusal(&larger),
        Refusal::TooMany { what: "bytes", count: 65_537, max: 65_536 }
    ));
}

#[test]
fn arguments_over_the_limit_are_refused() {
    let kernel = load(&Sandbox::new().unwrap(), "remembers").unwrap();
    // A text counts for its bytes and eight more.
    let room = LIMITS.input_bytes_max as usize - 2 - 8;
    let text = "a".repeat(room + 1);
    assert!(kernel.encode(b"{}", &[&text[1..]]).is_ok());
    let error = kernel.encode(b"{}", &[&text]).unwrap_err();
    assert!(matches!(error, SandboxError::InputTooLarge { bytes: 1025, max: 1024 }), "{error:?}");
}
