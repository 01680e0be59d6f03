//! One path for every kernel: static checks, compile, a fresh instance per call, sorted failures.
//!
//! The types of `P` and `R` mirror a function of `wit/`; wasmtime compares them with the
//! component's own types when the kernel is loaded. Invariant: nothing survives a call, so calls
//! can neither influence each other nor depend on their order.

use std::marker::PhantomData;

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
    TypedFunc,
};
use wasmtime::{Engine, Store, Trap};

use crate::store::{self, CallState};
use crate::{CodeStore, KernelLimits, Refusal, SandboxError, code, shape};

/// What wasmtime says when an answer exceeds the store's hostcall fuel. It has no error type for
/// it; a test of the hostile guests fails should the words ever change.
const TOO_MUCH_DATA: &str = "too much data is being copied";

/// What a kernel answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// Fuel that the call took: the same on every machine.
    pub fuel: u64,
}

/// A function of `wit/`, by its name and those of the interfaces that have it: one for each version
/// of the package that changed the interface and not this function.
pub(crate) trait Function {
    const INTERFACES: &'static [&'static str];
    const NAME: &'static str;
    type Params<'a>: ComponentNamedList + Lower;
    type Answer: Lift + Send + Sync + 'static;
}

/// A compiled kernel that exports `F`.
pub(crate) struct Kernel<F> {
    instance: InstancePre<CallState>,
    interface: &'static str,
    function: ComponentExportIndex,
    limits: KernelLimits,
    exports: PhantomData<fn() -> F>,
}

impl<F: Function> Kernel<F>
where
    Result<F::Answer, String>: Lift,
    (Result<F::Answer, String>,): ComponentNamedList,
{
    pub(crate) fn load(
        engine: &Engine,
        store: Option<&dyn CodeStore>,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<Self, SandboxError> {
        Self::new(&compile(engine, store, wasm, limits)?, limits)
    }

    pub(crate) fn new(component: &Component, limits: KernelLimits) -> Result<Self, SandboxError> {
        let engine = component.engine();
        let interface = check_shape(component, F::INTERFACES)?;
        // Nothing is linked, so this also refuses what `check_shape` might have overlooked.
        let instance = Linker::new(engine)
            .instantiate_pre(component)
            .map_err(|error| Refusal::Imports(format!("{error:#}")))?;
        Self::of(instance, interface, limits)
    }

    /// Another function of the same kernel and interface.
    pub(crate) fn another<G: Function>(&self) -> Result<Kernel<G>, SandboxError>
    where
        Result<G::Answer, String>: Lift,
        (Result<G::Answer, String>,): ComponentNamedList,
    {
        Kernel::of(self.instance.clone(), self.interface, self.limits)
    }

    fn of(
        instance: InstancePre<CallState>,
        interface: &'static str,
        limits: KernelLimits,
    ) -> Result<Self, SandboxError> {
        let component = instance.component();
        let function = component
            .get_export_index(None, interface)
            .and_then(|interface| component.get_export_index(Some(&interface), F::NAME))
            .ok_or_else(|| signature::<F>("it is missing"))?;
        let kernel = Self { instance, interface, function, limits, exports: PhantomData };
        // An instance that is thrown away: a kernel that cannot start, or whose function has
        // another type, is refused here and not at a miner's first row.
        kernel.instantiate(&mut kernel.store(0)?)?;
        Ok(kernel)
    }

    fn store(&self, items: usize) -> Result<Store<CallState>, SandboxError> {
        store::new(self.instance.engine(), CallState::new(self.limits, items), |state| state)
    }

    /// Calls the function in a fresh instance. Returns the answer and the fuel it took.
    pub(crate) fn call(
        &self,
        params: F::Params<'_>,
        items: usize,
        input_bytes: u64,
    ) -> Result<(F::Answer, u64), SandboxError> {
        let max = self.limits.input_bytes_max;
        if input_bytes > max {
            return Err(SandboxError::InputTooLarge { bytes: input_bytes, max });
        }
        let mut store = self.store(items)?;
        let function = self.instantiate(&mut store)?;
        match function.call(&mut store, params) {
            Ok((Ok(answer),)) => Ok((answer, store::fuel_used(&store, store.data().fuel)?)),
            Ok((Err(message),)) => Err(SandboxError::Reported(message)),
            Err(error) => Err(stopped(&store, |call| call, &error)),
        }
    }

    #[expect(clippy::type_complexity, reason = "an alias would hide what the function returns")]
    fn instantiate<'a>(
        &self,
        store: &mut Store<CallState>,
    ) -> Result<TypedFunc<F::Params<'a>, (Result<F::Answer, String>,)>, SandboxError> {
        let instance = self
            .instance
            .instantiate(&mut *store)
            .map_err(|error| not_started(store, |call| call, &error))?;
        instance
            .get_typed_func(store, self.function)
            .map_err(|error| signature::<F>(&format!("{error:#}")).into())
    }
}

/// Sorts the failure to make an instance: its start may stop as a call does; for the rest, what may
/// be made was checked before, so that the host has failed.
pub(crate) fn not_started<T: 'static>(
    store: &Store<T>,
    call: fn(&T) -> &CallState,
    error: &wasmtime::Error,
) -> SandboxError {
    if error.is::<Trap>() || call(store.data()).denied {
        return stopped(store, call, error);
    }
    SandboxError::Internal(format!("{error:#}"))
}

/// Sorts the failure of a call.
pub(crate) fn stopped<T: 'static>(
    store: &Store<T>,
    call: fn(&T) -> &CallState,
    error: &wasmtime::Error,
) -> SandboxError {
    let state = call(store.data());
    let limits = state.limits;
    let fuel = match store::fuel_used(store, state.fuel) {
        Ok(fuel) => fuel,
        Err(error) => return error,
    };
    if state.host_exhausted {
        return SandboxError::Internal(format!("no memory for the guest: {error:#}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => SandboxError::OutOfFuel { fuel: state.fuel },
        Some(Trap::StackOverflow) => SandboxError::StackOverflow,
        // After a denial, whatever stops the guest is its way of giving up.
        _ if state.denied => SandboxError::OutOfMemory { limits, fuel },
        Some(Trap::Interrupt) => SandboxError::TooSlow { seconds: store::seconds_max(state.fuel) },
        Some(trap) => SandboxError::Trap { reason: trap.to_string(), fuel },
        None => {
            let message = format!("{error:#}");
            if message.contains(TOO_MUCH_DATA) {
                SandboxError::OutputTooLarge { max: limits.output_bytes_max, fuel }
            } else {
                SandboxError::InvalidAnswer(message)
            }
        }
    }
}

/// A component of a shape that is worth compiling, compiled.
pub(crate) fn compile(
    engine: &Engine,
    store: Option<&dyn CodeStore>,
    wasm: &[u8],
    limits: KernelLimits,
) -> Result<Component, SandboxError> {
    shape::check_size(wasm, limits)?;
    Ok(code::kept(engine, store, wasm, Refusal::NotAComponent)?)
}

/// Whether a component exports this interface.
pub(crate) fn exports(component: &Component, interface: &str) -> bool {
    component.get_export_index(None, interface).is_some()
}

/// Checks that an answer's numbers are ones that the contract of `wit/` allows.
pub(crate) fn check_finite(numbers: &[f64]) -> Result<(), SandboxError> {
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(number) => Err(SandboxError::InvalidAnswer(format!("{number} is not finite"))),
    }
}

/// Checks that there is one answer for each question.
pub(crate) fn check_count(what: &str, answers: usize, asked: usize) -> Result<(), SandboxError> {
    if answers == asked {
        return Ok(());
    }
    Err(SandboxError::InvalidAnswer(format!("{answers} answers for {asked} {what}")))
}

/// Size of a list of byte strings as the guest receives it: the bytes, and eight for each element.
pub(crate) fn list_bytes(elements: impl Iterator<Item = usize>) -> u64 {
    elements.map(|length| length as u64 + 8).sum()
}

/// A kernel has no imports and exports one interface: gives the one of these that it exports.
pub(crate) fn check_shape(
    component: &Component,
    interfaces: &[&'static str],
) -> Result<&'static str, Refusal> {
    let engine = component.engine();
    let ty = component.component_type();
    if let Some((name, _)) = ty.imports(engine).next() {
        return Err(Refusal::Imports(name.to_owned()));
    }
    let found: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    match interfaces.iter().find(|interface| found == [**interface]) {
        Some(interface) => Ok(interface),
        None => Err(Refusal::Exports { expected: interfaces.join(" or "), found }),
    }
}

fn signature<F: Function>(reason: &str) -> Refusal {
    Refusal::Signature { function: F::NAME, reason: reason.to_owned() }
}
