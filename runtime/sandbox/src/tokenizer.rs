//! Kernels of the WIT world `tokenizer`: text to token ids.
//!
//! The types here mirror `wit/1.0.0/kernel.wit`. Special tokens, truncation and padding are decided
//! by the caller, on ids.

use crate::SandboxError;
use crate::kernel::{Function, Kernel, check_count, list_bytes};

/// The answer to [`TokenizerKernel::encode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// One list of token ids for each text, in order.
    pub ids: Vec<Vec<u32>>,
    /// Fuel that the call took: the same on every machine.
    pub fuel: u64,
}

/// A compiled tokenizer kernel.
pub struct TokenizerKernel(pub(crate) Kernel<Encode>);

impl TokenizerKernel {
    /// Encodes texts with the tokenizer that a Hugging Face `tokenizer.json` describes.
    ///
    /// The errors are those of [`SandboxError`]; a tokenizer that cannot be loaded is
    /// [`SandboxError::Reported`]. The tokenizer is loaded anew by each call, so batches should be
    /// large.
    pub fn encode(&self, tokenizer_json: &[u8], texts: &[&str]) -> Result<Encoded, SandboxError> {
        let bytes = tokenizer_json.len() as u64 + list_bytes(texts.iter().map(|text| text.len()));
        let (ids, fuel) = self.0.call((tokenizer_json, texts), bytes)?;
        check_count("texts", ids.len(), texts.len())?;
        Ok(Encoded { ids, fuel })
    }
}

pub(crate) enum Encode {}

impl Function for Encode {
    const INTERFACE: &'static str = "dataforge:kernel/tokens@1.0.0";
    const NAME: &'static str = "encode";
    type Params<'a> = (&'a [u8], &'a [&'a str]);
    type Answer = Vec<Vec<u32>>;
}
