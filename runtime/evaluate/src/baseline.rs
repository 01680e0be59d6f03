//! What the reference that training starts from makes of the benchmark, measured once and kept.

use crate::error::EvaluateError;
use crate::kept;
use crate::warm::Trained;
use crate::world::World;
use dataforge_core::codec;
use dataforge_core::hash::{EpochSeed, FileDigest, tagged};
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::MicroNats;
use dataforge_engine::{Features, Runtime, Score, Scorer, Weights};
use dataforge_graph::llama::Tuning;

/// The log-probability of every candidate. `warmed` is the reference, where the rule has its own.
/// Only exact scores are kept.
pub(crate) fn recall_or_score(
    world: &dyn World,
    runtime: &Runtime,
    spec: &PinnedSpec,
    (weights, warmed): (&Weights, Option<&Trained>),
    scorer: &mut Scorer,
    (candidates, features): (&[TokenRow], Option<&Features>),
) -> Result<Vec<MicroNats>, EvaluateError> {
    let key = key(spec);
    let exact = runtime.lowering().lowering.is_exact();
    let read =
        |data: &[u8]| codec::decode(data).ok().filter(|s: &Vec<_>| s.len() == candidates.len());
    if let Some(scores) = exact.then(|| kept::recall(world, &key, read)).flatten() {
        return Ok(scores);
    }
    let initial = match warmed {
        Some(warmed) => warmed.clone(),
        // Any seed: an adapter does nothing before its first step.
        None => weights.initial(&Tuning::from(spec.spec()), &EpochSeed([0; 32]))?,
    };
    scorer.bind(runtime, weights, initial)?;
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
