//! Choosing how graphs are lowered by measurement: every exact lowering gives the same bits, so the
//! fastest is taken.

use crate::error::EngineError;
use crate::runtime::{Options, Runtime};
use crate::session::{Feed, Program};
use crate::state::StateTensor;
use dataforge_core::plan::BatchShape;
use dataforge_graph::llama::{Parameter, Tuning, block_parameters};
use dataforge_graph::onnx::Lowering;
use dataforge_graph::step::trunk_block;
use std::path::Path;
use std::time::Duration;

/// Runs of each lowering, of which the fastest counts.
const RUNS: usize = 3;

/// A lowering whose first run takes so many times the best one so far is not run again.
const HOPELESS: u32 = 2;

/// How long one block of a model took under one lowering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How its graph was lowered.
    pub lowering: Lowering,
    /// The fastest forward pass over one batch.
    pub time: Duration,
}

impl Runtime {
    /// Loads the library at `path` with the lowering of `options`, or, where that is open, with the
    /// one that takes the least time for one block of `tuning` over batches of `shape`. Lowerings
    /// that fail the known-answer test here, or that the provider cannot run, are passed over.
    ///
    /// # Errors
    /// As [`Runtime::load`], of the stock lowering where the choice is open.
    pub fn fastest(
        path: &Path,
        options: Options,
        tuning: &Tuning,
        shape: BatchShape,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Self, EngineError> {
        if options.lowering.is_some() {
            return Self::load(path, options);
        }
        let mut best = Self::load(path, Options { lowering: Some(Lowering::Stock), ..options })?;
        let mut timings = vec![best.time_block(tuning, shape, None, clock)?];
        for lowering in Lowering::ALL {
            if lowering == Lowering::Stock || !lowering.is_exact() {
                continue;
            }
            let options = Options { lowering: Some(lowering), ..options };
            let Ok(runtime) = Self::load(path, options) else { continue };
            let fastest = timings.iter().map(|timing| timing.time).min();
            let Ok(timing) = runtime.time_block(tuning, shape, fastest, clock) else { continue };
            timings.push(timing);
            if fastest.is_some_and(|fastest| timing.time < fastest) {
                best = runtime;
            }
        }
        best.measured = timings;
        Ok(best)
    }

    /// Times one block on made-up numbers. Its weights are bound where the method freezes them.
    fn time_block(
        &self,
        tuning: &Tuning,
        shape: BatchShape,
        fastest: Option<Duration>,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Timing, EngineError> {
        let parameters = block_parameters(&tuning.shape, 0);
        let width = tuning.shape.width.get() as usize;
        let hidden = Parameter { name: "hidden".into(), shape: vec![shape.tokens(), width] };
        let values = |parameter: &Parameter| {
            let data = made_up(parameter.shape.iter().product());
            StateTensor::new(parameter.name.clone(), &parameter.shape, data)
        };
        let weights = parameters.iter().map(values).collect::<Result<Vec<_>, _>>()?;
        let frozen = tuning.trunk().is_some();
        let fixed = if frozen { &parameters[..] } else { &[] };
        let mut program = Program::compile(self, &trunk_block(tuning, shape), fixed)?;
        let (bound, mut fed) = if frozen { (weights, vec![]) } else { (vec![], weights) };
        program.bind(self, bound)?;
        fed.push(values(&hidden)?);

        let mut time = Duration::MAX;
        for _ in 0..RUNS {
            let mut feed = Feed::default();
            for tensor in &fed {
                feed.borrowed(&tensor.name, &tensor.value);
            }
            let start = clock();
            program.run(feed)?;
            time = time.min(clock().saturating_sub(start));
            if fastest.is_some_and(|fastest| time > HOPELESS * fastest) {
                break;
            }
        }
        Ok(Timing { lowering: self.lowering().lowering, time })
    }
}

/// Numbers between −½ and ½: a multiplicative hash of their index (Knuth 1973, section 6.4).
fn made_up(count: usize) -> Vec<f32> {
    let number = |i: u32| (i.wrapping_mul(2_654_435_769) >> 8) as f32 / 16_777_216.0 - 0.5;
    (0..count as u32).map(number).collect()
}
