//! What was measured, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::party::{Kind, Party};

/// One lowering of the exact profile beside the other engines, on one workload. Times are medians
/// in milliseconds of one training step; ratios are of these medians.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Case {
    name: String,
    threads: usize,
    exact_ms: f64,
    fast_ms: Option<f64>,
    torch_ms: f64,
    exact_over_torch: f64,
    fast_over_torch: Option<f64>,
    lowering: String,
    torch_compile_ms: Option<f64>,
    /// Positions of a batch, padding included.
    tokens_per_step: usize,
    exact_tokens_per_s: f64,
    /// Elements that training moves.
    parameters: usize,
    /// Steps that each median is of.
    steps: usize,
    /// Of each party, by its name: on a machine that others use, nearer the truth than a median.
    fastest_ms: BTreeMap<String, f64>,
    /// Of each party's process, by its name.
    peak_mib: BTreeMap<String, f64>,
    engines: BTreeMap<String, String>,
}

impl Case {
    /// One case for each lowering among `parties`, which took turns. None without PyTorch eager.
    pub(super) fn of(name: &str, threads: usize, parties: &[Party]) -> Vec<Self> {
        let ms =
            |kind: Kind| parties.iter().find(|party| party.kind == kind).map(|p| median(&p.ms));
        let fast_ms = ms(Kind::Fast);
        let torch_compile_ms = ms(Kind::Torch { compiled: true });
        let Some(torch_ms) = ms(Kind::Torch { compiled: false }) else { return vec![] };
        let peaks = parties.iter().filter_map(|p| Some((p.kind.to_string(), p.peak_mib?.round())));
        let peak_mib: BTreeMap<String, f64> = peaks.collect();
        let fastest = |ms: &[f64]| ms.iter().copied().min_by(f64::total_cmp);
        let fastest = parties.iter().filter_map(|p| Some((p.kind.to_string(), fastest(&p.ms)?)));
        let fastest_ms: BTreeMap<String, f64> = fastest.collect();
        let engines: BTreeMap<String, String> =
            parties.iter().map(|p| (p.kind.to_string(), p.ready.engine.clone())).collect();
        let case = |party: &Party| {
            let Kind::Exact(lowering) = &party.kind else { return None };
            let exact_ms = median(&party.ms);
            let tokens_per_step = party.ready.tokens_per_step;
            Some(Self {
                name: name.to_owned(),
                threads,
                exact_ms,
                fast_ms,
                torch_ms,
                exact_over_torch: exact_ms / torch_ms,
                fast_over_torch: fast_ms.map(|fast_ms| fast_ms / torch_ms),
                lowering: lowering.clone(),
                torch_compile_ms,
                tokens_per_step,
                exact_tokens_per_s: 1e3 * tokens_per_step as f64 / exact_ms,
                parameters: party.ready.parameters,
                steps: party.ms.len(),
                fastest_ms: fastest_ms.clone(),
                peak_mib: peak_mib.clone(),
                engines: engines.clone(),
            })
        };
        parties.iter().filter_map(case).collect()
    }
}

/// Everything that one run measured, and what it did not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) cases: Vec<Case>,
    /// What was left out → why.
    skipped: BTreeMap<String, String>,
}

impl Report {
    pub(super) fn skip(&mut self, what: String, why: String) {
        eprintln!("skipped: {what}: {why}");
        self.skipped.insert(what, why);
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(super) fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
            "case",
            "threads",
            "lowering",
            "exact ms",
            "fast ms",
            "torch ms",
            "compile ms",
            "exact / torch",
            "fast / torch",
            "peak MiB exact, torch",
        ]);
        for case in &self.cases {
            let peak = |kind: Kind| case.peak_mib.get(&kind.to_string()).copied();
            let exact = peak(Kind::Exact(case.lowering.clone()));
            let torch = peak(Kind::Torch { compiled: false });
            table.add_row([
                case.name.clone(),
                case.threads.to_string(),
                case.lowering.clone(),
                format!("{:.1}", case.exact_ms),
                shown(case.fast_ms, 1),
                format!("{:.1}", case.torch_ms),
                shown(case.torch_compile_ms, 1),
                format!("{:.2}", case.exact_over_torch),
                shown(case.fast_over_torch, 2),
                format!("{}, {}", shown(exact, 0), shown(torch, 0)),
            ]);
        }
        let skipped = self.skipped.iter().map(|(what, why)| format!("\nskipped: {what}: {why}"));
        format!("{table}{}", skipped.collect::<String>())
    }
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// The middle one, or the mean of both; NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, high] = [sorted.len().saturating_sub(1) / 2, sorted.len() / 2];
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_json_has_the_promised_keys() {
        let case = Case {
            name: "date".into(),
            threads: 1,
            exact_ms: 30.0,
            fast_ms: None,
            torch_ms: 20.0,
            exact_over_torch: 1.5,
            fast_over_torch: None,
            lowering: "stock".into(),
            torch_compile_ms: Some(15.0),
            tokens_per_step: 160,
            exact_tokens_per_s: 5333.3,
            parameters: 852_608,
            steps: 25,
            fastest_ms: BTreeMap::new(),
            peak_mib: BTreeMap::from([("exact, stock".into(), 90.0)]),
            engines: BTreeMap::new(),
        };
        let mut report = Report { cases: vec![case], ..Report::default() };
        report.skip("fast".into(), "not there".into());
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        for key in [
            "name",
            "threads",
            "exact_ms",
            "fast_ms",
            "torch_ms",
            "exact_over_torch",
            "fast_over_torch",
            "lowering",
        ] {
            assert!(json["cases"][0].get(key).is_some(), "no {key}");
        }
        assert_eq!(json["skipped"]["fast"], "not there");
        let table = report.table();
        for part in ["| date ", "| 1.50 ", "| 90, – ", "skipped: fast: not there"] {
            assert!(table.contains(part), "{table} lacks {part}");
        }
    }
}
