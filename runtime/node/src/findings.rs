//! What evaluations say to a settlement: scores of proofs, and how much of a dataset is in others.

use dataforge_core::hash::EpochSeed;
use dataforge_core::proof::{ScoreProof, Verdict};
use dataforge_core::units::MicroNats;
use dataforge_evaluate::{Alike, Evaluator};
use dataforge_settle::{Comparison, Lift, Outcome, Score, compare};

/// What a proof says to a settlement. By the seeds of earlier epochs rows of the same benchmark
/// were drawn and revealed.
#[must_use]
pub fn score_of(evaluator: &Evaluator<'_>, proof: &ScoreProof, earlier: &[EpochSeed]) -> Score {
    let nothing = MicroNats(0);
    let outcome = match proof.verdict() {
        Verdict::Rejected => Outcome::Rejected,
        Verdict::Diverged => Outcome::Diverged,
        Verdict::Scored => Outcome::Scored(Lift {
            all: proof.lift(),
            hidden: evaluator.hidden(proof, earlier).unwrap_or(nothing),
            bound: evaluator.bound(proof).unwrap_or(nothing),
        }),
    };
    Score { proof: proof.digest(), outcome }
}

/// How much of each dataset is in those before it, by which rows are alike.
#[must_use]
pub fn compare_alike(datasets: &[Alike]) -> Vec<Comparison> {
    let rows: Vec<_> = datasets.iter().map(|of| (of.dataset, &of.rows[..])).collect();
    compare(&rows)
}
