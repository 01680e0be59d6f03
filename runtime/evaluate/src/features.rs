//! What the frozen blocks of a model make of rows, computed once and kept.

use crate::error::EvaluateError;
use crate::kept;
use crate::setup::Setup;
use crate::world::Progress;
use dataforge_core::codec;
use dataforge_core::hash::{FileDigest, tagged};
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::PinnedSpec;
use dataforge_engine::{Features, trunk};
use dataforge_graph::llama::Tuning;

/// The features of `rows`, or `None` when the whole model is trained.
pub(crate) fn compute(
    setup: &Setup<'_>,
    rows: &[TokenRow],
) -> Result<Option<Features>, EvaluateError> {
    let Setup { world, runtime, weights, .. } = setup;
    let (tuning, shape) = (setup.tuning(), setup.forward_shape());
    if tuning.trunk().is_none() {
        return Ok(None);
    }
    let total = rows.len() as u32;
    let mut watch = |rows: usize| {
        world.progress(Progress::Featured { rows: rows as u32, total });
        !world.cancelled()
    };
    let features = trunk(runtime, &tuning, weights, rows, shape, &mut watch)?;
    Ok(Some(features.ok_or(EvaluateError::Cancelled)?))
}

/// As [`compute`], for rows that many evaluations share: the benchmark's. Only exact features are
/// kept.
pub(crate) fn recall_or_compute(
    setup: &Setup<'_>,
    rows: &[TokenRow],
) -> Result<Option<Features>, EvaluateError> {
    let (world, tuning) = (setup.world, setup.tuning());
    if tuning.trunk().is_none() {
        return Ok(None);
    }
    if !setup.is_exact() {
        return compute(setup, rows);
    }
    let key = key(&setup.spec, rows);
    let positions = setup.forward_shape().positions.get() as usize;
    let read = |data: &[u8]| Features::from_bytes(&tuning, positions, rows.len(), data);
    if let Some(features) = kept::recall(world, &key, read) {
        return Ok(Some(features));
    }
    let features = compute(setup, rows)?;
    if let Some(features) = &features {
        kept::keep(world, &key, &features.to_bytes());
    }
    Ok(features)
}

/// Everything that features depend on. Byte format: tag `dataforge/features/v1` over the canonical
/// encoding of the weights' digest, the model's shape, the first trained block, the numerics, the
/// positions and the rows.
fn key(spec: &PinnedSpec, rows: &[TokenRow]) -> FileDigest {
    let (spec, lock) = (spec.spec(), spec.lock());
    let weights = lock.artifacts.get(&spec.model.weights);
    let trunk = Tuning::from(spec).trunk();
    let (shape, positions) = (&spec.model.llama, spec.training.positions);
    let parts = (weights, shape, trunk, &spec.numerics, positions, rows);
    tagged("dataforge/features/v1", &codec::encode(&parts))
}
