//! Kernels of the WIT world `schema`: do these rows have the shape that the spec asks for?
//!
//! The types here mirror `wit/1.0.0/kernel.wit` and `wit/2.0.0/kernel.wit`, which say what they
//! mean. Counting rows is not done here: it needs the whole dataset, and a call sees a batch.

use wasmtime::component::{Component, ComponentType, Lift, Lower};

use crate::kernel::{Function, Kernel, check_count, exports, list_bytes};
use crate::message::bounded;
use crate::{KernelLimits, SandboxError};

/// How a row says what the model is shown and what it should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(variant)]
pub enum Shape<'a> {
    /// Two strings.
    #[component(name = "pair")]
    Pair,
    /// Messages, of which the last is the output.
    #[component(name = "dialogue")]
    Dialogue,
    /// Steps, in the member named here, that lead to the output.
    #[component(name = "reasoning")]
    Reasoning(&'a str),
    /// Choices, in the member named here, one of which is the output.
    #[component(name = "choice")]
    Choice(&'a str),
}

/// What the eval spec demands of one row.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct SchemaRules<'a> {
    /// A JSON Schema, draft 2020-12, as JSON text. References to other documents are refused.
    #[component(name = "schema-json")]
    pub schema_json: &'a str,
    /// Where the texts stand. Kernels of version 1 know pairs alone.
    pub shape: Shape<'a>,
    /// Name of the top-level member that holds the model's input.
    pub input: &'a str,
    /// Name of the top-level member that holds the expected output.
    pub output: &'a str,
    /// Most bytes of UTF-8 that either text may have. The least is one byte.
    #[component(name = "text-bytes-max")]
    pub text_bytes_max: u32,
    /// Scripts that letters should belong to (ISO 15924); none: any. Kernels of version 1 know
    /// none.
    pub scripts: &'a [&'a str],
    /// Least share of the letters that do, in parts per million.
    #[component(name = "script-ppm-min")]
    pub script_ppm_min: u32,
}

impl<'a> SchemaRules<'a> {
    /// Rows of two strings in any script.
    #[must_use]
    pub const fn pair(
        schema_json: &'a str,
        input: &'a str,
        output: &'a str,
        bytes_max: u32,
    ) -> Self {
        Self {
            schema_json,
            shape: Shape::Pair,
            input,
            output,
            text_bytes_max: bytes_max,
            scripts: &[],
            script_ppm_min: 0,
        }
    }

    fn of_version_1(&self) -> Result<PairRules<'a>, SandboxError> {
        if self.shape != Shape::Pair || !self.scripts.is_empty() {
            let reason = "a schema kernel of version 1 knows pairs in any script alone";
            return Err(SandboxError::Reported(reason.to_owned()));
        }
        Ok(PairRules {
            schema_json: self.schema_json,
            input_field: self.input,
            output_field: self.output,
            field_bytes_max: self.text_bytes_max,
        })
    }

    fn bytes(&self) -> u64 {
        let member = match self.shape {
            Shape::Pair | Shape::Dialogue => "",
            Shape::Reasoning(member) | Shape::Choice(member) => member,
        };
        let texts = [self.schema_json, self.input, self.output, member];
        list_bytes(texts.iter().chain(self.scripts).map(|text| text.len()))
    }
}

/// The rules of `wit/1.0.0`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct PairRules<'a> {
    #[component(name = "schema-json")]
    schema_json: &'a str,
    #[component(name = "input-field")]
    input_field: &'a str,
    #[component(name = "output-field")]
    output_field: &'a str,
    #[component(name = "field-bytes-max")]
    field_bytes_max: u32,
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
pub struct SchemaKernel(Version);

enum Version {
    One(Kernel<CheckPairs>),
    Two(Kernel<Check>),
}

impl SchemaKernel {
    pub(crate) fn new(component: &Component, limits: KernelLimits) -> Result<Self, SandboxError> {
        let first = CheckPairs::INTERFACES.iter().any(|name| exports(component, name));
        Ok(Self(match first {
            true => Version::One(Kernel::new(component, limits)?),
            false => Version::Two(Kernel::new(component, limits)?),
        }))
    }

    /// Checks raw lines of a JSON Lines file, without their line ends.
    ///
    /// Faults of rows are values. The errors are those of [`SandboxError`]; a schema that cannot be
    /// used is [`SandboxError::Reported`].
    pub fn check(&self, rules: &SchemaRules<'_>, lines: &[&[u8]]) -> Result<Checked, SandboxError> {
        let (count, bytes) = (lines.len(), list_bytes(lines.iter().map(|line| line.len())));
        let bytes = rules.bytes() + bytes;
        let (outcomes, fuel) = match &self.0 {
            Version::One(kernel) => kernel.call((rules.of_version_1()?, lines), count, bytes)?,
            Version::Two(kernel) => kernel.call((*rules, lines), count, bytes)?,
        };
        check_count("lines", outcomes.len(), lines.len())?;
        Ok(Checked { rows: outcomes.into_iter().map(RowOutcome::from).collect(), fuel })
    }
}

pub(crate) enum CheckPairs {}

impl Function for CheckPairs {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/rows@1.0.0"];
    const NAME: &'static str = "check";
    type Params<'a> = (PairRules<'a>, &'a [&'a [u8]]);
    type Answer = Vec<Outcome>;
}

pub(crate) enum Check {}

impl Function for Check {
    const INTERFACES: &'static [&'static str] = &["dataforge:kernel/rows@2.0.0"];
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
            Outcome::Fault(Fault { pointer, reason }) => {
                Self::Fault { pointer: bounded(&pointer), reason: bounded(&reason) }
            }
        }
    }
}
