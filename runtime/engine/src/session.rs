//! One graph compiled for ONNX Runtime, its inputs by name and its outputs by name.
//!
//! Outputs can be fed to the next run without a copy: that is how state stays in place between
//! steps. Inputs that stay the same over many runs are bound: what depends on them alone is
//! computed once.

use crate::error::EngineError;
use crate::fused;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::state::StateTensor;
use dataforge_graph::llama::Parameter;
use dataforge_graph::onnx::proto::{TensorProto, data_type};
use dataforge_graph::onnx::{Lowering, Split};
use dataforge_graph::{Graph, onnx};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor};
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How far ONNX Runtime may rewrite a graph before it runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimisation {
    /// Not at all, as in every evaluation: the exact profile forbids re-association, and no
    /// optimisation is worth trusting one to know that.
    None,
    /// Rewrites that it says keep the meaning: constant folding, removal of redundant nodes.
    Basic,
    /// Everything it has, layouts included.
    All,
}

impl Optimisation {
    /// What graphs of this lowering get.
    fn of(lowering: Lowering) -> Self {
        if lowering.is_exact() { Self::None } else { Self::All }
    }
}

/// A compiled graph.
pub(crate) struct Program {
    /// Takes the bound values and what each run feeds.
    body: Session,
    /// From the fixed inputs to what of them the body takes, encoded.
    prologue: Option<Vec<u8>>,
    bound: Vec<(String, DynValue)>,
}

impl Program {
    /// Lowers and loads a graph, whose inputs named in `fixed` will be bound.
    pub(crate) fn compile(
        runtime: &Runtime,
        graph: &Graph,
        fixed: &[Parameter],
    ) -> Result<Self, EngineError> {
        let fixed = fixed.iter().map(|parameter| parameter.name.clone()).collect();
        let Split { prologue, body } = onnx::hoist(&onnx::lower(graph, runtime.lowering()), &fixed);
        let optimisation = Optimisation::of(runtime.lowering().lowering);
        let body = Self::load(runtime, &body.encode_to_vec(), optimisation)?;
        Ok(Self { prologue: prologue.map(|model| model.encode_to_vec()), ..body })
    }

    /// Loads a model without fixed inputs.
    pub(crate) fn load(
        runtime: &Runtime,
        model: &[u8],
        optimisation: Optimisation,
    ) -> Result<Self, EngineError> {
        let body = session(runtime, model, true, optimisation)?;
        Ok(Self { body, prologue: None, bound: vec![] })
    }

    /// Gives the fixed inputs their values, in place of earlier ones.
    pub(crate) fn bind(
        &mut self,
        runtime: &Runtime,
        fixed: Vec<StateTensor>,
    ) -> Result<(), EngineError> {
        // Values as large as a whole model: none of the old ones may stay beside the new.
        self.bound.clear();
        let takes =
            |session: &Session, name: &str| session.inputs().iter().any(|i| i.name() == name);
        if let Some(model) = &self.prologue {
            let optimisation = Optimisation::of(runtime.lowering().lowering);
            let mut prologue = session(runtime, model, false, optimisation)?;
            let mut feed = Feed::default();
            for tensor in fixed.iter().filter(|tensor| takes(&prologue, &tensor.name)) {
                feed.borrowed(&tensor.name, &tensor.value);
            }
            self.bound = run(&mut prologue, feed)?;
        }
        let kept = fixed.into_iter().filter(|tensor| takes(&self.body, &tensor.name));
        self.bound.extend(kept.map(|tensor| (tensor.name, tensor.value)));
        Ok(())
    }

    /// Runs the graph once.
    pub(crate) fn run<'v>(&'v mut self, mut feed: Feed<'v>) -> Result<Outputs, EngineError> {
        for (name, value) in &self.bound {
            feed.borrowed(name, value);
        }
        Ok(Outputs(run(&mut self.body, feed)?.into_iter().collect()))
    }
}

/// Without an arena, what a run allocates is given back at its end.
fn session(
    runtime: &Runtime,
    model: &[u8],
    arena: bool,
    optimisation: Optimisation,
) -> Result<Session, EngineError> {
    let level = match optimisation {
        Optimisation::None => GraphOptimizationLevel::Disable,
        Optimisation::Basic => GraphOptimizationLevel::Level1,
        Optimisation::All => GraphOptimizationLevel::All,
    };
    let provider = runtime.options().provider;
    let mut builder = Session::builder(runtime.environment())?
        .with_optimization_level(level)
        .map_err(ort::Error::from)?
        .with_intra_threads(runtime.options().threads)
        .map_err(ort::Error::from)?;
    if runtime.lowering().lowering == Lowering::Fused {
        builder = builder.with_operators(fused::domain()?).map_err(ort::Error::from)?;
    }
    if provider == Provider::Cuda && runtime.lowering().lowering.is_exact() {
        builder = builder.with_disable_cpu_fallback().map_err(ort::Error::from)?;
    }
    let dispatch = match provider {
        Provider::Cpu => ort::ep::CPU::default().with_arena_allocator(arena).build(),
        Provider::Cuda => ort::ep::CUDA::default().build(),
    };
    let refused = |error: ort::Error| EngineError::Provider { provider, reason: error.to_string() };
    builder = builder
        .with_execution_providers([dispatch.error_on_failure()])
        .map_err(|error| refused(error.into()))?;
    // ONNX Runtime registers our domain once per session, and two at a time can collide in a table
    // of the process.
    let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    builder.commit_from_memory(model).map_err(EngineError::loading)
}

/// Held while a session is made.
static LOADING: Mutex<()> = Mutex::new(());

fn run(session: &mut Session, feed: Feed<'_>) -> Result<Vec<(String, DynValue)>, EngineError> {
    let mut results = session.run(feed.values)?;
    let names: Vec<String> = results.keys().map(ToOwned::to_owned).collect();
    let take = |name: String| results.remove(&name).map(|value| (name, value));
    Ok(names.into_iter().filter_map(take).collect())
}

/// Inputs of one run.
#[derive(Default)]
pub(crate) struct Feed<'v> {
    values: Vec<(String, SessionInputValue<'v>)>,
}

impl<'v> Feed<'v> {
    pub(crate) fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        data: Vec<f32>,
    ) -> Result<(), EngineError> {
        let tensor = Tensor::from_array((shape.to_vec(), data))?;
        self.values.push((name.to_owned(), tensor.into()));
        Ok(())
    }

    pub(crate) fn indices(
        &mut self,
        name: &str,
        shape: &[usize],
        data: Vec<i64>,
    ) -> Result<(), EngineError> {
        let tensor = Tensor::from_array((shape.to_vec(), data))?;
        self.values.push((name.to_owned(), tensor.into()));
        Ok(())
    }

    /// An input in ONNX's own form; the opposite of [`Feed::tensors`].
    pub(crate) fn tensor(&mut self, tensor: &TensorProto) -> Result<(), EngineError> {
        let TensorProto { dims, data_type, name, raw_data, .. } = tensor;
        let shape: Vec<usize> = dims.iter().map(|d| *d as usize).collect();
        match *data_type {
            data_type::FLOAT => {
                let (elements, _) = raw_data.as_chunks::<4>();
                self.floats(name, &shape, elements.iter().map(|b| f32::from_le_bytes(*b)).collect())
            }
            data_type::INT64 => {
                let (elements, _) = raw_data.as_chunks::<8>();
                let data = elements.iter().map(|b| i64::from_le_bytes(*b)).collect();
                self.indices(name, &shape, data)
            }
            other => Err(EngineError::Bug(format!("input {name:?} has element type {other}"))),
        }
    }

    pub(crate) fn borrowed(&mut self, name: &str, value: &'v DynValue) {
        self.values.push((name.to_owned(), value.into()));
    }

    /// A copy of every input.
    pub(crate) fn tensors(&self) -> Result<Vec<TensorProto>, EngineError> {
        self.values.iter().map(|(name, value)| tensor_proto(name, value)).collect()
    }
}

/// Results of one run.
pub(crate) struct Outputs(BTreeMap<String, DynValue>);

impl Outputs {
    pub(crate) fn floats(&self, name: &str) -> Result<&[f32], EngineError> {
        let value = self.0.get(name).ok_or_else(|| missing(name))?;
        Ok(value.try_extract_tensor::<f32>()?.1)
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<DynValue, EngineError> {
        self.0.remove(name).ok_or_else(|| missing(name))
    }

    /// A copy of every output.
    pub(crate) fn tensors(&self) -> Result<Vec<TensorProto>, EngineError> {
        self.0.iter().map(|(name, value)| tensor_proto(name, value)).collect()
    }
}

/// A tensor of f32 or indices in ONNX's own form.
pub(crate) fn tensor_proto(name: &str, value: &DynValue) -> Result<TensorProto, EngineError> {
    let (dims, data_type, raw_data) = if let Ok((dims, data)) = value.try_extract_tensor::<f32>() {
        let raw = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        (dims.to_vec(), data_type::FLOAT, raw)
    } else {
        let (dims, data) = value.try_extract_tensor::<i64>()?;
        (dims.to_vec(), data_type::INT64, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    };
    Ok(TensorProto { dims, data_type, name: name.to_owned(), raw_data, ..Default::default() })
}

fn missing(name: &str) -> EngineError {
    EngineError::Bug(format!("the graph has no output {name:?}"))
}
