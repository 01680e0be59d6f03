//! Lowering to stock ONNX: opset 17, no custom operators.
//!
//! [`lower()`] turns a graph into a model that any ONNX engine can run; [`proto`] has the
//! message types of the file format. The [`Lowering`] decides how exact sums are computed; what
//! they mean is fixed by [`crate::exact`]. [`hoist()`] takes out what needs to be computed only
//! once.

mod hoist;
pub mod import;
mod lower;
pub mod proto;

pub use hoist::{Split, hoist};
pub use lower::{Lowering, LoweringOptions, UnknownLowering, lower};
