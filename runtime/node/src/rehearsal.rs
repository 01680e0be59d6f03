//! Real datasets for simulations: dates and how they are written, dealt out, trained on and scored.

mod dates;

use std::collections::BTreeMap;

use dataforge_core::benchmark::Benchmark;
use dataforge_core::dataset::Row;
use dataforge_core::hash::{DatasetDigest, EpochSeed, SpecId};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::Ppm;
use dataforge_evaluate::{EvaluateError, Evaluator, Likeness, World};
use dataforge_settle::simulate::{Failed, Trainer, Training};
use dataforge_settle::{Comparison, Score};

use self::dates::Calendar;
use crate::findings::{compare_alike, score_of};

/// Why a rehearsal cannot be held, or not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// An evaluation failed, through no fault of a dataset.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The rules are about another spec.
    #[error("the scenario trains under {reference}, and the rules are about the spec {found}")]
    OtherSpec {
        /// The scenario's.
        reference: String,
        /// One of the rules'.
        found: SpecId,
    },
    /// Rows can be written for specs about dates alone.
    #[error("there are no rows to write for {0}: only specs of the public set \"date\" have some")]
    NoRows(String),
    /// All dates have been dealt out.
    #[error("there are no more dates to make datasets of: play fewer epochs, or miners")]
    Exhausted,
    /// An evaluation came out otherwise the second time: a fault of this program or machine.
    #[error("evaluating the dataset {0} again gives another score")]
    NotReproduced(DatasetDigest),
    /// A dataset that was never made.
    #[error("the dataset {0} was never made")]
    Unknown(DatasetDigest),
}

/// Makes and evaluates the datasets of a scenario with [`Training`].
pub struct Rehearsal<'w> {
    world: &'w dyn World,
    pinned: PinnedSpec,
    evaluator: Evaluator<'w>,
    rows: usize,
    calendar: Calendar,
    /// Every dataset that was made, as the bytes that a miner submits.
    datasets: BTreeMap<DatasetDigest, Vec<u8>>,
    named: BTreeMap<(EpochSeed, Ppm), DatasetDigest>,
    /// The same epochs are played twice.
    scores: BTreeMap<(DatasetDigest, Vec<EpochSeed>), Score>,
    failure: Option<RehearsalError>,
}

impl<'w> Rehearsal<'w> {
    /// Prepares evaluations under `pinned`, the spec that all `specs` of the rules have to be.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn new(
        world: &'w dyn World,
        pinned: PinnedSpec,
        benchmark: Benchmark,
        training: &Training,
        specs: &[SpecId],
    ) -> Result<Self, RehearsalError> {
        let reference = || pinned.spec().reference();
        if let Some(found) = specs.iter().find(|spec| **spec != pinned.id()) {
            return Err(RehearsalError::OtherSpec { reference: reference(), found: *found });
        }
        if pinned.spec().benchmark.public_set.as_deref() != Some("date") {
            return Err(RehearsalError::NoRows(reference()));
        }
        let calendar = Calendar::without(&benchmark);
        Ok(Self {
            world,
            evaluator: Evaluator::prepare(world, pinned.clone(), benchmark)?,
            pinned,
            rows: training.rows.get() as usize,
            calendar,
            datasets: BTreeMap::new(),
            named: BTreeMap::new(),
            scores: BTreeMap::new(),
            failure: None,
        })
    }

    /// Why the last call failed.
    #[must_use]
    pub fn into_failure(self) -> Option<RehearsalError> {
        self.failure
    }

    fn keep(&mut self, lines: &[&[u8]]) -> Result<DatasetDigest, RehearsalError> {
        let bytes = [&lines.join(&b'\n')[..], b"\n"].concat();
        let raw = dataforge_core::dataset::RawSubmission::split(&bytes);
        let digest = raw.map_err(EvaluateError::from)?.digest();
        self.datasets.insert(digest, bytes);
        Ok(digest)
    }

    fn bytes(&self, of: DatasetDigest) -> Result<&[u8], RehearsalError> {
        self.datasets.get(&of).map(Vec::as_slice).ok_or(RehearsalError::Unknown(of))
    }

    fn lines(&self, of: DatasetDigest) -> Result<Vec<Vec<u8>>, RehearsalError> {
        let bytes = self.bytes(of)?.strip_suffix(b"\n").unwrap_or_default();
        Ok(bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
    }

    fn make_rows(&mut self, right: Ppm) -> Result<DatasetDigest, RehearsalError> {
        let mut rows = self.calendar.deal(self.rows).ok_or(RehearsalError::Exhausted)?;
        let wrong = 1_000_000_u64.saturating_sub(right.0.into()).saturating_mul(rows.len() as u64);
        let wrong = usize::try_from(wrong / 1_000_000).unwrap_or(rows.len());
        let outputs: Vec<String> = rows.iter().map(|row| row.output.clone()).collect();
        let others = outputs.iter().cycle().skip(1);
        rows.iter_mut()
            .take(wrong)
            .zip(others)
            .for_each(|(row, other)| row.output.clone_from(other));
        let lines: Vec<Vec<u8>> = rows.iter().map(line).collect();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        self.keep(&lines)
    }

    fn score(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, RehearsalError> {
        let Some((seed, earlier)) = seeds.split_last() else {
            return Err(RehearsalError::Unknown(of));
        };
        let bytes = self.bytes(of)?.to_vec();
        let evaluation = self.evaluator.evaluate(&bytes, *seed)?;
        let score = score_of(&self.evaluator, &evaluation.proof, earlier);
        let proof = &evaluation.proof;
        tracing::info!("{of}: {}, lift {}", proof.verdict(), proof.lift().display());
        Ok(score)
    }

    fn compare_rows(&self, datasets: &[DatasetDigest]) -> Result<Vec<Comparison>, RehearsalError> {
        let mut likeness = Likeness::load(self.world, &self.pinned)?;
        for dataset in datasets {
            likeness.add(self.world, self.bytes(*dataset)?)?;
        }
        Ok(compare_alike(&likeness.finish()))
    }

    /// Keeps the reason for who asks.
    fn or_fail<T>(&mut self, result: Result<T, RehearsalError>) -> Result<T, Failed> {
        result.map_err(|error| {
            self.failure = Some(error);
            Failed
        })
    }
}

impl Trainer for Rehearsal<'_> {
    fn make(&mut self, name: EpochSeed, right: Ppm) -> Result<DatasetDigest, Failed> {
        if let Some(made) = self.named.get(&(name, right)) {
            return Ok(*made);
        }
        let made = self.make_rows(right);
        let made = self.or_fail(made)?;
        self.named.insert((name, right), made);
        Ok(made)
    }

    fn reorder(&mut self, of: DatasetDigest, number: u32) -> Result<DatasetDigest, Failed> {
        let lines = self.lines(of);
        let lines = self.or_fail(lines)?;
        let mut lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let by = (number as usize).saturating_add(1).checked_rem(lines.len()).unwrap_or(0);
        lines.rotate_left(by);
        let made = self.keep(&lines);
        self.or_fail(made)
    }

    fn part(
        &mut self,
        of: DatasetDigest,
        number: u32,
        parts: u32,
    ) -> Result<DatasetDigest, Failed> {
        let lines = self.lines(of);
        let lines = self.or_fail(lines)?;
        let mine = |place: u32| place.checked_rem(parts) == Some(number);
        let lines: Vec<&[u8]> =
            (0..).zip(&lines).filter(|(at, _)| mine(*at)).map(|(_, line)| &line[..]).collect();
        let made = self.keep(&lines);
        self.or_fail(made)
    }

    fn evaluate(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed> {
        let key = (of, seeds.to_vec());
        if let Some(score) = self.scores.get(&key) {
            return Ok(*score);
        }
        let score = self.score(of, seeds);
        let score = self.or_fail(score)?;
        self.scores.insert(key, score);
        Ok(score)
    }

    fn replay(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed> {
        let score = self.score(of, seeds);
        let score = self.or_fail(score)?;
        match self.scores.get(&(of, seeds.to_vec())) {
            Some(before) if *before != score => {
                self.or_fail(Err(RehearsalError::NotReproduced(of)))
            }
            _ => Ok(score),
        }
    }

    fn compare(&mut self, datasets: &[DatasetDigest]) -> Result<Vec<Comparison>, Failed> {
        let compared = self.compare_rows(datasets);
        self.or_fail(compared)
    }
}

fn line(row: &Row) -> Vec<u8> {
    // Two strings: there is nothing that could fail.
    serde_json::to_vec(row).unwrap_or_default()
}
