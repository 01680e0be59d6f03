//! Who copied whom: the earliest commitment of a set of rows is its origin.
//!
//! A submission is held against each earlier one alone, whatever became of that one: a dataset
//! that was rejected is still not new when it comes again. It does not see rows gathered in small
//! parts from many earlier submissions, nor rewording beyond what a fingerprint folds away.

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::hash::RowFingerprint;

use crate::rule::PPM_WHOLE;
use crate::{Claim, CopyRule, SettleError, SubmissionName};

/// For each claim the earliest submission that it copies, where there is one.
///
/// `claims` are in commit order, and so is the answer.
pub(crate) fn origins(
    claims: &[&Claim],
    rule: CopyRule,
) -> Result<Vec<Option<SubmissionName>>, SettleError> {
    // Row → the earlier claims that hold it, as indices in commit order.
    let mut holders: BTreeMap<RowFingerprint, Vec<usize>> = BTreeMap::new();
    let mut origins = Vec::with_capacity(claims.len());
    for (index, claim) in claims.iter().enumerate() {
        let origin = earliest_origin(claim, &holders, rule)?;
        origins.push(origin.and_then(|of| claims.get(of)).map(|of| of.submission.clone()));
        let rows: BTreeSet<RowFingerprint> = claim.fingerprints.iter().copied().collect();
        for row in rows {
            holders.entry(row).or_default().push(index);
        }
    }
    Ok(origins)
}

fn earliest_origin(
    claim: &Claim,
    holders: &BTreeMap<RowFingerprint, Vec<usize>>,
    rule: CopyRule,
) -> Result<Option<usize>, SettleError> {
    // Every row counts, a repeated one as often as it is repeated: otherwise one fresh row would
    // hide a copied one that fills the rest.
    let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
    for holder in claim.fingerprints.iter().filter_map(|row| holders.get(row)).flatten() {
        let count = shared.entry(*holder).or_default();
        *count = count.saturating_add(1);
    }
    for (holder, count) in shared {
        if reaches(count, claim.fingerprints.len(), rule)? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// Whether `count` of `rows` is at least the threshold, without a division that would round.
fn reaches(count: usize, rows: usize, rule: CopyRule) -> Result<bool, SettleError> {
    let scaled = |number: usize, factor: u32| {
        let number = u128::try_from(number).ok()?;
        number.checked_mul(u128::from(factor))
    };
    let overflow = SettleError::Internal { what: "a number of rows" };
    let held = scaled(count, PPM_WHOLE).ok_or_else(|| overflow.clone())?;
    let needed = scaled(rows, rule.threshold.0).ok_or(overflow)?;
    Ok(held >= needed)
}
