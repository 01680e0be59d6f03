//! The kernels' part: are these rows what the spec asks for, and what are they as tokens?
//!
//! Everything that reads a miner's bytes runs in the sandbox. What the submission is to blame for
//! becomes a fault in its report; what it is not becomes an [`EvaluateError`].

use crate::calls::{self, in_order};
use crate::error::EvaluateError;
use crate::rules::{Gist, Rules};
use crate::tally::{FaultKind, Tally};
use crate::world::{Pinned, Progress, World};
use dataforge_core::dataset::{CheckReport, RawSubmission, Row};
use dataforge_core::hash::{FileDigest, RowFingerprint, file_digest};
use dataforge_core::limits::{REPORTED_FAULTS_MAX, SPEC_BYTES_MAX};
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::{PinnedSpec, RowRules, Shape, Spec};
use dataforge_sandbox::{
    KernelLimits, RowOutcome, Sandbox, SandboxError, SchemaKernel, SchemaRules, TokenizerKernel,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows that passed every rule, with their tokens. Built by [`Inspector::inspect`] alone.
#[derive(Debug, Clone)]
pub struct Accepted {
    fingerprints: Vec<RowFingerprint>,
    tokens: Vec<TokenRow>,
}

impl Accepted {
    /// The rows as token ids, in order.
    #[must_use]
    pub fn tokens(&self) -> &[TokenRow] {
        &self.tokens
    }

    /// One digest per row that trivial edits do not change.
    #[must_use]
    pub fn fingerprints(&self) -> &[RowFingerprint] {
        &self.fingerprints
    }
}

/// What the kernels found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The report that a proof commits to.
    pub report: CheckReport,
    /// The rows, when nothing is wrong with them.
    pub accepted: Option<Accepted>,
    /// Advisory: time in the schema kernel and around it.
    pub checking: Duration,
    /// Advisory: time in the tokenizer kernel and around it.
    pub tokenising: Duration,
}

/// The kernels of one spec, loaded and verified.
pub struct Inspector {
    pub(crate) spec: Spec,
    schema_json: String,
    pub(crate) tokenizer_json: Vec<u8>,
    /// Of a dialogue's spec.
    pub(crate) template: Option<String>,
    schema: SchemaKernel,
    pub(crate) tokenizer: TokenizerKernel,
    pub(crate) rules: Rules,
    pub(crate) calls_at_once: usize,
}

impl Inspector {
    /// Loads the kernels and what they need, and checks each against the lock.
    ///
    /// # Errors
    /// [`EvaluateError::World`], [`EvaluateError::Tampered`] or [`EvaluateError::Kernel`].
    pub fn load(world: &dyn World, pinned: &PinnedSpec) -> Result<Self, EvaluateError> {
        let (spec, lock) = (pinned.spec(), pinned.lock());
        let text = |name: &str| {
            let bytes = read_file(world, name, &lock.files)?;
            String::from_utf8(bytes).map_err(|_| EvaluateError::Material {
                what: Pinned::File(name).to_string(),
                reason: "not UTF-8".into(),
            })
        };
        let template = match spec.shape() {
            Shape::Dialogue { template, .. } => Some(text(template)?),
            Shape::Pair | Shape::Reasoning { .. } | Shape::Choice { .. } => None,
        };
        let tokenizer_json = read(world, Pinned::Artifact(&spec.model.tokenizer), &lock.artifacts)?;
        let schema = read(world, Pinned::Kernel(&spec.kernels.schema), &lock.kernels)?;
        let tokenizer = read(world, Pinned::Kernel(&spec.kernels.tokenizer), &lock.kernels)?;
        let limits = KernelLimits {
            fuel_per_call: spec.limits.fuel_per_call.0,
            fuel_per_item: spec.checks.as_ref().map_or(0, |checks| checks.fuel_per_row.0),
            memory_bytes_max: spec.limits.memory_bytes_max.0,
            ..KernelLimits::default()
        };
        let sandbox = Sandbox::new().map_err(in_kernel(&spec.kernels.schema))?;
        let sandbox = sandbox.keeping(world.code());
        Ok(Self {
            schema: sandbox
                .schema_kernel(&schema, limits)
                .map_err(in_kernel(&spec.kernels.schema))?,
            tokenizer: sandbox
                .tokenizer_kernel(&tokenizer, limits)
                .map_err(in_kernel(&spec.kernels.tokenizer))?,
            rules: Rules::load(world, pinned, &sandbox, limits)?,
            schema_json: text(&spec.rows.schema)?,
            tokenizer_json,
            template,
            calls_at_once: calls::at_once(world.engine_options().threads),
            spec: spec.clone(),
        })
    }

    /// The tokenizer's kernel, by its name.
    pub(crate) fn tokenizer(&self) -> (&str, &TokenizerKernel) {
        (&self.spec.kernels.tokenizer, &self.tokenizer)
    }

    /// The pinned `tokenizer.json`.
    pub(crate) fn tokenizer_json(&self) -> &[u8] {
        &self.tokenizer_json
    }

    /// Checks and tokenises a submission.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`] when a kernel fails through no fault of the submission, and
    /// [`EvaluateError::Cancelled`].
    pub fn inspect(
        &self,
        world: &dyn World,
        raw: &RawSubmission<'_>,
    ) -> Result<Inspection, EvaluateError> {
        let total = raw.lines().len() as u32;
        let mut tally = Tally::new(total, REPORTED_FAULTS_MAX);
        let start = world.elapsed();
        tally.count(total, &self.spec.rows);
        let rows = self.check(world, raw.lines(), &mut tally)?;
        let mut gist = Gist::default();
        self.rules.add(world, raw.lines(), 1, &rows, &mut gist, &mut tally)?;
        self.rules.judge(&gist, &mut tally)?;
        let checked = world.elapsed();
        let tokens = self.tokenise_faultless(world, &rows, &mut tally)?;
        // After a call that failed, rows behind it are not seen; the report counts them all.
        tally.rows = total;
        let report = tally.report();
        let accepted = match report.accepted() {
            true => Some(Accepted { fingerprints: self.rules.fingerprints(&rows)?, tokens }),
            false => None,
        };
        let (checking, tokenising) = (checked - start, world.elapsed() - checked);
        Ok(Inspection { report, accepted, checking, tokenising })
    }

    /// The rules of the spec that are about the dataset as a whole.
    pub(crate) fn row_rules(&self) -> &RowRules {
        &self.spec.rows
    }

    /// Checks the next lines of a dataset. Gives the rows that pass, with their numbers.
    pub(crate) fn check(
        &self,
        world: &dyn World,
        lines: &[&[u8]],
        tally: &mut Tally,
    ) -> Result<Vec<(u32, Row)>, EvaluateError> {
        let scripts = self.spec.checks.as_ref().and_then(|checks| checks.script.as_ref());
        let codes: Vec<&str> =
            scripts.iter().flat_map(|rule| &rule.any_of).map(String::as_str).collect();
        let rules = SchemaRules {
            schema_json: &self.schema_json,
            shape: shape(self.spec.shape()),
            input: &self.spec.rows.input,
            output: &self.spec.rows.output,
            text_bytes_max: self.spec.rows.field_bytes_max.get(),
            scripts: &codes,
            script_ppm_min: scripts.map_or(0, |rule| rule.share_min_ppm.0),
        };
        let mut rows = Vec::new();
        let per_call = self.spec.limits.rows_per_call.get() as usize;
        let calls = calls::cut(lines, per_call, |line| line.len());
        let check = |lines: &[&[u8]]| self.schema.check(&rules, lines);
        for checked in in_order(self.calls_at_once, || world.cancelled(), calls, check) {
            let (lines, checked) = checked?;
            let first = tally.rows + 1;
            let checked = match blame(checked, &self.spec.kernels.schema)? {
                Ok(checked) => checked,
                Err(reason) => {
                    let last = tally.rows as usize + lines.len();
                    let reason = format!("rows {first} to {last}: {reason}");
                    tally.add(FaultKind::Dataset, 0, "", reason);
                    return Ok(rows);
                }
            };
            tally.fuel += checked.fuel;
            for (row, outcome) in (first..).zip(checked.rows) {
                match outcome {
                    RowOutcome::Row { input, output } => rows.push((row, Row { input, output })),
                    RowOutcome::Fault { pointer, reason } => {
                        tally.add(kind_of(&reason), row, &pointer, reason);
                    }
                }
            }
            tally.rows += lines.len() as u32;
            let total = tally.expected.max(tally.rows);
            world.progress(Progress::Checked { rows: tally.rows, total });
        }
        Ok(rows)
    }

    /// Rows that come with the spec, checked and tokenised as a submission's are, but for their
    /// number.
    ///
    /// # Errors
    /// [`EvaluateError::Material`] naming the file and its first fault, and what
    /// [`Inspector::inspect`] gives.
    pub(crate) fn pinned_rows(
        &self,
        world: &dyn World,
        name: &str,
        bytes: &[u8],
    ) -> Result<Vec<TokenRow>, EvaluateError> {
        let bad = |reason: String| EvaluateError::Material {
            what: Pinned::File(name).to_string(),
            reason,
        };
        let raw = RawSubmission::split(bytes).map_err(|error| bad(error.to_string()))?;
        let mut tally = Tally::new(raw.lines().len() as u32, 0);
        let rows = self.check(world, raw.lines(), &mut tally)?;
        let tokens = self.tokenise_faultless(world, &rows, &mut tally)?;
        match tally.first_fault() {
            Some(fault) => Err(bad(fault.to_string())),
            None => Ok(tokens),
        }
    }
}

/// By what every version of the schema kernel says of a line that is no JSON text.
fn kind_of(reason: &str) -> FaultKind {
    let unreadable = ["invalid UTF-8", "malformed JSON"].iter().any(|it| reason.starts_with(it));
    if unreadable { FaultKind::Unreadable } else { FaultKind::Schema }
}

/// As the schema kernel has it.
fn shape(shape: &Shape) -> dataforge_sandbox::Shape<'_> {
    match shape {
        Shape::Pair => dataforge_sandbox::Shape::Pair,
        Shape::Dialogue { .. } => dataforge_sandbox::Shape::Dialogue,
        Shape::Reasoning { steps } => dataforge_sandbox::Shape::Reasoning(steps),
        Shape::Choice { choices } => dataforge_sandbox::Shape::Choice(choices),
    }
}

/// Sorts a kernel's error: `Ok(Err(reason))` when the submission is to blame, since it made the
/// kernel run out of what the spec grants.
pub(crate) fn blame<T>(
    result: Result<T, SandboxError>,
    kernel: &str,
) -> Result<Result<T, String>, EvaluateError> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(
            error @ (SandboxError::OutOfFuel { .. }
            | SandboxError::OutOfMemory { .. }
            | SandboxError::OutputTooLarge { .. }
            | SandboxError::Exit { .. }
            | SandboxError::Trap { .. }),
        ) => Ok(Err(error.to_string())),
        Err(source) => Err(in_kernel(kernel)(source)),
    }
}

pub(crate) fn in_kernel(kernel: &str) -> impl Fn(SandboxError) -> EvaluateError + '_ {
    move |source| EvaluateError::Kernel { kernel: kernel.to_owned(), source }
}

/// Reads a file beside the spec that is no index.
pub(crate) fn read_file(
    world: &dyn World,
    name: &str,
    lock: &BTreeMap<String, FileDigest>,
) -> Result<Vec<u8>, EvaluateError> {
    let bytes = read(world, Pinned::File(name), lock)?;
    if bytes.len() as u64 > SPEC_BYTES_MAX.0 {
        let reason = format!("{} bytes, at most {} are read", bytes.len(), SPEC_BYTES_MAX.0);
        return Err(EvaluateError::Material { what: Pinned::File(name).to_string(), reason });
    }
    Ok(bytes)
}

/// Reads something pinned and compares its digest with the lock's.
pub(crate) fn read(
    world: &dyn World,
    what: Pinned<'_>,
    lock: &BTreeMap<String, FileDigest>,
) -> Result<Vec<u8>, EvaluateError> {
    let (Pinned::File(name) | Pinned::Kernel(name) | Pinned::Artifact(name)) = what;
    let bytes = world.read(what).map_err(EvaluateError::World)?;
    let found = file_digest(&bytes);
    match lock.get(name) {
        Some(pinned) if *pinned == found => Ok(bytes),
        Some(pinned) => {
            Err(EvaluateError::Tampered { what: what.to_string(), found, pinned: *pinned })
        }
        None => Err(EvaluateError::Material {
            what: what.to_string(),
            reason: "not in spec.lock".into(),
        }),
    }
}
