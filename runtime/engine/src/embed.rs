//! Texts as vectors: an encoder of the BERT family, run forward.
//!
//! A text's vector is a function of the weights, the number of positions and that text alone.

use crate::error::EngineError;
use crate::runtime::Runtime;
use crate::session::{Feed, Program};
use crate::state::{StateTensor, Weights};
use dataforge_core::spec::BertShape;
use dataforge_graph::bert;

/// An encoder made ready for batches of one shape.
pub struct Embedder {
    program: Program,
    rows: usize,
    positions: usize,
    width: usize,
}

impl Embedder {
    /// Compiles the encoder for batches of `rows` texts of at most `positions` tokens.
    ///
    /// # Errors
    /// [`EngineError`] when the library refuses the graph, or a weight is missing.
    pub fn new(
        runtime: &Runtime,
        shape: &BertShape,
        weights: &Weights,
        (rows, positions): (usize, usize),
        operand_bits: u32,
    ) -> Result<Self, EngineError> {
        let parameters = bert::parameters(shape);
        let graph = bert::embedding(shape, rows, positions, operand_bits);
        let mut program = Program::compile(runtime, &graph, &parameters)?;
        let tensors = parameters
            .iter()
            .map(|p| StateTensor::new(p.name.clone(), &p.shape, weights.get(&p.name)?.to_vec()));
        program.bind(runtime, tensors.collect::<Result<_, _>>()?)?;
        Ok(Self { program, rows, positions, width: shape.width.get() as usize })
    }

    /// Vectors `[width]` of length 1, one for each text; tokens beyond the positions are cut off.
    ///
    /// # Errors
    /// [`EngineError`] when the library fails, and for a text without tokens.
    pub fn embed(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.rows) {
            if batch.iter().any(Vec::is_empty) {
                return Err(EngineError::Bug("a text without tokens".into()));
            }
            let grid = [self.rows, self.positions];
            let (mut ids, mut real) = (vec![], vec![]);
            // Rows that are not there are the first once more: every row needs a real token.
            for row in 0..self.rows {
                let text = batch.get(row).unwrap_or(&batch[0]);
                let tokens = text.len().min(self.positions);
                ids.extend(text[..tokens].iter().map(|id| i64::from(*id)));
                ids.resize((row + 1) * self.positions, 0);
                real.resize(row * self.positions + tokens, 1.0);
                real.resize((row + 1) * self.positions, 0.0);
            }
            let mut feed = Feed::default();
            feed.indices("types", &grid, vec![0; ids.len()])?;
            feed.indices("ids", &grid, ids)?;
            feed.floats("real", &grid, real)?;
            let outputs = self.program.run(feed)?;
            let found = outputs.floats("embedding")?.chunks(self.width).take(batch.len());
            vectors.extend(found.map(<[f32]>::to_vec));
        }
        Ok(vectors)
    }
}
