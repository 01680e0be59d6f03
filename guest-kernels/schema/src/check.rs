//! The rules of one row, in the order in which they are reported.
//!
//! A row may break several rules of the schema at once. The fault is then the one with the least
//! instance pointer, and among those the least schema pointer, both in byte order: an order that
//! neither the validator's internals nor a hash seed can change.

use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use crate::bindings::exports::dataforge::kernel::rows::{Fault, Row, Rules};
use crate::json;

/// The rules of an eval spec, compiled once for a batch.
pub(crate) struct Checker<'a> {
    rules: &'a Rules,
    schema: Validator,
}

impl<'a> Checker<'a> {
    /// Fails with a message for the author of the eval spec.
    pub(crate) fn new(rules: &'a Rules) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(&rules.schema_json)
            .map_err(|error| format!("the schema is not JSON: {error}"))?;
        let schema = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .build(&schema)
            .map_err(|error| format!("the schema is unusable: {error}"))?;
        Ok(Self { rules, schema })
    }

    /// Checks one line without its line end.
    pub(crate) fn check(&self, line: &[u8]) -> Result<Row, Fault> {
        let text = std::str::from_utf8(line)
            .map_err(|error| whole_row(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
        let mut row = json::parse(text).map_err(whole_row)?;
        self.check_schema(&row)?;
        Ok(Row {
            input: self.take_field(&mut row, &self.rules.input_field)?,
            output: self.take_field(&mut row, &self.rules.output_field)?,
        })
    }

    fn check_schema(&self, row: &Value) -> Result<(), Fault> {
        if self.schema.is_valid(row) {
            return Ok(());
        }
        let first = self.schema.iter_errors(row).min_by_key(|error| {
            (error.instance_path().to_string(), error.schema_path().to_string())
        });
        match first {
            Some(error) => Err(schema_fault(&error)),
            None => Err(whole_row("the schema refuses this row".to_owned())),
        }
    }

    fn take_field(&self, row: &mut Value, name: &str) -> Result<String, Fault> {
        let pointer = || format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let fault = |reason: String| Err(Fault { pointer: pointer(), reason });
        let Some(members) = row.as_object_mut() else {
            return Err(whole_row("the row is not an object".to_owned()));
        };
        // Cloned when both fields name the same member; taking it would leave the second one empty.
        match members.get(name) {
            None => Err(whole_row(format!("the member {name:?} is missing"))),
            Some(Value::String(text)) if text.is_empty() => fault("the text is empty".to_owned()),
            Some(Value::String(text)) if text.len() > self.rules.field_bytes_max as usize => {
                fault(format!(
                    "the text has {} bytes, the limit is {}",
                    text.len(),
                    self.rules.field_bytes_max
                ))
            }
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => fault("the value is not a string".to_owned()),
        }
    }
}

fn schema_fault(error: &ValidationError<'_>) -> Fault {
    // Masked: the plain message quotes the offending value, which may be the whole row.
    Fault { pointer: error.instance_path().to_string(), reason: error.masked().to_string() }
}

fn whole_row(reason: String) -> Fault {
    Fault { pointer: String::new(), reason }
}
