//! The state of one call, and the limiter that bounds its memory.
//!
//! Invariants: a denial depends on the limits and the guest alone; when the *host* has no memory
//! to give, the call fails as the host's fault and the guest never sees a failed growth, because
//! a guest that went on would answer differently on a larger machine.

use wasmtime::{Engine, ResourceLimiter, Store};

use crate::{KernelLimits, SandboxError};

/// A kernel made from one core module has one of each; the second is room for the adapter module
/// that component tools add.
const INSTANCES_MAX: usize = 2;

pub(crate) struct CallState {
    limits: KernelLimits,
    table_elements: u64,
    /// Whether the guest asked for more memory or table elements than it may have.
    pub(crate) denied: bool,
    /// Whether the host could not provide what the guest may have.
    pub(crate) host_exhausted: bool,
}

/// A store for one call, with all of its fuel.
pub(crate) fn new(engine: &Engine, limits: KernelLimits) -> Result<Store<CallState>, SandboxError> {
    let state = CallState { limits, table_elements: 0, denied: false, host_exhausted: false };
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    store.set_fuel(limits.fuel_per_call).map_err(internal)?;
    store.set_hostcall_fuel(usize::try_from(limits.output_bytes_max).unwrap_or(usize::MAX));
    Ok(store)
}

/// Fuel that a store made by [`new`] has used.
pub(crate) fn fuel_used(store: &Store<CallState>) -> Result<u64, SandboxError> {
    let left = store.get_fuel().map_err(internal)?;
    Ok(store.data().limits.fuel_per_call.saturating_sub(left))
}

fn internal(error: wasmtime::Error) -> SandboxError {
    SandboxError::Internal(format!("{error:#}"))
}

impl ResourceLimiter for CallState {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum: an ordinary failed growth.
            return Ok(false);
        }
        let granted = desired as u64 <= self.limits.memory_bytes_max;
        self.denied |= !granted;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.host_exhausted = true;
        Err(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.table_elements.saturating_add((desired - current) as u64);
        let granted = total <= self.limits.table_elements_max;
        if granted {
            self.table_elements = total;
        }
        self.denied |= !granted;
        Ok(granted)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.host_exhausted = true;
        Err(error)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        1
    }
}
