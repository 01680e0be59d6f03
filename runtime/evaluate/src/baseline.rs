//! What the reference that training starts from makes of the whole benchmark, measured once and
//! kept: which rows a seed draws makes no difference to a row's score.

use crate::error::EvaluateError;
use crate::kept;
use crate::setup::Setup;
use dataforge_core::codec;
use dataforge_core::hash::{EpochSeed, FileDigest, tagged};
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::MicroNats;
use dataforge_engine::{Features, Score, Scorer};

/// The log-probability of every candidate. Only exact scores are kept.
pub(crate) fn recall_or_score(
    setup: &Setup<'_>,
    scorer: &mut Scorer,
    (candidates, features): (&[TokenRow], Option<&Features>),
) -> Result<Vec<MicroNats>, EvaluateError> {
    let (world, spec, exact) = (setup.world, &setup.spec, setup.is_exact());
    let key = key(spec);
    let read =
        |data: &[u8]| codec::decode(data).ok().filter(|s: &Vec<_>| s.len() == candidates.len());
    if let Some(scores) = exact.then(|| kept::recall(world, &key, read)).flatten() {
        return Ok(scores);
    }
    // Any seed: an adapter does nothing before its first step.
    let initial = setup.initial(&EpochSeed([0; 32]))?;
    scorer.bind(&setup.runtime, &setup.weights, initial)?;
    let mut watch = |_| !world.cancelled();
    let scores = match scorer.score(candidates, features, &mut watch)? {
        Score::Finite(scores) => scores,
        Score::Stopped => return Err(EvaluateError::Cancelled),
        Score::NotFinite => {
            let reason = "the untrained model's scores are not finite".into();
            let what = format!("artifact {}", spec.spec().model.weights);
            return Err(EvaluateError::Material { what, reason });
        }
    };
    if exact {
        kept::keep(world, &key, &codec::encode(&scores));
    }
    Ok(scores)
}

/// The spec pins everything that the scores depend on, the benchmark's rows among it. Byte format:
/// tag `dataforge/baseline/v1` over the canonical encoding of the spec's id.
fn key(spec: &PinnedSpec) -> FileDigest {
    tagged("dataforge/baseline/v1", &codec::encode(&spec.id()))
}
