//! The rules of one row, in the order in which they are reported.
//!
//! A row may break several rules of the schema at once. The fault is then the one with the least
//! instance pointer, and among those the least schema pointer, both in byte order: an order that
//! neither the validator's internals nor a hash seed can change.

use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use crate::fault::whole_row;
use crate::json;
use crate::scripts::Scripts;
use crate::shape::Shaper;
use crate::{Fault, Row, Rules};

/// The rules of an eval spec, compiled once for a batch.
pub(crate) struct Checker<'a> {
    schema: Validator,
    shaper: Shaper<'a>,
    scripts: Scripts,
}

impl<'a> Checker<'a> {
    /// Fails with a message for the author of the eval spec.
    pub(crate) fn new(rules: &'a Rules) -> Result<Self, String> {
        Ok(Self {
            schema: compile(&rules.schema_json)?,
            shaper: Shaper::new(rules)?,
            scripts: Scripts::new(&rules.scripts, rules.script_ppm_min)?,
        })
    }

    /// Checks one line without its line end.
    pub(crate) fn check(&self, line: &[u8]) -> Result<Row, Fault> {
        let row = json::parse(utf8(line)?).map_err(whole_row)?;
        self.check_schema(&row)?;
        let mut letters = self.scripts.letters();
        let row = self.shaper.take(row, &mut letters)?;
        letters.check()?;
        Ok(row)
    }

    fn check_schema(&self, row: &Value) -> Result<(), Fault> {
        if self.schema.is_valid(row) {
            return Ok(());
        }
        let first = self.schema.iter_errors(row).min_by_key(|error| {
            (error.instance_path().to_string(), error.schema_path().to_string())
        });
        Err(first
            .map_or_else(|| whole_row("the schema refuses this row"), |error| schema_fault(&error)))
    }
}

/// Checked sixteen bytes at a time, and if that fails, once more for the place.
fn utf8(line: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(line).or_else(|_| {
        std::str::from_utf8(line)
            .map_err(|error| whole_row(format!("invalid UTF-8 at byte {}", error.valid_up_to())))
    })
}

fn compile(schema: &str) -> Result<Validator, String> {
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| format!("the schema is not JSON: {error}"))?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // A format that nobody checks would be a rule that every row obeys.
        .should_ignore_unknown_formats(false)
        .build(&schema)
        .map_err(|error| format!("the schema is unusable: {error}"))
}

fn schema_fault(error: &ValidationError<'_>) -> Fault {
    // Masked: the plain message quotes the offending value, which may be the whole row.
    Fault { pointer: error.instance_path().to_string(), reason: error.masked().to_string() }
}
