//! The demonstration's epoch: one validator, everybody on time, settled as any epoch is.

use dataforge_core::hash::{DatasetDigest, EpochSeed, Hasher, HotkeyId};
use dataforge_core::score;
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::Ppm;
use dataforge_evaluate::Evaluator;
use dataforge_node::findings::score_of;
use dataforge_settle::{
    Block, Bond, Domain, Draw, Epoch, Ledger, Phases, Profile, Rao, Report, Rules, Script,
    Slashing, Stage, SubmissionLine, compare, settle,
};
use std::num::NonZeroU32;

use super::Entry;

/// What the demonstration's miners share: one token.
pub(super) const POOL: Rao = Rao(1_000_000_000);

/// A submission with half of its rows from an earlier one is a copy.
const COPY_THRESHOLD: Ppm = Ppm(500_000);

const NOTHING: Ppm = Ppm(0);
const WHOLE: Ppm = Ppm(1_000_000);
const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Settles the epoch; its submissions are in the order of `entries`.
pub(super) fn settled(
    evaluator: &Evaluator<'_>,
    seed: EpochSeed,
    entries: &[Entry],
) -> anyhow::Result<Report> {
    let rules = rules(evaluator.spec());
    let ledger = Ledger::default();
    let mut script = Script::new(&rules, &ledger, seed, seed)?;
    let validator = key("validator");
    script.list(validator, Rao(1));
    let rows: Vec<_> = entries
        .iter()
        .map(|of| (of.evaluation.proof.inputs.dataset, &of.evaluation.fingerprints[..]))
        .collect();
    for (comparison, (after, entry)) in compare(&rows).into_iter().zip((0..).zip(entries)) {
        let miner = key(entry.name);
        script.list(miner, Rao(0));
        script.submit(miner, comparison.dataset, after);
        script.compare(comparison);
        // The first epoch: no row was ever revealed.
        let score = score_of(evaluator, &entry.evaluation.proof, &[]);
        script.score(validator, miner, Some(score), false, 0);
    }
    Ok(settle(&rules, &ledger, &script.finish())?.report)
}

/// The line of a submission.
pub(super) fn line<'r>(report: &'r Report, name: &str) -> Option<&'r SubmissionLine> {
    report.submissions.iter().find(|line| line.miner == key(name))
}

/// The name of the first submission of a dataset.
pub(super) fn name_of(entries: &[Entry], dataset: DatasetDigest) -> Option<&str> {
    let first = entries.iter().find(|entry| entry.evaluation.proof.inputs.dataset == dataset);
    first.map(|entry| entry.name)
}

/// A key that stands for a name.
fn key(name: &str) -> HotkeyId {
    let mut hasher = Hasher::new("dataforge/demo/party/v1");
    hasher.update(name);
    hasher.finish()
}

fn rules(pinned: &PinnedSpec) -> Rules {
    let spec = pinned.spec();
    let hundred = ONE.saturating_add(99);
    let domain = Domain {
        specs: vec![pinned.id()],
        margin: spec.score.margin(),
        unit: score::unit(&spec.score, spec.benchmark.candidates.get()),
        // Small submissions are not paid less here: what half as many rows teach is shown.
        rows: ONE,
    };
    let stage = Stage {
        from_epoch: Epoch(0),
        emission: POOL,
        miners: WHOLE,
        validators: NOTHING,
        founding_miner: WHOLE,
        founding_validator: WHOLE,
        founders_before: Epoch(0),
    };
    Rules {
        first_block: Block(0),
        profile: Profile::Exact,
        phases: Phases {
            commit: hundred,
            reveal: ONE,
            score: ONE,
            score_early: 1,
            audit: ONE,
            score_reveal: ONE,
            judge: ONE,
        },
        draw: Draw { validators: ONE, audited: NOTHING, auditors: 0 },
        copy_threshold: COPY_THRESHOLD,
        bond: Bond { share: NOTHING, epochs: ONE },
        slashing: Slashing {
            wrong: WHOLE,
            equivocation: WHOLE,
            missing: NOTHING,
            missing_tolerated: WHOLE,
            outlier: NOTHING,
            outliers_tolerated: WHOLE,
            outlier_deviations_milli: 0,
            window: ONE,
        },
        appeal_epochs: ONE,
        benchmark_epochs: ONE,
        domains: vec![domain],
        stages: vec![stage],
    }
}
