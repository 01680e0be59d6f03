//! Answers in the trained model's own words, beside its scores.
//!
//! Reported, never paid and never hashed.

use crate::bundled::METRICS;
use crate::detokenize::Detokenizer;
use crate::error::EvaluateError;
use crate::inspect::in_kernel;
use crate::world::{Pinned, World};
use dataforge_core::benchmark::BenchmarkRow;
use dataforge_core::spec::{Model, Piece, Spec};
use dataforge_core::units::Ppm;
use dataforge_engine::{Ending, Generated, Generator};
use dataforge_sandbox::{KernelLimits, Pair, Sandbox, Scores};
use std::num::NonZeroU32;

/// Rows of a generating batch. Any number gives the same ids; weights are read once per step for
/// all of them.
pub(crate) const GENERATING_ROWS: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// Greedy answers to the first benchmark rows that the seed draws. Deterministic: the same on every
/// machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// One per row, in committed order.
    pub texts: Vec<String>,
    /// Share of answers with the same words as the right candidate, in SQuAD's normal form.
    pub exact_match: Ppm,
    /// Mean token F1 against the right candidate, in SQuAD's normal form.
    pub token_f1: Ppm,
    /// Mean F1 of ROUGE-L against the right candidate.
    pub rouge_l: Ppm,
    /// Mean chrF2 against the right candidate, as a share of 100.
    pub chrf: Ppm,
}

/// Answers `rows`, whose prompts are given as ids, by the bound generator. `None` when the model
/// has diverged.
pub(crate) fn answer(
    world: &dyn World,
    generator: &mut Generator,
    spec: &Spec,
    tokenizer_json: &[u8],
    rows: &[&BenchmarkRow],
    prompts: &[Vec<u32>],
) -> Result<Option<Answers>, EvaluateError> {
    let model = &spec.model;
    let detokenizer = Detokenizer::new(tokenizer_json).map_err(|reason| {
        let what = Pinned::Artifact(&model.tokenizer).to_string();
        EvaluateError::Material { what, reason }
    })?;
    let stop = |ids: &[u32]| match model.after_output.first() {
        None => false,
        Some(Piece::Token(id)) => ids.ends_with(&[*id]),
        Some(Piece::Text(end)) => detokenizer.text(ids).contains(end),
    };
    let ending = Ending { tokens: spec.training.output_tokens, stop: &stop };
    let answers = match generator.generate(prompts, &ending, &mut |_| !world.cancelled())? {
        Generated::Finite(answers) => answers,
        Generated::Stopped => return Err(EvaluateError::Cancelled),
        Generated::NotFinite => return Ok(None),
    };
    let texts: Vec<String> = answers.iter().map(|ids| bare(model, &detokenizer, ids)).collect();
    let right = |row: &&BenchmarkRow| row.candidates.get(row.answer as usize).cloned();
    let right: Vec<String> = rows.iter().filter_map(right).collect();
    let scores = measured(world, &texts, &right)?;
    let exact = |of: &Scores| f64::from(u8::from(of.exact_match));
    Ok(Some(Answers {
        exact_match: mean(&scores, exact),
        token_f1: mean(&scores, |of| of.token_f1),
        rouge_l: mean(&scores, |of| of.rouge_l.f1),
        chrf: mean(&scores, |of| of.chrf / 100.0),
        texts,
    }))
}

/// What the metrics kernel says of each answer.
fn measured(
    world: &dyn World,
    answers: &[String],
    right: &[String],
) -> Result<Vec<Scores>, EvaluateError> {
    let pairs = answers.iter().zip(right);
    let pairs: Vec<Pair<'_>> =
        pairs.map(|(answer, reference)| Pair { answer, reference }).collect();
    let sandbox = Sandbox::new().map_err(in_kernel(METRICS.0))?.keeping(world.code());
    let kernel = sandbox.metrics_kernel(METRICS.1, KernelLimits::default());
    let scores = kernel.and_then(|kernel| kernel.measure(&pairs));
    Ok(scores.map_err(in_kernel(METRICS.0))?.value)
}

/// The mean of shares, added up in order; 0 of nothing.
fn mean(scores: &[Scores], share: impl Fn(&Scores) -> f64) -> Ppm {
    let total: f64 = scores.iter().map(share).sum();
    let mean = total / scores.len().max(1) as f64;
    Ppm((mean * 1e6).round() as u32)
}

/// The output without the template around it. What follows an output begins with the template's
/// first piece.
fn bare(model: &Model, detokenizer: &Detokenizer, ids: &[u32]) -> String {
    let (ids, end) = match model.after_output.first() {
        Some(Piece::Token(end)) => (ids.split(|id| id == end).next().unwrap_or(ids), None),
        Some(Piece::Text(end)) => (ids, Some(end)),
        None => (ids, None),
    };
    let before = model.before_output.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Token(id) => detokenizer.text(&[*id]),
    });
    let text = detokenizer.text(ids);
    let text = text.strip_prefix(&before.collect::<String>()).unwrap_or(&text);
    let cut = end.and_then(|end| text.split_once(end.as_str()));
    cut.map_or(text, |(output, _)| output).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_core::spec::Spec;

    const SPEC: &str = include_str!("../../../eval-specs/date/1/spec.toml");
    const VOCABULARY: &[u8] = br#"{"model":{"vocab":{" ":0,"ab":1,"\n":2,"<end>":3}}}"#;

    /// The answer in ids 0, 1, 2, 3 and 1 (` ab`, a line's end, a control token, `ab`) under this
    /// end of the template.
    fn answer(after_output: &[Piece]) -> String {
        let mut model = Spec::parse(SPEC).unwrap().model;
        model.after_output = after_output.to_vec();
        bare(&model, &Detokenizer::new(VOCABULARY).unwrap(), &[0, 1, 2, 3, 1])
    }

    #[test]
    fn an_answer_is_cut_where_the_template_goes_on() {
        assert_eq!(answer(&[]), "ab\n<end>ab");
        assert_eq!(answer(&[Piece::Text("\n".into())]), "ab");
        assert_eq!(answer(&[Piece::Token(3), Piece::Text("ab".into())]), "ab\n");
        assert_eq!(answer(&[Piece::Text("none".into())]), "ab\n<end>ab");
    }
}
