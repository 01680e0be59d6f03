//! Greedy generation: the most probable token, one after another, over a cache of keys and values.
//!
//! Prompts go through the same steps as what follows them, so that the cache of a prefix is a
//! function of that prefix alone and a row's answer does not depend on its batch.

use crate::error::EngineError;
use crate::runtime::Runtime;
use crate::score::Watch;
use crate::session::{Feed, Program};
use crate::state::{StateTensor, Weights, all_finite};
use dataforge_graph::llama::{Parameter, Tuning, caches, decoding, decoding_parameters};
use dataforge_graph::step::next_name;
use std::num::NonZeroU32;

/// What generation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated {
    /// The new ids of each prompt.
    Finite(Vec<Vec<u32>>),
    /// The model has diverged.
    NotFinite,
    /// The watcher said to stop.
    Stopped,
}

/// When an answer ends.
pub struct Ending<'a> {
    /// After this many new ids. The cache's positions may end it earlier.
    pub tokens: NonZeroU32,
    /// Or as soon as this holds of the new ids.
    pub stop: &'a dyn Fn(&[u32]) -> bool,
}

/// The decoding graph, ready for any state of one model.
pub struct Generator {
    program: Program,
    tuning: Tuning,
    rows: NonZeroU32,
    positions: NonZeroU32,
}

impl Generator {
    /// Compiles the graph for batches of `rows` rows and at most `positions` positions: a prompt
    /// with its answer has at most one token more.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph.
    pub fn new(
        runtime: &Runtime,
        tuning: Tuning,
        rows: NonZeroU32,
        positions: NonZeroU32,
    ) -> Result<Self, EngineError> {
        let graph = decoding(&tuning, rows, positions);
        let program = Program::compile(runtime, &graph, &decoding_parameters(&tuning))?;
        Ok(Self { program, tuning, rows, positions })
    }

    /// Takes the trained parameters as given, and all others from `weights`.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn bind(
        &mut self,
        runtime: &Runtime,
        weights: &Weights,
        trained: Vec<(Parameter, Vec<f32>)>,
    ) -> Result<(), EngineError> {
        let mut rest = decoding_parameters(&self.tuning);
        rest.retain(|parameter| !trained.iter().any(|(other, _)| other == parameter));
        let mut fixed = weights.load(&rest)?;
        for (parameter, data) in trained {
            fixed.push(StateTensor::new(parameter.name, &parameter.shape, data)?);
        }
        self.program.bind(runtime, fixed)
    }

    /// Continues each prompt. Of equally probable ids the lowest is taken. `watch` is told after
    /// each batch how many prompts are done. A prompt that is empty or
    /// longer than the positions gets nothing.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails.
    pub fn generate(
        &mut self,
        prompts: &[Vec<u32>],
        ending: &Ending<'_>,
        watch: Watch<'_>,
    ) -> Result<Generated, EngineError> {
        let mut answers = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(self.rows.get() as usize) {
            let mut rows: Vec<Row> = prompts.iter().map(|prompt| Row::new(prompt)).collect();
            if !self.batch(&mut rows, ending)? {
                return Ok(Generated::NotFinite);
            }
            answers.extend(rows.into_iter().map(|row| row.ids[row.prompt..].to_vec()));
            if !watch(answers.len()) {
                return Ok(Generated::Stopped);
            }
        }
        Ok(Generated::Finite(answers))
    }

    /// Continues the rows of one batch; false when a logit that matters is not finite.
    fn batch(&mut self, rows: &mut [Row], ending: &Ending<'_>) -> Result<bool, EngineError> {
        let vocabulary = self.tuning.shape.vocabulary.get() as usize;
        let mut state = Vec::new();
        for cache in caches(&self.tuning, self.rows, self.positions) {
            let zeros = vec![0.0; cache.shape.iter().product()];
            state.push(StateTensor::new(cache.name, &cache.shape, zeros)?);
        }
        for position in 0..self.positions.get() as usize {
            if rows.iter().all(|row| row.ended(position)) {
                break;
            }
            let mut tokens: Vec<i64> = rows.iter().map(|row| row.token(position)).collect();
            tokens.resize(self.rows.get() as usize, 0);
            let mut feed = Feed::default();
            feed.indices("token", &[tokens.len()], tokens)?;
            feed.indices("position", &[1], vec![position as i64])?;
            for tensor in &state {
                feed.borrowed(&tensor.name, &tensor.value);
            }
            let mut outputs = self.program.run(feed)?;
            for (row, logits) in rows.iter_mut().zip(outputs.floats("logits")?.chunks(vocabulary)) {
                if row.awaits(position) {
                    if !all_finite(logits) {
                        return Ok(false);
                    }
                    row.take(most_probable(logits), ending);
                }
            }
            let next: Result<Vec<_>, _> =
                state.iter().map(|tensor| outputs.take(&next_name(&tensor.name))).collect();
            for (tensor, value) in state.iter_mut().zip(next?) {
                tensor.value = value;
            }
        }
        Ok(true)
    }
}

/// One prompt and what has come after it.
struct Row {
    ids: Vec<u32>,
    prompt: usize,
    done: bool,
}

impl Row {
    fn new(prompt: &[u32]) -> Self {
        Self { ids: prompt.to_vec(), prompt: prompt.len(), done: prompt.is_empty() }
    }

    /// The token fed at a position; 0 where there is none.
    fn token(&self, position: usize) -> i64 {
        self.ids.get(position).map_or(0, |id| i64::from(*id))
    }

    /// Whether the logits of this position say what comes next.
    fn awaits(&self, position: usize) -> bool {
        !self.done && self.ids.len() == position + 1
    }

    /// Whether no position from this one on says anything.
    fn ended(&self, position: usize) -> bool {
        self.done || self.ids.len() < position + 1
    }

    fn take(&mut self, id: u32, ending: &Ending<'_>) {
        self.ids.push(id);
        let new = &self.ids[self.prompt..];
        self.done = new.len() >= ending.tokens.get() as usize || (ending.stop)(new);
    }
}

/// The index of the largest logit, the lowest of equals. Logits are finite.
fn most_probable(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_id() {
        assert_eq!(most_probable(&[1.0, 3.0, 3.0, -2.0]), 1);
        assert_eq!(most_probable(&[-0.0, 0.0]), 0);
    }

    #[test]
    fn a_row_ends_by_count_or_by_its_ids() {
        let ending = Ending { tokens: 3.try_into().unwrap(), stop: &|ids| ids.ends_with(&[9]) };
        let mut row = Row::new(&[4, 5]);
        assert!(!row.awaits(0) && row.awaits(1) && row.token(1) == 5);
        for id in [1, 2, 3] {
            assert!(!row.done);
            row.take(id, &ending);
        }
        assert!(row.done && row.ended(4));
        let mut row = Row::new(&[4]);
        row.take(9, &ending);
        assert!(row.done);
        assert!(Row::new(&[]).ended(0));
    }
}
