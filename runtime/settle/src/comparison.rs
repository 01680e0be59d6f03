//! How much of each dataset is in earlier ones, by rows of which somebody has found what is alike.

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::hash::DatasetDigest;

use crate::{Comparison, Shared};

/// Compares each dataset with those before it. `datasets` are in the order of their commitments;
/// of each row there is something that is equal for rows alike, such as a fingerprint.
///
/// Every row counts, a repeated one as often as it is repeated: otherwise one fresh row would hide
/// a copied one that fills the rest.
#[must_use]
pub fn compare<R: Ord>(datasets: &[(DatasetDigest, &[R])]) -> Vec<Comparison> {
    // Row → the earlier datasets that hold it, by their places.
    let mut holders: BTreeMap<&R, Vec<usize>> = BTreeMap::new();
    let mut comparisons = Vec::with_capacity(datasets.len());
    for (place, (dataset, rows)) in datasets.iter().enumerate() {
        let mut shared: BTreeMap<usize, u32> = BTreeMap::new();
        let mut own = 0u32;
        for row in *rows {
            match holders.get(row) {
                None => own = own.saturating_add(1),
                Some(holders) => {
                    for holder in holders {
                        let count = shared.entry(*holder).or_default();
                        *count = count.saturating_add(1);
                    }
                }
            }
        }
        // The earliest of those that hold most.
        let most = shared.iter().rev().max_by_key(|(_, rows)| **rows);
        let most = most.and_then(|(holder, rows)| {
            let (with, _) = datasets.get(*holder)?;
            Some(Shared { with: *with, rows: *rows })
        });
        let rows_count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        comparisons.push(Comparison { dataset: *dataset, rows: rows_count, own, most });
        for row in rows.iter().collect::<BTreeSet<_>>() {
            holders.entry(row).or_default().push(place);
        }
    }
    comparisons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_rows_are_in_no_earlier_dataset() {
        let sets = [(0..10).collect(), (5..15).collect(), vec![0, 0, 12, 20], vec![]];
        let named: Vec<_> =
            (0..).zip(&sets).map(|(n, rows)| (DatasetDigest([n; 32]), &rows[..])).collect();
        let found = compare(&named);
        let show = |of: &Comparison| (of.rows, of.own, of.most.map(|of| (of.with.0[0], of.rows)));
        let found: Vec<_> = found.iter().map(show).collect();
        let expect = [(10, 10, None), (10, 5, Some((0, 5))), (4, 1, Some((0, 2))), (0, 0, None)];
        assert_eq!(found, expect);
    }
}
