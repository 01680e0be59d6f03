//! Eval specs: the immutable TOML file, its lock, and the id that everything downstream refers to.
//!
//! Parsing is strict: an unknown key, a zero where a count is needed or a shape that does not
//! divide is refused with the key's name. Reading files and comparing digests is the node crate's
//! work.

mod checks;
mod lock;
mod model;
mod validate;

pub use checks::{Checks, CopiesRule, KnownRule, ScriptRule, Shape, VarietyRule};
pub use lock::{PinnedSpec, SpecLock};
pub use model::{BertShape, LlamaShape, Model, Piece};

use crate::hash::BenchmarkRoot;
use crate::limits::SPEC_BYTES_MAX;
use crate::plan::BatchShape;
use crate::units::{Bytes, Fuel, Micro, MicroNats};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU16, NonZeroU32};
use validate::validate;

/// The spec formats that this version reads. From format 2 on there is [`Spec::checks`]; from
/// format 3 on there may be [`BenchmarkCommitment::drawn`].
pub const SPEC_FORMATS: std::ops::RangeInclusive<u16> = 1..=3;

/// A spec or its lock is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Larger than [`SPEC_BYTES_MAX`].
    #[error("larger than {} bytes", SPEC_BYTES_MAX.0)]
    TooLarge,
    /// Not TOML, or not the keys and types of the format.
    #[error("{0}")]
    Syntax(String),
    /// A value that the format allows but its meaning does not.
    #[error("{key}: {reason}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The lock does not pin exactly what the spec names.
    #[error("spec.lock: {0}")]
    Lock(String),
}

/// What a market pays for. Each is a subject that subnets of this kind reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Domain {
    /// Financial documents.
    Finance,
    /// Medicine and care.
    Health,
    /// Law.
    Legal,
    /// Customer support.
    Support,
    /// Following instructions.
    Instruction,
    /// Structured reasoning.
    Reasoning,
}

/// What a row is and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowRules {
    /// File beside the spec with the rows' JSON Schema (draft 2020-12).
    pub schema: String,
    /// Top-level string property that the model is shown.
    pub input: String,
    /// Top-level string property that it learns to answer.
    pub output: String,
    /// Fewest rows accepted.
    pub count_min: NonZeroU32,
    /// Most rows accepted.
    pub count_max: NonZeroU32,
    /// Longest input or output, in UTF-8 bytes.
    pub field_bytes_max: NonZeroU32,
}

/// The guest kernels, by file name without `.wasm` under `eval-specs/kernels/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// Checks rows.
    pub schema: String,
    /// Turns text into token ids.
    pub tokenizer: String,
}

/// Limits of one kernel call. A call that passes one rejects the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelLimits {
    /// Fuel.
    pub fuel_per_call: Fuel,
    /// Linear memory.
    pub memory_bytes_max: Bytes,
    /// Rows handed to one call.
    pub rows_per_call: NonZeroU32,
}

/// Which parameters fine-tuning moves. The others are frozen: the output of the blocks before the
/// first trained one is a function of the pinned weights and the row alone, and is computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Method {
    /// Every parameter.
    Full,
    /// Every parameter of the last blocks, and the final norm.
    LastLayers {
        /// How many blocks.
        layers: NonZeroU32,
    },
    /// Low-rank adapters on every projection of the last blocks (Hu et al. 2021, section 4.1): A is
    /// random by the epoch seed, B starts as 0.
    Lora {
        /// How many blocks.
        layers: NonZeroU32,
        /// Inner width of an adapter.
        rank: NonZeroU32,
        /// What an adapter's output is multiplied by: the paper's α / r.
        scale_micro: Micro,
    },
}

/// Fine-tuning: AdamW with linear warm-up and linear decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained.
    pub method: Method,
    /// Passes over the rows.
    pub epochs: NonZeroU32,
    /// Rows per step.
    pub batch_rows: NonZeroU32,
    /// Positions per row; a row has at most one token more.
    pub positions: NonZeroU32,
    /// Most tokens of an output: logits are computed for these positions only.
    pub output_tokens: NonZeroU32,
    /// Peak learning rate.
    pub learning_rate_micro: Micro,
    /// Share of the steps that warm up.
    pub warmup_micro: Micro,
    /// Learning rate of the last step as a share of the peak.
    pub final_rate_micro: Micro,
    /// AdamW β₁.
    pub beta1_micro: Micro,
    /// AdamW β₂.
    pub beta2_micro: Micro,
    /// AdamW ε in 10⁻⁹.
    pub epsilon_nano: NonZeroU32,
    /// Decoupled weight decay.
    pub weight_decay_micro: Micro,
    /// Largest global gradient norm; larger gradients are scaled down to it.
    pub clip_norm_micro: Micro,
    /// Commit a state root every so many steps.
    pub state_root_every: NonZeroU32,
}

impl Recipe {
    /// The shape of every training batch.
    #[must_use]
    pub fn batch_shape(&self) -> BatchShape {
        BatchShape {
            rows: self.batch_rows,
            positions: self.positions,
            output_tokens: self.output_tokens,
        }
    }

    /// Whether the state is committed to after so many of a run's steps.
    #[must_use]
    pub fn commits_after(&self, taken: u32, total: u32) -> bool {
        taken.is_multiple_of(self.state_root_every.get()) || taken == total
    }
}

/// How arithmetic is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numerics {
    /// The semantics of every operator.
    pub profile: NumericProfile,
    /// Bits that the operands of a product keep, 8 to 22: fewer are faster, more are finer.
    pub operand_bits: u32,
}

/// Semantics of the operators. A published profile never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NumericProfile {
    /// Exact sums over snapped operands: the same bits everywhere.
    #[serde(rename = "exact-1")]
    Exact1,
}

/// Commitment to the hidden rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkCommitment {
    /// Their Merkle root.
    pub root: BenchmarkRoot,
    /// How many there are.
    pub rows: NonZeroU32,
    /// How many of them an epoch's seed draws, for its evaluations to be measured on; see
    /// [`crate::benchmark::drawn_places`]. Without it they are measured on all. A key of format 3,
    /// not encoded where it is absent, so that ids of earlier formats are what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<NonZeroU32>,
    /// Candidates of each.
    pub candidates: NonZeroU32,
    /// Name of the public set it was drawn from, when it can be rebuilt by anyone (demonstrations
    /// only).
    pub public_set: Option<String>,
}

impl BenchmarkCommitment {
    /// How many rows an evaluation is measured on.
    #[must_use]
    pub fn measured(&self) -> NonZeroU32 {
        self.drawn.unwrap_or(self.rows)
    }
}

/// What is measured on the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `CL`: mean over rows of −ln of the right candidate's share.
    Choice,
    /// Mean −ln p per output token of the right answers. Needs no wrong candidates.
    Nll,
}

/// What is paid for, in nats. `K` is the number of candidates of a row, so that `ln K` is the
/// choice loss of chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "rule")]
#[non_exhaustive]
pub enum ScoreRule {
    /// `ln K − CL`: how much better than chance the model tells the right candidate from the wrong
    /// ones.
    Choice {
        /// Lift at or below this earns nothing.
        margin_micronats: MicroNats,
    },
    /// The measure of a control minus that of the trained model: what the pairing of inputs and
    /// outputs taught. The control is a second copy trained alike on the same rows, their outputs
    /// permuted by the epoch seed ([`crate::plan::shuffle_outputs`]). Gate: a model that is no
    /// better than chance (`choice`) or than the untrained reference (`nll`) earns nothing, however
    /// bad its control.
    Control {
        /// What is compared.
        measure: Measure,
        /// Lift at or below this earns nothing.
        margin_micronats: MicroNats,
    },
    /// Training starts from a reference that knows the format and nothing else: the pinned one
    /// trained by the same recipe on public rows whose outputs are permuted anew for each pass
    /// ([`crate::plan::TokenPlan::reshuffled`]). With `nll`, pays the NLL of this warmed reference
    /// minus that of the trained model. With `choice`, pays `ln K − CL`, and nothing unless the NLL
    /// has fallen below the warmed reference's.
    Warmed {
        /// What is paid.
        measure: Measure,
        /// File beside the spec with the public rows: JSON Lines of the spec's own schema.
        rows: String,
        /// Passes over them.
        epochs: NonZeroU32,
        /// Lift at or below this earns nothing.
        margin_micronats: MicroNats,
    },
}

impl ScoreRule {
    /// Lift at or below this earns nothing.
    #[must_use]
    pub fn margin(&self) -> MicroNats {
        match self {
            Self::Choice { margin_micronats }
            | Self::Control { margin_micronats, .. }
            | Self::Warmed { margin_micronats, .. } => *margin_micronats,
        }
    }

    /// What is measured.
    #[must_use]
    pub fn measure(&self) -> Measure {
        match self {
            Self::Choice { .. } => Measure::Choice,
            Self::Control { measure, .. } | Self::Warmed { measure, .. } => *measure,
        }
    }

    /// Whether outputs are put to other prompts, so that any output must fit behind any prompt.
    #[must_use]
    pub fn shuffles(&self) -> bool {
        !matches!(self, Self::Choice { .. })
    }
}

/// An eval spec. Built by [`Spec::parse`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spec {
    /// One of [`SPEC_FORMATS`].
    pub format: u16,
    /// Folder name under `eval-specs/`.
    pub name: String,
    /// Folder name below that.
    pub version: NonZeroU16,
    /// One line for people.
    pub title: String,
    /// Subject.
    pub domain: Domain,
    /// Arithmetic.
    pub numerics: Numerics,
    /// Row rules.
    pub rows: RowRules,
    /// Kernels.
    pub kernels: Kernels,
    /// Kernel limits.
    pub limits: KernelLimits,
    /// Reference model.
    pub model: Model,
    /// Training recipe.
    pub training: Recipe,
    /// Benchmark commitment.
    pub benchmark: BenchmarkCommitment,
    /// Score rule.
    pub score: ScoreRule,
    /// What is demanded of a dataset beyond its schema: there from format 2 on, and not encoded
    /// before, so that ids of format 1 are what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
}

impl Spec {
    /// Parses and validates `spec.toml`.
    ///
    /// # Errors
    /// [`SpecError`] naming the key and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() as u64 > SPEC_BYTES_MAX.0 {
            return Err(SpecError::TooLarge);
        }
        let spec: Self = toml::from_str(text).map_err(|e| SpecError::Syntax(e.to_string()))?;
        validate(&spec)?;
        Ok(spec)
    }

    /// The files beside the spec that its lock pins.
    #[must_use]
    pub fn files(&self) -> Vec<&String> {
        let warm = match &self.score {
            ScoreRule::Warmed { rows, .. } => Some(rows),
            ScoreRule::Choice { .. } | ScoreRule::Control { .. } => None,
        };
        let checks = self.checks.iter().flat_map(Checks::files);
        std::iter::once(&self.rows.schema).chain(warm).chain(checks).collect()
    }

    /// The kernels that its lock pins.
    #[must_use]
    pub fn kernels(&self) -> Vec<&String> {
        let Kernels { schema, tokenizer } = &self.kernels;
        [schema, tokenizer]
            .into_iter()
            .chain(self.checks.iter().flat_map(Checks::kernels))
            .collect()
    }

    /// How rows say what the model is shown and what it should say.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        self.checks.as_ref().map_or(&Shape::Pair, |checks| &checks.shape)
    }

    /// `name@version`, as the command line takes it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}
