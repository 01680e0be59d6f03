//! Kernels of the WIT world `diversity`: how varied is a set of texts?
//!
//! The types here mirror `wit/1.1.0/kernel.wit`, which says what they mean.

use wasmtime::component::{ComponentType, Lift};

use crate::SandboxError;
use crate::kernel::{Answer, Function, Kernel, check_finite, list_bytes};

/// How varied a set of texts is.
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift)]
#[component(record)]
pub struct Measures {
    /// Words of all texts.
    pub words: u64,
    /// Distinct words as a share of all.
    pub distinct1: f64,
    /// The same of bigrams.
    pub distinct2: f64,
    /// The same of trigrams.
    pub distinct3: f64,
    /// Bytes as a multiple of their bytes after DEFLATE.
    #[component(name = "compression-ratio")]
    pub compression_ratio: f64,
    /// Mean cosine of the word counts of two different texts.
    #[component(name = "self-similarity")]
    pub self_similarity: f64,
}

/// A compiled diversity kernel.
pub struct DiversityKernel {
    pub(crate) measure: Kernel<Measure>,
    pub(crate) dispersion: Kernel<Dispersion>,
}

impl DiversityKernel {
    /// Measures all texts together.
    ///
    /// The errors are those of [`SandboxError`].
    pub fn measure(&self, texts: &[&str]) -> Result<Answer<Measures>, SandboxError> {
        let bytes = list_bytes(texts.iter().map(|text| text.len()));
        let (value, fuel) = self.measure.call((texts,), texts.len(), bytes)?;
        let Measures { distinct1, distinct2, distinct3, .. } = value;
        check_finite(&[distinct1, distinct2, distinct3])?;
        check_finite(&[value.compression_ratio, value.self_similarity])?;
        Ok(Answer { value, fuel })
    }

    /// Mean cosine distance of two different vectors, all of one length.
    ///
    /// The errors are those of [`SandboxError`]; vectors of different lengths, and one that is zero
    /// or not finite, are [`SandboxError::Reported`].
    pub fn dispersion(&self, vectors: &[&[f32]]) -> Result<Answer<f64>, SandboxError> {
        let bytes = list_bytes(vectors.iter().map(|vector| size_of_val(*vector)));
        let (value, fuel) = self.dispersion.call((vectors,), vectors.len(), bytes)?;
        check_finite(&[value])?;
        Ok(Answer { value, fuel })
    }
}

pub(crate) enum Measure {}

impl Function for Measure {
    const INTERFACES: &'static [&'static str] = &[INTERFACE];
    const NAME: &'static str = "measure";
    type Params<'a> = (&'a [&'a str],);
    type Answer = Measures;
}

pub(crate) enum Dispersion {}

impl Function for Dispersion {
    const INTERFACES: &'static [&'static str] = &[INTERFACE];
    const NAME: &'static str = "dispersion";
    type Params<'a> = (&'a [&'a [f32]],);
    type Answer = f64;
}

const INTERFACE: &str = "dataforge:kernel/variety@1.1.0";
