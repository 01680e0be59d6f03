//! The state of one call, and the limiter that bounds its memory.
//!
//! Invariants: a denial depends on the limits and the guest alone; when the *host* has no memory
//! to give, the call fails as the host's fault and the guest never sees a failed growth, because
//! a guest that went on would answer differently on a larger machine.

use wasmtime::{Engine, ResourceLimiter, Store};

use crate::{KernelLimits, SandboxError, shape};

/// A kernel made from one core module has one of each; the second is room for the adapter module
/// that component tools add.
pub(crate) const INSTANCES_MAX: usize = 2;

pub(crate) struct CallState {
    pub(crate) limits: KernelLimits,
    /// What the call may use.
    pub(crate) fuel: u64,
    table_elements: u64,
    /// Whether the guest asked for more memory or table elements than it may have.
    pub(crate) denied: bool,
    /// Whether the host could not provide what the guest may have.
    pub(crate) host_exhausted: bool,
}

impl CallState {
    /// Of a call about so many items.
    pub(crate) fn new(limits: KernelLimits, items: usize) -> Self {
        let per_items = limits.fuel_per_item.saturating_mul(items as u64);
        Self {
            limits,
            fuel: limits.fuel_per_call.saturating_add(per_items),
            table_elements: 0,
            denied: false,
            host_exhausted: false,
        }
    }
}

/// A store for one call, with all of its fuel.
pub(crate) fn new<T: 'static>(
    engine: &Engine,
    state: T,
    call: fn(&mut T) -> &mut CallState,
) -> Result<Store<T>, SandboxError> {
    let mut store = Store::new(engine, state);
    store.limiter(move |state| call(state));
    let CallState { limits, fuel, .. } = *call(store.data_mut());
    store.set_fuel(fuel).map_err(internal)?;
    store.set_epoch_deadline(seconds_max(fuel));
    store.set_hostcall_fuel(usize::try_from(limits.output_bytes_max).unwrap_or(usize::MAX));
    Ok(store)
}

/// Seconds that a call with so much fuel may run, in ticks of [`crate::sandbox`]: two hundred times
/// as long as the fuel lasts on a processor of today, so that emulated ones have enough.
pub(crate) fn seconds_max(fuel: u64) -> u64 {
    const LEAST: u64 = 5;
    const FUEL_PER_SECOND: u64 = 5_000_000;
    LEAST + fuel / FUEL_PER_SECOND
}

/// What a store made by [`new`] has used of its fuel.
pub(crate) fn fuel_used<T>(store: &Store<T>, granted: u64) -> Result<u64, SandboxError> {
    Ok(granted.saturating_sub(store.get_fuel().map_err(internal)?))
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
        let granted = total <= self.limits.table_elements_max.min(shape::TABLE_ELEMENTS_MAX);
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
