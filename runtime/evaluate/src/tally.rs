//! What the kernels have found so far in the rows of one dataset.

use dataforge_core::dataset::{CheckReport, RowFault};
use dataforge_core::limits::REPORTED_FAULTS_MAX;
use dataforge_core::spec::RowRules;
use dataforge_core::units::{Fuel, Ppm};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What kind of fault; the worst first. Known text is the worse the larger its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    /// Of the dataset as a whole, or of the rows of a call together.
    Dataset,
    /// The row is no JSON text.
    Unreadable,
    /// It is not as the spec's schema, shape and scripts ask for.
    Schema,
    /// The spec's checker refuses it.
    Checker,
    /// It says what is known.
    Known(Reverse<Ppm>),
    /// It is too long for the model.
    Tokens,
}

impl FaultKind {
    /// For people.
    fn name(self) -> &'static str {
        match self {
            Self::Dataset => "of the whole",
            Self::Unreadable => "unreadable",
            Self::Schema => "against the schema",
            Self::Checker => "refused by the checker",
            Self::Known(_) => "known text",
            Self::Tokens => "too long for the model",
        }
    }
}

/// Faults, of which some are kept, and the fuel of all calls.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Rows that the schema kernel has seen.
    pub(crate) rows: u32,
    /// Rows that there will be in the end, as far as that is known: for showing progress.
    pub(crate) expected: u32,
    pub(crate) fuel: u64,
    faults_total: u32,
    /// The first, which a proof commits to.
    faults: Vec<RowFault>,
    /// The worst, by kind, row and the order in which they were found.
    worst: BTreeMap<(FaultKind, u32, u32), RowFault>,
    worst_max: usize,
    kinds: BTreeMap<&'static str, u32>,
}

/// What a dataset is told of its faults.
pub(crate) struct Told {
    pub(crate) report: CheckReport,
    pub(crate) worst: Vec<RowFault>,
    pub(crate) kinds: Vec<(&'static str, u32)>,
}

impl Tally {
    /// Of about so many rows to come; keeps so many of the worst faults.
    pub(crate) fn new(expected: u32, worst_max: usize) -> Self {
        Self {
            rows: 0,
            expected,
            fuel: 0,
            faults_total: 0,
            faults: vec![],
            worst: BTreeMap::new(),
            worst_max,
            kinds: BTreeMap::new(),
        }
    }

    /// A fault of this row, counted from 1, or of the dataset as row 0.
    pub(crate) fn add(&mut self, kind: FaultKind, row: u32, pointer: &str, reason: String) {
        let fault = RowFault { row, pointer: pointer.into(), reason };
        self.note(kind, &fault);
        if self.faults.len() < REPORTED_FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// A fault of the dataset, which goes before those of rows.
    pub(crate) fn add_first(&mut self, reason: String) {
        let fault = RowFault { row: 0, pointer: String::new(), reason };
        self.note(FaultKind::Dataset, &fault);
        self.faults.insert(0, fault);
        self.faults.truncate(REPORTED_FAULTS_MAX);
    }

    fn note(&mut self, kind: FaultKind, fault: &RowFault) {
        let key = (kind, fault.row, self.faults_total);
        self.faults_total += 1;
        *self.kinds.entry(kind.name()).or_default() += 1;
        let full = self.worst.len() >= self.worst_max;
        if full && self.worst.last_key_value().is_none_or(|(last, _)| *last < key) {
            return;
        }
        self.worst.insert(key, fault.clone());
        if full {
            self.worst.pop_last();
        }
    }

    /// Whether there are as many rows as the spec asks for.
    pub(crate) fn count(&mut self, rows: u32, rules: &RowRules) {
        let (min, max) = (rules.count_min.get(), rules.count_max.get());
        if !(min..=max).contains(&rows) {
            self.add_first(format!("{rows} rows, the spec asks for {min} to {max}"));
        }
    }

    pub(crate) fn first_fault(&self) -> Option<&RowFault> {
        self.faults.first()
    }

    pub(crate) fn report(self) -> CheckReport {
        self.told().report
    }

    pub(crate) fn told(self) -> Told {
        let report = CheckReport {
            rows: self.rows,
            faults_total: self.faults_total,
            faults: self.faults,
            fuel: Fuel(self.fuel),
        };
        let mut kinds: Vec<_> = self.kinds.into_iter().collect();
        kinds.sort_by_key(|(name, count)| (Reverse(*count), *name));
        Told { report, worst: self.worst.into_values().collect(), kinds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_dataset_comes_first_and_the_list_stays_short() {
        let mut tally = Tally::new(0, 1);
        for row in 1..=REPORTED_FAULTS_MAX as u32 {
            tally.add(FaultKind::Schema, row, "/input", "empty".into());
        }
        tally.add_first("too few".into());
        let report = tally.report();
        assert_eq!((report.faults_total, report.faults.len()), (101, REPORTED_FAULTS_MAX));
        assert_eq!((report.faults[0].row, report.faults[1].row), (0, 1));
    }

    #[test]
    fn the_worst_are_kept_whenever_they_are_found() {
        let mut tally = Tally::new(0, 4);
        let known = |ppm| FaultKind::Known(Reverse(Ppm(ppm)));
        for (row, kind) in (1..).zip([
            FaultKind::Tokens,
            known(200_000),
            FaultKind::Schema,
            known(900_000),
            FaultKind::Schema,
            FaultKind::Unreadable,
        ]) {
            tally.add(kind, row, "", String::new());
        }
        let Told { report, worst, kinds } = tally.told();
        let rows = |faults: &[RowFault]| faults.iter().map(|fault| fault.row).collect::<Vec<_>>();
        assert_eq!(
            (rows(&worst), rows(&report.faults)),
            (vec![6, 3, 5, 4], vec![1, 2, 3, 4, 5, 6])
        );
        assert_eq!(kinds[..2], [("against the schema", 2), ("known text", 2)]);
    }
}
