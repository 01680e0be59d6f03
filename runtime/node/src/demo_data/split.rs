//! Divides a public set into disjoint parts, balanced over the outputs where these are labels.

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::dataset::Row;
use dataforge_core::hash::{EpochSeed, RowFingerprint};
use dataforge_core::random::SeedStream;

use super::{DemoDataError, DemoPlan};

/// Outputs are labels, not free text, when each is shared by this many rows on average.
const ROWS_PER_LABEL_MIN: usize = 20;

/// The parts, without a common input.
pub(super) struct Parts {
    pub(super) hidden: Vec<Row>,
    pub(super) honest: Vec<Row>,
    pub(super) half: Vec<Row>,
}

pub(super) fn split(
    rows: &[Row],
    seed: &EpochSeed,
    plan: &DemoPlan,
) -> Result<Parts, DemoDataError> {
    let mut seen = BTreeSet::new();
    // Folded, because two spellings of one input in two parts would leak a hidden row.
    let mut distinct: Vec<&Row> = rows.iter().filter(|row| seen.insert(fold(row))).collect();
    let sizes = [plan.benchmark_rows, plan.honest_rows, plan.half_rows];
    let needed = sizes.iter().fold(0_usize, |sum, size| sum.saturating_add(*size));
    if distinct.len() < needed {
        return Err(DemoDataError::TooFewRows { found: distinct.len(), needed });
    }
    let mut stream = SeedStream::new(seed, "demo/split");
    stream.shuffle(&mut distinct);
    let mut rest = balanced(distinct).into_iter();
    let mut part = |size: usize| {
        let mut part: Vec<Row> = rest.by_ref().take(size).cloned().collect();
        // Balancing left the labels in a fixed cycle.
        stream.shuffle(&mut part);
        part
    };
    let [hidden, honest, half] = sizes.map(&mut part);
    Ok(Parts { hidden, honest, half })
}

/// Takes one row of each label in turn, so that every long enough run of rows holds the labels
/// equally often, as far as rare ones last. Leaves free text in its order.
fn balanced(rows: Vec<&Row>) -> Vec<&Row> {
    let mut labels: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        labels.entry(&row.output).or_default().push(row);
    }
    if labels.len().saturating_mul(ROWS_PER_LABEL_MIN) > rows.len() {
        return rows;
    }
    let longest = labels.values().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|turn| labels.values().filter_map(move |rows| rows.get(turn).copied()))
        .collect()
}

fn fold(row: &Row) -> RowFingerprint {
    Row { input: row.input.clone(), output: String::new() }.fingerprint()
}
