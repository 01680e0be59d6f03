//! Scoring: the log-probability that a state of the model gives to outputs.

use crate::error::EngineError;
use crate::fixed;
use crate::runtime::Runtime;
use crate::session::Program;
use crate::state::{StateTensor, Weights};
use crate::train::{Trainer, batch_feed};
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_core::spec::LlamaShape;
use dataforge_core::units::MicroNats;
use dataforge_graph::llama::Parameter;
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
    batch: BatchShape,
}

impl Scorer {
    /// Compiles the scoring graph for batches of one shape.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(
        runtime: &Runtime,
        shape: &LlamaShape,
        batch: BatchShape,
    ) -> Result<Self, EngineError> {
        Ok(Self { program: Program::compile(runtime, &scoring(shape, batch))?, batch })
    }

    /// Scores rows with untrained weights.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score_weights(
        &mut self,
        weights: &Weights,
        rows: &[TokenRow],
        watch: Watch<'_>,
    ) -> Result<Score, EngineError> {
        self.score(weights.tensors(), rows, watch)
    }

    /// Scores rows with a trainer's present parameters.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score_trained(
        &mut self,
        trainer: &Trainer,
        rows: &[TokenRow],
        watch: Watch<'_>,
    ) -> Result<Score, EngineError> {
        self.score(&trainer.weights()?, rows, watch)
    }

    fn score(
        &mut self,
        weights: &[(Parameter, Vec<f32>)],
        rows: &[TokenRow],
        watch: Watch<'_>,
    ) -> Result<Score, EngineError> {
        let mut state = Vec::new();
        for (parameter, data) in weights {
            state.push(StateTensor::new(parameter.name.clone(), &parameter.shape, data.clone())?);
        }
        let mut scores = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(self.batch.rows.get() as usize) {
            let batch = Batch::pack(&chunk.iter().collect::<Vec<_>>(), self.batch);
            let mut feed = batch_feed(&batch)?;
            for tensor in &state {
                feed.borrowed(&tensor.name, &tensor.value);
            }
            let outputs = self.program.run(feed)?;
            let sums = row_sums(&batch, outputs.floats("target")?, outputs.floats("normaliser")?);
            let Some(sums) = sums else { return Ok(Score::NotFinite) };
            scores.extend(sums.into_iter().take(chunk.len()));
            if !watch(scores.len()) {
                return Ok(Score::Stopped);
            }
        }
        Ok(Score::Finite(scores))
    }
}

/// Per row, the summed log-probability of its learned positions; `None` when one is not finite.
fn row_sums(batch: &Batch, targets: &[f32], normalisers: &[f32]) -> Option<Vec<MicroNats>> {
    let positions = batch.shape.positions.get() as usize;
    let tokens: Vec<_> = targets.iter().zip(normalisers).zip(&batch.learned).collect();
    let learned = |row: &[((&f32, &f32), &bool)]| {
        let learned = row.iter().filter(|(_, learned)| **learned);
        learned.map(|((t, n), _)| fixed::log_probability(**t, **n)).sum::<Option<i128>>()
    };
    tokens.chunks(positions).map(|row| Some(fixed::micro(learned(row)?, 1))).collect()
}
