//! Scoring: the log-probability that a state of the model gives to outputs.

use crate::error::EngineError;
use crate::fixed;
use crate::runtime::Runtime;
use crate::session::Program;
use crate::state::{StateTensor, Weights};
use crate::train::batch_feed;
use crate::trunk::Features;
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_core::score;
use dataforge_core::units::MicroNats;
use dataforge_graph::llama::{Parameter, Tuning};
use dataforge_graph::step::scoring;

/// Told how many rows are scored; answers whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Summed log-probability of each row's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Score {
    /// One number per row.
    Finite(Vec<MicroNats>),
    /// The model has diverged.
    NotFinite,
    /// The watcher said to stop.
    Stopped,
}

/// The scoring graph, ready for any state of one model. A row's result does not depend on its
/// batch.
pub struct Scorer {
    program: Program,
    tuning: Tuning,
    batch: BatchShape,
}

impl Scorer {
    /// Compiles the scoring graph for batches of one shape.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(runtime: &Runtime, tuning: Tuning, batch: BatchShape) -> Result<Self, EngineError> {
        let fixed = [tuning.frozen(), tuning.trained()].concat();
        let program = Program::compile(runtime, &scoring(&tuning, batch), &fixed)?;
        Ok(Self { program, tuning, batch })
    }

    /// Takes the frozen parameters from `weights`, and the trained ones as given.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn bind(
        &mut self,
        runtime: &Runtime,
        weights: &Weights,
        trained: Vec<(Parameter, Vec<f32>)>,
    ) -> Result<(), EngineError> {
        let mut fixed = weights.load(&self.tuning.frozen())?;
        for (parameter, data) in trained {
            fixed.push(StateTensor::new(parameter.name, &parameter.shape, data)?);
        }
        self.program.bind(runtime, fixed)
    }

    /// Scores rows in the bound state. `features` are the trunk's output for these rows, where
    /// there is a trunk.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score(
        &mut self,
        rows: &[TokenRow],
        features: Option<&Features>,
        watch: Watch<'_>,
    ) -> Result<Score, EngineError> {
        let members: Vec<u32> = (0..rows.len() as u32).collect();
        self.score_some(rows, &members, features, watch)
    }

    /// As [`Scorer::score`], of those rows alone that `members` are the places of, in their order;
    /// `features` are of all.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score_some(
        &mut self,
        rows: &[TokenRow],
        members: &[u32],
        features: Option<&Features>,
        watch: Watch<'_>,
    ) -> Result<Score, EngineError> {
        let mut scores = Vec::with_capacity(members.len());
        for members in members.chunks(self.batch.rows.get() as usize) {
            let batch = Batch::pack(rows, members, self.batch);
            let outputs = self.program.run(batch_feed(&batch, features)?)?;
            let sums = row_sums(&batch, outputs.floats("target")?, outputs.floats("normaliser")?);
            let Some(sums) = sums else { return Ok(Score::NotFinite) };
            scores.extend(sums.into_iter().take(members.len()));
            if !watch(scores.len()) {
                return Ok(Score::Stopped);
            }
        }
        Ok(Score::Finite(scores))
    }
}

/// Per row, the summed log-probability of its learned slots; `None` when one is not finite.
fn row_sums(batch: &Batch, targets: &[f32], normalisers: &[f32]) -> Option<Vec<MicroNats>> {
    let slots = batch.shape.output_tokens.get() as usize;
    let tokens: Vec<_> = targets.iter().zip(normalisers).zip(&batch.learned).collect();
    let learned = |row: &[((&f32, &f32), &bool)]| {
        let learned = row.iter().filter(|(_, learned)| **learned);
        learned.map(|((t, n), _)| fixed::log_probability(**t, **n)).sum::<Option<i128>>()
    };
    tokens.chunks(slots).map(|row| Some(score::micro(learned(row)?, 1))).collect()
}
