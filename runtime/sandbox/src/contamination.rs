//! Kernels of the WIT world `contamination`: were texts taken from known documents?
//!
//! The types here mirror `wit/1.1.0/kernel.wit`, which says what they mean.

use std::ops::Range;

use wasmtime::component::{ComponentType, Lift};

use crate::SandboxError;
use crate::kernel::{Answer, Function, Kernel, check_count, list_bytes};

/// How much of one text is in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Word n-grams of the text.
    pub ngrams: u32,
    /// Those of them that are in the index; at most as many.
    pub found: u32,
    /// Bytes of the text's longest part whose n-grams are all in the index; empty if there is none.
    /// On character boundaries.
    pub part: Range<usize>,
}

/// A compiled contamination kernel.
pub struct ContaminationKernel {
    pub(crate) index: Kernel<Index>,
    pub(crate) overlap: Kernel<Overlap>,
}

impl ContaminationKernel {
    /// Makes an index of the word n-grams of documents.
    ///
    /// The errors are those of [`SandboxError`]; an `n` outside 2 to 64 is
    /// [`SandboxError::Reported`].
    pub fn index(&self, n: u32, documents: &[&str]) -> Result<Answer<Vec<u8>>, SandboxError> {
        let bytes = list_bytes(documents.iter().map(|document| document.len()));
        let (value, fuel) = self.index.call((n, documents), documents.len(), bytes)?;
        Ok(Answer { value, fuel })
    }

    /// Looks each text up by itself; one entry for each, in order.
    ///
    /// The errors are those of [`SandboxError`]; an index that is none is
    /// [`SandboxError::Reported`]. The index is copied for each call, so batches should be large.
    pub fn overlap(
        &self,
        index: &[u8],
        texts: &[&str],
    ) -> Result<Answer<Vec<Evidence>>, SandboxError> {
        let bytes = index.len() as u64 + list_bytes(texts.iter().map(|text| text.len()));
        let (found, fuel) = self.overlap.call((index, texts), texts.len(), bytes)?;
        check_count("texts", found.len(), texts.len())?;
        let value = found
            .into_iter()
            .zip(texts)
            .map(|(found, text)| found.of(text))
            .collect::<Result<_, _>>()?;
        Ok(Answer { value, fuel })
    }
}

pub(crate) enum Index {}

impl Function for Index {
    const INTERFACES: &'static [&'static str] = &[INTERFACE];
    const NAME: &'static str = "index";
    type Params<'a> = (u32, &'a [&'a str]);
    type Answer = Vec<u8>;
}

pub(crate) enum Overlap {}

impl Function for Overlap {
    const INTERFACES: &'static [&'static str] = &[INTERFACE];
    const NAME: &'static str = "overlap";
    type Params<'a> = (&'a [u8], &'a [&'a str]);
    type Answer = Vec<Found>;
}

const INTERFACE: &str = "dataforge:kernel/ngrams@1.1.0";

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Found {
    ngrams: u32,
    found: u32,
    start: u32,
    end: u32,
}

impl Found {
    fn of(self, text: &str) -> Result<Evidence, SandboxError> {
        let Self { ngrams, found, start, end } = self;
        let part = start as usize..end as usize;
        if found > ngrams || text.get(part.clone()).is_none() {
            let what =
                format!("{found} of {ngrams} n-grams, bytes {start} to {end} of {}", text.len());
            return Err(SandboxError::InvalidAnswer(what));
        }
        Ok(Evidence { ngrams, found, part })
    }
}
