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

/// Summed log-probability of each row's output, or the first row for which it is not finite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Score {
    /// One number per row.
    Finite(Vec<MicroNats>),
    /// The model has diverged.
    NotFinite,
}

/// The scoring graph, ready for any state of one model. A row's result does not depend on its batch.
pub struct Scorer {
    program: Program,
    batch: BatchShape,
}

impl Scorer {
    /// Compiles the scoring graph for batches of one shape.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(runtime: &Runtime, shape: &LlamaShape, batch: BatchShape) -> Result<Self, EngineError> {
        Ok(Self { program: Program::compile(runtime, &scoring(shape, batch))?, batch })
    }

    /// Scores rows with untrained weights.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score_weights(&mut self, weights: &Weights, rows: &[TokenRow]) -> Result<Score, EngineError> {
        self.score(weights.tensors(), rows)
    }

    /// Scores rows with a trainer's present parameters.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn score_trained(&mut self, trainer: &Trainer, rows: &[TokenRow]) -> Result<Score, EngineError> {
        self.score(&trainer.weights()?, rows)
    }

    fn score(&mut self, weights: &[(Parameter, Vec<f32>)], rows: &[TokenRow]) -> Result<Score, EngineError> {
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
            let (targets, normalisers) = (outputs.floats("target")?, outputs.floats("normaliser")?);
            for row in 0..chunk.len() {
                let positions = self.batch.positions.get() as usize;
                let mut total = 0;
                for at in row * positions..(row + 1) * positions {
                    if batch.learned[at] {
                        match fixed::log_probability(targets[at], normalisers[at]) {
                            Some(log_probability) => total += log_probability,
                            None => return Ok(Score::NotFinite),
                        }
                    }
                }
                scores.push(fixed::micro(total, 1));
            }
        }
        Ok(Score::Finite(scores))
    }
}
