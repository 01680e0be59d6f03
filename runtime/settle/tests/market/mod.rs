//! A small market for tests: rules, keys, datasets and scores by number.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::num::NonZeroU32;

use dataforge_core::hash::{DatasetDigest, Digest as _, EpochSeed, Hasher, HotkeyId, SpecId};
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_settle::{
    Block, Bond, Domain, Draw, Epoch, Ledger, Lift, Outcome, Phases, Profile, Rao, Report, Rules,
    Score, Script, Settled, Slashing, Stage, SubmissionLine, ValidatorLine, settle,
};

pub(crate) const SEED: EpochSeed = EpochSeed([7; 32]);
pub(crate) const AUDITS: EpochSeed = EpochSeed([8; 32]);
pub(crate) const EMISSION: Rao = Rao(1_000_000_000);

pub(crate) fn rules() -> Rules {
    let blocks = |count| NonZeroU32::new(count).unwrap();
    let stage = Stage {
        from_epoch: Epoch(0),
        emission: EMISSION,
        miners: Ppm(700_000),
        validators: Ppm(250_000),
        founding_miner: Ppm(1_000_000),
        founding_validator: Ppm(1_000_000),
        founders_before: Epoch(0),
    };
    Rules {
        first_block: Block(1_000),
        profile: Profile::Exact,
        phases: Phases {
            commit: blocks(100),
            reveal: blocks(10),
            score: blocks(100),
            score_early: 50,
            audit: blocks(50),
            score_reveal: blocks(10),
            judge: blocks(10),
        },
        draw: Draw { validators: blocks(3), audited: Ppm(0), auditors: 0 },
        copy_threshold: Ppm(500_000),
        bond: Bond { share: Ppm(200_000), epochs: blocks(3) },
        slashing: Slashing {
            wrong: Ppm(500_000),
            equivocation: Ppm(1_000_000),
            missing: Ppm(100_000),
            missing_tolerated: Ppm(250_000),
            outlier: Ppm(100_000),
            outliers_tolerated: Ppm(300_000),
            outlier_deviations_milli: 5_000,
            window: blocks(4),
        },
        appeal_epochs: blocks(2),
        benchmark_epochs: blocks(7),
        domains: vec![Domain {
            specs: vec![SpecId([1; 32])],
            margin: MicroNats(50_000),
            unit: MicroNats(1_000_000),
            rows: blocks(10),
        }],
        stages: vec![stage],
    }
}

fn named<D: dataforge_core::hash::Digest>(kind: &str, number: u64) -> D {
    let mut hasher = Hasher::new("dataforge/test/name/v1");
    hasher.update(kind).update([0]).update(number.to_le_bytes());
    hasher.finish()
}

pub(crate) fn miner(number: u64) -> HotkeyId {
    named("miner", number)
}

pub(crate) fn validator(number: u64) -> HotkeyId {
    named("validator", number)
}

pub(crate) fn dataset(number: u64) -> DatasetDigest {
    named("dataset", number)
}

/// A score of a lift that counts in full.
pub(crate) fn scored(lift: i64) -> Score {
    scored_as(lift, lift, lift)
}

pub(crate) fn scored_as(all: i64, hidden: i64, bound: i64) -> Score {
    let [all, hidden, bound] = [all, hidden, bound].map(MicroNats);
    score(Outcome::Scored(Lift { all, hidden, bound }))
}

/// With the proof that everybody has who finds this.
pub(crate) fn score(outcome: Outcome) -> Score {
    let mut hasher = Hasher::new("dataforge/test/proof/v1");
    hasher.update(format!("{outcome:?}"));
    Score { proof: hasher.finish(), outcome }
}

/// An epoch in which validators 0, 1, … with these stakes are listed, and so many miners.
pub(crate) fn script<'a>(
    rules: &'a Rules,
    ledger: &Ledger,
    stakes: &[u64],
    miners: u64,
) -> Script<'a> {
    let mut script = Script::new(rules, ledger, SEED, AUDITS).unwrap();
    for (number, stake) in (0..).zip(stakes) {
        script.list(validator(number), Rao(*stake));
    }
    for number in 0..miners {
        script.list(miner(number), Rao(0));
    }
    script
}

/// Everybody who is asked about a miner tells this score, early.
pub(crate) fn all_tell(script: &mut Script<'_>, miner: HotkeyId, score: Score) {
    let lottery = script.lottery().unwrap();
    let [validators, auditors] = script.asked(&lottery, miner);
    for validator in validators {
        script.score(validator, miner, Some(score), false, 0);
    }
    for auditor in auditors {
        script.score(auditor, miner, Some(score), true, 0);
    }
}

#[track_caller]
pub(crate) fn run(rules: &Rules, ledger: &Ledger, script: Script<'_>) -> Settled {
    let settled = settle(rules, ledger, &script.finish()).unwrap();
    settled.ledger.check().unwrap();
    settled
}

#[track_caller]
pub(crate) fn line(report: &Report, miner: HotkeyId) -> &SubmissionLine {
    report.submissions.iter().find(|line| line.miner == miner).unwrap()
}

#[track_caller]
pub(crate) fn validator_line(report: &Report, validator: HotkeyId) -> &ValidatorLine {
    report.validators.iter().find(|line| line.validator == validator).unwrap()
}

/// The first bytes of a key, for people.
pub(crate) fn short(key: HotkeyId) -> String {
    key.short()
}
