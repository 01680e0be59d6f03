//! `cargo xtask conformance`: the pinned kernels beside the field's references.
//!
//! The schema kernel answers the JSON Schema project's test cases as its library does; ids of
//! tokens, and scores of answers, equal those of the packages that the field computes them with;
//! edited copies are found among real text. The first difference ends it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::sh;
use crate::sides::{Profile, Sides};

/// Artifacts that the tokenizer kernel is given: one for each model that specs can name.
const TOKENIZERS: &[&str] =
    &["glassllm-en-tokenizer", "smollm2-135m-instruct-tokenizer", "minilm-l6-tokenizer"];

/// Similarity from which texts are twins, in parts per million.
const TWINS_LEAST: &str = "600000";
const PRECISION_LEAST: f64 = 0.95;
const RECALL_LEAST: f64 = 0.93;
const F1_LEAST: f64 = 0.95;

/// Kernels beside references.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Test cases in the JSON Schema project's format, draft 2020-12. Default: those that come
    /// with a pinned release of Python's jsonschema.
    #[arg(long, value_name = "DIR")]
    schema_suite: Option<PathBuf>,
}

/// Runs every check, up to the first difference.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let sides = Sides::new(Profile::Debug)?;
    let suite = match &options.schema_suite {
        Some(folder) => std::path::absolute(folder)?,
        None => sides.schema_suite()?,
    };
    schema(&sides, &suite)?;
    let [strings, chats] = ["strings.jsonl", "chats.jsonl"].map(|file| sides.corpus(file));
    sides.script("chats.py", [Path::new("make"), &strings, &chats])?;
    for name in TOKENIZERS {
        tokenizer(&sides, name)?;
        chat(&sides, name)?;
    }
    metrics(&sides)?;
    twins(&sides)
}

/// What `schema-suite` prints.
#[derive(Deserialize)]
struct Suite {
    required: Part,
    optional: Part,
}

/// Cases, and how those that failed were answered.
#[derive(Deserialize)]
struct Part {
    tests: usize,
    failed: Vec<String>,
}

fn schema(sides: &Sides, folder: &Path) -> anyhow::Result<()> {
    let arguments = ["schema-suite".as_ref(), folder.as_os_str()];
    let kernel: Suite = serde_json::from_str(&sides.ours(arguments)?)?;
    let library: Suite = serde_json::from_str(&sides.native(arguments)?)?;
    ensure!(kernel.required.tests > 0, "{} holds no test cases", folder.display());
    for (name, kernel, library) in [
        ("required", kernel.required, library.required),
        ("optional", kernel.optional, library.optional),
    ] {
        let said = compare(&kernel, &library)
            .with_context(|| format!("the JSON Schema project's {name} test cases"))?;
        sh::print(&format!("schema, {name}: {said}"))?;
    }
    Ok(())
}

/// The counts, or the first case that is answered otherwise.
fn compare(kernel: &Part, library: &Part) -> anyhow::Result<String> {
    let [ours, theirs] = [kernel, library].map(|part| part.tests);
    ensure!(ours == theirs, "the kernel was asked {ours} cases, its library {theirs}");
    let lacks = |part: &Part, failure: &String| !part.failed.contains(failure);
    if let Some(failure) = kernel.failed.iter().find(|failure| lacks(library, failure)) {
        anyhow::bail!("the kernel fails otherwise than its library: {failure}");
    }
    if let Some(failure) = library.failed.iter().find(|failure| lacks(kernel, failure)) {
        anyhow::bail!("the library fails otherwise than the kernel: {failure}");
    }
    let failed = kernel.failed.len();
    // Where both refuse everything, they agree about nothing.
    ensure!(2 * failed <= ours, "kernel and library fail {failed} of {ours} cases");
    Ok(format!("cases {ours}; kernel and library pass {}, fail the same {failed}", ours - failed))
}

fn tokenizer(sides: &Sides, name: &str) -> anyhow::Result<()> {
    let [strings, ids] = ["strings.jsonl", "ids.jsonl"].map(|file| sides.corpus(file));
    let json = sides.tokenizer(name)?;
    answer(sides, "tokenizer", &json, &strings, &ids)?;
    let said = sides.script("tokens.py", [&json, &strings, &ids])?;
    sh::print(&format!("tokenizer, {name}: {}", said.trim()))
}

/// Chats by every template that the kernel's own tests have.
fn chat(sides: &Sides, name: &str) -> anyhow::Result<()> {
    let templates = sh::root().join("guest-kernels/tokenizer-2/tests/templates");
    let json = sides.tokenizer(name)?;
    let [setting, chats, answers] =
        ["chats-setting.json", "chats.jsonl", "chats-answers.jsonl"].map(|f| sides.corpus(f));
    std::fs::write(&setting, json!({"tokenizer": json, "templates": templates}).to_string())?;
    answer(sides, "chats", &setting, &chats, &answers)?;
    let compare = Path::new("compare");
    let said = sides.script("chats.py", [compare, &templates, &json, &chats, &answers])?;
    sh::print(&format!("chats, {name}: {}", said.trim()))
}

fn metrics(sides: &Sides) -> anyhow::Result<()> {
    let [pairs, scores] = ["pairs.jsonl", "scores.jsonl"].map(|file| sides.corpus(file));
    answer(sides, "metrics", &pairs, &pairs, &scores)?;
    let said = sides.script("answers.py", [&pairs, &scores])?;
    sh::print(&format!("metrics: {}", said.trim()))
}

/// Has a kernel write its answers, in one pass.
fn answer(
    sides: &Sides,
    kernel: &str,
    setting: &Path,
    input: &Path,
    answers: &Path,
) -> anyhow::Result<()> {
    let paths = [setting, input, answers].map(Path::as_os_str);
    let [setting, input, answers] = paths;
    sides.ours(["kernels".as_ref(), kernel.as_ref(), setting, input, "1".as_ref(), answers])?;
    Ok(())
}

/// What `twins` prints.
#[derive(Deserialize)]
struct Found {
    copies: u32,
    right: u32,
    wrong: u32,
    precision: f64,
    recall: f64,
    f1: f64,
}

fn twins(sides: &Sides) -> anyhow::Result<()> {
    let labelled = sides.corpus("twins.jsonl");
    let arguments = ["twins".as_ref(), labelled.as_os_str(), TWINS_LEAST.as_ref()];
    let found: Found = serde_json::from_str(&sides.ours(arguments)?)?;
    sh::print(&judge(&found)?)
}

/// What was found, if that is enough.
fn judge(Found { copies, right, wrong, precision, recall, f1 }: &Found) -> anyhow::Result<String> {
    let said = format!(
        "near-duplicates: copies {copies}, found {right}, wrong {wrong}; \
         precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}"
    );
    let enough = *precision >= PRECISION_LEAST && *recall >= RECALL_LEAST && *f1 >= F1_LEAST;
    ensure!(enough, "{said}; wanted at least {PRECISION_LEAST}, {RECALL_LEAST} and {F1_LEAST}");
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(tests: usize, failed: &[&str]) -> Part {
        Part { tests, failed: failed.iter().map(|failure| failure.to_string()).collect() }
    }

    #[test]
    fn another_failure_is_named_whichever_side_has_it() {
        let both = part(9, &["a.json: of: case: valid"]);
        assert!(compare(&part(1, &["a.json"]), &part(1, &["a.json"])).is_err());
        assert!(compare(&both, &both).unwrap().contains("pass 8, fail the same 1"));
        let refused = part(9, &["a.json: of: case: refused"]);
        let error = compare(&both, &refused).unwrap_err().to_string();
        assert!(error.contains("the kernel fails") && error.contains("case: valid"), "{error}");
        let error = compare(&part(9, &[]), &both).unwrap_err().to_string();
        assert!(error.contains("the library fails") && error.contains("case: valid"), "{error}");
        assert!(compare(&part(8, &[]), &part(9, &[])).is_err());
    }

    #[test]
    fn every_measure_of_twins_must_be_high_enough() {
        let found = |precision, recall, f1| {
            judge(&Found { copies: 9, right: 8, wrong: 1, precision, recall, f1 })
        };
        assert!(found(0.95, 0.93, 0.95).unwrap().contains("recall 0.930"));
        for (precision, recall, f1) in
            [(0.94, 1.0, 1.0), (1.0, 0.92, 1.0), (1.0, 1.0, 0.94), (f64::NAN, 1.0, 1.0)]
        {
            assert!(found(precision, recall, f1).is_err());
        }
    }
}
