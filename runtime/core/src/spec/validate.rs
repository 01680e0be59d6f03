//! What a spec's values must be beyond their types.

use super::{Measure, Method, Piece, SPEC_FORMATS, ScoreRule, Shape, Spec, SpecError};
use crate::limits::{
    BATCH_TOKENS_MAX, CANDIDATES_MAX, KERNEL_FUEL_MAX, KERNEL_MEMORY_BYTES_MAX, LAYERS_MAX,
    OPERAND_BITS, PARAMETER_ELEMENTS_MAX, SEQUENCE_TOKENS_MAX, STEPS_MAX, TEMPLATE_PIECES_MAX,
    VARIETY_ROWS_MAX, WARM_EPOCHS_MAX,
};
use std::num::NonZeroU32;

/// A dotted key, whether its value will do, and what is wrong where it will not.
pub(super) type Check = (&'static str, bool, &'static str);

/// The first value that will not do is the error.
pub(super) fn validate(spec: &Spec) -> Result<(), SpecError> {
    let beyond = spec.checks.as_ref().map_or(vec![], |checks| checks.validate());
    let checks = [names(spec), shape(spec), model(spec), training(spec), benchmark(spec), beyond];
    let checks = checks.concat();
    match checks.into_iter().find(|(_, good, _)| !good) {
        Some((key, _, reason)) => Err(SpecError::Value { key, reason: reason.into() }),
        None => Ok(()),
    }
}

fn names(spec: &Spec) -> Vec<Check> {
    let (rows, kernels) = (&spec.rows, &spec.kernels);
    let varied = spec.checks.as_ref().is_some_and(|checks| checks.variety.is_some());
    let measured = !varied || rows.count_max.get() <= VARIETY_ROWS_MAX;
    let memory = spec.limits.memory_bytes_max <= KERNEL_MEMORY_BYTES_MAX;
    let per_row = spec.checks.as_ref().map(|checks| checks.fuel_per_row);
    let fuel = spec.limits.fuel_per_call.max(per_row.unwrap_or_default()) <= KERNEL_FUEL_MAX;
    let bits = OPERAND_BITS.contains(&spec.numerics.operand_bits);
    vec![
        ("format", SPEC_FORMATS.contains(&spec.format), "this program reads formats 1 to 3"),
        (
            "checks",
            spec.checks.is_some() == (spec.format > 1),
            "a table of format 2 and of format 3, which cannot be without it",
        ),
        ("name", is_name(&spec.name), "lower-case letters, digits and dashes, at most 64"),
        (
            // An absent `drawn` has no byte in the id: what stands behind it must not read as one.
            "benchmark.public_set",
            spec.benchmark.public_set.as_deref().is_none_or(is_name),
            "lower-case letters, digits and dashes, at most 64",
        ),
        ("numerics.operand_bits", bits, "8 to 22"),
        ("rows.schema", is_file_name(&rows.schema), "a plain file name"),
        ("kernels.schema", is_file_name(&kernels.schema), "a plain file name"),
        ("kernels.tokenizer", is_file_name(&kernels.tokenizer), "a plain file name"),
        ("rows.count_max", rows.count_max >= rows.count_min, "less than count_min"),
        ("limits.memory_bytes_max", memory, "over the limit"),
        ("limits.fuel_per_call", fuel, "over the limit, or checks.fuel_per_row is"),
        ("rows.count_max", measured, "variety is measured of at most 2,000 rows"),
    ]
}

fn shape(spec: &Spec) -> Vec<Check> {
    let (rows, model) = (&spec.rows, &spec.model);
    let dialogue = matches!(spec.shape(), Shape::Dialogue { .. });
    let one_member = !dialogue || rows.output == rows.input;
    let around =
        [&model.before_input, &model.after_input, &model.before_output, &model.after_output];
    let bare = !dialogue || around.iter().all(|pieces| pieces.is_empty());
    vec![
        ("rows.output", one_member, "not rows.input, which holds a dialogue's output too"),
        ("model", bare, "a dialogue's template takes the place of texts around a field"),
    ]
}

fn model(spec: &Spec) -> Vec<Check> {
    let (model, m) = (&spec.model, &spec.model.llama);
    let template = || {
        let before = model.before_input.iter().chain(&model.before_output);
        before.chain(&model.after_input).chain(&model.after_output)
    };
    let known = |piece: &Piece| !matches!(piece, Piece::Token(id) if *id >= m.vocabulary.get());
    let head_width = m.width.get().checked_div(m.heads.get()).unwrap_or(0);
    let widest = m.vocabulary.max(m.hidden).max(m.width);
    let largest = product(m.width.get(), widest.get());
    vec![
        ("model", template().all(known), "a template token is not in the vocabulary"),
        ("model", template().count() <= TEMPLATE_PIECES_MAX, "too many template pieces"),
        ("model.llama.layers", m.layers.get() <= LAYERS_MAX, "over the limit"),
        ("model.llama.heads", divides(m.heads, m.width), "does not divide the width"),
        ("model.llama.heads", head_width.is_multiple_of(2), "head width must be even"),
        ("model.llama.kv_heads", divides(m.kv_heads, m.heads), "does not divide the heads"),
        ("model.llama.width", largest <= PARAMETER_ELEMENTS_MAX, "a parameter over the limit"),
    ]
}

fn training(spec: &Spec) -> Vec<Check> {
    let (m, t) = (&spec.model.llama, &spec.training);
    let steps = product(t.epochs.get(), spec.rows.count_max.get().div_ceil(t.batch_rows.get()));
    let batch = product(t.batch_rows.get(), t.positions.get());
    let one = NonZeroU32::MIN;
    let (tuned, rank) = match t.method {
        Method::Full => (one, one),
        Method::LastLayers { layers } => (layers, one),
        Method::Lora { layers, rank, .. } => (layers, rank),
    };
    vec![
        ("training.positions", t.positions <= m.context, "more than the model's context"),
        ("training.positions", t.positions.get() <= SEQUENCE_TOKENS_MAX, "over the limit"),
        ("training.output_tokens", t.output_tokens <= t.positions, "more than the positions"),
        ("training.method", tuned <= m.layers, "more layers than the model has"),
        ("training.method", rank <= m.width, "a rank over the model's width"),
        ("training.epochs", steps <= u64::from(STEPS_MAX), "more steps than the limit"),
        ("training.batch_rows", batch <= BATCH_TOKENS_MAX, "more tokens than the limit"),
        ("training.warmup_micro", t.warmup_micro.0 <= 1_000_000, "more than 1"),
        ("training.final_rate_micro", t.final_rate_micro.0 <= 1_000_000, "more than 1"),
        ("training.beta1_micro", t.beta1_micro.0 < 1_000_000, "must be below 1"),
        ("training.beta2_micro", t.beta2_micro.0 < 1_000_000, "must be below 1"),
        ("training.clip_norm_micro", t.clip_norm_micro.0 > 0, "must be positive"),
    ]
}

fn benchmark(spec: &Spec) -> Vec<Check> {
    let (rows, drawn) = (spec.benchmark.rows, spec.benchmark.drawn);
    let candidates = spec.benchmark.candidates.get();
    let fewest = if spec.score.measure() == Measure::Choice { 2 } else { 1 };
    let (warm_rows, warm_epochs) = match &spec.score {
        ScoreRule::Warmed { rows, epochs, .. } => (rows.as_str(), epochs.get()),
        ScoreRule::Choice { .. } | ScoreRule::Control { .. } => ("none", 1),
    };
    vec![
        ("benchmark.drawn", drawn.is_none() || spec.format > 2, "a key of format 3"),
        ("benchmark.drawn", drawn.unwrap_or(rows) <= rows, "more than benchmark.rows"),
        ("benchmark.candidates", candidates >= fewest, "a choice needs two"),
        ("benchmark.candidates", candidates as usize <= CANDIDATES_MAX, "over the limit"),
        ("score.rows", is_file_name(warm_rows), "a plain file name"),
        ("score.epochs", warm_epochs <= WARM_EPOCHS_MAX, "over the limit"),
        ("score.margin_micronats", spec.score.margin().0 >= 0, "must not be negative"),
    ]
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

pub(super) fn is_file_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(allowed)
}

fn product(a: u32, b: u32) -> u64 {
    u64::from(a).saturating_mul(u64::from(b))
}

fn divides(small: NonZeroU32, large: NonZeroU32) -> bool {
    large.get().is_multiple_of(small.get())
}
