//! `cargo xtask bench kernels`: the pinned kernels in the sandbox beside the same code natively.
//!
//! Each side answers the same real text on one thread in a process of its own, in turns; both must
//! write the same answers, byte for byte. A cold start is the time in which a fresh process loads a
//! kernel that was compiled before; the machine's file cache is warm.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::report::median;
use crate::sides::{Profile, Sides};
use crate::{kernels, sh};

/// Passes of a turn: each is one measurement.
const PASSES: &str = "3";

/// Fresh processes that load each kernel.
const COLD_STARTS: usize = 10;

/// Of the models that specs can name, the one with the most common kind of tokenizer.
const TOKENIZER: &str = "smollm2-135m-instruct-tokenizer";

/// Pinned kernels beside native code.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Turns that each side takes.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What a kernel is given: a file with its setting, and one with its items, one a line.
struct Text {
    setting: PathBuf,
    input: PathBuf,
}

/// Medians over all passes of all turns, and over all cold starts.
#[derive(Debug, Serialize)]
struct Measured {
    name: &'static str,
    items: usize,
    wasm_per_s: f64,
    native_per_s: f64,
    /// The sandbox's rate over the native one.
    ratio: f64,
    cold_start_ms: f64,
    cold_start_best_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    kernels: Vec<Measured>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.rounds > 0, "--rounds must be at least 1");
    let sides = Sides::new(Profile::Release)?;
    let scratch = sh::target().join("bench/kernels");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let mut report = Report { kernels: vec![] };
    for name in kernels::names() {
        eprintln!("{name}");
        let text = text(&sides, name)?;
        report.kernels.push(measure(&sides, name, &text, options.rounds, &scratch)?);
    }
    sh::print(&if options.json { serde_json::to_string_pretty(&report)? } else { report.table() })
}

fn text(sides: &Sides, kernel: &str) -> anyhow::Result<Text> {
    let passages = sides.corpus("passages.jsonl");
    let (setting, input) = match kernel {
        "contamination" => (sides.corpus("documents.jsonl"), passages),
        // Their setting is not read.
        "diversity" | "similarity" => (passages.clone(), passages),
        "metrics" => (sides.corpus("pairs.jsonl"), sides.corpus("pairs.jsonl")),
        "schema" => (sh::root().join("tools/kernels/row.schema.json"), sides.corpus("rows.jsonl")),
        "tokenizer" => (sides.tokenizer(TOKENIZER)?, sides.corpus("strings.jsonl")),
        _ => bail!("{kernel} has no text here"),
    };
    Ok(Text { setting, input })
}

fn measure(
    sides: &Sides,
    name: &'static str,
    text: &Text,
    rounds: usize,
    scratch: &Path,
) -> anyhow::Result<Measured> {
    let answers = ["wasm", "native"].map(|side| scratch.join(format!("{name}-{side}.jsonl")));
    let [mut wasm, mut native] = [vec![], vec![]];
    for _ in 0..rounds {
        let [ours, theirs] = answers.each_ref().map(|answers| arguments(name, text, answers));
        wasm.extend(seconds(&sides.ours([&["kernels".as_ref()], &ours[..]].concat())?)?);
        native.extend(seconds(&sides.native(theirs)?)?);
        let [ours, theirs] = answers.each_ref().map(fs::read_to_string);
        same(&ours?, &theirs?).with_context(|| format!("{name}: the answers differ"))?;
    }
    let items = fs::read_to_string(&text.input)?.lines().count();
    let [wasm_per_s, native_per_s] = [wasm, native].map(|times| items as f64 / median(&times));
    let starts = cold_starts(sides, name, &scratch.join("code"))?;
    Ok(Measured {
        name,
        items,
        wasm_per_s,
        native_per_s,
        ratio: wasm_per_s / native_per_s,
        cold_start_ms: median(&starts),
        cold_start_best_ms: starts.iter().copied().fold(f64::INFINITY, f64::min),
    })
}

fn arguments<'a>(name: &'a str, text: &'a Text, answers: &'a Path) -> [&'a OsStr; 5] {
    let paths = [&text.setting, &text.input].map(|path| path.as_os_str());
    let [setting, input] = paths;
    [name.as_ref(), setting, input, PASSES.as_ref(), answers.as_os_str()]
}

/// Of each pass, as both sides print them.
fn seconds(printed: &str) -> anyhow::Result<Vec<f64>> {
    serde_json::from_str(printed).with_context(|| format!("not a list of seconds: {printed}"))
}

/// Fails with the first line that differs.
fn same(wasm: &str, native: &str) -> anyhow::Result<()> {
    if wasm == native {
        return Ok(());
    }
    let equal = wasm.lines().zip(native.lines()).take_while(|(ours, theirs)| ours == theirs);
    let at = equal.count();
    let [ours, theirs] = [wasm, native].map(|text| text.lines().nth(at).unwrap_or("nothing"));
    bail!("line {}: in the sandbox {ours}, natively {theirs}", at + 1);
}

/// What `cold-start` prints.
#[derive(Deserialize)]
struct Start {
    ms: f64,
    compiled: bool,
}

/// Milliseconds of each start from a store that has the kernel's code.
fn cold_starts(sides: &Sides, name: &str, store: &Path) -> anyhow::Result<Vec<f64>> {
    let start = || -> anyhow::Result<Start> {
        let printed = sides.ours(["cold-start".as_ref(), name.as_ref(), store.as_os_str()])?;
        Ok(serde_json::from_str(&printed)?)
    };
    start()?;
    let starts: Vec<Start> = (0..COLD_STARTS).map(|_| start()).collect::<Result<_, _>>()?;
    ensure!(!starts.iter().any(|start| start.compiled), "{name}: its compiled code is not kept");
    Ok(starts.iter().map(|start| start.ms).collect())
}

impl Report {
    fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
            "kernel",
            "items",
            "wasm / s",
            "native / s",
            "ratio",
            "cold start ms",
            "best ms",
        ]);
        for of in &self.kernels {
            table.add_row([
                of.name.to_owned(),
                of.items.to_string(),
                format!("{:.0}", of.wasm_per_s),
                format!("{:.0}", of.native_per_s),
                format!("{:.2}", of.ratio),
                format!("{:.1}", of.cold_start_ms),
                format!("{:.1}", of.cold_start_best_ms),
            ]);
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert!(same("[1]\n[2]\n", "[1]\n[2]\n").is_ok());
        let error = |native| same("[1]\n[2]\n", native).unwrap_err().to_string();
        assert_eq!(error("[1]\n[3]\n"), "line 2: in the sandbox [2], natively [3]");
        assert_eq!(error("[1]\n"), "line 2: in the sandbox [2], natively nothing");
    }

    #[test]
    fn the_json_has_the_promised_keys() {
        let measured = Measured {
            name: "schema",
            items: 6326,
            wasm_per_s: 40.0,
            native_per_s: 80.0,
            ratio: 0.5,
            cold_start_ms: 12.5,
            cold_start_best_ms: 11.0,
        };
        let report = Report { kernels: vec![measured] };
        let json: serde_json::Value =
            serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        for key in ["name", "wasm_per_s", "native_per_s", "ratio", "cold_start_ms"] {
            assert!(json["kernels"][0].get(key).is_some(), "no {key}");
        }
        let table = report.table();
        assert!(table.contains("| 0.50 ") && table.contains("| 12.5 "), "{table}");
    }
}
