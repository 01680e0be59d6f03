//! Dates and how they are written, in the words of the public set `date`: as many rows as a market
//! of some epochs needs, and all of them right.

use std::collections::BTreeSet;

use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::Row;
use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Names of months, and their days where February has 28.
const MONTHS: [(&str, u32); 12] = [
    ("January", 31),
    ("February", 28),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
];

/// Dates of two centuries that nobody has yet, in an order that is always the same.
pub(super) struct Calendar {
    left: Vec<Row>,
}

impl Calendar {
    /// All dates but those that a benchmark asks for.
    pub(super) fn without(benchmark: &Benchmark) -> Self {
        let hidden: BTreeSet<&str> =
            benchmark.rows().iter().map(|row| row.input.as_str()).collect();
        let mut left = dates();
        left.retain(|row| !hidden.contains(row.input.as_str()));
        SeedStream::new(&EpochSeed([0; 32]), "rehearsal/dates").shuffle(&mut left);
        Self { left }
    }

    /// The next rows; none when there are not as many.
    pub(super) fn deal(&mut self, count: usize) -> Option<Vec<Row>> {
        let rest = self.left.len().checked_sub(count)?;
        Some(self.left.split_off(rest))
    }
}

/// 1 January 1900, a Monday, to 31 December 2099.
fn dates() -> Vec<Row> {
    let mut rows = vec![];
    let mut weekdays = WEEKDAYS.iter().cycle();
    for year in 1900..2100u32 {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        for (number, (month, days)) in (1..).zip(MONTHS) {
            let days = days + u32::from(leap && number == 2);
            for (day, weekday) in (1..=days).zip(&mut weekdays) {
                rows.push(Row {
                    input: format!("{year}-{number:02}-{day:02}"),
                    output: format!("{weekday}, {month} {day}, {year}."),
                });
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_public_set_writes_them() {
        let rows = dates();
        let output = |input: &str| &rows.iter().find(|row| row.input == input).unwrap().output;
        assert_eq!(output("1945-07-12"), "Thursday, July 12, 1945.");
        assert_eq!(output("2000-02-29"), "Tuesday, February 29, 2000.");
        assert_eq!(output("2026-11-28"), "Saturday, November 28, 2026.");
        assert!(!rows.iter().any(|row| row.input == "1900-02-29"));
        assert_eq!(rows.len(), 73_049);
    }

    #[test]
    fn no_date_is_dealt_twice() {
        let mut calendar = Calendar { left: dates() };
        let [one, two] = [0, 1].map(|_| calendar.deal(30_000).unwrap());
        let inputs: BTreeSet<_> = one.iter().chain(&two).map(|row| &row.input).collect();
        assert_eq!(inputs.len(), 60_000);
        assert!(calendar.deal(13_050).is_none());
        assert_eq!(calendar.deal(13_049).unwrap().len(), 13_049);
    }
}
