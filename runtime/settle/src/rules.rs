//! The rules of the market: every number that a settlement depends on beside what happened.
//!
//! Rules are a TOML file. Their digest is in every epoch's first event, so that two parties who
//! settle by other rules notice before they compare amounts. What changes with time changes by
//! epoch number, in [`Rules::stages`].

use std::num::{NonZeroU32, NonZeroU64};

use dataforge_core::codec;
use dataforge_core::hash::{RulesId, SpecId, tagged};
use dataforge_core::units::{MicroNats, Ppm};
use serde::{Deserialize, Serialize};

use crate::amount::{AMOUNT_MAX, WHOLE};
use crate::{Block, Epoch, Rao, RulesError};

/// The largest lift, either way, that a score may state: a thousand nats per answer. A model that
/// is certain and wrong loses some tens of nats, so a larger number comes from a broken scorer.
pub const LIFT_MAX: MicroNats = MicroNats(1_000_000_000);

/// Most that a bonus may multiply, in parts per million: tenfold.
const BONUS_MAX: Ppm = Ppm(10_000_000);

/// Most validators for one submission, and most domains and stages.
const LIST_MAX: usize = 1_000;

/// How epochs are settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Block at which epoch 0 starts.
    pub first_block: Block,
    /// Whether scores are exact.
    pub profile: Profile,
    /// Parts of an epoch, in blocks.
    pub phases: Phases,
    /// Who evaluates what.
    pub draw: Draw,
    /// A submission is a copy when at least this share of its rows is in one earlier submission.
    pub copy_threshold: Ppm,
    /// What is held back of a validator's reward.
    pub bond: Bond,
    /// What misconduct costs.
    pub slashing: Slashing,
    /// Epochs in which a disputed amount can be appealed before it is released.
    pub appeal_epochs: NonZeroU32,
    /// Epochs of a domain for which one set of hidden rows serves before the next takes its place.
    pub benchmark_epochs: NonZeroU32,
    /// What is evaluated, in turns of one epoch.
    pub domains: Vec<Domain>,
    /// Emission and its parts, each from an epoch on. The first is from epoch 0.
    pub stages: Vec<Stage>,
}

/// What scores of a submission can be held against each other by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// By the digest of the proof: honest ones are equal, and a replay tells who is not.
    Exact,
    /// By the lift alone, since the digests of honest validators differ: by statistics.
    Advisory,
}

/// Parts of an epoch, in blocks, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Miners commit to datasets.
    pub commit: NonZeroU32,
    /// They reveal them. The seed is drawn after it.
    pub reveal: NonZeroU32,
    /// Validators evaluate and commit to scores.
    pub score: NonZeroU32,
    /// Blocks of it in which a commitment counts as early: its timeliness is whole. It falls to
    /// half at the end.
    pub score_early: u32,
    /// Auditors, drawn at its start, evaluate and commit to scores.
    pub audit: NonZeroU32,
    /// Validators and auditors reveal scores.
    pub score_reveal: NonZeroU32,
    /// Challenges are answered, and disputes are judged.
    pub judge: NonZeroU32,
}

/// Who evaluates what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Validators of each submission, drawn by stake; all where there are fewer.
    pub validators: NonZeroU32,
    /// Share of the submissions that are evaluated by others too, drawn after the scores were
    /// committed.
    pub audited: Ppm,
    /// Validators more for each of those.
    pub auditors: u32,
}

/// What is held back of a validator's reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Share of each reward.
    pub share: Ppm,
    /// Epochs after which it is paid.
    pub epochs: NonZeroU32,
}

/// What misconduct costs, in shares of a validator's bond. A proven fault also costs the epoch's
/// reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slashing {
    /// A score that a replay refutes, an audit that failed, or a score that was promised and then
    /// withheld when somebody else computed it too.
    pub wrong: Ppm,
    /// Two scores for one assignment.
    pub equivocation: Ppm,
    /// More assignments without a score, within the window, than are tolerated.
    pub missing: Ppm,
    /// Share of the assignments within the window that may be without a score.
    pub missing_tolerated: Ppm,
    /// Too many outliers within the window. Only where scores are advisory.
    pub outlier: Ppm,
    /// Share of the scores within the window that may be outliers.
    pub outliers_tolerated: Ppm,
    /// A score is an outlier that lies further from the median of its submission than so many
    /// median absolute deviations (times a thousand) of all scores of the epoch.
    pub outlier_deviations_milli: u32,
    /// Epochs of the window.
    pub window: NonZeroU32,
}

/// Something to be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The eval specs, alike but for their hidden rows: each serves for [`Rules::benchmark_epochs`]
    /// epochs of the domain, in turn. What was revealed of one stays revealed when its turn comes
    /// again.
    pub specs: Vec<SpecId>,
    /// The part of a lift that is not paid. Not negative.
    pub margin: MicroNats,
    /// The lift that counts as one, so that domains pay alike: ln of the number of candidates
    /// for specs that have candidates. No lift counts for more.
    pub unit: MicroNats,
    /// Rows that a submission should have. One with fewer of its own earns in proportion.
    pub rows: NonZeroU32,
}

/// Emission and its parts, from an epoch on until the next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its first epoch.
    pub from_epoch: Epoch,
    /// What an epoch pays out in all.
    pub emission: Rao,
    /// The miners' part.
    pub miners: Ppm,
    /// The validators' part. What remains is the treasury's.
    pub validators: Ppm,
    /// Weight of a miner who joined before `founders_before`, against 1,000,000 for the others.
    pub founding_miner: Ppm,
    /// The same for a validator.
    pub founding_validator: Ppm,
    /// Who joined before this epoch is a founder.
    pub founders_before: Epoch,
}

impl Rules {
    /// Identifies rules: SHA-256 under the tag `dataforge/rules/v1` of their canonical encoding.
    #[must_use]
    pub fn id(&self) -> RulesId {
        tagged("dataforge/rules/v1", &codec::encode(self))
    }

    /// Refuses rules by which no epoch can be settled.
    ///
    /// # Errors
    /// [`RulesError`], for the first that is wrong.
    pub fn check(&self) -> Result<(), RulesError> {
        let slashing = &self.slashing;
        for (what, share) in [
            ("copy_threshold", self.copy_threshold),
            ("draw.audited", self.draw.audited),
            ("bond.share", self.bond.share),
            ("slashing.wrong", slashing.wrong),
            ("slashing.equivocation", slashing.equivocation),
            ("slashing.missing", slashing.missing),
            ("slashing.missing_tolerated", slashing.missing_tolerated),
            ("slashing.outlier", slashing.outlier),
            ("slashing.outliers_tolerated", slashing.outliers_tolerated),
        ] {
            if u64::from(share.0) > WHOLE {
                return Err(RulesError::BeyondTheWhole { what, ppm: share });
            }
        }
        if self.copy_threshold == Ppm(0) {
            return Err(RulesError::Zero { what: "copy_threshold" });
        }
        if self.phases.score_early > self.phases.score.get() {
            return Err(RulesError::LateEarly);
        }
        self.check_domains()?;
        self.check_stages()
    }

    fn check_domains(&self) -> Result<(), RulesError> {
        list("domains", self.domains.len())?;
        for (number, Domain { specs, margin, unit, .. }) in (1..).zip(&self.domains) {
            list("domains.specs", specs.len())?;
            let fine = (MicroNats(0)..=LIFT_MAX).contains(margin)
                && (MicroNats(1)..=LIFT_MAX).contains(unit);
            if !fine {
                return Err(RulesError::Domain { number });
            }
        }
        Ok(())
    }

    fn check_stages(&self) -> Result<(), RulesError> {
        list("stages", self.stages.len())?;
        let mut before = None;
        for stage in &self.stages {
            let epoch = stage.from_epoch;
            if before.map_or(epoch != Epoch(0), |before| epoch <= before) {
                return Err(RulesError::StageOrder { epoch });
            }
            before = Some(epoch);
            let parts = u64::from(stage.miners.0).saturating_add(stage.validators.0.into());
            let bonuses = [stage.founding_miner, stage.founding_validator];
            let fine = parts <= WHOLE
                && stage.emission <= AMOUNT_MAX
                && bonuses.iter().all(|bonus| (Ppm(1)..=BONUS_MAX).contains(bonus));
            if !fine {
                return Err(RulesError::Stage { epoch });
            }
        }
        Ok(())
    }

    /// Emission and its parts in an epoch. None of rules that [`Rules::check`] refuses.
    #[must_use]
    pub fn stage(&self, epoch: Epoch) -> Option<&Stage> {
        self.stages.iter().rfind(|stage| stage.from_epoch <= epoch)
    }

    /// What is evaluated in an epoch. None of rules that [`Rules::check`] refuses.
    #[must_use]
    pub fn domain(&self, epoch: Epoch) -> Option<&Domain> {
        let count = NonZeroU64::new(self.domains.len() as u64)?;
        let turn = usize::try_from(epoch.0.checked_rem(count.get())?).ok()?;
        self.domains.get(turn)
    }

    /// The spec that is evaluated in an epoch. None of rules that [`Rules::check`] refuses.
    #[must_use]
    pub fn spec(&self, epoch: Epoch) -> Option<SpecId> {
        let specs = &self.domain(epoch)?.specs;
        let turn = self.benchmark(epoch).checked_rem(specs.len() as u64)?;
        specs.get(usize::try_from(turn).ok()?).copied()
    }

    /// Which set of hidden rows serves in an epoch, counted from 0.
    #[must_use]
    pub fn benchmark(&self, epoch: Epoch) -> u64 {
        // Domains take turns, so that an epoch is every so many epochs of its domain.
        let of_domain = epoch.0.checked_div(self.domains.len() as u64).unwrap_or(0);
        of_domain.checked_div(u64::from(self.benchmark_epochs.get())).unwrap_or(0)
    }

    /// The blocks of an epoch.
    #[must_use]
    pub fn timetable(&self, epoch: Epoch) -> Option<Timetable> {
        let Phases { commit, reveal, score, score_early, audit, score_reveal, judge } = self.phases;
        let lengths = [commit, reveal, score, audit, score_reveal, judge];
        let length = lengths.iter().map(|part| u64::from(part.get())).sum::<u64>();
        let start = length.checked_mul(epoch.0)?.checked_add(self.first_block.0)?;
        let after = |from: Block, blocks: u32| from.0.checked_add(blocks.into()).map(Block);
        let start = Block(start);
        let committed = after(start, commit.get())?;
        let revealed = after(committed, reveal.get())?;
        let scored = after(revealed, score.get())?;
        let audited = after(scored, audit.get())?;
        let score_revealed = after(audited, score_reveal.get())?;
        Some(Timetable {
            start,
            committed,
            revealed,
            early: after(revealed, score_early)?,
            scored,
            audited,
            score_revealed,
            end: after(score_revealed, judge.get())?,
        })
    }
}

/// The blocks of an epoch. Each phase ends before the block that is named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// The first block.
    pub start: Block,
    /// Datasets are committed.
    pub committed: Block,
    /// They are revealed; the seed is drawn.
    pub revealed: Block,
    /// Until here a committed score is early.
    pub early: Block,
    /// Scores are committed; auditors are drawn.
    pub scored: Block,
    /// Auditors have committed to theirs.
    pub audited: Block,
    /// They are revealed.
    pub score_revealed: Block,
    /// The next epoch's first block.
    pub end: Block,
}

fn list(what: &'static str, length: usize) -> Result<(), RulesError> {
    match length {
        0 => Err(RulesError::Zero { what }),
        1..=LIST_MAX => Ok(()),
        _ => Err(RulesError::TooMany { what, most: LIST_MAX }),
    }
}
