//! What training needs: kernels, engine, weights, and where training starts.

use crate::error::EvaluateError;
use crate::features;
use crate::inspect::Inspector;
use crate::train::Course;
use crate::warm::{self, Trained};
use crate::weights::reference_weights;
use crate::world::World;
use dataforge_core::hash::{EpochSeed, RunId, SpecId, StateRoot};
use dataforge_core::plan::{BatchShape, TokenPlan, TokenRow, shuffle_outputs};
use dataforge_core::proof::{PlanRoots, Run, ScoreProof, Training, Whose};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::state;
use dataforge_engine::{EngineError, Features, Options, Runtime, Trainer, Weights};
use dataforge_graph::known_answer;
use dataforge_graph::llama::Tuning;
use std::num::NonZeroU32;
use std::path::Path;

/// Rows of a batch that is not trained on. Any number gives the same bits; this one keeps the
/// activations in cache.
const FORWARD_ROWS: NonZeroU32 = NonZeroU32::new(8).unwrap();

/// A spec made ready for training under it.
pub(crate) struct Setup<'w> {
    pub(crate) world: &'w dyn World,
    pub(crate) spec: PinnedSpec,
    pub(crate) inspector: Inspector,
    pub(crate) runtime: Runtime,
    pub(crate) weights: Weights,
    /// Where training starts, when that is not the pinned weights.
    pub(crate) warmed: Option<Trained>,
}

impl<'w> Setup<'w> {
    /// Loads everything that `spec` pins and verifies it, with the fastest exact engine.
    pub(crate) fn exact(world: &'w dyn World, spec: PinnedSpec) -> Result<Self, EvaluateError> {
        let (tuning, shape) = (Tuning::from(spec.spec()), spec.spec().training.batch_shape());
        let clock = || world.elapsed();
        Self::load(world, spec, |path, options| {
            Runtime::fastest(path, options, &tuning, shape, &clock)
        })
    }

    /// As [`Setup::exact`], with an engine that may not be.
    pub(crate) fn load(
        world: &'w dyn World,
        spec: PinnedSpec,
        load: impl FnOnce(&Path, Options) -> Result<Runtime, EngineError>,
    ) -> Result<Self, EvaluateError> {
        let inspector = Inspector::load(world, &spec)?;
        let weights = reference_weights(world, &spec)?;
        let library = world.engine_library().map_err(EvaluateError::World)?;
        let runtime = load(&library, world.engine_options())?;
        let mut setup = Self { world, spec, inspector, runtime, weights, warmed: None };
        setup.warmed = warm::recall_or_train(&setup)?;
        Ok(setup)
    }

    /// What of the model is trained.
    pub(crate) fn tuning(&self) -> Tuning {
        Tuning::from(self.spec.spec())
    }

    /// The shape of batches that are not trained on.
    pub(crate) fn forward_shape(&self) -> BatchShape {
        BatchShape { rows: FORWARD_ROWS, ..self.spec.spec().training.batch_shape() }
    }

    /// Whether what the engine computes is what every exact engine does.
    pub(crate) fn is_exact(&self) -> bool {
        self.runtime.lowering().lowering.is_exact()
    }

    /// What a run is trained on. The control's rows have their outputs permuted by stream `control`
    /// of the epoch seed; their order is the model's.
    pub(crate) fn plan(&self, rows: &[TokenRow], whose: Whose, seed: &EpochSeed) -> TokenPlan {
        let recipe = &self.spec.spec().training;
        let rows = match whose {
            Whose::Model => rows.to_vec(),
            Whose::Control => shuffle_outputs(rows, seed, "control"),
        };
        TokenPlan::new(rows, recipe.batch_shape(), recipe.epochs, seed)
    }

    /// What the frozen blocks make of a plan's rows, where there are any.
    pub(crate) fn features(&self, plan: &TokenPlan) -> Result<Option<Features>, EvaluateError> {
        features::compute(self, plan.rows())
    }

    /// A run at its start.
    pub(crate) fn course<'a>(
        &'a self,
        plan: &'a TokenPlan,
        features: Option<&'a Features>,
        initial: Trained,
    ) -> Result<Course<'a>, EvaluateError> {
        let (recipe, weights) = (&self.spec.spec().training, &self.weights);
        let (tuning, steps) = (self.tuning(), plan.steps());
        let trainer =
            Trainer::starting_from(initial, &self.runtime, tuning, recipe, weights, steps)?;
        Course::new(self.world, recipe, plan, features, trainer)
    }

    /// What a run's checkpoints are kept under.
    pub(crate) fn run_id(&self, plan: PlanRoots, initial_state: StateRoot) -> RunId {
        run_id(self.spec.id(), plan, initial_state)
    }

    /// The trained parameters before an evaluation's first step.
    pub(crate) fn initial(&self, seed: &EpochSeed) -> Result<Trained, EvaluateError> {
        Ok(match &self.warmed {
            Some(warmed) => warmed.clone(),
            None => self.weights.initial(&self.tuning(), seed)?,
        })
    }
}

/// What the checkpoints of a proof's runs are kept under.
#[must_use]
pub fn run_ids(proof: &ScoreProof) -> Vec<RunId> {
    let id = |training: &Training, run: &Run| {
        run_id(proof.inputs.spec, run.plan, training.initial_state)
    };
    let training = proof.training.iter();
    training.flat_map(|training| training.runs().map(|(_, run)| id(training, run))).collect()
}

/// What a run's checkpoints are kept under.
pub(crate) fn run_id(spec: SpecId, plan: PlanRoots, initial_state: StateRoot) -> RunId {
    state::run_id(spec, plan, initial_state, known_answer::DIGEST.trim())
}
