//! The benchmark as token rows, and its results.

use crate::baseline;
use crate::error::EvaluateError;
use crate::features;
use crate::inspect::Inspector;
use crate::setup::Setup;
use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::plan::TokenRow;
use dataforge_core::proof::{Metrics, RowResult, Run, ScoreProof};
use dataforge_core::score;
use dataforge_core::significance::{self, Answers, Results};
use dataforge_core::spec::Spec;
use dataforge_core::units::MicroNats;
use dataforge_engine::{Features, Score, Scorer};
use std::borrow::Borrow;
use std::iter::repeat_n;

/// Every candidate of every hidden row, tokenised: row by row, candidate by candidate.
pub(crate) struct Questions {
    pub(crate) candidates: Vec<TokenRow>,
    answers: Vec<u32>,
    per_row: usize,
}

/// The questions with what one spec's evaluations share: what the frozen blocks and the reference
/// make of them.
pub(crate) struct Pool {
    questions: Questions,
    /// Of the candidates, where the model has frozen blocks.
    features: Option<Features>,
    /// The reference's, of the candidates.
    baseline: Vec<MicroNats>,
}

impl Pool {
    /// Tokenises the benchmark, and has the reference score it or recalls what it scored. The
    /// scorer is for trained states too.
    pub(crate) fn new(
        setup: &Setup<'_>,
        benchmark: &Benchmark,
    ) -> Result<(Self, Scorer), EvaluateError> {
        let questions = Questions::new(&setup.inspector, benchmark)?;
        let features = features::recall_or_compute(setup, &questions.candidates)?;
        let mut scorer = Scorer::new(&setup.runtime, setup.tuning(), setup.forward_shape())?;
        let rows = (&questions.candidates[..], features.as_ref());
        let baseline = baseline::recall_or_score(setup, &mut scorer, rows)?;
        Ok((Self { questions, features, baseline }, scorer))
    }

    /// What the reference makes of the rows at `places`.
    pub(crate) fn baseline(&self, places: &[usize]) -> Metrics {
        self.questions.metrics(places, &self.baseline_rows(places))
    }

    fn baseline_rows(&self, places: &[usize]) -> Vec<RowResult> {
        let scores = self.questions.members(places).into_iter();
        let scores: Vec<_> = scores.map(|member| self.baseline[member as usize]).collect();
        self.questions.results(&scores)
    }

    /// How many candidates the rows at `places` have.
    pub(crate) fn candidates(&self, places: &[usize]) -> u32 {
        self.questions.members(places).len() as u32
    }

    /// Scores the rows at `places` in the state that `scorer` is bound to. The results come with
    /// the metrics that they sum up to.
    pub(crate) fn score(
        &self,
        scorer: &mut Scorer,
        places: &[usize],
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Scored, EvaluateError> {
        let (questions, features) = (&self.questions, self.features.as_ref());
        let members = questions.members(places);
        let score = scorer.score_some(&questions.candidates, &members, features, watch)?;
        Ok(match score {
            Score::Finite(scores) => {
                let rows = questions.results(&scores);
                let metrics = questions.metrics(places, &rows);
                Some((rows, metrics))
            }
            Score::NotFinite => None,
            Score::Stopped => return Err(EvaluateError::Cancelled),
        })
    }

    /// The prompts of the rows at `places`.
    pub(crate) fn prompts(&self, places: &[usize]) -> Vec<Vec<u32>> {
        let Questions { candidates, per_row, .. } = &self.questions;
        let first = places.iter().map(|place| &candidates[place * per_row]);
        first.map(|row| row.ids[..row.prompt_tokens as usize].to_vec()).collect()
    }

    /// What a proof's lift is above with the spec's confidence; see [`significance::bound`].
    /// `places` are of the rows that it was measured on.
    pub(crate) fn bound(
        &self,
        spec: &Spec,
        proof: &ScoreProof,
        places: &[usize],
    ) -> Option<MicroNats> {
        let training = proof.training.as_ref()?;
        let (trained, control) = measured(proof)?;
        let right = self.questions.right(places);
        let lifts = significance::row_lifts(
            &spec.score,
            spec.benchmark.candidates.get(),
            &training.baseline,
            trained,
            control,
            Answers { right: &right, tokens: self.questions.answer_tokens(places) },
        );
        let bound = significance::bound(&lifts, &proof.inputs.seed, proof.inputs.dataset);
        // The gates of the rule hold for the bound as for the lift.
        Some(bound.min(training.lift))
    }

    /// A proof's lift over some of the rows that it was measured on; see [`significance::hidden`].
    /// `some` has the place of each among those rows, and among all.
    pub(crate) fn hidden(
        &self,
        spec: &Spec,
        proof: &ScoreProof,
        some: &[(usize, usize)],
    ) -> Option<MicroNats> {
        let (trained, control) = measured(proof)?;
        let of = |rows: &[RowResult]| -> Option<Vec<RowResult>> {
            some.iter().map(|(at, _)| rows.get(*at).cloned()).collect()
        };
        let places: Vec<usize> = some.iter().map(|(_, place)| *place).collect();
        let results = Results {
            baseline: self.baseline_rows(&places),
            trained: of(trained)?,
            control: control.map(|rows| of(rows).ok_or(())).transpose().ok()?,
        };
        let right = self.questions.right(&places);
        let answers = Answers { right: &right, tokens: self.questions.answer_tokens(&places) };
        let candidates = spec.benchmark.candidates.get();
        Some(significance::hidden(&spec.score, candidates, proof.lift(), &results, answers))
    }
}

/// Results and their metrics; none where a score is not finite.
pub(crate) type Scored = Option<(Vec<RowResult>, Metrics)>;

/// The results of a proof's model and control; nothing where one of them was not measured.
fn measured(proof: &ScoreProof) -> Option<(&[RowResult], Option<&[RowResult]>)> {
    fn rows(run: &Run) -> Option<&[RowResult]> {
        run.measured().map(|measured| &measured.rows[..])
    }
    let training = proof.training.as_ref()?;
    let control = training.control.as_ref();
    Some((rows(&training.model)?, control.map(|run| rows(run).ok_or(())).transpose().ok()?))
}

impl Questions {
    pub(crate) fn new(inspector: &Inspector, benchmark: &Benchmark) -> Result<Self, EvaluateError> {
        let rows = benchmark.rows();
        let per_row = rows.first().map_or(1, |row| row.candidates.len());
        let candidates = tokenise_candidates(inspector, rows)?;
        Ok(Self { candidates, answers: rows.iter().map(|row| row.answer).collect(), per_row })
    }

    /// The candidates of the rows at `places`, by their own places.
    fn members(&self, places: &[usize]) -> Vec<u32> {
        let row = |place: &usize| place * self.per_row..(place + 1) * self.per_row;
        places.iter().flat_map(row).map(|member| member as u32).collect()
    }

    /// Groups candidates' scores by row.
    fn results(&self, scores: &[MicroNats]) -> Vec<RowResult> {
        let result = |row: &[MicroNats]| RowResult { log_probabilities: row.to_vec() };
        scores.chunks(self.per_row).map(result).collect()
    }

    /// The sums of results, which may be a stranger's, of the rows at `places`.
    pub(crate) fn metrics(&self, places: &[usize], rows: &[RowResult]) -> Metrics {
        score::metrics(rows, &self.right(places), self.answer_tokens(places))
    }

    /// Which candidate is right, row by row.
    fn right(&self, places: &[usize]) -> Vec<u32> {
        places.iter().map(|place| self.answers[*place]).collect()
    }

    /// Output tokens of the right answers.
    fn answer_tokens(&self, places: &[usize]) -> u32 {
        let answer = |place: &usize| place * self.per_row + self.answers[*place] as usize;
        let answers = places.iter().map(|place| &self.candidates[answer(place)]);
        answers.map(|row| row.ids.len() as u32 - row.prompt_tokens).sum()
    }
}

/// Every candidate of benchmark rows as a row of its own: row by row, candidate by candidate.
///
/// # Errors
/// [`EvaluateError::Question`] naming the row whose text does not fit the spec, and what the
/// tokenizer's kernel gives.
pub fn tokenise_candidates<R: Borrow<BenchmarkRow>>(
    inspector: &Inspector,
    rows: &[R],
) -> Result<Vec<TokenRow>, EvaluateError> {
    let rows = || rows.iter().map(Borrow::borrow);
    let owner = |(at, row): (usize, &BenchmarkRow)| repeat_n(at, row.candidates.len());
    let owners: Vec<usize> = (1..).zip(rows()).flat_map(owner).collect();
    let pairs: Vec<(&str, &str)> = rows()
        .flat_map(|row| row.candidates.iter().map(|text| (row.input.as_str(), text.as_str())))
        .collect();
    let tokenised = inspector.tokenise(&pairs, &mut 0, &|| false)?;
    let tokenised = tokenised.map_err(|reason| EvaluateError::Question { row: 0, reason })?;
    let named = tokenised.into_iter().zip(owners);
    named
        .map(|(tokens, row)| tokens.map_err(|reason| EvaluateError::Question { row, reason }))
        .collect()
}
