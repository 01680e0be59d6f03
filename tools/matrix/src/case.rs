//! A case as a folder in the layout of ONNX's backend tests, run for several steps.
//!
//! `model.onnx`; `test_data_set_K/input_I.pb` with the graph's I-th input at step K; `case.json`
//! with the number of steps, the inputs' names in file order, and which output of a step is which
//! input of the next. An input that has no file at a step and is no such output keeps its value.
//! `run_case.py` beside this crate reads the same folders and gives the same digest.

use anyhow::{Context as _, ensure};
use dataforge_core::hash::{FileDigest, Hasher};
use dataforge_core::units::Bytes;
use dataforge_graph::onnx::proto::{ModelProto, TensorProto};
use dataforge_node::fs::{read_bounded, write_atomic};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file of a case that is read. Far above any model in the repository.
const FILE_BYTES_MAX: Bytes = Bytes(2 << 30);

/// case.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    steps: usize,
    inputs: Vec<String>,
    /// Input of a step → the output of the step before that it takes.
    carry: BTreeMap<String, String>,
}

/// What a case gives at each step, before it is written.
pub(crate) struct Case {
    /// Tensors that a step is given, beside what it carries or keeps.
    pub(crate) steps: Vec<Vec<TensorProto>>,
    /// Input of a step → the output of the step before that it takes.
    pub(crate) carry: BTreeMap<String, String>,
}

impl Case {
    /// Writes the case with `model` under each of the names, all with the same inputs.
    pub(crate) fn write(
        &self,
        folder: &Path,
        models: &[(String, ModelProto)],
    ) -> anyhow::Result<()> {
        let graph = models.first().and_then(|(_, model)| model.graph.as_ref());
        let graph = graph.context("a case without a graph: this is our bug")?;
        let inputs: Vec<String> = graph.input.iter().map(|info| info.name.clone()).collect();
        for (name, model) in models {
            write_atomic(&folder.join(name), &model.encode_to_vec())?;
        }
        for (step, tensors) in self.steps.iter().enumerate() {
            for tensor in tensors {
                let index = inputs.iter().position(|name| *name == tensor.name);
                let index = index.with_context(|| format!("no input {:?}", tensor.name))?;
                write_atomic(&tensor_path(folder, step, index), &tensor.encode_to_vec())?;
            }
        }
        let plan = Plan { steps: self.steps.len(), inputs, carry: self.carry.clone() };
        write_atomic(&folder.join("case.json"), &serde_json::to_vec_pretty(&plan)?)?;
        Ok(())
    }

    /// Runs the case on `engine`, which takes every input and gives every output, sorted by name.
    pub(crate) fn digest(
        &self,
        engine: impl FnMut(&BTreeMap<String, TensorProto>) -> anyhow::Result<Vec<TensorProto>>,
    ) -> anyhow::Result<FileDigest> {
        let load = |step: usize| Ok(self.steps[step].clone());
        run(self.steps.len(), &self.carry, load, engine)
    }
}

/// A case that was written.
pub(crate) struct Folder {
    path: PathBuf,
    plan: Plan,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let plan = read_bounded(&path.join("case.json"), FILE_BYTES_MAX)?;
        let plan = serde_json::from_slice(&plan)
            .with_context(|| format!("{}/case.json is no plan of a case", path.display()))?;
        Ok(Self { path: path.into(), plan })
    }

    /// The bytes of one of its models.
    pub(crate) fn model(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        Ok(read_bounded(&self.path.join(name), FILE_BYTES_MAX)?)
    }

    /// As [`Case::digest`].
    pub(crate) fn digest(
        &self,
        engine: impl FnMut(&BTreeMap<String, TensorProto>) -> anyhow::Result<Vec<TensorProto>>,
    ) -> anyhow::Result<FileDigest> {
        run(self.plan.steps, &self.plan.carry, |step| self.tensors(step), engine)
    }

    fn tensors(&self, step: usize) -> anyhow::Result<Vec<TensorProto>> {
        let paths = (0..self.plan.inputs.len()).map(|index| tensor_path(&self.path, step, index));
        let read = |path: PathBuf| {
            let bytes = read_bounded(&path, FILE_BYTES_MAX)?;
            let tensor = TensorProto::decode(bytes.as_slice());
            tensor.with_context(|| format!("{} is no tensor", path.display()))
        };
        paths.filter(|path| path.is_file()).map(read).collect()
    }
}

fn tensor_path(folder: &Path, step: usize, index: usize) -> PathBuf {
    folder.join(format!("test_data_set_{step}")).join(format!("input_{index}.pb"))
}

/// Byte format of the digest: tag `dataforge/matrix/v1`; for each step and each of its outputs by
/// name: name, `0x00`, number of bytes (u64 little-endian), the elements' little-endian bytes.
fn run(
    steps: usize,
    carry: &BTreeMap<String, String>,
    mut load: impl FnMut(usize) -> anyhow::Result<Vec<TensorProto>>,
    mut engine: impl FnMut(&BTreeMap<String, TensorProto>) -> anyhow::Result<Vec<TensorProto>>,
) -> anyhow::Result<FileDigest> {
    let mut inputs = BTreeMap::new();
    let mut hasher = Hasher::new("dataforge/matrix/v1");
    for step in 0..steps {
        inputs.extend(load(step)?.into_iter().map(|tensor| (tensor.name.clone(), tensor)));
        let outputs = engine(&inputs)?;
        ensure!(outputs.is_sorted_by(|a, b| a.name < b.name), "outputs are sorted by name");
        for output in &outputs {
            let bytes = output.raw_data.len() as u64;
            hasher.update(&output.name).update([0]).update(bytes.to_le_bytes());
            hasher.update(&output.raw_data);
        }
        for (input, output) in carry {
            let found = outputs.iter().find(|tensor| tensor.name == *output);
            let found = found.with_context(|| format!("the model has no output {output:?}"))?;
            inputs.insert(input.clone(), TensorProto { name: input.clone(), ..found.clone() });
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_graph::onnx::{LoweringOptions, lower};
    use dataforge_graph::{Element, Graph};
    use dataforge_matrix::tensors::floats;

    fn vector(name: &str, data: [f32; 2]) -> TensorProto {
        floats(name, &[2], &data)
    }

    /// y = x at each step; x is y again at the next one, and z is given once.
    fn case() -> (Case, ModelProto) {
        let mut g = Graph::new(20);
        let [x, z] = ["x", "z"].map(|name| g.input(name, &[2], Element::F32));
        let y = g.add(x, z);
        g.output("y", y);
        let steps = vec![vec![vector("x", [1.0, 2.0]), vector("z", [0.5, -0.0])], vec![], vec![]];
        let carry = BTreeMap::from([("x".to_owned(), "y".to_owned())]);
        (Case { steps, carry }, lower(&g, LoweringOptions::default()))
    }

    fn add(inputs: &BTreeMap<String, TensorProto>) -> anyhow::Result<Vec<TensorProto>> {
        let elements = |name: &str| {
            let (chunks, _) = inputs[name].raw_data.as_chunks::<4>();
            chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>()
        };
        let (x, z) = (elements("x"), elements("z"));
        Ok(vec![vector("y", [x[0] + z[0], x[1] + z[1]])])
    }

    #[test]
    fn a_folder_gives_the_digest_of_its_case() {
        let folder = tempfile::tempdir().unwrap();
        let (case, model) = case();
        case.write(folder.path(), &[("model.onnx".into(), model)]).unwrap();
        let mut seen = Vec::new();
        let digest = Folder::open(folder.path()).unwrap().digest(|inputs| {
            seen.push(inputs["x"].clone());
            add(inputs)
        });
        assert_eq!(digest.unwrap(), case.digest(add).unwrap());
        let expect = [[1.0, 2.0], [1.5, 2.0], [2.0, 2.0]].map(|data| vector("x", data));
        assert_eq!(seen, expect);
    }

    #[test]
    fn one_bit_of_one_step_changes_the_digest() {
        let (case, _) = case();
        let mut step = 0;
        let flipped = case.digest(|inputs| {
            step += 1;
            let mut outputs = add(inputs)?;
            outputs[0].raw_data[0] ^= u8::from(step == 3);
            Ok(outputs)
        });
        assert_ne!(flipped.unwrap(), case.digest(add).unwrap());
    }

    #[test]
    fn a_tensor_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (case, model) = case();
        case.write(folder.path(), &[("model.onnx".into(), model)]).unwrap();
        std::fs::write(tensor_path(folder.path(), 0, 0), [0xff; 9]).unwrap();
        let error = Folder::open(folder.path()).unwrap().digest(add).unwrap_err();
        assert!(format!("{error:#}").contains("input_0.pb is no tensor"), "{error:#}");
    }
}
