//! Lowering to ONNX: to stock operators of opset 17, or to fused ones of our own.
//!
//! [`lower()`] turns a graph into a model, which any ONNX engine can run if its operators are
//! stock; [`fused`] says what ours are; [`proto`] has the message types of the file format. The
//! [`Lowering`] decides how exact sums are computed; what they mean is fixed by [`crate::exact`].
//! [`hoist()`] takes out what needs to be computed only once; [`backend_test()`] lays a run out for
//! other engines to check.

mod backend_test;
#[cfg(test)]
mod cuda;
pub mod fused;
mod hoist;
pub mod import;
mod lower;
pub mod proto;

pub use backend_test::{File, backend_test, in_order};
pub use hoist::{Split, hoist};
pub use lower::{Lowering, LoweringOptions, UnknownLowering, lower};
