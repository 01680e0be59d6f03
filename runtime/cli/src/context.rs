//! What every command shares: folders, artifacts, options, and the stop flag that Ctrl-C sets.

use crate::arguments::Arguments;
use crate::progress;
use anyhow::Context as _;
use dataforge_core::benchmark::Benchmark;
use dataforge_core::spec::{PinnedSpec, Spec};
use dataforge_evaluate::Options;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use dataforge_node::benchmarks::{self, PublicSet};
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use dataforge_node::{Home, NodeError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C. Commands look at it between steps; a second Ctrl-C ends the process.
static STOP: AtomicBool = AtomicBool::new(false);

pub(crate) struct Context {
    pub(crate) json: bool,
    pub(crate) home: Home,
    pub(crate) artifacts: Artifacts,
    options: Options,
    specs: Option<PathBuf>,
}

impl Context {
    pub(crate) fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        })
        .context("cannot listen for Ctrl-C")?;
        let home = Home::discover()?;
        let artifacts = Artifacts::new(&home, ArtifactLock::embedded()?);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            json: arguments.json,
            home,
            artifacts,
            options: Options {
                threads: arguments.threads.map_or(processors, usize::from),
                lowering: arguments.lowering,
                provider: arguments.provider,
            },
            specs: arguments.specs.clone(),
        })
    }

    /// Set by Ctrl-C.
    pub(crate) fn stop(&self) -> &'static AtomicBool {
        &STOP
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }

    pub(crate) fn specs(&self) -> Result<Specs, NodeError> {
        Ok(match &self.specs {
            Some(folder) => Specs::at(folder),
            None => Specs::discover()?,
        })
    }

    /// The folder of the state store.
    pub(crate) fn states(&self, given: Option<&Path>) -> PathBuf {
        given.map_or_else(|| self.home.path().join("states"), Path::to_owned)
    }

    /// The artifacts that the engine consists of.
    pub(crate) fn engine_parts(&self) -> &'static [&'static str] {
        self.artifacts.engine_parts(self.options.provider)
    }

    /// Fetches what is missing of `names`, with progress.
    pub(crate) fn provision(&self, names: &[&str]) -> Result<Vec<PathBuf>, NodeError> {
        Ok(self.artifacts.fetch(names, &progress::Fetching::new(&STOP))?)
    }

    /// Fetches what training under `spec` needs.
    pub(crate) fn provision_engine_for(&self, spec: &Spec) -> Result<(), NodeError> {
        let mut names = self.engine_parts().to_vec();
        names.extend([spec.model.weights.as_str(), spec.model.tokenizer.as_str()]);
        self.provision(&names)?;
        Ok(())
    }

    /// Fetches what evaluating under `spec` needs, and opens the benchmark.
    pub(crate) fn provision_for(
        &self,
        spec: &Spec,
        benchmark: Option<&Path>,
    ) -> Result<Benchmark, NodeError> {
        self.provision_engine_for(spec)?;
        self.provision_benchmark(spec, benchmark)
    }

    /// Opens the benchmark, and fetches it where it is public.
    pub(crate) fn provision_benchmark(
        &self,
        spec: &Spec,
        benchmark: Option<&Path>,
    ) -> Result<Benchmark, NodeError> {
        if benchmark.is_none() {
            self.provision(&[PublicSet::of(spec)?.artifact])?;
        }
        benchmarks::open(spec, benchmark, &self.artifacts)
    }

    /// As [`Self::provision_for`], but without a hidden benchmark when there is no file of it.
    pub(crate) fn provision_for_known(
        &self,
        spec: &Spec,
        benchmark: Option<&Path>,
    ) -> Result<Option<Benchmark>, NodeError> {
        if benchmark.is_some() || PublicSet::of(spec).is_ok() {
            return self.provision_for(spec, benchmark).map(Some);
        }
        self.provision_engine_for(spec)?;
        Ok(None)
    }

    /// The pipeline's surroundings for one spec, with progress under `label`.
    pub(crate) fn world<'a>(
        &'a self,
        specs: &'a Specs,
        spec: &PinnedSpec,
        label: &'a progress::Stage,
    ) -> NodeWorld<'a> {
        let report = Box::new(|event| label.event(event));
        NodeWorld::new(
            specs,
            &spec.spec().reference(),
            &self.artifacts,
            self.options,
            &STOP,
            report,
        )
    }
}
