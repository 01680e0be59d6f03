//! Fusing: fewer, larger operators with the same bits.
//!
//! [`crate::onnx::fused`] writes what is planned here as operators of our own, which
//! `dataforge-engine` registers; [`program`] is what the two share.

mod narrow;
pub(crate) mod plan;
pub mod program;
mod view;

pub(crate) use narrow::narrow;
