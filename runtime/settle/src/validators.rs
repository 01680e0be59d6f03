//! What each validator's work is worth: stake times the mean quality of all it was asked for.
//!
//! The quality of an assignment is a product, and a validator's the mean of those, so that failing
//! twice at one assignment costs no more than once. Who is not drawn is as good as it was when it
//! was: a small stake is drawn seldom and still earns in proportion, and more submissions earn
//! nobody more.

use std::collections::BTreeMap;

use dataforge_core::hash::HotkeyId;
use dataforge_core::units::Ppm;

use crate::amount::{WHOLE, mul_div};
use crate::finding::{Finding, Said, distance, median_of};
use crate::gather::{Gathered, Work};
use crate::rules::Timetable;
use crate::{
    AnswerKind, AssignmentLine, Basis, Block, Profile, Rao, Rules, SettleError, SlashReason,
    Slashing,
};

/// Who is asked about a submission: those drawn, then the auditors.
#[derive(Clone, Default)]
pub(crate) struct Drawn {
    pub(crate) validators: Vec<HotkeyId>,
    pub(crate) auditors: Vec<HotkeyId>,
}

impl Drawn {
    fn is_audited(&self) -> bool {
        !self.auditors.is_empty()
    }

    /// Each with whether it is an auditor.
    pub(crate) fn all(&self) -> impl Iterator<Item = (HotkeyId, bool)> {
        let validators = self.validators.iter().map(|key| (*key, false));
        validators.chain(self.auditors.iter().map(|key| (*key, true)))
    }
}

/// The scores that count about one submission.
pub(crate) fn said(gathered: &Gathered, miner: HotkeyId, drawn: &Drawn) -> Vec<Said> {
    let work = gathered.work.get(&miner);
    let said = |(validator, audit): (HotkeyId, bool)| {
        let work = work?.get(&validator)?;
        on_time(work, audit, &gathered.times)?;
        let stake = gathered.listed.get(&validator)?;
        // Who says two things says nothing.
        let score = work.score().filter(|_| !work.is_equivocation())?;
        Some((validator, *stake, score))
    };
    drawn.all().filter_map(said).collect()
}

/// When a score was committed to, if in time: a validator before auditors are drawn.
fn on_time(work: &Work, audit: bool, times: &Timetable) -> Option<Block> {
    let before = if audit { times.audited } else { times.scored };
    work.committed_at().filter(|at| *at < before)
}

/// How far scores may lie from the median of their submission.
#[derive(Clone, Copy)]
pub(crate) enum Agreement {
    /// Not at all: exact scores are equal.
    Equal,
    /// So many millionths of a nat.
    Within(u64),
}

impl Agreement {
    /// `apart` are the distances of all scores of the epoch from their medians.
    pub(crate) fn of(profile: Profile, slashing: &Slashing, apart: Vec<u64>) -> Self {
        match profile {
            Profile::Exact => Self::Equal,
            Profile::Advisory => {
                let milli = u128::from(slashing.outlier_deviations_milli);
                let within = u128::from(median_of(apart)).saturating_mul(milli);
                let within = within.checked_div(1_000).unwrap_or(0);
                Self::Within(u64::try_from(within).unwrap_or(u64::MAX))
            }
        }
    }

    fn holds(self, said: &crate::Score, finding: &Finding) -> bool {
        match self {
            // A replay tells more than any distance.
            Self::Within(most) if finding.basis != Basis::Judged => {
                distance(&said.outcome, &finding.score.outcome).is_some_and(|apart| apart <= most)
            }
            _ => said.proof == finding.score.proof,
        }
    }
}

/// What came of an assignment, and the fault that it proves.
pub(crate) fn assess(
    rules: &Rules,
    gathered: &Gathered,
    (validator, audit, miner): (HotkeyId, bool, HotkeyId),
    drawn: &Drawn,
    finding: Option<&Finding>,
    agreement: Agreement,
) -> Result<(AssignmentLine, Option<SlashReason>), SettleError> {
    let nothing = Work::default();
    let work = gathered.work.get(&miner).and_then(|work| work.get(&validator)).unwrap_or(&nothing);
    let at = on_time(work, audit, &gathered.times);
    let answer = match (at, work.score()) {
        (Some(_), Some(_)) => AnswerKind::Scored,
        (Some(_), None) if work.is_invalid() => AnswerKind::Invalid,
        _ => AnswerKind::Missing,
    };
    let agrees = match (work.score(), finding) {
        (Some(score), Some(finding)) => agreement.holds(&score, finding),
        _ => false,
    };
    let challenged = work.challenged || work.answered.is_some();
    let executed = !challenged || work.answered == Some(true);
    let timeliness = match (answer, at) {
        (AnswerKind::Scored, Some(at)) if !audit => timeliness(&gathered.times, at)?,
        (AnswerKind::Scored, Some(_)) => WHOLE,
        _ => 0,
    };
    let whole = |holds: bool| if holds { WHOLE } else { 0 };
    let (consistency, execution) =
        (whole(agrees && !work.is_equivocation()), whole(executed && answer == AnswerKind::Scored));
    let quality = if consistency > 0 && execution > 0 { timeliness } else { 0 };
    let judged = finding.is_some_and(|finding| finding.basis == Basis::Judged);
    let fault = if work.is_equivocation() {
        Some(SlashReason::Equivocation)
    } else if answer == AnswerKind::Scored && judged && !agrees {
        // Two honest advisory proofs differ; exact ones do not.
        (rules.profile == Profile::Exact).then_some(SlashReason::WrongScore)
    } else if at.is_some() && answer != AnswerKind::Scored && (judged || drawn.is_audited()) {
        // Who is wrong and learns that somebody else computes the same must not do better by
        // showing nothing.
        Some(SlashReason::Withheld)
    } else if !executed && answer != AnswerKind::Missing {
        Some(SlashReason::FailedAudit)
    } else {
        None
    };
    let line = AssignmentLine {
        validator,
        miner,
        audit,
        answer,
        consistency: ppm(consistency)?,
        execution: ppm(execution)?,
        timeliness: ppm(timeliness)?,
        quality: ppm(quality)?,
    };
    Ok((line, fault))
}

/// Whole until it is early no more; then it falls evenly to half at the end of the phase.
fn timeliness(times: &Timetable, at: Block) -> Result<u64, SettleError> {
    let late = at.0.saturating_sub(times.early.0);
    let length = times.scored.0.saturating_sub(times.early.0);
    let lost = mul_div(late.into(), u128::from(WHOLE / 2), length.into())?;
    Ok(WHOLE.saturating_sub(u64::try_from(lost).unwrap_or(WHOLE / 2)))
}

/// Of one validator, over its assignments.
#[derive(Default)]
pub(crate) struct Quality {
    pub(crate) drawn: u32,
    pub(crate) missing: u32,
    pub(crate) outliers: u32,
    /// In millionths.
    pub(crate) sum: u64,
}

impl Quality {
    /// By validator.
    pub(crate) fn of(lines: &[AssignmentLine], profile: Profile) -> BTreeMap<HotkeyId, Self> {
        let mut all: BTreeMap<HotkeyId, Self> = BTreeMap::new();
        for line in lines {
            let quality = all.entry(line.validator).or_default();
            quality.drawn = quality.drawn.saturating_add(1);
            quality.sum = quality.sum.saturating_add(line.quality.0.into());
            let scored = line.answer == AnswerKind::Scored;
            let outlier = profile == Profile::Advisory && scored && line.consistency == Ppm(0);
            quality.missing = quality.missing.saturating_add(u32::from(!scored));
            quality.outliers = quality.outliers.saturating_add(u32::from(outlier));
        }
        all
    }

    /// Zero for who was not drawn.
    pub(crate) fn mean(&self) -> Result<Ppm, SettleError> {
        ppm(self.sum.checked_div(self.drawn.into()).unwrap_or(0))
    }
}

/// `stake · quality · founder`, rounded down.
pub(crate) fn weight(stake: Rao, quality: Ppm, founder: Ppm) -> Result<u64, SettleError> {
    let weight = mul_div(stake.0.into(), quality.0.into(), WHOLE.into())?;
    let weight = mul_div(weight, founder.0.into(), WHOLE.into())?;
    u64::try_from(weight).map_err(|_| SettleError::Internal { what: "a validator's weight" })
}

fn ppm(share: u64) -> Result<Ppm, SettleError> {
    u32::try_from(share).map(Ppm).map_err(|_| SettleError::Internal { what: "a quality" })
}
