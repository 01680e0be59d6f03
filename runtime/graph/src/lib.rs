//! Tensor graphs whose results do not depend on the order in which an engine adds numbers.
//!
//! The one path: a model family builds a [`Graph`] ([`llama`], [`bert`]), [`grad`] differentiates
//! it, [`step`] adds loss and optimiser, and [`onnx`] lowers the result to ONNX, after
//! [`composite`] has replaced composed functions by primitive operators. [`interp`] is a second,
//! independent engine that defines what every operator means. Nothing here does I/O or names an
//! engine.
#![forbid(unsafe_code)]

pub mod activation;
pub mod bert;
pub mod composite;
pub mod exact;
pub mod fused;
pub mod grad;
pub mod interp;
pub mod ir;
pub mod known_answer;
pub mod llama;
pub mod onnx;
pub mod optim;
pub mod step;

pub use ir::{Element, Graph, Op, Scales, Shape, Value};
