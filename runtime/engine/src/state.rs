//! A model's weights, and the root that commits to weights and moments.

use crate::error::EngineError;
use dataforge_core::hash::{EpochSeed, StateRoot};
use dataforge_core::random::SeedStream;
use dataforge_core::spec::Method;
use dataforge_core::state::{self, SavedTensor};
use dataforge_graph::llama::{Parameter, Tuning, is_inner_adapter};
use ort::value::{DynValue, Tensor};
use std::collections::BTreeMap;

/// Weights do not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A parameter is absent.
    #[error("no parameter {0:?}")]
    Missing(String),
    /// A parameter that the model does not have.
    #[error("the model has no parameter {0:?}")]
    Extra(String),
    /// Wrong number of elements.
    #[error("parameter {name:?} has {found} elements, the model's has {expected}")]
    Size {
        /// Parameter.
        name: String,
        /// Elements given.
        found: usize,
        /// Elements of the model's shape.
        expected: usize,
    },
    /// An element is infinite or not a number.
    #[error("parameter {0:?} has an element that is not finite")]
    NotFinite(String),
}

/// Every parameter of a model, checked against its shape. Row-major f32.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: Vec<(Parameter, Vec<f32>)>,
}

impl Weights {
    /// Checks that `tensors` are exactly the `parameters` of a model.
    ///
    /// # Errors
    /// [`WeightsError`] naming the first parameter that does not fit.
    pub fn new(
        parameters: Vec<Parameter>,
        mut tensors: BTreeMap<String, Vec<f32>>,
    ) -> Result<Self, WeightsError> {
        let mut ordered = Vec::new();
        for parameter in parameters {
            let Some(data) = tensors.remove(&parameter.name) else {
                return Err(WeightsError::Missing(parameter.name));
            };
            let expected = parameter.shape.iter().product();
            if data.len() != expected {
                return Err(WeightsError::Size {
                    name: parameter.name,
                    found: data.len(),
                    expected,
                });
            }
            if !all_finite(&data) {
                return Err(WeightsError::NotFinite(parameter.name));
            }
            ordered.push((parameter, data));
        }
        match tensors.into_keys().next() {
            Some(extra) => Err(WeightsError::Extra(extra)),
            None => Ok(Self { tensors: ordered }),
        }
    }

    /// One parameter's elements, row-major.
    ///
    /// # Errors
    /// [`EngineError::Bug`] when the model has no such parameter.
    pub fn get(&self, name: &str) -> Result<&[f32], EngineError> {
        let found = self.tensors.iter().find(|(parameter, _)| parameter.name == name);
        let missing = || EngineError::Bug(format!("the weights have no {name:?}"));
        Ok(&found.ok_or_else(missing)?.1)
    }

    /// The given parameters as tensors of the engine.
    pub(crate) fn load(&self, parameters: &[Parameter]) -> Result<Vec<StateTensor>, EngineError> {
        let load =
            |p: &Parameter| StateTensor::new(p.name.clone(), &p.shape, self.get(&p.name)?.to_vec());
        parameters.iter().map(load).collect()
    }

    /// The trained parameters before the first step, in canonical order. Those of an adapter's A
    /// are uniform in ±1/√in (He et al. 2015, as adapters are commonly initialised), by the seed's
    /// stream `adapter/` and the parameter's name; those of B are 0.
    ///
    /// # Errors
    /// [`EngineError::Bug`] when the weights are another model's.
    pub fn initial(
        &self,
        tuning: &Tuning,
        seed: &EpochSeed,
    ) -> Result<Vec<(Parameter, Vec<f32>)>, EngineError> {
        let adapters = matches!(tuning.method, Method::Lora { .. });
        let initial = |parameter: Parameter| {
            let data = if !adapters {
                self.get(&parameter.name)?.to_vec()
            } else if is_inner_adapter(&parameter.name) {
                random_adapter(&parameter, seed)
            } else {
                vec![0.0; parameter.shape.iter().product()]
            };
            Ok((parameter, data))
        };
        tuning.trained().into_iter().map(initial).collect()
    }
}

fn random_adapter(parameter: &Parameter, seed: &EpochSeed) -> Vec<f32> {
    const STEPS: u32 = 1 << 23;
    let mut random = SeedStream::new(seed, &format!("adapter/{}", parameter.name));
    let bound = 1.0 / (parameter.shape[0] as f64).sqrt();
    let draw = |_| {
        let unit = random.below(2 * u64::from(STEPS)) as f64 / f64::from(STEPS) - 1.0;
        (unit * bound) as f32
    };
    (0..parameter.shape.iter().product::<usize>()).map(draw).collect()
}

/// One tensor that lives in the engine.
pub(crate) struct StateTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) value: DynValue,
}

impl StateTensor {
    pub(crate) fn new(name: String, shape: &[usize], data: Vec<f32>) -> Result<Self, EngineError> {
        let value = Tensor::from_array((shape.to_vec(), data))?.into_dyn();
        Ok(Self { name, shape: shape.to_vec(), value })
    }

    pub(crate) fn data(&self) -> Result<&[f32], EngineError> {
        Ok(self.value.try_extract_tensor::<f32>()?.1)
    }

    pub(crate) fn save(&self) -> Result<SavedTensor, EngineError> {
        Ok(SavedTensor {
            name: self.name.clone(),
            dims: dims(&self.shape),
            elements: self.data()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }

    /// Takes the elements of a tensor of the same name and dimensions; whether it is one.
    pub(crate) fn restore(&mut self, saved: &SavedTensor) -> Result<bool, EngineError> {
        let (words, rest) = saved.elements.as_chunks::<4>();
        let size: usize = self.shape.iter().product();
        let same = saved.name == self.name && saved.dims == dims(&self.shape);
        if !same || words.len() != size || !rest.is_empty() {
            return Ok(false);
        }
        let data = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        *self = Self::new(self.name.clone(), &self.shape, data)?;
        Ok(true)
    }
}

fn dims(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|dim| *dim as u32).collect()
}

/// Whether no element is infinite or NaN. Looks at exponent bits only, so that it vectorises.
pub(crate) fn all_finite(data: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    data.iter().fold(true, |finite, x| finite & (x.to_bits() & EXPONENT != EXPONENT))
}

/// The [`StateRoot`] of tensors in order; see [`state::state_root`].
pub(crate) fn root(tensors: &[StateTensor]) -> Result<StateRoot, EngineError> {
    let hashes = tensors.iter().map(|tensor| Ok(tensor.save()?.hash()));
    Ok(state::state_root(&hashes.collect::<Result<Vec<_>, EngineError>>()?))
}
