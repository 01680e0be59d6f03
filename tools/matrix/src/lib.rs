//! What the matrix and the test suites share: real rows, weights and batches, as tensors.
#![forbid(unsafe_code)]

pub mod material;
pub mod tensors;
