//! The JSON Schema project's test cases, answered by the schema kernel.
//!
//! The kernel checks rows, so a case is valid when the row gets past the schema: the kernel then
//! misses the text field, or the object that holds it. A schema that the kernel refuses fails all
//! cases of its group. `guest-kernels/native` asks the library beneath and prints the same.

use anyhow::{Context as _, bail};
use clap::Args;
use dataforge_sandbox::{
    KernelLimits, RowOutcome, Sandbox, SandboxError, SchemaKernel, SchemaRules,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kernels;

/// A member that no case has.
const ABSENT: &str = "a member of no test case";

#[derive(Args)]
pub(crate) struct Suite {
    /// Folder of the cases, in the JSON Schema project's format.
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Box<RawValue>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    description: String,
    data: Box<RawValue>,
    valid: bool,
}

/// Cases, and how those that failed were answered.
#[derive(Default, Serialize)]
struct Part {
    tests: u32,
    failed: Vec<String>,
}

#[derive(Default, Serialize)]
pub(crate) struct Answered {
    required: Part,
    optional: Part,
}

pub(crate) fn run(Suite { folder }: &Suite) -> anyhow::Result<Answered> {
    let wasm = kernels::pinned("schema")?;
    let kernel = Sandbox::new()?.schema_kernel(&wasm, KernelLimits::default())?;
    let mut files = vec![];
    list(folder, "", &mut files)?;
    files.sort();
    let mut answered = Answered::default();
    for file in files {
        let optional = file.starts_with("optional/");
        let part = if optional { &mut answered.optional } else { &mut answered.required };
        let groups: Vec<Group> = serde_json::from_str(&fs::read_to_string(folder.join(&file))?)
            .with_context(|| format!("{file} holds no test cases"))?;
        for group in groups {
            part.answer(&kernel, &file, &group)?;
        }
    }
    Ok(answered)
}

impl Part {
    fn answer(&mut self, kernel: &SchemaKernel, file: &str, group: &Group) -> anyhow::Result<()> {
        let verdicts = verdicts(kernel, group)?;
        for (test, verdict) in group.tests.iter().zip(verdicts) {
            self.tests += 1;
            if verdict != if test.valid { "valid" } else { "invalid" } {
                let [of, case] = [&group.description, &test.description];
                self.failed.push(format!("{file}: {of}: {case}: {verdict}"));
            }
        }
        Ok(())
    }
}

/// One for each test of the group.
fn verdicts(kernel: &SchemaKernel, group: &Group) -> anyhow::Result<Vec<&'static str>> {
    let rules = SchemaRules::pair(group.schema.get(), ABSENT, ABSENT, u32::MAX);
    let lines: Vec<&[u8]> = group.tests.iter().map(|test| test.data.get().as_bytes()).collect();
    match kernel.check(&rules, &lines) {
        Ok(checked) => checked.rows.iter().map(verdict).collect(),
        Err(SandboxError::Reported(_)) => Ok(vec!["refused"; lines.len()]),
        Err(error) => Err(error.into()),
    }
}

fn verdict(outcome: &RowOutcome) -> anyhow::Result<&'static str> {
    let RowOutcome::Fault { reason, .. } = outcome else {
        bail!("a row without the member {ABSENT:?} has passed");
    };
    let beyond = [format!("the member {ABSENT:?} is missing"), "the row is not an object".into()];
    Ok(match reason {
        reason if beyond.contains(reason) => "valid",
        reason if reason.starts_with("malformed JSON") => "malformed",
        _ => "invalid",
    })
}

/// The JSON files of a folder and of those in it, by their paths below the first.
fn list(folder: &Path, below: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else if name.ends_with(".json") {
            files.push(name);
        }
    }
    Ok(())
}
