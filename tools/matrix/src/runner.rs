//! Runs all cases under one setting.

use crate::cases::{Built, Named, lowering, model_file};
use crate::provision::Provision;
use crate::setting::{Runner, Setting};
use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use dataforge_core::hash::FileDigest;
use dataforge_graph::composite;
use dataforge_graph::interp::{Arithmetic, Tensor, run as interpret};
use dataforge_graph::onnx::proto::{TensorProto, data_type};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::env::current_exe;
use std::path::Path;
use std::process::Command;

/// What a runner prints for one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) case: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<FileDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// The script that runs cases in Python.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/run_case.py");

/// The digest of each case, in order, or why there is none.
pub(crate) fn digests(
    setting: &Setting,
    cases: &[&Named],
    folder: &Path,
    provision: &Provision,
) -> Vec<Result<FileDigest, String>> {
    let command = match setting.runner {
        Runner::Interpreter => {
            let digest = |case: &&Named| interpreted(&case.built).map_err(|e| format!("{e:#}"));
            return cases.iter().map(digest).collect();
        }
        Runner::Native => native(setting, provision, None),
        Runner::Emulated(cpu) => native(setting, provision, Some(cpu)),
        Runner::Aarch64(cpu) => aarch64(setting, provision, cpu),
        Runner::OnnxReference => reference(provision),
    };
    match command {
        Ok(command) => answers(command, setting, cases, folder),
        Err(error) => vec![Err(format!("{error:#}")); cases.len()],
    }
}

/// This very program, natively or on an emulated x86-64 CPU.
fn native(setting: &Setting, provision: &Provision, cpu: Option<&str>) -> anyhow::Result<Command> {
    let program = current_exe().context("cannot find this program")?;
    let library = provision.library(setting.engine)?;
    let mut command = match cpu {
        None => Command::new(program),
        Some(cpu) => {
            let mut command = Command::new("qemu-x86_64");
            command.args(["-cpu", cpu]).arg(program);
            command
        }
    };
    command.arg("run").arg("--library").arg(library);
    command.args(["--lowering", &lowering(setting.lowering).lowering.to_string()]);
    Ok(command)
}

fn aarch64(setting: &Setting, provision: &Provision, cpu: &str) -> anyhow::Result<Command> {
    let root = provision.aarch64_root()?;
    let packages = provision.aarch64_packages(setting.engine)?;
    let mut command = Command::new("qemu-aarch64");
    command.args(["-cpu", cpu, "-L"]).arg(&root).arg(root.join("usr/bin/python3.11"));
    command.arg(SCRIPT).args(["--engine", "onnxruntime"]).env("PYTHONPATH", packages);
    Ok(command)
}

fn reference(provision: &Provision) -> anyhow::Result<Command> {
    let mut command = Command::new(provision.python());
    command.arg(SCRIPT).args(["--engine", "reference"]);
    command.env("PYTHONPATH", provision.reference_packages()?);
    Ok(command)
}

/// Starts a runner on every case and reads its reports.
fn answers(
    mut command: Command,
    setting: &Setting,
    cases: &[&Named],
    folder: &Path,
) -> Vec<Result<FileDigest, String>> {
    let level = setting.level.to_possible_value();
    command
        .args(["--threads", &setting.threads.to_string()])
        .args(["--optimisation", level.as_ref().map_or("none", |level| level.get_name())])
        .args(["--model", &model_file(setting.lowering)])
        .args(cases.iter().map(|case| folder.join(case.name)));
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return vec![Err(format!("cannot start {program}: {error}")); cases.len()],
    };
    let mut reports = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Ok(report) = serde_json::from_str::<Report>(line) {
            reports.insert(report.case.clone(), report);
        }
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let ended = format!("the runner ended with {}: {last}", output.status);
    let answer = |name: &str| match reports.remove(name) {
        Some(Report { digest: Some(digest), .. }) => Ok(digest),
        Some(Report { error, .. }) => Err(error.unwrap_or_default()),
        None => Err(ended.clone()),
    };
    cases.iter().map(|case| case.name).map(answer).collect()
}

fn interpreted(built: &Built) -> anyhow::Result<FileDigest> {
    let graph = composite::expand(&built.graph);
    built.case.digest(|inputs| {
        let mut tensors = BTreeMap::new();
        for (name, proto) in inputs {
            tensors.insert(name.clone(), numbers(proto)?);
        }
        let outputs = interpret(&graph, &tensors, Arithmetic::Exact);
        Ok(outputs.into_iter().map(|(name, tensor)| proto(name, &tensor)).collect())
    })
}

fn numbers(proto: &TensorProto) -> anyhow::Result<Tensor> {
    let shape: Vec<usize> = proto.dims.iter().map(|d| *d as usize).collect();
    match proto.data_type {
        data_type::FLOAT => {
            let (chunks, _) = proto.raw_data.as_chunks::<4>();
            let data: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(Tensor::from_f32(&shape, &data))
        }
        data_type::INT64 => {
            let (chunks, _) = proto.raw_data.as_chunks::<8>();
            let data: Vec<i64> = chunks.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
            Ok(Tensor::from_indices(&shape, &data))
        }
        other => bail!("input {:?} has element type {other}", proto.name),
    }
}

/// An f32 output in ONNX's own form: no graph of the repository gives anything else.
fn proto(name: String, tensor: &Tensor) -> TensorProto {
    TensorProto {
        dims: tensor.shape.iter().map(|d| *d as i64).collect(),
        data_type: data_type::FLOAT,
        name,
        raw_data: tensor.data.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Level;

    #[test]
    fn the_script_and_the_program_name_levels_alike() {
        let script = std::fs::read_to_string(SCRIPT).unwrap();
        for level in Level::value_variants() {
            let name = level.to_possible_value().unwrap().get_name().to_owned();
            assert!(script.contains(&format!("\"{name}\": levels.")), "{name}");
        }
    }
}
