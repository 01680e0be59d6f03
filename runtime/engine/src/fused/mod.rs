//! Fused kernels: the results of stock operators, bit for bit, in fewer passes over memory.
//!
//! [`domain`] registers them with ONNX Runtime under the names that
//! [`dataforge_graph::onnx::fused`] gives them. Each kernel is compiled for several sets of vector
//! instructions ([`level`]) and may use several threads; neither changes a bit.

mod lanes;
mod level;
mod operators;
mod product;
mod scale;
mod sums;
mod tile;
mod work;

pub(crate) use operators::domain;
