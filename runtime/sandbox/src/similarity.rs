//! Kernels of the WIT world `similarity`: sketches by which near-duplicates are found.
//!
//! The types here mirror `wit/1.1.0/kernel.wit`, which says what they mean. Comparing sketches is
//! the caller's.

use dataforge_core::similarity::Sketch;
use wasmtime::component::{ComponentType, Lift};

use crate::SandboxError;
use crate::kernel::{Answer, Function, Kernel, check_count, list_bytes};

/// A compiled similarity kernel.
pub struct SimilarityKernel(pub(crate) Kernel<Make>);

impl SimilarityKernel {
    /// Sketches each text by itself; one entry for each, in order.
    ///
    /// The errors are those of [`SandboxError`].
    pub fn sketch(&self, texts: &[&str]) -> Result<Answer<Vec<Sketch>>, SandboxError> {
        let bytes = list_bytes(texts.iter().map(|text| text.len()));
        let (sketches, fuel) = self.0.call((texts,), texts.len(), bytes)?;
        check_count("texts", sketches.len(), texts.len())?;
        let value = sketches.into_iter().map(Made::checked).collect::<Result<_, _>>()?;
        Ok(Answer { value, fuel })
    }
}

pub(crate) enum Make {}

impl Function for Make {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/sketches@1.1.0"];
    const NAME: &'static str = "make";
    type Params<'a> = (&'a [&'a str],);
    type Answer = Vec<Made>;
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Made {
    digest: Vec<u8>,
    signature: Vec<u8>,
    bands: Vec<u32>,
}

impl Made {
    fn checked(self) -> Result<Sketch, SandboxError> {
        Ok(Sketch {
            digest: sized("digest", self.digest)?,
            signature: sized("signature", self.signature)?,
            bands: sized("list of bands", self.bands)?,
        })
    }
}

fn sized<T, const N: usize>(what: &str, list: Vec<T>) -> Result<[T; N], SandboxError> {
    let wrong = |list: Vec<T>| format!("a {what} of {} elements instead of {N}", list.len());
    list.try_into().map_err(|list| SandboxError::InvalidAnswer(wrong(list)))
}
