//! Kernels of the WIT world `metrics`: how near answers come to reference texts.
//!
//! The types here mirror `wit/1.1.0/kernel.wit`, which says what they mean. Means over many pairs
//! are the caller's.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::SandboxError;
use crate::kernel::{Answer, Function, Kernel, check_count, check_finite, list_bytes};

/// An answer and what it should have been.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Pair<'a> {
    /// What was said.
    pub answer: &'a str,
    /// What is right.
    pub reference: &'a str,
}

/// Shares between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift)]
#[component(record)]
pub struct Overlap {
    /// Of the answer.
    pub precision: f64,
    /// Of the reference.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// How near one answer comes.
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift)]
#[component(record)]
pub struct Scores {
    /// The same words in the same order, after SQuAD's normalisation.
    #[component(name = "exact-match")]
    pub exact_match: bool,
    /// F1 over words as a multiset, after SQuAD's normalisation.
    #[component(name = "token-f1")]
    pub token_f1: f64,
    /// Unigrams.
    pub rouge1: Overlap,
    /// Bigrams.
    pub rouge2: Overlap,
    /// Longest common subsequence of words.
    #[component(name = "rouge-l")]
    pub rouge_l: Overlap,
    /// chrF2, between 0 and 100.
    pub chrf: f64,
}

/// A compiled metrics kernel.
pub struct MetricsKernel(pub(crate) Kernel<Measure>);

impl MetricsKernel {
    /// Measures each pair by itself; one entry for each, in order.
    ///
    /// The errors are those of [`SandboxError`].
    pub fn measure(&self, pairs: &[Pair<'_>]) -> Result<Answer<Vec<Scores>>, SandboxError> {
        let bytes =
            list_bytes(pairs.iter().flat_map(|pair| [pair.answer, pair.reference]).map(str::len));
        let (value, fuel) = self.0.call((pairs,), pairs.len(), bytes)?;
        check_count("pairs", value.len(), pairs.len())?;
        for scores in &value {
            let of = |overlap: &Overlap| [overlap.precision, overlap.recall, overlap.f1];
            let overlaps = [&scores.rouge1, &scores.rouge2, &scores.rouge_l].map(of);
            check_finite(&[scores.token_f1, scores.chrf])?;
            check_finite(overlaps.as_flattened())?;
        }
        Ok(Answer { value, fuel })
    }
}

pub(crate) enum Measure {}

impl Function for Measure {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/answers@1.1.0"];
    const NAME: &'static str = "measure";
    type Params<'a> = (&'a [Pair<'a>],);
    type Answer = Vec<Scores>;
}
