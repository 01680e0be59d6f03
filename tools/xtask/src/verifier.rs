//! `cargo xtask verifier`: what the verifiers in Python and in WebAssembly make of the golden
//! proofs, and other engines of a training step of one.
//!
//! The test suite runs the verifier in Python on thousands of mutated proofs, but installs no
//! packages: signatures, WebAssembly and engines are checked here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{kernels, sh, venv};

const PACKAGES: &[&str] =
    &["py-sr25519-bindings==0.2.4", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1"];

/// Who signed the golden proof.
const SIGNER: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";

pub(crate) fn run() -> anyhow::Result<()> {
    let python = venv::made("verifier-venv", PACKAGES)?;
    fs::create_dir_all(sh::target().join("verifier"))?;
    let golden = sh::root().join("tests/golden/short");
    let digest = fs::read_to_string(golden.join("short.digest")).context("short.digest")?;
    for (name, signer) in [("short.proof", "nobody"), ("signed.proof", SIGNER)] {
        let proof = golden.join(name);
        let said = sh::output(Command::new(&python).arg(script("dataforge_proof.py")).arg(&proof))?;
        let expected = format!("{}: {}, signed by {signer}", proof.display(), digest.trim());
        ensure!(said.trim() == expected, "the verifier says {said:?}, not {expected:?}");
    }
    eprintln!("golden proofs: {} holds, signed by nobody and by {SIGNER}", digest.trim());
    module(&golden, digest.trim())?;
    step(&python, &golden)
}

/// The parts of the golden proof that are shown by themselves.
const PARTS: &[&str] = &["step.shown", "result.shown", "dataset-row.shown", "benchmark-row.shown"];

/// Builds the module and has Node run it: a golden proof, signed, with spec and benchmark; its
/// parts; and each of them with a bit flipped.
fn module(golden: &Path, digest: &str) -> anyhow::Result<()> {
    let verifier = sh::root().join("tools/verifier/wasm");
    let module =
        kernels::build(&verifier, &["dataforge-verifier".to_owned()], kernels::Build::Small)?;
    let module = module.join("dataforge_verifier.wasm");
    let verify = |files: &[&Path]| -> anyhow::Result<serde_json::Value> {
        let mut node = Command::new("node");
        node.arg(verifier.join("verifier.mjs")).arg(&module).args(files);
        let output = node.output().context("cannot start node")?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let [signed, spec, lock, benchmark] =
        ["signed.proof", "spec.toml", "spec.lock", "benchmark.jsonl"].map(|name| golden.join(name));
    let answer = verify(&[&signed, &spec, &lock, &benchmark])?;
    let right = answer["digest"] == digest
        && answer["signer"] == SIGNER
        && answer["spec"] == "short@1"
        && answer["metrics_checked"] == true;
    ensure!(right, "the module says {answer} of the golden proof");
    for name in PARTS.iter().chain(&["signed.proof"]) {
        let answer = verify(&[&golden.join(name)])?;
        ensure!(answer["holds"] == true, "the module says {answer} of {name}");
        let mut bytes = fs::read(golden.join(name))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let flipped = sh::target().join("verifier/flipped");
        fs::write(&flipped, bytes)?;
        let answer = verify(&[&flipped])?;
        ensure!(answer["holds"] == false, "the module says {answer} of {name} with a bit flipped");
    }
    eprintln!(
        "the module of {} bytes agrees, and sees a flipped bit in the proof and its parts",
        fs::metadata(&module)?.len()
    );
    Ok(())
}

/// Exports a step of the golden proof; both engines must agree with it, and must not once a bit of
/// its result is flipped.
fn step(python: &Path, golden: &Path) -> anyhow::Result<()> {
    let folder = sh::target().join("verifier");
    let specs = folder.join("specs");
    for name in ["spec.toml", "spec.lock", "row.schema.json"] {
        copy(&golden.join(name), &specs.join("short/1"))?;
    }
    for kernel in fs::read_dir(sh::root().join("eval-specs/kernels"))? {
        copy(&kernel?.path(), &specs.join("kernels"))?;
    }
    // As the suite builds it, so that nothing is compiled a second time.
    sh::cargo(&["build", "--workspace", "--tests", "--bin", "dataforge", "--locked"], &[])?;
    let out = folder.join("step");
    let mut export = Command::new(sh::target().join("debug/dataforge"));
    export.arg("--specs").arg(specs).args(["audit", "export-step"]).arg(golden.join("short.proof"));
    export.arg("--dataset").arg(golden.join("dataset.jsonl")).args(["--step", "3"]);
    sh::output(export.arg("--out").arg(&out))?;
    let check = |engine: &str| {
        sh::output(
            Command::new(python).arg(script("check_step.py")).arg(&out).args(["--engine", engine]),
        )
    };
    const ENGINES: [&str; 2] = ["onnx.reference", "onnxruntime"];
    for engine in ENGINES {
        eprint!("{}", check(engine)?);
    }
    let result = out.join("test_data_set_0/output_0.pb");
    let mut bytes = fs::read(&result)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&result, bytes)?;
    for engine in ENGINES {
        let said = check(engine).err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(said.contains("differs"), "{engine} does not see a flipped bit: {said:?}");
    }
    eprintln!("a flipped bit of the step's result is seen by both");
    Ok(())
}

fn copy(file: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let to = folder.join(file.file_name().context("a file has a name")?);
    fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

fn script(name: &str) -> std::path::PathBuf {
    sh::root().join("tools/verifier").join(name)
}
