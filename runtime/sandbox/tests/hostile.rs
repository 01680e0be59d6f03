//! Every guest under `guest-kernels/hostile/` ends as `ends/kernels.txt` says, for the same fuel,
//! and the sandbox goes on to serve the next call.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod ends;

use dataforge_sandbox::{KernelLimits, Refusal, Sandbox, SandboxError, TokenizerKernel, Traps};
use ends::{end, folder, names};

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

/// Takes as long as no other; has a test of its own.
const SLOW: &str = "fills-memory";

/// Is of another world than the others.
const DIVERSITY: &str = "nan-answer";

fn guest(name: &str) -> Vec<u8> {
    wat::parse_file(folder().join(name).with_extension("wat")).unwrap()
}

fn load(sandbox: &Sandbox<'_>, name: &str) -> Result<TokenizerKernel, SandboxError> {
    sandbox.tokenizer_kernel(&guest(name), LIMITS)
}

fn run(sandbox: &Sandbox<'_>, name: &str) -> String {
    if name == DIVERSITY {
        let kernel = sandbox.diversity_kernel(&guest(name), LIMITS).unwrap();
        return end(&kernel.measure(&["a"]).map(|of| (of.value, of.fuel)));
    }
    match load(sandbox, name) {
        Err(error) => format!("at load, {}", end(&Err::<((), u64), _>(error))),
        Ok(kernel) => end(&kernel.encode(b"{}", &["a"]).map(|of| (of.value, of.fuel))),
    }
}

#[test]
fn every_guest_comes_to_its_end_and_harms_nobody_by_signals() {
    every_guest_comes_to_its_end_and_harms_nobody(Traps::Signals);
}

#[test]
fn every_guest_comes_to_its_end_and_harms_nobody_by_checks() {
    every_guest_comes_to_its_end_and_harms_nobody(Traps::Checks);
}

#[track_caller]
fn every_guest_comes_to_its_end_and_harms_nobody(traps: Traps) {
    let sandbox = Sandbox::trapping(traps).unwrap();
    let bystander = load(&sandbox, "remembers").unwrap();
    let mut ends = vec![];
    for name in names(&folder()).into_iter().filter(|name| name != SLOW) {
        let end = run(&sandbox, &name);
        assert_eq!(run(&sandbox, &name), end, "{name} ends otherwise the second time");
        assert!(bystander.encode(b"{}", &["a"]).is_ok(), "{name} harmed another kernel");
        ends.push((name, end));
    }
    ends::check("kernels.txt", &ends);
}

/// What fuel does not bound, a clock does.
#[test]
fn a_call_that_runs_away_is_ended() {
    let sandbox = Sandbox::trapping(Traps::Checks).unwrap();
    let kernel = load(&sandbox, SLOW).unwrap();
    let error = kernel.encode(b"{}", &["a"]).unwrap_err();
    assert!(matches!(error, SandboxError::TooSlow { seconds: 15 }), "{error:?}");
    assert!(load(&sandbox, "remembers").unwrap().encode(b"{}", &["a"]).is_ok());
}

#[test]
fn nothing_survives_a_call() {
    let kernel = load(&Sandbox::new().unwrap(), "remembers").unwrap();
    let first = kernel.encode(b"{}", &["a"]).unwrap();
    assert_eq!(first.value, [Ok(vec![])]);
    assert_eq!(kernel.encode(b"{}", &["a"]).unwrap(), first);
}

#[test]
fn a_number_that_is_none_is_no_answer() {
    let kernel = Sandbox::new().unwrap().diversity_kernel(&guest(DIVERSITY), LIMITS).unwrap();
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
