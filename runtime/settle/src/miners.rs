//! What each submission earns: a share of the pool in proportion to what it taught, and to how much
//! of it is its own.
//!
//! Rows that are in no earlier dataset are a factor, so that splitting rows among many submissions,
//! or padding each with those of the others, earns no more than one with all of them.

use dataforge_core::hash::{DatasetDigest, HotkeyId};
use dataforge_core::units::{MicroNats, Ppm};

use crate::amount::{WHOLE, mul_div};
use crate::finding::Finding;
use crate::{Block, Comparison, Domain, MinerFactors, Outcome, SettleError, Standing};

/// A submission before it is paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Whose.
    pub(crate) miner: HotkeyId,
    /// When it was committed.
    pub(crate) committed: Block,
    /// What was revealed; none: nothing, or something else than was committed to.
    pub(crate) dataset: Option<DatasetDigest>,
    /// Whether something else was revealed.
    pub(crate) mismatch: bool,
    /// How much of it is in earlier datasets.
    pub(crate) comparison: Option<Comparison>,
    /// An earlier submission of the very same dataset.
    pub(crate) twin: bool,
    /// What is true of it.
    pub(crate) finding: Option<Finding>,
    /// The miner's weight as a founder: 1,000,000 for everybody else.
    pub(crate) founder: Ppm,
}

/// Why a submission earns what it earns, and what its weight is made of.
pub(crate) fn stand(
    candidate: &Candidate,
    domain: &Domain,
    copy_threshold: Ppm,
) -> Result<(Standing, Option<MinerFactors>), SettleError> {
    if let Some(standing) = unpaid(candidate, copy_threshold)? {
        return Ok((standing, None));
    }
    let lift = match candidate.finding.map(|finding| finding.score.outcome) {
        None => return Ok((Standing::Unscored, None)),
        Some(Outcome::Rejected) => return Ok((Standing::Rejected, None)),
        Some(Outcome::Diverged) => return Ok((Standing::Diverged, None)),
        Some(Outcome::Scored(lift)) => lift,
    };
    // More than there is to learn is a score that somebody made up.
    let counted = lift.all.min(lift.hidden).min(domain.unit);
    let above = counted.0.saturating_sub(domain.margin.0);
    let Some(above) = u64::try_from(above).ok().filter(|above| *above > 0) else {
        return Ok((Standing::BelowMargin, None));
    };
    if lift.bound <= MicroNats(0) {
        return Ok((Standing::NotSignificant, None));
    }
    let originality = originality(candidate, domain)?;
    let unit = u64::try_from(domain.unit.0).unwrap_or(1);
    let mut weight = mul_div(above.into(), WHOLE.into(), unit.into())?;
    for factor in [originality, candidate.founder] {
        weight = mul_div(weight, factor.0.into(), WHOLE.into())?;
    }
    let weight =
        u64::try_from(weight).map_err(|_| SettleError::Internal { what: "a miner's weight" })?;
    let (margin, unit) = (domain.margin, domain.unit);
    let founder = candidate.founder;
    let factors = MinerFactors { lift: counted, margin, unit, originality, founder, weight };
    Ok((Standing::Paid, Some(factors)))
}

/// What keeps a submission from being paid, whatever its lift.
fn unpaid(candidate: &Candidate, threshold: Ppm) -> Result<Option<Standing>, SettleError> {
    let Some(dataset) = candidate.dataset else {
        let standing = match candidate.mismatch {
            true => Standing::Mismatch,
            false => Standing::NotRevealed,
        };
        return Ok(Some(standing));
    };
    if candidate.twin {
        return Ok(Some(Standing::Copy { of: dataset }));
    }
    let Some(Comparison { rows, most: Some(most), .. }) = candidate.comparison else {
        return Ok(None);
    };
    // Without a division, which would round.
    let held = u64::from(most.rows).checked_mul(WHOLE);
    let needed = u64::from(rows).checked_mul(threshold.0.into());
    let (Some(held), Some(needed)) = (held, needed) else {
        return Err(SettleError::Internal { what: "a number of rows" });
    };
    Ok((held >= needed).then_some(Standing::Copy { of: most.with }))
}

/// Rows of its own, of as many as a submission should have: half as many rows earn half as much for
/// the same lift, so that cutting a dataset up earns nothing where lift is concave in rows.
fn originality(candidate: &Candidate, domain: &Domain) -> Result<Ppm, SettleError> {
    let Some(Comparison { rows, own, .. }) = candidate.comparison else {
        return Ok(Ppm(0));
    };
    let most = rows.max(domain.rows.get());
    let share = mul_div(own.into(), WHOLE.into(), most.into())?;
    u32::try_from(share).map(Ppm).map_err(|_| SettleError::Internal { what: "a share of rows" })
}
