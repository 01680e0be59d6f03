//! The engine and its settings: everything that could make two machines disagree is fixed here.
//!
//! Invariant: no setting is taken from the environment or the host, except the instruction set that
//! the compiler targets. Fuel is counted on WebAssembly instructions and so does not depend on it.

use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

use crate::contamination::Overlap;
use crate::diversity::Measure;
use crate::kernel::{Kernel, compile};
use crate::{
    CheckerCommand, CodeStore, ContaminationKernel, DiversityKernel, KernelLimits, MetricsKernel,
    SandboxError, SchemaKernel, SimilarityKernel, TokenizerKernel,
};

/// Native stack for guest code, in bytes. More than wasmtime's default, because the recursive
/// descent of a kernel's parsers should hit the parsers' own limit first; half of what a Rust
/// thread has, because the host's frames need room as well.
const STACK_BYTES: usize = 1 << 20;

/// Compiles kernels. Cheap to clone, and to be made once per process.
#[derive(Clone)]
pub struct Sandbox<'s> {
    engine: Engine,
    code: Option<&'s dyn CodeStore>,
}

impl<'s> Sandbox<'s> {
    /// Prepares the compiler. Fails only on a platform that it does not support.
    pub fn new() -> Result<Self, SandboxError> {
        let engine = Engine::new(&config())
            .map_err(|error| SandboxError::Internal(format!("no WebAssembly engine: {error:#}")))?;
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

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .max_wasm_stack(STACK_BYTES)
        // Signal handlers belong to the whole process, and emulated CPUs do not run them as others.
        .signals_based_traps(false)
        // Takes twice as long to compile, once; calls then take what they would with traps by
        // signals.
        .cranelift_opt_level(OptLevel::Speed)
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
