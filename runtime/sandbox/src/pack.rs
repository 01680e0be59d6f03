//! A module that a compiler made, turned into the component that specs pin.

use wit_component::ComponentEncoder;

use crate::contamination::Overlap;
use crate::diversity;
use crate::kernel::{Function, check_shape, compile};
use crate::metrics;
use crate::schema::{Check, CheckPairs};
use crate::similarity::Make;
use crate::tokenizer::Encode;
use crate::{KernelLimits, Refusal, Sandbox, SandboxError, shape};

/// Interfaces of every world of `wit/`.
const INTERFACES: &[&[&str]] = &[
    CheckPairs::INTERFACES,
    Check::INTERFACES,
    Encode::INTERFACES,
    metrics::Measure::INTERFACES,
    Make::INTERFACES,
    Overlap::INTERFACES,
    diversity::Measure::INTERFACES,
];

/// Makes a component of a core module that carries its world, as `wit-bindgen` leaves it there. The
/// same module gives the same bytes.
///
/// # Errors
/// [`SandboxError::Refused`]: the module is no kernel of a known world, or imports something.
pub fn pack(module: &[u8]) -> Result<Vec<u8>, SandboxError> {
    let limits = KernelLimits::default();
    shape::check_size(module, limits)?;
    let packed = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Refusal::NotAComponent(format!("{error:#}")))?;
    let component = compile(Sandbox::new()?.engine(), None, &packed, limits)?;
    check_shape(&component, &INTERFACES.concat())?;
    Ok(packed)
}
