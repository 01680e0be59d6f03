//! The loaded library, and the test that it must pass before anything is trained.
//!
//! A process loads one library; asking for another later is an error. The known-answer test runs
//! once for each [`Runtime`], with the very options that sessions will use.

use crate::error::EngineError;
use crate::fastest::Timing;
use crate::provider::Provider;
use crate::session::{Feed, Program};
use crate::version;
use dataforge_core::hash::FileDigest;
use dataforge_graph::known_answer;
use dataforge_graph::onnx::{Lowering, LoweringOptions};
use ort::LoadDynamicError;
use ort::environment::Environment;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How sessions run. None of it changes a bit of any result.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads that one operator may use.
    pub threads: usize,
    /// Which operators compute a graph. `None` leaves it to a measurement
    /// ([`Runtime::fastest`]), or to the stock ones where nothing is measured.
    pub lowering: Option<Lowering>,
    /// Where graphs run.
    pub provider: Provider,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, lowering: None, provider: Provider::default() }
    }
}

/// Result of the known-answer test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAnswer {
    /// What the library gave.
    pub found: FileDigest,
    /// What every exact engine gives.
    pub expected: FileDigest,
}

impl KnownAnswer {
    /// Whether the library is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.found == self.expected
    }
}

/// ONNX Runtime, loaded.
#[derive(Debug)]
pub struct Runtime {
    environment: &'static Environment,
    path: PathBuf,
    options: Options,
    /// Takes square roots in f64.
    wide_sqrt: bool,
    /// What the choice of the lowering rests on, if it was measured.
    pub(crate) measured: Vec<Timing>,
}

/// Why the library does not load, with the system loader's own words.
fn loader_words(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        }
        other => other.to_string(),
    }
}

static LOADED: OnceLock<Result<(Environment, PathBuf), String>> = OnceLock::new();

impl Runtime {
    /// Loads the library at `path` and runs the known-answer test.
    ///
    /// # Errors
    /// [`EngineError::Load`] when it does not load, [`EngineError::KnownAnswer`] when it is not
    /// exact.
    pub fn load(path: &Path, options: Options) -> Result<Self, EngineError> {
        let (runtime, answer) = Self::examine(path, options)?;
        if answer.is_exact() { Ok(runtime) } else { Err(runtime.refuse(answer)) }
    }

    /// Loads the library at `path` for the fast lowering, which promises no bits and has no test.
    ///
    /// # Errors
    /// [`EngineError::Load`] when it does not load.
    pub fn load_fast(path: &Path, options: Options) -> Result<Self, EngineError> {
        Self::load_untested(path, Options { lowering: Some(Lowering::Fast), ..options })
    }

    /// Loads the library at `path` and says what it answers. A library that is exact but for its
    /// f32 square roots is made to take them in f64.
    ///
    /// # Errors
    /// [`EngineError::Load`] when it does not load, [`EngineError::Onnx`] when it cannot run the
    /// test at all.
    pub fn examine(path: &Path, options: Options) -> Result<(Self, KnownAnswer), EngineError> {
        let mut runtime = Self::load_untested(path, options)?;
        let answer = runtime.known_answer()?;
        if answer.is_exact() {
            return Ok((runtime, answer));
        }
        runtime.wide_sqrt = true;
        let wide = runtime.known_answer()?;
        runtime.wide_sqrt = wide.is_exact();
        Ok((runtime, if wide.is_exact() { wide } else { answer }))
    }

    /// The error of a library that gave this answer.
    #[must_use]
    pub fn refuse(&self, answer: KnownAnswer) -> EngineError {
        let KnownAnswer { found, expected } = answer;
        EngineError::KnownAnswer { path: self.path.clone(), found, expected }
    }

    fn load_untested(path: &Path, options: Options) -> Result<Self, EngineError> {
        let load = |reason: String| EngineError::Load { path: path.into(), reason };
        let Options { provider, lowering, .. } = options;
        if provider != Provider::Cpu && lowering == Some(Lowering::Fused) {
            let reason = "fused operators run on the processor".into();
            return Err(EngineError::Provider { provider, reason });
        }
        // dlopen would search its own folders for a name that is not there.
        if !path.is_file() {
            return Err(load("no such file".into()));
        }
        let loaded = LOADED.get_or_init(|| {
            let builder = ort::init_from(path).map_err(|e| loader_words(&e))?;
            let environment = builder.with_name("dataforge").with_telemetry(false).build();
            Ok((environment.map_err(|e| e.to_string())?, path.to_path_buf()))
        });
        let (environment, first) = loaded.as_ref().map_err(|reason| load(reason.clone()))?;
        if first != path {
            return Err(load(format!("this process has already loaded {}", first.display())));
        }
        Ok(Self { environment, path: path.into(), options, wide_sqrt: false, measured: vec![] })
    }

    fn known_answer(&self) -> Result<KnownAnswer, EngineError> {
        let graph = known_answer::graph();
        let mut program = Program::compile(self, &graph, &[])?;
        let mut feed = Feed::default();
        for (name, tensor) in known_answer::inputs() {
            if known_answer::INDICES.contains(&name.as_str()) {
                feed.indices(
                    &name,
                    &tensor.shape,
                    tensor.data.iter().map(|x| *x as i64).collect(),
                )?;
            } else {
                feed.floats(&name, &tensor.shape, tensor.data.iter().map(|x| *x as f32).collect())?;
            }
        }
        let outputs = program.run(feed)?;
        let mut named = Vec::new();
        for (name, _) in graph.outputs() {
            named.push((name.as_str(), outputs.floats(name)?.to_vec()));
        }
        let expected = known_answer::DIGEST.trim().parse();
        let expected = expected.map_err(|e| EngineError::Bug(format!("known_answer.txt: {e}")))?;
        Ok(KnownAnswer { found: known_answer::digest(named), expected })
    }

    /// The library's version, such as `1.31.1`.
    #[must_use]
    pub fn version(&self) -> String {
        version::version(&self.path).unwrap_or_else(|| "unknown".into())
    }

    /// The library's own description of its build.
    #[must_use]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    /// The library's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The execution provider that sessions use.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.options.provider.onnx_name()
    }

    /// How graphs are lowered for this library.
    #[must_use]
    pub fn lowering(&self) -> LoweringOptions {
        let Options { lowering, provider, .. } = self.options;
        let signed_slices = provider == Provider::Cuda;
        let lowering = lowering.unwrap_or_default();
        LoweringOptions { lowering, wide_sqrt: self.wide_sqrt, signed_slices }
    }

    /// Everything about the engine that may differ between machines that give the same bits.
    #[must_use]
    pub fn description(&self) -> String {
        let LoweringOptions { lowering, wide_sqrt, .. } = self.lowering();
        let sqrt = if wide_sqrt { ", square roots in f64" } else { "" };
        let (version, provider) = (self.version(), self.provider());
        let threads = self.options.threads;
        let mut measured = String::new();
        for Timing { lowering, time } in &self.measured {
            let before = if measured.is_empty() { " (one block: " } else { ", " };
            measured += &format!("{before}{lowering} {:.2} ms", 1e3 * time.as_secs_f64());
        }
        if !measured.is_empty() {
            measured.push(')');
        }
        format!(
            "onnxruntime {version}, {provider}, {threads} threads, {lowering} \
             lowering{measured}{sqrt}"
        )
    }

    pub(crate) fn environment(&self) -> &Environment {
        self.environment
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }
}
