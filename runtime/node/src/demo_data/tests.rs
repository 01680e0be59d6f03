//! The demo's data from the real public sets: the invariants, and digests that must never change.

use std::collections::BTreeMap;

use dataforge_core::hash::file_digest;

use super::*;
use crate::public_sets::{date_rows, icd_chapter_rows};
use crate::testing::real;

const SEED: EpochSeed = EpochSeed([42; 32]);

fn dates() -> Vec<Row> {
    date_rows(&real("evals-date")).unwrap()
}

fn diagnoses() -> Vec<Row> {
    icd_chapter_rows(&real("icd10cm-tabular")).unwrap()
}

fn build(rows: &[Row]) -> DemoSets {
    DemoSets::build(rows, &SEED, &DemoPlan::default()).unwrap()
}

impl DemoSets {
    fn rows(&self, name: &str) -> &[Row] {
        &self.submissions.iter().find(|submission| submission.name == name).unwrap().rows
    }
}

/// Compares name and first 16 digits of the digest of every file that is written.
fn check_digests(rows: &[Row], expect: [&str; 6]) {
    let folder = tempfile::tempdir().unwrap();
    let paths = build(rows).write(folder.path()).unwrap();
    let files = paths.submissions.into_iter().chain([("benchmark", paths.benchmark)]);
    let line = |(name, path): (&str, PathBuf)| {
        let digest = file_digest(&std::fs::read(path).unwrap()).to_string();
        format!("{name} {}", &digest[..16])
    };
    assert_eq!(files.map(line).collect::<Vec<_>>(), expect);
}

#[test]
fn the_files_are_the_same_everywhere() {
    check_digests(
        &dates(),
        [
            "honest 7fb7991c115cc218",
            "half 8d3a56e8073f5886",
            "shuffled d371c614b8e374c7",
            "copy dc6e7f67dc643136",
            "garbage 5684f7f80b9fee1a",
            "benchmark e95d51c80055c60e",
        ],
    );
    check_digests(
        &diagnoses(),
        [
            "honest 84a6759d335c0fc3",
            "half 56bad200be39b296",
            "shuffled 9dc0561e8d83bc04",
            "copy 76d4c45334617358",
            "garbage c8fe573c4b555364",
            "benchmark a356832e51f41f37",
        ],
    );
}

#[test]
fn another_seed_gives_other_data() {
    let rows = dates();
    let other = DemoSets::build(&rows, &EpochSeed([43; 32]), &DemoPlan::default()).unwrap();
    let one = build(&rows);
    assert_ne!(one.benchmark, other.benchmark);
    assert!(one.submissions.iter().zip(&other.submissions).all(|(a, b)| a.rows != b.rows));
}

#[test]
fn parts_share_no_row() {
    for rows in [dates(), diagnoses()] {
        let sets = build(&rows);
        let hidden = sets.benchmark.iter().map(|row| &row.input);
        let shown = ["honest", "half"].into_iter().flat_map(|name| sets.rows(name));
        let inputs: Vec<_> = hidden.chain(shown.map(|row| &row.input)).collect();
        assert_eq!(inputs.len(), 900);
        assert_eq!(inputs.iter().collect::<BTreeSet<_>>().len(), 900);
        assert!(sets.rows("honest").iter().chain(sets.rows("half")).all(|row| rows.contains(row)));
    }
}

#[test]
fn benchmark_rows_hold_the_right_answer_once_and_balance_labels() {
    for rows in [dates(), diagnoses()] {
        let truth: BTreeMap<_, _> = rows.iter().map(|row| (&row.input, &row.output)).collect();
        let sets = build(&rows);
        let mut positions = [0; 4];
        for row in &sets.benchmark {
            let distinct: BTreeSet<_> = row.candidates.iter().collect();
            assert_eq!((row.candidates.len(), distinct.len()), (4, 4));
            assert_eq!(&row.candidates[row.answer as usize], truth[&row.input]);
            positions[row.answer as usize] += 1;
        }
        assert!(positions.iter().all(|count| (20..60).contains(count)), "{positions:?}");
    }
    let mut labels: BTreeMap<String, u32> = BTreeMap::new();
    for row in build(&diagnoses()).benchmark {
        *labels.entry(row.candidates[row.answer as usize].clone()).or_default() += 1;
    }
    // 150 rows over 22 chapters, one of which has three diagnoses.
    assert_eq!(labels.len(), 22);
    assert!(
        labels.iter().all(|(label, count)| *count >= 7 || label == "special code"),
        "{labels:?}"
    );
}

#[test]
fn shuffled_keeps_inputs_and_outputs_but_no_pair() {
    for rows in [dates(), diagnoses()] {
        let sets = build(&rows);
        let (honest, shuffled) = (sets.rows("honest"), sets.rows("shuffled"));
        assert!(
            honest.iter().zip(shuffled).all(|(a, b)| a.input == b.input && a.output != b.output)
        );
        let sorted = |rows: &[Row]| {
            let mut outputs: Vec<_> = rows.iter().map(|row| row.output.clone()).collect();
            outputs.sort();
            outputs
        };
        assert_eq!(sorted(honest), sorted(shuffled));
    }
}

#[test]
fn a_copy_is_changed_in_every_row_and_barely() {
    for rows in [dates(), diagnoses()] {
        let sets = build(&rows);
        let (honest, copy) = (sets.rows("honest"), sets.rows("copy"));
        assert_eq!(copy.len(), honest.len());
        assert!(copy.iter().all(|row| !honest.contains(row)));
        let folded: BTreeSet<_> = honest.iter().map(Row::fingerprint).collect();
        let alike = copy.iter().filter(|row| folded.contains(&row.fingerprint())).count();
        assert!((450..500).contains(&alike), "{alike}");
    }
}

#[test]
fn garbage_is_shaped_like_honest_rows() {
    for rows in [dates(), diagnoses()] {
        let sets = build(&rows);
        let (honest, garbage) = (sets.rows("honest"), sets.rows("garbage"));
        for (real, noise) in honest.iter().zip(garbage) {
            for (real, noise) in [(&real.input, &noise.input), (&real.output, &noise.output)] {
                assert!(!noise.is_empty() && noise.trim() == noise, "{noise:?}");
                assert!(noise.chars().count() <= real.chars().count());
                assert!(
                    noise.chars().all(|c| c == ' ' || c.is_ascii_lowercase() || c.is_ascii_digit())
                );
            }
        }
    }
}

#[test]
fn a_set_that_cannot_carry_the_plan_is_refused() {
    let row = |n: usize, output: &str| Row { input: format!("i{n}"), output: output.to_owned() };
    let refused = |rows: Vec<Row>| DemoSets::build(&rows, &SEED, &DemoPlan::default()).unwrap_err();
    let few = refused((0..899).map(|n| row(n, "o")).collect());
    assert_eq!(few, DemoDataError::TooFewRows { found: 899, needed: 900 });
    let spellings = refused((0..900).map(|n| row(n / 2, "o")).collect());
    assert_eq!(spellings, DemoDataError::TooFewRows { found: 450, needed: 900 });
    let uniform = refused((0..900).map(|n| row(n, "o")).collect());
    assert_eq!(uniform, DemoDataError::CannotShuffle);
    let poor = refused((0..900).map(|n| row(n, ["a", "b", "c"][n % 3])).collect());
    assert_eq!(poor, DemoDataError::TooFewOutputs { found: 3, needed: 4 });
}
