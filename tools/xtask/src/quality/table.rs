//! Results of training as rows, and what they say: a table, JSON, CSV.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The party that all others are compared with.
const REFERENCE: &str = "torch-float32";

/// How far exact training may end from PyTorch's f32, as a share of its loss.
const TOLERANCE: f64 = 0.005;

/// One run's benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    case: String,
    seed: u8,
    /// `exact-b20`, `torch-float32` and the like.
    party: String,
    benchmark: Benchmark,
    steps: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Benchmark {
    /// Mean nats per output token of the hidden rows' right answers.
    token_loss: f64,
    choice_loss: Option<f64>,
    lift: Option<f64>,
}

impl Row {
    /// From what a party printed.
    pub(super) fn new(case: &str, seed: u8, party: &str, trained: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Trained {
            losses: Vec<f64>,
            benchmark: Benchmark,
        }
        let trained: Trained = serde_json::from_str(trained)
            .with_context(|| format!("not a result of {party} on {case}, seed {seed}"))?;
        let (case, party) = (case.to_owned(), party.to_owned());
        Ok(Self { case, seed, party, benchmark: trained.benchmark, steps: trained.losses.len() })
    }
}

/// A width's loss beside PyTorch's, on one workload and seed.
#[derive(Debug, Serialize)]
struct Comparison<'t> {
    case: &'t str,
    seed: u8,
    steps: usize,
    exact: f64,
    torch_f32: f64,
    torch_f64: Option<f64>,
    /// (exact − torch f32) / torch f32.
    difference: f64,
    /// (torch f64 − torch f32) / torch f32: what rounding alone does.
    rounding: Option<f64>,
    exact_lift: Option<f64>,
    torch_f32_lift: Option<f64>,
    within_tolerance: bool,
}

/// All runs.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// Workload → why it was left out.
    pub(super) skipped: BTreeMap<String, String>,
}

impl Table {
    fn find(&self, of: &Row, party: &str) -> Option<&Row> {
        let same = |row: &&Row| row.case == of.case && row.seed == of.seed && row.party == party;
        self.rows.iter().find(same)
    }

    fn comparisons(&self, width: u32) -> Vec<Comparison<'_>> {
        let party = format!("exact-b{width}");
        let compare = |row| {
            let exact = self.find(row, &party)?.benchmark;
            let reference = row.benchmark;
            let double = self.find(row, "torch-float64").map(|row| row.benchmark.token_loss);
            let relative = |loss: f64| loss / reference.token_loss - 1.0;
            let difference = relative(exact.token_loss);
            Some(Comparison {
                case: &row.case,
                seed: row.seed,
                steps: row.steps,
                exact: exact.token_loss,
                torch_f32: reference.token_loss,
                torch_f64: double,
                difference,
                rounding: double.map(relative),
                exact_lift: exact.lift,
                torch_f32_lift: reference.lift,
                within_tolerance: difference <= TOLERANCE,
            })
        };
        self.rows.iter().filter(|row| row.party == REFERENCE).filter_map(compare).collect()
    }

    /// The comparison at one width.
    pub(super) fn json(&self, width: u32) -> anyhow::Result<String> {
        let cases = self.comparisons(width);
        let json = serde_json::json!({ "width": width, "cases": cases, "skipped": self.skipped });
        Ok(serde_json::to_string_pretty(&json)?)
    }

    /// The comparison at one width, for people.
    pub(super) fn text(&self, width: u32) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
            "case",
            "seed",
            "steps",
            &format!("exact, {width} bits"),
            "torch f32",
            "difference",
            "torch f64 − f32",
            "lift exact",
            "lift torch f32",
        ]);
        let percent = |share: f64| format!("{:+.3} %", 100.0 * share);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        for case in self.comparisons(width) {
            let nats = |value: f64| format!("{value:.6}");
            table.add_row([
                case.case.to_owned(),
                case.seed.to_string(),
                case.steps.to_string(),
                nats(case.exact),
                nats(case.torch_f32),
                percent(case.difference),
                or_dash(case.rounding.map(percent)),
                or_dash(case.exact_lift.map(nats)),
                or_dash(case.torch_f32_lift.map(nats)),
            ]);
        }
        let skipped = self.skipped.iter().map(|(what, why)| format!("\nskipped: {what}: {why}"));
        format!("{table}{}", skipped.collect::<String>())
    }

    /// Every run, one per line.
    pub(super) fn csv(&self) -> String {
        let mut csv =
            String::from("case,seed,party,steps,token_loss,relative_to_f32,choice_loss,lift\n");
        let or_empty = |value: Option<f64>| value.map_or_else(String::new, |x| format!("{x:.6}"));
        for row in &self.rows {
            let Benchmark { token_loss, choice_loss, lift } = row.benchmark;
            let reference = self.find(row, REFERENCE).map(|row| row.benchmark.token_loss);
            let relative = reference.map(|reference| token_loss / reference - 1.0);
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{},{},{},{},{token_loss:.6},{},{},{}",
                row.case,
                row.seed,
                row.party,
                row.steps,
                or_empty(relative),
                or_empty(choice_loss),
                or_empty(lift)
            );
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(party: &str, token_loss: f64) -> Row {
        let trained = format!(
            r#"{{"losses": [7.0, 6.0], "benchmark":
                {{"token_loss": {token_loss}, "choice_loss": null, "lift": null}}}}"#
        );
        Row::new("decoder", 1, party, &trained).unwrap()
    }

    #[test]
    fn a_width_is_compared_with_f32_of_the_same_seed() {
        let mut other_seed = row("exact-b14", 9.0);
        other_seed.seed = 2;
        let rows =
            vec![row("torch-float32", 2.0), row("exact-b14", 2.02), row("torch-float64", 2.002)];
        let table = Table { rows: [rows, vec![other_seed]].concat(), ..Table::default() };
        let json: serde_json::Value = serde_json::from_str(&table.json(14).unwrap()).unwrap();
        let case = &json["cases"][0];
        assert_eq!(json["cases"].as_array().map(Vec::len), Some(1));
        assert!((case["difference"].as_f64().unwrap() - 0.01).abs() < 1e-12);
        assert!((case["rounding"].as_f64().unwrap() - 0.001).abs() < 1e-12);
        assert_eq!(case["within_tolerance"], false);
        assert!(table.text(14).contains("+1.000 %"), "{}", table.text(14));
        assert!(table.comparisons(20).is_empty());
        let csv = table.csv();
        assert!(csv.contains("\ndecoder,1,exact-b14,2,2.020000,0.010000,,\n"), "{csv}");
        assert!(csv.contains("\ndecoder,2,exact-b14,2,9.000000,,,\n"), "{csv}");
    }

    #[test]
    fn a_bad_result_names_its_run() {
        let error = Row::new("date", 3, "exact-b8", "{}").unwrap_err().to_string();
        assert!(error.contains("exact-b8 on date, seed 3"), "{error}");
    }
}
