//! What every party trains: a model, its first weights, batches in order and hidden rows, in a
//! folder.
//!
//! `workload.json` is a [`Workload`]; `tensors.f32` holds its tensors end to end as little-endian
//! f32, in the order listed. Both are derived from pinned artifacts and a seed alone, so that every
//! party, in whatever language, starts from the same numbers.

use anyhow::{Context as _, ensure};
use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{TokenPlan, TokenRow};
use dataforge_core::spec::{LlamaShape, Recipe};
use dataforge_core::units::Bytes;
use dataforge_engine::Weights;
use dataforge_graph::llama::{self, Parameter, Tuning};
use dataforge_node::fs::{read_bounded, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A workload without its tensors' elements.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) seed: EpochSeed,
    pub(crate) model: LlamaShape,
    pub(crate) training: Recipe,
    /// Bits that the operands of exact products keep, unless a party is told otherwise.
    pub(crate) operand_bits: u32,
    pub(crate) plan: TokenPlan,
    /// The hidden rows: every candidate of each question, or plain text when there are no answers.
    pub(crate) candidates: Vec<TokenRow>,
    /// The right candidate of each question.
    pub(crate) answers: Vec<u32>,
    /// The model's parameters in canonical order, then the adapters before the first step.
    pub(crate) tensors: Vec<Listed>,
}

/// A tensor of `tensors.f32`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// The largest model in use has 135 million parameters, 540 MB. A larger file is refused.
const TENSOR_BYTES_MAX: Bytes = Bytes(4 << 30);

/// A million token rows of JSON fit. A larger file is refused.
const WORKLOAD_BYTES_MAX: Bytes = Bytes(1 << 30);

impl Workload {
    pub(crate) fn tuning(&self, operand_bits: u32) -> Tuning {
        Tuning { shape: self.model, method: self.training.method, operand_bits }
    }

    /// Writes both files. Fills in [`Workload::tensors`].
    pub(crate) fn write(mut self, folder: &Path, weights: &Weights) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let mut append = |Parameter { name, shape }: Parameter, data: &[f32]| {
            bytes.extend(data.iter().flat_map(|x| x.to_le_bytes()));
            Listed { name, shape }
        };
        let parameters = llama::parameters(&self.model);
        for parameter in &parameters {
            let data = weights.get(&parameter.name)?;
            self.tensors.push(append(parameter.clone(), data));
        }
        for (parameter, data) in weights.initial(&self.tuning(self.operand_bits), &self.seed)? {
            if !parameters.contains(&parameter) {
                self.tensors.push(append(parameter, &data));
            }
        }
        write_atomic(&folder.join("tensors.f32"), &bytes)?;
        write_atomic(&folder.join("workload.json"), &serde_json::to_vec(&self)?)?;
        Ok(())
    }

    /// Reads both files.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<(Self, Weights)> {
        let path = folder.join("workload.json");
        let json = read_bounded(&path, WORKLOAD_BYTES_MAX)?;
        let workload: Self = serde_json::from_slice(&json)
            .with_context(|| format!("{} is not a workload", path.display()))?;
        let path = folder.join("tensors.f32");
        let bytes = read_bounded(&path, TENSOR_BYTES_MAX)?;
        let parameters = llama::parameters(&workload.model);
        let mut rest = bytes.as_slice();
        let mut tensors = BTreeMap::new();
        for Listed { name, shape } in &workload.tensors {
            let size = shape.iter().try_fold(4usize, |size, dim| size.checked_mul(*dim));
            let split = size.and_then(|size| rest.split_at_checked(size));
            let (own, after) =
                split.with_context(|| format!("{} ends before {name:?} does", path.display()))?;
            rest = after;
            let (words, _) = own.as_chunks::<4>();
            // A party draws adapters from the seed itself.
            if parameters.iter().all(|p| p.name != *name) {
                continue;
            }
            tensors.insert(name.clone(), words.iter().map(|w| f32::from_le_bytes(*w)).collect());
        }
        ensure!(rest.is_empty(), "{} goes on after its last tensor", path.display());
        let weights = Weights::new(parameters, tensors)?;
        Ok((workload, weights))
    }
}
