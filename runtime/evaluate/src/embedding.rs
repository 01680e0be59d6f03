//! Texts as vectors by all-MiniLM-L6-v2, for the diversity kernel: how far a dataset's rows lie
//! apart in meaning.
//!
//! The engine computes exactly, so the vectors, and what the kernel makes of them, are the same on
//! every machine. It is advice all the same: no spec asks for it.

use crate::error::EvaluateError;
use crate::inspect::in_kernel;
use crate::weights::read_weights;
use crate::world::{Pinned, World};
use dataforge_core::spec::BertShape;
use dataforge_engine::{Embedder, Runtime};
use dataforge_graph::bert;
use dataforge_sandbox::TokenizerKernel;

/// Artifacts that vectors are made with.
pub const EMBEDDING_ARTIFACTS: [&str; 2] = [MODEL, TOKENIZER];

const MODEL: &str = "minilm-l6";
const TOKENIZER: &str = "minilm-l6-tokenizer";

/// The model's own length for sentences is 256; most rows are shorter, and time grows with it.
const POSITIONS: usize = 128;
const BATCH_ROWS: usize = 16;
const OPERAND_BITS: u32 = 20;

/// The ids of `[CLS]` and `[SEP]`: what goes before and behind a text.
const START: u32 = 101;
const END: u32 = 102;

/// Vectors of length 1, one for each text. `tokenizer` is any kernel of that world, by its name.
pub(crate) fn embed(
    world: &dyn World,
    (name, tokenizer): (&str, &TokenizerKernel),
    texts: &[&str],
) -> Result<Vec<Vec<f32>>, EvaluateError> {
    let read = |artifact| world.read(Pinned::Artifact(artifact)).map_err(EvaluateError::World);
    let encoded = tokenizer.encode(&read(TOKENIZER)?, texts).map_err(in_kernel(name))?;
    let framed = |ids: Result<Vec<u32>, String>| {
        // What has no ids is as far from the others as an empty text.
        let mut ids = ids.unwrap_or_default();
        ids.truncate(POSITIONS - 2);
        [vec![START], ids, vec![END]].concat()
    };
    let tokens: Vec<Vec<u32>> = encoded.value.into_iter().map(framed).collect();
    let shape = BertShape::MINILM_L6;
    let weights = read_weights(&read(MODEL)?, bert::parameters(&shape))
        .map_err(|source| EvaluateError::Weights { artifact: MODEL.into(), source })?;
    let library = world.engine_library().map_err(EvaluateError::World)?;
    let runtime = Runtime::load(&library, world.engine_options())?;
    let batch = (BATCH_ROWS, POSITIONS);
    let mut embedder = Embedder::new(&runtime, &shape, &weights, batch, OPERAND_BITS)?;
    let mut vectors = Vec::with_capacity(tokens.len());
    for tokens in tokens.chunks(BATCH_ROWS) {
        if world.cancelled() {
            return Err(EvaluateError::Cancelled);
        }
        vectors.extend(embedder.embed(tokens)?);
    }
    Ok(vectors)
}
