//! The vocabulary of DataForge: ids, units, specs, datasets, benchmarks, token plans and score
//! proofs.
//!
//! This crate does no I/O, reads no clock, starts no thread and takes no decision on a float. Bytes
//! come in as slices and leave as types; everything hashed here states its byte format in the doc
//! comment of the function that hashes it. It builds for wasm32, so a browser can check a proof.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

pub mod benchmark;
pub mod bisect;
pub mod blind;
pub mod codec;
pub mod dataset;
pub mod hash;
pub mod limits;
pub mod merkle;
pub mod plan;
pub mod proof;
pub mod random;
pub mod score;
pub mod significance;
pub mod similarity;
pub mod spec;
pub mod state;
pub mod units;
pub mod weights;
