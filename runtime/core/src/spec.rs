//! Eval specs: the immutable TOML file, its lock, and the id that everything downstream refers to.
//!
//! Parsing is strict: an unknown key, a zero where a count is needed or a shape that does not
//! divide is refused with the key's name. Reading files and comparing digests is the node crate's
//! work.

use crate::codec;
use crate::hash::{BenchmarkRoot, FileDigest, SpecId, tagged};
use crate::limits::{
    BATCH_TOKENS_MAX, CANDIDATES_MAX, OPERAND_BITS, PARAMETER_ELEMENTS_MAX, SEQUENCE_TOKENS_MAX,
    SPEC_BYTES_MAX, STEPS_MAX, TEMPLATE_PIECES_MAX, WARM_EPOCHS_MAX,
};
use crate::plan::BatchShape;
use crate::units::{Bytes, Fuel, Micro, MicroNats};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

/// The spec format that this version reads.
pub const SPEC_FORMAT: u16 = 1;

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

/// The pinned reference model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Artifact with the weights.
    pub weights: String,
    /// Artifact with the Hugging Face `tokenizer.json`.
    pub tokenizer: String,
    /// Put before a row's input.
    pub before_input: Vec<Piece>,
    /// Follows a row's input before the output begins.
    pub after_input: Vec<Piece>,
    /// Put before an output; belongs to what is learned.
    pub before_output: Vec<Piece>,
    /// Put after an output; belongs to what is learned.
    pub after_output: Vec<Piece>,
    /// Architecture.
    pub llama: LlamaShape,
}

/// A piece of the template around a row's fields. In TOML a string or an integer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PieceValue", rename_all = "kebab-case")]
pub enum Piece {
    /// Text, tokenised together with the text beside it. Never yields a control token, whatever it
    /// spells; nor does a row's text.
    Text(String),
    /// A token by its id: the only way to a control token.
    Token(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PieceValue {
    Text(String),
    Token(u32),
}

impl Piece {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Token(_) => None,
        }
    }
}

impl From<PieceValue> for Piece {
    fn from(value: PieceValue) -> Self {
        match value {
            PieceValue::Text(text) => Self::Text(text),
            PieceValue::Token(id) => Self::Token(id),
        }
    }
}

/// Shape of a llama-family decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaShape {
    /// Token ids.
    pub vocabulary: NonZeroU32,
    /// Width of the residual stream.
    pub width: NonZeroU32,
    /// Transformer blocks.
    pub layers: NonZeroU32,
    /// Query heads; divides the width.
    pub heads: NonZeroU32,
    /// Key and value heads; divides the query heads.
    pub kv_heads: NonZeroU32,
    /// Width of the feed-forward layer.
    pub hidden: NonZeroU32,
    /// Longest sequence the model was made for.
    pub context: NonZeroU32,
    /// Base of the rotary angles.
    pub rope_base: NonZeroU32,
    /// ε of RMSNorm in 10⁻⁹.
    pub norm_epsilon_nano: NonZeroU32,
    /// Whether the output projection is the transposed embedding.
    pub tied_head: bool,
}

/// Shape of a BERT-family encoder: learned positions, LayerNorm after each sublayer, GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertShape {
    /// Token ids.
    pub vocabulary: NonZeroU32,
    /// Width of the residual stream.
    pub width: NonZeroU32,
    /// Transformer blocks.
    pub layers: NonZeroU32,
    /// Attention heads; divides the width.
    pub heads: NonZeroU32,
    /// Width of the feed-forward layer.
    pub hidden: NonZeroU32,
    /// Longest sequence: the number of learned positions.
    pub context: NonZeroU32,
    /// Token types: which of a pair's texts a token belongs to.
    pub types: NonZeroU32,
    /// ε of LayerNorm in 10⁻¹².
    pub norm_epsilon_pico: NonZeroU32,
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
    /// Candidates of each.
    pub candidates: NonZeroU32,
    /// Name of the public set it was drawn from, when it can be rebuilt by anyone (demonstrations
    /// only).
    pub public_set: Option<String>,
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
    /// [`SPEC_FORMAT`].
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
        spec.validate()?;
        Ok(spec)
    }

    /// The files beside the spec that its lock pins.
    #[must_use]
    pub fn files(&self) -> Vec<&String> {
        let warm = match &self.score {
            ScoreRule::Warmed { rows, .. } => Some(rows),
            ScoreRule::Choice { .. } | ScoreRule::Control { .. } => None,
        };
        std::iter::once(&self.rows.schema).chain(warm).collect()
    }

    /// `name@version`, as the command line takes it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn validate(&self) -> Result<(), SpecError> {
        let m = &self.model.llama;
        let t = &self.training;
        let template = || {
            let model = &self.model;
            let before = model.before_input.iter().chain(&model.before_output);
            before.chain(&model.after_input).chain(&model.after_output)
        };
        let known = |piece: &Piece| !matches!(piece, Piece::Token(id) if *id >= m.vocabulary.get());
        let head_width = m.width.get().checked_div(m.heads.get()).unwrap_or(0);
        let steps = product(t.epochs.get(), self.rows.count_max.get().div_ceil(t.batch_rows.get()));
        let batch = product(t.batch_rows.get(), t.positions.get());
        let widest = m.vocabulary.max(m.hidden).max(m.width);
        let largest = product(m.width.get(), widest.get());
        let one = NonZeroU32::MIN;
        let (tuned, rank) = match t.method {
            Method::Full => (one, one),
            Method::LastLayers { layers } => (layers, one),
            Method::Lora { layers, rank, .. } => (layers, rank),
        };
        let fewest = if self.score.measure() == Measure::Choice { 2 } else { 1 };
        let (warm_rows, warm_epochs) = match &self.score {
            ScoreRule::Warmed { rows, epochs, .. } => (rows.as_str(), epochs.get()),
            ScoreRule::Choice { .. } | ScoreRule::Control { .. } => ("none", 1),
        };
        let checks = [
            ("format", self.format == SPEC_FORMAT, "this program reads format 1"),
            ("name", is_name(&self.name), "lower-case letters, digits and dashes, at most 64"),
            (
                "numerics.operand_bits",
                OPERAND_BITS.contains(&self.numerics.operand_bits),
                "8 to 22",
            ),
            ("rows.schema", is_file_name(&self.rows.schema), "a plain file name"),
            ("kernels.schema", is_file_name(&self.kernels.schema), "a plain file name"),
            ("kernels.tokenizer", is_file_name(&self.kernels.tokenizer), "a plain file name"),
            ("rows.count_max", self.rows.count_max >= self.rows.count_min, "less than count_min"),
            ("model", template().all(known), "a template token is not in the vocabulary"),
            ("model", template().count() <= TEMPLATE_PIECES_MAX, "too many template pieces"),
            ("model.llama.heads", divides(m.heads, m.width), "does not divide the width"),
            ("model.llama.heads", head_width.is_multiple_of(2), "head width must be even"),
            ("model.llama.kv_heads", divides(m.kv_heads, m.heads), "does not divide the heads"),
            ("training.positions", t.positions <= m.context, "more than the model's context"),
            ("training.positions", t.positions.get() <= SEQUENCE_TOKENS_MAX, "over the limit"),
            ("training.output_tokens", t.output_tokens <= t.positions, "more than the positions"),
            ("training.method", tuned <= m.layers, "more layers than the model has"),
            ("training.method", rank <= m.width, "a rank over the model's width"),
            ("training.epochs", steps <= u64::from(STEPS_MAX), "more steps than the limit"),
            ("training.batch_rows", batch <= BATCH_TOKENS_MAX, "more tokens than the limit"),
            ("model.llama.width", largest <= PARAMETER_ELEMENTS_MAX, "a parameter over the limit"),
            ("training.warmup_micro", t.warmup_micro.0 <= 1_000_000, "more than 1"),
            ("training.final_rate_micro", t.final_rate_micro.0 <= 1_000_000, "more than 1"),
            ("training.beta1_micro", t.beta1_micro.0 < 1_000_000, "must be below 1"),
            ("training.beta2_micro", t.beta2_micro.0 < 1_000_000, "must be below 1"),
            ("training.clip_norm_micro", t.clip_norm_micro.0 > 0, "must be positive"),
            (
                "benchmark.candidates",
                self.benchmark.candidates.get() >= fewest,
                "a choice needs two",
            ),
            (
                "benchmark.candidates",
                self.benchmark.candidates.get() as usize <= CANDIDATES_MAX,
                "over the limit",
            ),
            ("score.rows", is_file_name(warm_rows), "a plain file name"),
            ("score.epochs", warm_epochs <= WARM_EPOCHS_MAX, "over the limit"),
            ("score.margin_micronats", self.score.margin().0 >= 0, "must not be negative"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, reason)) => Err(SpecError::Value { key, reason: reason.into() }),
            None => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

fn is_file_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(allowed)
}

fn product(a: u32, b: u32) -> u64 {
    u64::from(a).saturating_mul(u64::from(b))
}

fn divides(small: NonZeroU32, large: NonZeroU32) -> bool {
    large.get().is_multiple_of(small.get())
}

/// `spec.lock`: the SHA-256 of everything a spec names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecLock {
    /// Files beside the spec, by name.
    pub files: BTreeMap<String, FileDigest>,
    /// Kernels, by name.
    pub kernels: BTreeMap<String, FileDigest>,
    /// Artifacts, by name in `artifacts.lock`.
    pub artifacts: BTreeMap<String, FileDigest>,
}

impl SpecLock {
    /// Parses `spec.lock`.
    ///
    /// # Errors
    /// [`SpecError::TooLarge`] or [`SpecError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() as u64 > SPEC_BYTES_MAX.0 {
            return Err(SpecError::TooLarge);
        }
        toml::from_str(text).map_err(|e| SpecError::Syntax(format!("spec.lock: {e}")))
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`SpecError::Syntax`] if TOML cannot express it, which is our bug.
    pub fn to_toml(&self) -> Result<String, SpecError> {
        toml::to_string(self).map_err(|e| SpecError::Syntax(e.to_string()))
    }
}

/// A spec whose lock pins exactly what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedSpec {
    spec: Spec,
    lock: SpecLock,
    id: SpecId,
}

impl PinnedSpec {
    /// Joins a spec and its lock.
    ///
    /// # Errors
    /// [`SpecError::Lock`] when the lock lacks something or pins something that the spec does not
    /// name.
    pub fn new(spec: Spec, lock: SpecLock) -> Result<Self, SpecError> {
        same_names("file", lock.files.keys(), spec.files())?;
        same_names("kernel", lock.kernels.keys(), [&spec.kernels.schema, &spec.kernels.tokenizer])?;
        same_names(
            "artifact",
            lock.artifacts.keys(),
            [&spec.model.weights, &spec.model.tokenizer],
        )?;
        let id = tagged("dataforge/spec/v1", &codec::encode(&(&spec, &lock)));
        Ok(Self { spec, lock, id })
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> &SpecLock {
        &self.lock
    }

    /// Byte format: tag `dataforge/spec/v1` over the canonical encoding of spec and lock.
    #[must_use]
    pub fn id(&self) -> SpecId {
        self.id
    }
}

fn same_names<'a>(
    kind: &str,
    pinned: impl Iterator<Item = &'a String>,
    named: impl IntoIterator<Item = &'a String>,
) -> Result<(), SpecError> {
    let pinned: std::collections::BTreeSet<_> = pinned.collect();
    let named: std::collections::BTreeSet<_> = named.into_iter().collect();
    if let Some(missing) = named.difference(&pinned).next() {
        return Err(SpecError::Lock(format!("{kind} {missing:?} is not pinned")));
    }
    match pinned.difference(&named).next() {
        Some(extra) => Err(SpecError::Lock(format!(
            "{kind} {extra:?} is pinned, but the spec does not name it"
        ))),
        None => Ok(()),
    }
}
