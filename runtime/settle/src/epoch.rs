//! One epoch: from claims to awards that add up to the pool exactly.
//!
//! The simplest honest rule: a copy earns nothing; everyone else earns in proportion to the lift
//! above the margin. Shares are rounded down, and the rest, the dust, goes to the treasury, so
//! nobody gains by the order or number of the claims.

use std::collections::BTreeMap;

use dataforge_core::hash::DatasetDigest;
use dataforge_core::units::MicroNats;
use serde::{Deserialize, Serialize};

use crate::rule::LIFT_MAX;
use crate::{Claim, CommitOrder, MicroShare, Outcome, Rule, SettleError, SubmissionName, copies};

/// Why a submission earns what it earns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its own work, with a lift above the margin. The share can still round down to zero.
    Paid,
    /// Its own work, with a lift that noise could explain.
    BelowMargin,
    /// Too many of its rows were committed earlier by another.
    Copy {
        /// The earliest submission that holds them.
        of: SubmissionName,
    },
    /// Refused by a kernel.
    Rejected,
    /// Training met a value that is not finite.
    Diverged,
}

/// What one submission earns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Award {
    /// Whose it is.
    pub submission: SubmissionName,
    /// Why.
    pub standing: Standing,
    /// How much.
    pub share: MicroShare,
}

/// The awards of an epoch. `miners_total` and `treasury_dust` add up to the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// One per claim, in commit order.
    pub awards: Vec<Award>,
    /// The sum of all shares.
    pub miners_total: MicroShare,
    /// What rounding down has left, or the whole pool where nobody is paid.
    pub treasury_dust: MicroShare,
}

/// Settles an epoch. The order of `claims` does not matter; their commit order does.
///
/// With `paid` the lift above the margin, a share is `floor(pool · paid / Σ paid)`.
///
/// # Errors
///
/// Refuses parameters out of range, two claims for one submission or one commit order, and claims
/// that contradict each other or that no evaluation can have made.
pub fn settle_epoch(claims: &[Claim], rule: &Rule) -> Result<Settlement, SettleError> {
    rule.check()?;
    let claims = in_commit_order(claims)?;
    check_claims(&claims)?;

    let origins = copies::origins(&claims, rule.copy)?;
    let standings: Vec<(Standing, u64)> = claims
        .iter()
        .zip(origins)
        .map(|(claim, origin)| standing(claim, origin, rule.margin))
        .collect::<Result<_, _>>()?;
    let paid_total: u128 = standings.iter().map(|(_, paid)| u128::from(*paid)).sum();

    let mut awards = Vec::with_capacity(claims.len());
    let mut dust = rule.pool.0;
    for (claim, (standing, paid)) in claims.iter().zip(standings) {
        let share = proportion(rule.pool.0, paid, paid_total)?;
        dust =
            dust.checked_sub(share).ok_or(SettleError::Internal { what: "the sum of shares" })?;
        let submission = claim.submission.clone();
        awards.push(Award { submission, standing, share: MicroShare(share) });
    }
    let miners_total =
        rule.pool.0.checked_sub(dust).ok_or(SettleError::Internal { what: "the dust" })?;
    Ok(Settlement {
        awards,
        miners_total: MicroShare(miners_total),
        treasury_dust: MicroShare(dust),
    })
}

/// Sorts the claims, and refuses two that want the same place or the same name.
fn in_commit_order(claims: &[Claim]) -> Result<Vec<&Claim>, SettleError> {
    let mut names = BTreeMap::new();
    let mut places: BTreeMap<CommitOrder, &Claim> = BTreeMap::new();
    for claim in claims {
        let submission = &claim.submission;
        if names.insert(submission, ()).is_some() {
            return Err(SettleError::DuplicateSubmission { submission: submission.clone() });
        }
        if let Some(first) = places.insert(claim.commit_order, claim) {
            return Err(SettleError::DuplicateCommitOrder {
                commit_order: claim.commit_order,
                first: first.submission.clone(),
                second: submission.clone(),
            });
        }
    }
    Ok(places.into_values().collect())
}

fn check_claims(claims: &[&Claim]) -> Result<(), SettleError> {
    let mut datasets: BTreeMap<DatasetDigest, &Claim> = BTreeMap::new();
    for claim in claims {
        let submission = || claim.submission.clone();
        if let Outcome::Scored { lift } = claim.outcome {
            if lift.0.unsigned_abs() > LIFT_MAX.0.unsigned_abs() {
                return Err(SettleError::ImpossibleLift { submission: submission(), lift });
            }
            if claim.fingerprints.is_empty() {
                return Err(SettleError::ScoredWithoutRows { submission: submission() });
            }
        }
        let first = datasets.entry(claim.digest).or_insert(claim);
        if first.fingerprints != claim.fingerprints {
            return Err(SettleError::ContradictoryRows {
                digest: claim.digest,
                first: first.submission.clone(),
                second: submission(),
            });
        }
    }
    Ok(())
}

/// The standing of one claim, and the lift that is paid for, in millionths of a nat.
fn standing(
    claim: &Claim,
    origin: Option<SubmissionName>,
    margin: MicroNats,
) -> Result<(Standing, u64), SettleError> {
    let lift = match claim.outcome {
        Outcome::Rejected => return Ok((Standing::Rejected, 0)),
        Outcome::Diverged => return Ok((Standing::Diverged, 0)),
        Outcome::Scored { lift } => lift,
    };
    if let Some(of) = origin {
        return Ok((Standing::Copy { of }, 0));
    }
    let above = lift.0.checked_sub(margin.0).ok_or(SettleError::Internal { what: "a lift" })?;
    match u64::try_from(above) {
        Ok(paid) if paid > 0 => Ok((Standing::Paid, paid)),
        _ => Ok((Standing::BelowMargin, 0)),
    }
}

/// `floor(pool · part / whole)`, and zero where the whole is zero.
fn proportion(pool: u64, part: u64, whole: u128) -> Result<u64, SettleError> {
    if part == 0 {
        return Ok(0);
    }
    u128::from(pool)
        .checked_mul(u128::from(part))
        .and_then(|product| product.checked_div(whole))
        .and_then(|share| u64::try_from(share).ok())
        .ok_or(SettleError::Internal { what: "a share" })
}
