//! `cargo xtask verifier`: what the verifiers in Python make of the golden proofs, and other engines
//! of a training step of one.
//!
//! The test suite runs the same verifier on thousands of mutated proofs, but installs no packages:
//! signatures and engines are checked here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{sh, venv};

const PACKAGES: &[&str] =
    &["py-sr25519-bindings==0.2.4", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1"];

/// Who signed the golden proof.
const SIGNER: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";

pub(crate) fn run() -> anyhow::Result<()> {
    let python = venv::made("verifier-venv", PACKAGES)?;
    let golden = sh::root().join("tests/golden/short");
    let digest = fs::read_to_string(golden.join("short.digest")).context("short.digest")?;
    for (name, signer) in [("short.proof", "nobody"), ("signed.proof", SIGNER)] {
        let proof = golden.join(name);
        let said = output(Command::new(&python).arg(script("dataforge_proof.py")).arg(&proof))?;
        let expected = format!("{}: {}, signed by {signer}", proof.display(), digest.trim());
        ensure!(said.trim() == expected, "the verifier says {said:?}, not {expected:?}");
    }
    eprintln!("golden proofs: {} holds, signed by nobody and by {SIGNER}", digest.trim());
    step(&python, &golden)
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
    sh::cargo(&["build", "--workspace", "--bin", "dataforge", "--locked"], &[])?;
    let out = folder.join("step");
    let mut export = Command::new(sh::target().join("debug/dataforge"));
    export.arg("--specs").arg(specs).args(["audit", "export-step"]).arg(golden.join("short.proof"));
    export.arg("--dataset").arg(golden.join("dataset.jsonl")).args(["--step", "3"]);
    output(export.arg("--out").arg(&out))?;
    let check = |engine: &str| {
        output(
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

fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} failed ({}):\n{said}{words}", output.status);
    Ok(said)
}
