//! The parsers on the pinned files.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testing::real;

/// The alphabet of glassllm's English model, the smallest of those that demos use.
fn glassllm_alphabet() -> BTreeSet<char> {
    let file: serde_json::Value =
        serde_json::from_slice(&real("glassllm-en-tokenizer-source")).unwrap();
    let letters = file["alphabet"].as_array().unwrap().iter();
    letters.map(|letter| letter.as_str().unwrap().chars().next().unwrap()).collect()
}

#[test]
fn the_date_set_parses_whole() {
    let rows = date_rows(&real("evals-date")).unwrap();
    assert_eq!(rows.len(), 1000);
    assert_eq!(rows[0].input, "1945-07-12");
    assert_eq!(rows[0].output, "Thursday, July 12, 1945.");
    let inputs: BTreeSet<_> = rows.iter().map(|row| &row.input).collect();
    assert_eq!(inputs.len(), 1000);
}

#[test]
fn the_diagnoses_parse_whole() {
    let rows = icd_chapter_rows(&real("icd10cm-tabular")).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(&row.output).or_default() += 1;
    }
    let counts: Vec<_> =
        CHAPTER_LABELS.iter().map(|label| counts.get(label).copied().unwrap_or(0)).collect();
    // Counted by another program too, with Python's XML parser.
    assert_eq!(rows.len(), 26_975);
    assert_eq!(
        counts,
        [
            1068, 1433, 323, 776, 871, 645, 1303, 330, 1058, 359, 857, 721, 2778, 769, 1373, 462,
            792, 665, 6226, 2815, 1348, 3
        ]
    );
    let first = &rows[0];
    assert_eq!(
        (first.input.as_str(), first.output.as_str()),
        ("Cholera due to Vibrio cholerae 01, biovar cholerae", "infection")
    );
}

#[test]
fn chapter_labels_are_distinct_and_within_the_models_alphabet() {
    let alphabet = glassllm_alphabet();
    // The model writes a space as this mark.
    let known = |c: char| alphabet.contains(&if c == ' ' { '▁' } else { c });
    assert!(CHAPTER_LABELS.iter().all(|label| label.chars().all(known)));
    assert_eq!(CHAPTER_LABELS.iter().collect::<BTreeSet<_>>().len(), CHAPTER_LABELS.len());
}
