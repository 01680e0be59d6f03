//! The table: which cells there are, whether they agree, and how they are shown.
//!
//! A setting whose known answer is not the base's is an engine that evaluations would refuse: where
//! it is another version of ONNX Runtime, its cells are skipped and say so; where it is the pinned
//! one, they differ.

use crate::cases::{CASES, Entry, Named};
use crate::provision::Provision;
use crate::runner::digests;
use crate::setting::{PINNED, SETTINGS, Setting};
use crate::{Table, log};
use anyhow::Context as _;
use comfy_table::presets::ASCII_MARKDOWN;
use dataforge_core::hash::{Digest as _, FileDigest};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// One case under one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Cell {
    case: &'static str,
    setting: &'static str,
    digest: Option<FileDigest>,
    /// Why there is no digest.
    skipped: Option<String>,
}

/// Everything that was run, a setting's cells side by side.
#[derive(Debug, Serialize)]
struct Matrix {
    /// The columns.
    #[serde(skip)]
    cases: Vec<&'static str>,
    cells: Vec<Cell>,
}

pub(crate) fn run(arguments: &Table) -> anyhow::Result<ExitCode> {
    let wanted = |setting: &Setting| {
        let named = |text: &String| setting.name.contains(text.as_str());
        (setting.quick || !arguments.quick)
            && (arguments.only.is_empty() || arguments.only.iter().any(named))
    };
    let (base, others) = SETTINGS.split_first().context("there is a base")?;
    let others: Vec<&Setting> = others.iter().filter(|setting| wanted(setting)).collect();
    let provision = Provision::discover()?;
    let temporary = tempfile::tempdir()?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    let built = build(&provision, folder, arguments.quick)?;

    let cases = built.iter().map(|case| case.name).collect();
    let mut matrix = Matrix { cases, cells: Vec::new() };
    for setting in std::iter::once(base).chain(others) {
        #[expect(clippy::disallowed_methods, reason = "a person waits for this")]
        let start = std::time::Instant::now();
        let run: Vec<&Named> = built.iter().filter(|case| case.quick || setting.large).collect();
        let mut found = digests(setting, &run, folder, &provision);
        found.resize(built.len(), Err("only small cases under this setting".into()));
        matrix.add(setting, found);
        let (seconds, row) = (start.elapsed().as_secs_f64(), matrix.last_row());
        log(&format!("{seconds:6.1} s  {}: {row}", setting.name));
    }
    let faults = matrix.faults(arguments.quick);
    let shown = if arguments.json { serde_json::to_string(&matrix)? } else { matrix.text() };
    writeln!(std::io::stdout(), "{shown}")?;
    for fault in &faults {
        log(&format!("error: {fault}"));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fetches what the cases are made of, makes them and writes them. Small ones come first.
fn build(provision: &Provision, folder: &Path, quick: bool) -> anyhow::Result<Vec<Named>> {
    let make = |entry: &Entry| {
        let case = entry.build(provision.artifacts())?;
        case.built.write(&folder.join(case.name))?;
        Ok(case)
    };
    CASES.iter().filter(|entry| entry.quick || !quick).map(make).collect()
}

impl Matrix {
    fn base(&self, case: usize) -> Option<FileDigest> {
        self.cells.get(case).and_then(|cell| cell.digest)
    }

    /// Adds a setting's row. The known answer is the first case, and decides over the others.
    fn add(&mut self, setting: &Setting, found: Vec<Result<FileDigest, String>>) {
        let own = [PINNED, ""].contains(&setting.engine);
        let refused = match (self.base(0), found.first()) {
            (Some(base), Some(Ok(found))) if !own && base != *found => Some(format!(
                "the known-answer test refuses this engine: {}, expected {}",
                found.short(),
                base.short()
            )),
            _ => None,
        };
        for (case, found) in self.cases.clone().into_iter().zip(found) {
            let (digest, skipped) = match (found, &refused) {
                (Ok(digest), None) => (Some(digest), None),
                (Ok(_), Some(reason)) => (None, Some(reason.clone())),
                (Err(reason), _) => (None, Some(reason)),
            };
            self.cells.push(Cell { case, setting: setting.name, digest, skipped });
        }
    }

    /// What must not be: a digest that is not the base's, a base without one, and, where nothing
    /// may be `skipped`, every skipped cell.
    fn faults(&self, none_skipped: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, Cell { case, setting, digest, skipped }) in self.cells.iter().enumerate() {
            let base = self.base(index % self.cases.len());
            match (digest, base) {
                (Some(digest), Some(base)) if *digest != base => {
                    faults.push(format!("{case}, {setting}: {digest}, the base has {base}"));
                }
                (None, _) if none_skipped || index < self.cases.len() => {
                    let reason = skipped.as_deref().unwrap_or_default();
                    faults.push(format!("{case}, {setting}: {reason}"));
                }
                _ => {}
            }
        }
        faults
    }

    /// The digests of the setting that was added last.
    fn last_row(&self) -> String {
        let row = self.cells.chunks(self.cases.len()).next_back().unwrap_or_default();
        let digest = |cell: &Cell| cell.digest.map_or_else(|| "-".to_owned(), |d| d.short());
        row.iter().map(digest).collect::<Vec<_>>().join(" ")
    }

    /// A row per setting, a column per case, and below them why cells are empty.
    fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(std::iter::once("setting").chain(self.cases.iter().copied()));
        let mut reasons: Vec<String> = Vec::new();
        for row in self.cells.chunks(self.cases.len()) {
            let digest = |cell: &Cell| cell.digest.map_or_else(String::new, |d| d.short());
            let name = row.first().map_or("", |cell| cell.setting).to_owned();
            table.add_row(std::iter::once(name).chain(row.iter().map(digest)));
            for cell in row {
                if let Some(reason) = &cell.skipped {
                    let line = format!("skipped: {}: {reason}", cell.setting);
                    if reasons.last() != Some(&line) {
                        reasons.push(line);
                    }
                }
            }
        }
        reasons.iter().fold(table.to_string(), |mut text, reason| {
            let _ = write!(text, "\n{reason}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Runner;

    const COLUMNS: usize = 3;

    fn empty() -> Matrix {
        Matrix { cases: vec!["known", "train", "score"], cells: Vec::new() }
    }

    const OLDER: Setting = Setting { name: "older", engine: "1.20.1", ..SETTINGS[0] };

    /// The base, then one setting with these digests, by their first bytes.
    fn matrix(setting: &Setting, found: [Result<u8, &str>; 2]) -> Matrix {
        let digest = |byte| FileDigest([byte; 32]);
        let mut matrix = empty();
        matrix.add(&SETTINGS[0], vec![Ok(digest(0)); COLUMNS]);
        let [known, others] = found.map(|cell| cell.map(digest).map_err(str::to_owned));
        let mut row = vec![others; COLUMNS];
        row[0] = known;
        matrix.add(setting, row);
        matrix
    }

    #[track_caller]
    fn faults(setting: &Setting, found: [Result<u8, &str>; 2], quick: bool) -> usize {
        matrix(setting, found).faults(quick).len()
    }

    #[test]
    fn every_differing_digest_is_a_fault() {
        assert_eq!(faults(&SETTINGS[1], [Ok(0), Ok(0)], true), 0);
        assert_eq!(faults(&SETTINGS[1], [Ok(0), Ok(1)], false), COLUMNS - 1);
        // The pinned engine has no excuse, and neither has one that passes the known-answer test.
        assert_eq!(faults(&SETTINGS[1], [Ok(1), Ok(0)], false), 1);
        assert_eq!(faults(&OLDER, [Ok(0), Ok(1)], false), COLUMNS - 1);
        let reference = Setting { runner: Runner::OnnxReference, engine: "", ..OLDER };
        assert_eq!(faults(&reference, [Ok(1), Ok(0)], false), 1);
    }

    #[test]
    fn an_older_engine_that_the_known_answer_refuses_is_skipped() {
        let matrix = matrix(&OLDER, [Ok(1), Ok(1)]);
        assert_eq!(matrix.faults(false), Vec::<String>::new());
        assert_eq!(matrix.faults(true).len(), COLUMNS);
        assert!(matrix.text().contains("skipped: older: the known-answer test refuses"));
    }

    #[test]
    fn a_setting_that_cannot_run_says_why_and_is_a_fault_of_the_quick_matrix_only() {
        let matrix = matrix(&SETTINGS[1], [Err("no emulator"), Err("no emulator")]);
        assert!(matrix.text().ends_with("skipped: 2 threads: no emulator"));
        assert_eq!((matrix.faults(false).len(), matrix.faults(true).len()), (0, COLUMNS));
    }

    #[test]
    fn a_base_that_cannot_run_is_a_fault() {
        let mut matrix = empty();
        matrix.add(&SETTINGS[0], vec![Err("no library".into()); COLUMNS]);
        assert_eq!(matrix.faults(false).len(), COLUMNS);
    }
}
