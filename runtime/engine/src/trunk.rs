//! The frozen blocks of a model: run once per row, block by block, so that one block's weights are
//! in use at a time.
//!
//! A row's features are a function of the weights, the tuning, the number of positions and that row
//! alone, so they may be kept and shared.

use crate::error::EngineError;
use crate::runtime::Runtime;
use crate::score::Watch;
use crate::session::{Feed, Program};
use crate::state::{StateTensor, Weights};
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_graph::llama::{Tuning, block_parameters};
use dataforge_graph::step::trunk_block;

/// The trunk's output for some rows: `[positions, width]` for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    width: usize,
    /// positions · width.
    row: usize,
    data: Vec<f32>,
}

impl Features {
    /// Features from their little-endian bytes, rows end to end. `None` when the size is another.
    #[must_use]
    pub fn from_bytes(
        tuning: &Tuning,
        positions: usize,
        rows: usize,
        bytes: &[u8],
    ) -> Option<Self> {
        let width = tuning.shape.width.get() as usize;
        let row = positions * width;
        let (words, rest) = bytes.as_chunks::<4>();
        let fits = rest.is_empty() && words.len() == rows * row;
        let data = words.iter().map(|word| f32::from_le_bytes(*word));
        fits.then(|| Self { width, row, data: data.collect() })
    }

    /// Little-endian bytes, rows end to end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.data.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// `[rows · positions, width]` of a batch; absent rows are 0.
    pub(crate) fn batch(&self, batch: &Batch) -> Result<Vec<f32>, EngineError> {
        let mut hidden = Vec::with_capacity(batch.shape.tokens() * self.width);
        for member in &batch.members {
            let start = *member as usize * self.row;
            let row = self.data.get(start..start + self.row);
            let row =
                row.ok_or_else(|| EngineError::Bug(format!("no features of row {member}")))?;
            hidden.extend_from_slice(row);
        }
        hidden.resize(batch.shape.tokens() * self.width, 0.0);
        Ok(hidden)
    }
}

/// Runs `rows` through the trunk in batches of one shape. `watch` is told after each batch how many
/// rows have passed through all blocks, were the work spread evenly; `None` when it says to stop.
///
/// # Errors
/// [`EngineError`] when the library refuses the graph or fails.
pub fn trunk(
    runtime: &Runtime,
    tuning: &Tuning,
    weights: &Weights,
    rows: &[TokenRow],
    shape: BatchShape,
    watch: Watch<'_>,
) -> Result<Option<Features>, EngineError> {
    let width = tuning.shape.width.get() as usize;
    let row = shape.positions.get() as usize * width;
    let members: Vec<u32> = (0..rows.len() as u32).collect();
    let batches = members.chunks(shape.rows.get() as usize);
    let table = weights.get("embedding")?;
    let embed = |members: &[u32]| {
        let ids = Batch::pack(rows, members, shape).ids;
        ids.into_iter().flat_map(|id| &table[id as usize * width..][..width]).copied().collect()
    };
    let mut hidden: Vec<Vec<f32>> = batches.map(embed).collect();

    let parameters = block_parameters(&tuning.shape, 0);
    let mut program = Program::compile(runtime, &trunk_block(tuning, shape), &parameters)?;
    let layers = tuning.trunk().unwrap_or(0);
    let (mut done, all) = (0, layers as usize * hidden.len());
    for layer in 0..layers {
        let named = block_parameters(&tuning.shape, layer).into_iter().zip(&parameters);
        let renamed = named.map(|(here, first)| {
            StateTensor::new(first.name.clone(), &first.shape, weights.get(&here.name)?.to_vec())
        });
        program.bind(runtime, renamed.collect::<Result<_, _>>()?)?;
        for batch in &mut hidden {
            let mut feed = Feed::default();
            feed.floats("hidden", &[shape.tokens(), width], std::mem::take(batch))?;
            *batch = program.run(feed)?.floats("next")?.to_vec();
            done += 1;
            if !watch(rows.len() * done / all) {
                return Ok(None);
            }
        }
    }
    let mut data = hidden.concat();
    data.truncate(rows.len() * row);
    Ok(Some(Features { width, row, data }))
}
