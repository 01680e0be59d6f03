//! The engine and its settings: everything that could make two machines disagree is fixed here.
//!
//! Invariant: no setting is taken from the environment or the host, except the instruction set that
//! the compiler targets. Fuel is counted on WebAssembly instructions and so does not depend on it.
//! The one clock here ends calls that run away, never with a verdict.

use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::contamination::Overlap;
use crate::diversity::Measure;
use crate::kernel::{Kernel, compile};
use crate::store::INSTANCES_MAX;
use crate::{
    CheckerCommand, CodeStore, ContaminationKernel, DiversityKernel, KernelLimits, MetricsKernel,
    SandboxError, SchemaKernel, SimilarityKernel, TokenizerKernel, shape,
};

/// Native stack for guest code, in bytes. More than wasmtime's default, because the recursive
/// descent of a kernel's parsers should hit the parsers' own limit first; half of what a Rust
/// thread has, because the host's frames need room as well.
const STACK_BYTES: usize = 1 << 20;

/// Calls that one engine can serve at a time. Each has four gibibytes of addresses reserved for its
/// memory, which is not memory in use.
const CALLS_MAX: u32 = 64;

/// Memory that an ended call leaves to the next, in bytes: to clear it takes less time than to get
/// it from the system page by page. More than a call of the pinned kernels with a batch of rows
/// takes; a call that took more gives the rest back.
const KEPT_BYTES: usize = 16 << 20;

/// Bytes of what the engine itself keeps about an instance, its functions and globals. More than
/// any component of allowed size can need.
const INSTANCE_BYTES_MAX: usize = 64 << 20;

/// How it is noticed that a guest divides by zero, reads what is not its memory, or gives up. The
/// verdict and the fuel are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traps {
    /// The processor says so. Compiled kernels are half as large and faster.
    #[default]
    Signals,
    /// The compiled code looks before each step that might, and is not optimised. For emulated CPUs
    /// on which a handler cannot continue elsewhere: user-mode QEMU 7.2 ends the process.
    Checks,
}

/// Compiles kernels. Cheap to clone, and to be made once per process. One sandbox and its clones
/// serve at most 64 calls at a time; one more fails as [`SandboxError::Internal`].
#[derive(Clone)]
pub struct Sandbox<'s> {
    engine: Engine,
    code: Option<&'s dyn CodeStore>,
}

impl<'s> Sandbox<'s> {
    /// Prepares the compiler. Fails only on a platform that it does not support.
    pub fn new() -> Result<Self, SandboxError> {
        Self::trapping(Traps::default())
    }

    /// The same, with another way to notice what a guest may not do.
    pub fn trapping(traps: Traps) -> Result<Self, SandboxError> {
        let config = config(traps);
        let mut pooling = config.clone();
        pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        // Where addresses are short, as under `ulimit -v`, each call gets memory of its own.
        let engine = Engine::new(&pooling)
            .or_else(|_| Engine::new(&config))
            .map_err(|error| SandboxError::Internal(format!("no WebAssembly engine: {error:#}")))?;
        tick(&engine)?;
        Ok(Self { engine, code: None })
    }

    /// The same, which compiles only what is not in this store.
    #[must_use]
    pub fn keeping(self, code: Option<&'s dyn CodeStore>) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles a kernel of the WIT world `schema`.
    pub fn schema_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<SchemaKernel, SandboxError> {
        SchemaKernel::new(&compile(&self.engine, self.code, wasm, limits)?, limits)
    }

    /// Compiles a kernel of the WIT world `tokenizer`.
    pub fn tokenizer_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<TokenizerKernel, SandboxError> {
        TokenizerKernel::new(&compile(&self.engine, self.code, wasm, limits)?, limits)
    }

    /// Compiles a checker: a WASI preview 1 command.
    pub fn checker_command(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<CheckerCommand, SandboxError> {
        CheckerCommand::load(&self.engine, self.code, wasm, limits)
    }

    /// Compiles a kernel of the WIT world `metrics`.
    pub fn metrics_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<MetricsKernel, SandboxError> {
        Kernel::load(&self.engine, self.code, wasm, limits).map(MetricsKernel)
    }

    /// Compiles a kernel of the WIT world `similarity`.
    pub fn similarity_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<SimilarityKernel, SandboxError> {
        Kernel::load(&self.engine, self.code, wasm, limits).map(SimilarityKernel)
    }

    /// Compiles a kernel of the WIT world `contamination`.
    pub fn contamination_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<ContaminationKernel, SandboxError> {
        let overlap: Kernel<Overlap> = Kernel::load(&self.engine, self.code, wasm, limits)?;
        Ok(ContaminationKernel { index: overlap.another()?, overlap })
    }

    /// Compiles a kernel of the WIT world `diversity`.
    pub fn diversity_kernel(
        &self,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<DiversityKernel, SandboxError> {
        let measure: Kernel<Measure> = Kernel::load(&self.engine, self.code, wasm, limits)?;
        Ok(DiversityKernel { dispersion: measure.another()?, measure })
    }
}

/// Has an engine's epoch count seconds for as long as there is one.
fn tick(engine: &Engine) -> Result<(), SandboxError> {
    let engine = engine.weak();
    let ticks = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(Duration::from_secs(1));
        }
    };
    let started = thread::Builder::new().name("sandbox seconds".to_owned()).spawn(ticks);
    started.map(|_| ()).map_err(|error| SandboxError::Internal(format!("no thread: {error}")))
}

/// Memory for calls, reserved once. Its limits are beyond those of calls and of `shape`, so that
/// the latter alone decide.
fn pool() -> PoolingAllocationConfig {
    let instances = CALLS_MAX * INSTANCES_MAX as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(CALLS_MAX)
        .total_core_instances(instances)
        .total_memories(CALLS_MAX)
        .total_tables(instances)
        .max_tables_per_module(INSTANCES_MAX as u32)
        .table_elements(shape::TABLE_ELEMENTS_MAX as usize)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(KEPT_BYTES);
    pool
}

fn config(traps: Traps) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        // For what fuel does not bound: see `SandboxError::TooSlow`.
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .signals_based_traps(traps == Traps::Signals)
        // Takes twice as long to compile, once. Those who look before each step are in no hurry.
        .cranelift_opt_level(match traps {
            Traps::Signals => OptLevel::Speed,
            Traps::Checks => OptLevel::None,
        })
        // The bits of a NaN are otherwise up to the processor.
        .cranelift_nan_canonicalization(true)
        // Relaxed SIMD is nondeterministic by design. A module that uses it is refused; the second
        // line only matters if somebody ever allows it.
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        // One instance has one 32-bit memory: `memory_bytes_max` is then the whole truth.
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        // A guest's backtrace is of no use to those who read our errors, and collecting it is slow.
        .wasm_backtrace(false)
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proposals that are off because this build of wasmtime lacks the feature stay off.
    #[test]
    fn a_nondeterministic_proposal_is_refused() {
        for (name, module) in [
            ("threads", "(module (memory 1 1 shared))"),
            (
                "relaxed SIMD",
                "(module (func (param v128) (result v128) \
                local.get 0 local.get 0 i8x16.relaxed_swizzle))",
            ),
            ("memory64", "(module (memory i64 1))"),
            ("multiple memories", "(module (memory 1) (memory 1))"),
        ] {
            let component = wat::parse_str(format!("(component (core {})", &module[1..])).unwrap();
            let loaded = Sandbox::new().unwrap().schema_kernel(&component, KernelLimits::default());
            let error = loaded.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("not a valid component"), "{name}: {error}");
        }
    }
}
