//! The real world: where files live, the artifact cache, public data sets, and the demo's data.
//!
//! Everything that touches the disk, the network or another process is here, so that the crates
//! below stay pure. This crate takes no decision about a score: it brings bytes in, checks them
//! against their pins, and writes results out.
//!
//! - [`home`]: the folder everything is kept under
//! - [`epochs`]: what happened in each epoch, and what settling made of it
//! - [`findings`]: what evaluations say to a settlement
//! - [`fs`]: bounded reads, atomic writes
//! - [`artifacts`]: what is pinned in `artifacts.lock`, fetched once and verified on every use
//! - [`peer`]: bisection over the network
//! - [`public_sets`]: public data sets, parsed into rows
//! - [`rehearsal`]: datasets that simulations train on
//! - [`rows`]: a miner's dataset file of any usual format, row by row
//! - [`scenarios`]: what a simulation is of
//! - [`specs`]: eval specs on disk
//! - [`states`]: checkpoints of training runs
//! - [`benchmarks`]: the hidden rows, from a file or a public set
//! - [`world`]: what the pipeline sees of all this
//! - [`demo_data`]: the demo's submissions and hidden benchmark, built from a public set

pub mod artifacts;
pub mod benchmarks;
pub mod code;
pub mod demo_data;
pub mod epochs;
mod error;
pub mod findings;
pub mod fs;
pub mod home;
pub mod peer;
pub mod public_sets;
pub mod rehearsal;
pub mod rows;
pub mod scenarios;
pub mod specs;
pub mod states;
#[cfg(test)]
mod testing;
pub mod world;

pub use error::NodeError;
pub use home::Home;
