//! The JSON Schema project's test cases, answered by the library that the schema kernel is made of.
//!
//! The library is called by itself, with the kernel's options and without its code;
//! `dataforge-bench schema-suite` asks the kernel and prints the same.

use jsonschema::Draft;
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::Path;

/// Cases, and how those that failed were answered.
#[derive(Default)]
struct Part {
    tests: u32,
    failed: Vec<String>,
}

/// Answers every case of a folder; those that are optional are reported by themselves.
pub(crate) fn run(folder: &str) -> Result<Value, Box<dyn Error>> {
    let mut files = vec![];
    list(Path::new(folder), "", &mut files)?;
    files.sort();
    let [mut required, mut optional] = [Part::default(), Part::default()];
    for file in files {
        let part = if file.starts_with("optional/") { &mut optional } else { &mut required };
        let path = Path::new(folder).join(&file);
        let groups: Vec<Value> = serde_json::from_str(&fs::read_to_string(path)?)?;
        for group in &groups {
            part.answer(&file, group).ok_or_else(|| format!("{file} holds no test cases"))?;
        }
    }
    let shown = |Part { tests, failed }| json!({"tests": tests, "failed": failed});
    Ok(json!({"required": shown(required), "optional": shown(optional)}))
}

impl Part {
    /// None if this is not a group of cases.
    fn answer(&mut self, file: &str, group: &Value) -> Option<()> {
        let schema = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .build(group.get("schema")?);
        for test in group["tests"].as_array()? {
            let verdict = match &schema {
                Err(_) => "refused",
                Ok(schema) if schema.is_valid(test.get("data")?) => "valid",
                Ok(_) => "invalid",
            };
            let expected = if test["valid"].as_bool()? { "valid" } else { "invalid" };
            self.tests += 1;
            if verdict != expected {
                let [of, case] = [group, test].map(|named| named["description"].as_str());
                self.failed.push(format!("{file}: {}: {}: {verdict}", of?, case?));
            }
        }
        Some(())
    }
}

/// The JSON files of a folder and of those in it, by their paths below the first.
fn list(folder: &Path, below: &str, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
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
