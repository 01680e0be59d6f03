//! The kernels' part: are these rows what the spec asks for, and what are they as tokens?
//!
//! Everything that reads a miner's bytes runs in the sandbox. What the submission is to blame for
//! becomes a fault in its report; what it is not becomes an [`EvaluateError`].

use crate::calls::{self, in_order};
use crate::error::EvaluateError;
use crate::tally::Tally;
use crate::world::{Pinned, Progress, World};
use dataforge_core::dataset::{CheckReport, RawSubmission, Row};
use dataforge_core::hash::{FileDigest, RowFingerprint, file_digest};
use dataforge_core::plan::TokenRow;
use dataforge_core::spec::{Piece, PinnedSpec, RowRules, Spec};
use dataforge_sandbox::{
    KernelLimits, RowOutcome, Sandbox, SandboxError, SchemaKernel, SchemaRules, TokenizerKernel,
};
use std::time::Duration;

/// Rows that passed every rule, with their tokens. Built by [`Inspector::inspect`] alone.
#[derive(Debug, Clone)]
pub struct Accepted {
    rows: Vec<Row>,
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
    pub fn fingerprints(&self) -> Vec<RowFingerprint> {
        self.rows.iter().map(Row::fingerprint).collect()
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
    spec: Spec,
    schema_json: String,
    tokenizer_json: Vec<u8>,
    schema: SchemaKernel,
    tokenizer: TokenizerKernel,
    calls_at_once: usize,
}

impl Inspector {
    /// Loads the kernels and what they need, and checks each against the lock.
    ///
    /// # Errors
    /// [`EvaluateError::World`], [`EvaluateError::Tampered`] or [`EvaluateError::Kernel`].
    pub fn load(world: &dyn World, pinned: &PinnedSpec) -> Result<Self, EvaluateError> {
        let (spec, lock) = (pinned.spec(), pinned.lock());
        let schema_json = read(world, Pinned::File(&spec.rows.schema), &lock.files)?;
        let schema_json = String::from_utf8(schema_json).map_err(|_| EvaluateError::Material {
            what: Pinned::File(&spec.rows.schema).to_string(),
            reason: "not UTF-8".into(),
        })?;
        let tokenizer_json = read(world, Pinned::Artifact(&spec.model.tokenizer), &lock.artifacts)?;
        let schema = read(world, Pinned::Kernel(&spec.kernels.schema), &lock.kernels)?;
        let tokenizer = read(world, Pinned::Kernel(&spec.kernels.tokenizer), &lock.kernels)?;
        let limits = KernelLimits {
            fuel_per_call: spec.limits.fuel_per_call.0,
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
            schema_json,
            tokenizer_json,
            calls_at_once: calls::at_once(world.engine_options().threads),
            spec: spec.clone(),
        })
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
        let mut tally = Tally::of(total);
        let start = world.elapsed();
        tally.count(total, &self.spec.rows);
        let rows = self.check(world, raw.lines(), &mut tally)?;
        let checked = world.elapsed();
        let tokens = self.tokenise_rows(&rows, &mut tally)?;
        // After a call that failed, rows behind it are not seen; the report counts them all.
        tally.rows = total;
        let report = tally.report();
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        let accepted = report.accepted().then_some(Accepted { rows, tokens });
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
        let rules = SchemaRules {
            schema_json: &self.schema_json,
            input_field: &self.spec.rows.input,
            output_field: &self.spec.rows.output,
            field_bytes_max: self.spec.rows.field_bytes_max.get(),
        };
        let mut rows = Vec::new();
        let per_call = self.spec.limits.rows_per_call.get() as usize;
        let calls = calls::cut(lines, per_call, |line| line.len());
        let checked = in_order(self.calls_at_once, calls, |lines| self.schema.check(&rules, lines));
        for (lines, checked) in checked {
            if world.cancelled() {
                return Err(EvaluateError::Cancelled);
            }
            let first = tally.rows + 1;
            let checked = match blame(checked, &self.spec.kernels.schema)? {
                Ok(checked) => checked,
                Err(reason) => {
                    let last = tally.rows as usize + lines.len();
                    tally.add(0, "", format!("rows {first} to {last}: {reason}"));
                    return Ok(rows);
                }
            };
            tally.fuel += checked.fuel;
            for (row, outcome) in (first..).zip(checked.rows) {
                match outcome {
                    RowOutcome::Row { input, output } => rows.push((row, Row { input, output })),
                    RowOutcome::Fault { pointer, reason } => tally.add(row, &pointer, reason),
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
        let mut tally = Tally::of(raw.lines().len() as u32);
        let rows = self.check(world, raw.lines(), &mut tally)?;
        let tokens = self.tokenise_rows(&rows, &mut tally)?;
        match tally.first_fault() {
            Some(fault) => Err(bad(fault.to_string())),
            None => Ok(tokens),
        }
    }

    /// Tokenises rows, if no row has been at fault: what is not accepted need not be trained on.
    pub(crate) fn tokenise_rows(
        &self,
        rows: &[(u32, Row)],
        tally: &mut Tally,
    ) -> Result<Vec<TokenRow>, EvaluateError> {
        if tally.first_fault().is_some() {
            return Ok(vec![]);
        }
        let pairs: Vec<_> =
            rows.iter().map(|(_, row)| (row.input.as_str(), row.output.as_str())).collect();
        let tokenised = match self.tokenise(&pairs, &mut tally.fuel)? {
            Ok(tokenised) => tokenised,
            Err(reason) => {
                tally.add(0, "", reason);
                return Ok(vec![]);
            }
        };
        let mut tokens = Vec::with_capacity(rows.len());
        for ((row, _), tokenised) in rows.iter().zip(tokenised) {
            match tokenised {
                Ok(row) => tokens.push(row),
                Err(reason) => tally.add(*row, "", reason),
            }
        }
        Ok(tokens)
    }

    /// Pairs of input and output as tokens; the outer error is the kernel's, to be blamed on the
    /// text.
    pub(crate) fn tokenise(
        &self,
        pairs: &[(&str, &str)],
        fuel: &mut u64,
    ) -> Result<Result<Vec<Result<TokenRow, String>>, String>, EvaluateError> {
        let model = &self.spec.model;
        let rows: Vec<[Vec<Piece>; 2]> = pairs
            .iter()
            .map(|(input, output)| {
                [
                    framed(&model.before_input, input, &model.after_input),
                    framed(&model.before_output, output, &model.after_output),
                ]
            })
            .collect();
        let texts: Vec<&str> = rows.iter().flatten().flatten().filter_map(Piece::text).collect();
        let per_call = 2 * self.spec.limits.rows_per_call.get() as usize;
        let mut ids = Vec::with_capacity(texts.len());
        let calls = calls::cut(&texts, per_call, |text| text.len());
        let encode = |texts: &[&str]| self.tokenizer.encode(&self.tokenizer_json, texts);
        for (_, encoded) in in_order(self.calls_at_once, calls, encode) {
            match blame(encoded, &self.spec.kernels.tokenizer)? {
                Ok(encoded) => {
                    *fuel += encoded.fuel;
                    ids.extend(encoded.ids);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let mut ids = ids.into_iter();
        let mut tokens = |pieces: &[Piece]| -> Vec<u32> {
            let tokens = |piece: &Piece| match piece {
                Piece::Text(_) => ids.next().unwrap_or_default(),
                Piece::Token(id) => vec![*id],
            };
            pieces.iter().flat_map(tokens).collect()
        };
        let row = |row: &[Vec<Piece>; 2]| {
            let [prompt, output] = row.each_ref().map(|pieces| tokens(pieces));
            self.token_row(&prompt, &output)
        };
        Ok(Ok(rows.iter().map(row).collect()))
    }

    fn token_row(&self, prompt: &[u32], output: &[u32]) -> Result<TokenRow, String> {
        let most = self.spec.training.positions.get() as usize + 1;
        let count = prompt.len() + output.len();
        let vocabulary = self.spec.model.llama.vocabulary.get();
        if prompt.is_empty() || output.is_empty() {
            return Err("the input or the output has no tokens".into());
        }
        if count > most {
            return Err(format!("{count} tokens, the spec allows {most}"));
        }
        let slots = self.spec.training.output_tokens.get() as usize;
        if output.len() > slots {
            return Err(format!("{} output tokens, the spec allows {slots}", output.len()));
        }
        // Cutting what does not fit would let unequal lengths spoil a control.
        if self.spec.score.shuffles() && prompt.len() > most - slots {
            let room = most - slots;
            return Err(format!(
                "{} prompt tokens, the spec allows {room} before any output",
                prompt.len()
            ));
        }
        if let Some(id) = prompt.iter().chain(output).find(|id| **id >= vocabulary) {
            return Err(format!("token id {id} is not in the model's vocabulary of {vocabulary}"));
        }
        Ok(TokenRow { ids: [prompt, output].concat(), prompt_tokens: prompt.len() as u32 })
    }
}

/// A field with its template: texts that touch are one text, and none is empty.
fn framed(before: &[Piece], field: &str, after: &[Piece]) -> Vec<Piece> {
    let field = Piece::Text(field.to_owned());
    let mut framed: Vec<Piece> = Vec::new();
    for piece in before.iter().chain([&field]).chain(after) {
        match (framed.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(so_far)), Piece::Text(text)) => so_far.push_str(text),
            _ => framed.push(piece.clone()),
        }
    }
    framed
}

/// Sorts a kernel's error: `Ok(Err(reason))` when the submission is to blame, since it made the
/// kernel run out of what the spec grants.
fn blame<T>(
    result: Result<T, SandboxError>,
    kernel: &str,
) -> Result<Result<T, String>, EvaluateError> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(
            error @ (SandboxError::OutOfFuel { .. }
            | SandboxError::OutOfMemory { .. }
            | SandboxError::OutputTooLarge { .. }
            | SandboxError::Trap(_)),
        ) => Ok(Err(error.to_string())),
        Err(source) => Err(in_kernel(kernel)(source)),
    }
}

pub(crate) fn in_kernel(kernel: &str) -> impl Fn(SandboxError) -> EvaluateError + '_ {
    move |source| EvaluateError::Kernel { kernel: kernel.to_owned(), source }
}

/// Reads something pinned and compares its digest with the lock's.
pub(crate) fn read(
    world: &dyn World,
    what: Pinned<'_>,
    lock: &std::collections::BTreeMap<String, FileDigest>,
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
