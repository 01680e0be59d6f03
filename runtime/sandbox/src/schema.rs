//! Kernels of the WIT world `schema`: do these rows have the shape that the spec asks for?
//!
//! The types here mirror `wit/1.0.0/kernel.wit`, which says what they mean. Counting rows is not
//! done here: it needs the whole dataset, and a call sees a batch.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::SandboxError;
use crate::kernel::{Function, Kernel, check_count, list_bytes};

/// What the eval spec demands of one row.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct SchemaRules<'a> {
    /// A JSON Schema, draft 2020-12, as JSON text. References to other documents are refused.
    #[component(name = "schema-json")]
    pub schema_json: &'a str,
    /// Name of the top-level member that holds the model's input text.
    #[component(name = "input-field")]
    pub input_field: &'a str,
    /// Name of the top-level member that holds the expected output text.
    #[component(name = "output-field")]
    pub output_field: &'a str,
    /// Most bytes of UTF-8 that either field may have. The least is one byte.
    #[component(name = "field-bytes-max")]
    pub field_bytes_max: u32,
}

/// What the kernel found in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// The row passed every rule; these are its two texts.
    Row {
        /// What the model is given.
        input: String,
        /// What it should say.
        output: String,
    },
    /// The first rule that the row breaks.
    Fault {
        /// JSON pointer (RFC 6901) into the row, empty for the row as a whole.
        pointer: String,
        /// One line for a person.
        reason: String,
    },
}

/// The answer to [`SchemaKernel::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// One outcome for each line, in order.
    pub rows: Vec<RowOutcome>,
    /// Fuel that the call took: the same on every machine.
    pub fuel: u64,
}

/// A compiled schema kernel.
pub struct SchemaKernel(pub(crate) Kernel<Check>);

impl SchemaKernel {
    /// Checks raw lines of a JSON Lines file, without their line ends.
    ///
    /// Faults of rows are values. The errors are those of [`SandboxError`]; a schema that cannot be
    /// used is [`SandboxError::Reported`].
    pub fn check(&self, rules: &SchemaRules<'_>, lines: &[&[u8]]) -> Result<Checked, SandboxError> {
        let texts = [rules.schema_json, rules.input_field, rules.output_field];
        let bytes = list_bytes(texts.iter().map(|text| text.len()))
            + list_bytes(lines.iter().map(|line| line.len()));
        let (outcomes, fuel) = self.0.call((*rules, lines), bytes)?;
        check_count("lines", outcomes.len(), lines.len())?;
        Ok(Checked { rows: outcomes.into_iter().map(RowOutcome::from).collect(), fuel })
    }
}

pub(crate) enum Check {}

impl Function for Check {
    const INTERFACE: &'static str = "dataforge:kernel/rows@1.0.0";
    const NAME: &'static str = "check";
    type Params<'a> = (SchemaRules<'a>, &'a [&'a [u8]]);
    type Answer = Vec<Outcome>;
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Outcome {
    #[component(name = "ok")]
    Ok(Row),
    #[component(name = "fault")]
    Fault(Fault),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Row {
    input: String,
    output: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Fault {
    pointer: String,
    reason: String,
}

impl From<Outcome> for RowOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok(Row { input, output }) => Self::Row { input, output },
            Outcome::Fault(Fault { pointer, reason }) => Self::Fault { pointer, reason },
        }
    }
}
