//! The format-warmed reference of the rule `warmed`: the pinned model after training on public rows
//! whose outputs are permuted anew for each pass. It knows the format and nothing else.
//!
//! It follows from the spec alone, so it is trained once and kept, if the engine is exact.

use crate::error::EvaluateError;
use crate::inspect::read_file;
use crate::kept;
use crate::setup::Setup;
use crate::world::Pinned;
use dataforge_core::codec;
use dataforge_core::hash::{EpochSeed, FileDigest, tagged};
use dataforge_core::plan::TokenPlan;
use dataforge_core::spec::{PinnedSpec, ScoreRule};
use dataforge_graph::llama::{Parameter, Tuning};

/// Values of the trained parameters, in canonical order.
pub(crate) type Trained = Vec<(Parameter, Vec<f32>)>;

/// The trained parameters of the warmed reference, or `None` where the rule has no such thing.
pub(crate) fn recall_or_train(setup: &Setup<'_>) -> Result<Option<Trained>, EvaluateError> {
    let (world, pinned, exact) = (setup.world, &setup.spec, setup.is_exact());
    let (spec, lock) = (pinned.spec(), pinned.lock());
    let ScoreRule::Warmed { rows: name, epochs, .. } = &spec.score else { return Ok(None) };
    let bytes = read_file(world, name, &lock.files)?;
    let rows = setup.inspector.pinned_rows(world, name, &bytes)?;
    let recipe = &spec.training;
    let seed = seed(lock.files.get(name));
    let plan = TokenPlan::reshuffled(&rows, recipe.batch_shape(), *epochs, &seed);
    let tuning = setup.tuning();
    let key = key(pinned, &plan, &seed);
    let read = |data: &[u8]| from_bytes(&tuning, data);
    if let Some(trained) = exact.then(|| kept::recall(world, &key, read)).flatten() {
        return Ok(Some(trained));
    }
    let features = setup.features(&plan)?;
    let initial = setup.weights.initial(&tuning, &seed)?;
    let trace = setup.course(&plan, features.as_ref(), initial)?.finish(None)?;
    let Some((trainer, _)) = trace.finished else {
        let what = Pinned::File(name).to_string();
        let reason = format!("the warm-up diverges at step {}", trace.steps.len());
        return Err(EvaluateError::Material { what, reason });
    };
    let trained = trainer.weights()?;
    if exact {
        kept::keep(world, &key, &to_bytes(&trained));
    }
    Ok(Some(trained))
}

/// The warm-up's own randomness: the same for every epoch. Byte format: tag `dataforge/warm-up/v1`
/// over the canonical encoding of the file's digest in the lock.
fn seed(file: Option<&FileDigest>) -> EpochSeed {
    tagged("dataforge/warm-up/v1", &codec::encode(&file))
}

/// Everything that the warmed reference depends on. Byte format: tag `dataforge/warmed/v1` over the
/// canonical encoding of the weights' digest, the model's shape, the recipe, the numerics, the
/// plan's roots and the seed.
fn key(pinned: &PinnedSpec, plan: &TokenPlan, seed: &EpochSeed) -> FileDigest {
    let (spec, lock) = (pinned.spec(), pinned.lock());
    let weights = lock.artifacts.get(&spec.model.weights);
    let parts = (weights, &spec.model.llama, &spec.training, &spec.numerics, plan.roots(), seed);
    tagged("dataforge/warmed/v1", &codec::encode(&parts))
}

/// Little-endian elements, parameters end to end.
fn to_bytes(trained: &Trained) -> Vec<u8> {
    trained.iter().flat_map(|(_, data)| data).flat_map(|x| x.to_le_bytes()).collect()
}

/// The inverse of [`to_bytes`]. `None` when the size is another.
fn from_bytes(tuning: &Tuning, bytes: &[u8]) -> Option<Trained> {
    let mut rest = bytes;
    let mut trained = Vec::new();
    for parameter in tuning.trained() {
        let count: usize = parameter.shape.iter().product();
        let (data, after) = rest.split_at_checked(count.checked_mul(4)?)?;
        let (words, _) = data.as_chunks::<4>();
        trained.push((parameter, words.iter().map(|word| f32::from_le_bytes(*word)).collect()));
        rest = after;
    }
    rest.is_empty().then_some(trained)
}
