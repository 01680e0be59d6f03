//! What the kernels have found so far in the rows of one dataset.

use dataforge_core::dataset::{CheckReport, RowFault};
use dataforge_core::limits::REPORTED_FAULTS_MAX;
use dataforge_core::spec::RowRules;
use dataforge_core::units::Fuel;

/// Faults, of which the first are kept, and the fuel of all calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Rows that the schema kernel has seen.
    pub(crate) rows: u32,
    /// Rows that there will be in the end, as far as that is known: for showing progress.
    pub(crate) expected: u32,
    pub(crate) fuel: u64,
    faults_total: u32,
    faults: Vec<RowFault>,
}

impl Tally {
    pub(crate) fn of(expected: u32) -> Self {
        Self { expected, ..Self::default() }
    }

    /// A fault of this row, counted from 1, or of the dataset as row 0.
    pub(crate) fn add(&mut self, row: u32, pointer: &str, reason: String) {
        self.faults_total += 1;
        if self.faults.len() < REPORTED_FAULTS_MAX {
            self.faults.push(RowFault { row, pointer: pointer.into(), reason });
        }
    }

    /// A fault of the dataset, which goes before those of rows.
    pub(crate) fn add_first(&mut self, reason: String) {
        self.faults_total += 1;
        self.faults.insert(0, RowFault { row: 0, pointer: String::new(), reason });
        self.faults.truncate(REPORTED_FAULTS_MAX);
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
        CheckReport {
            rows: self.rows,
            faults_total: self.faults_total,
            faults: self.faults,
            fuel: Fuel(self.fuel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_dataset_comes_first_and_the_list_stays_short() {
        let mut tally = Tally::default();
        for row in 1..=REPORTED_FAULTS_MAX as u32 {
            tally.add(row, "/input", "empty".into());
        }
        tally.add_first("too few".into());
        let report = tally.report();
        assert_eq!((report.faults_total, report.faults.len()), (101, REPORTED_FAULTS_MAX));
        assert_eq!((report.faults[0].row, report.faults[1].row), (0, 1));
    }
}
