//! What an attack earns: seeded markets over many epochs, settled by the real settlement.
//!
//! A scenario names a market, a coalition and what it does. Every replication plays the market
//! twice with the same seeds: once the coalition works honestly, once it attacks. What it earns
//! more, costs of work counted, is its profit over honest work. Everything is integers, so that a
//! scenario has the same digests on every machine.
//!
//! The simulator decides nothing: it writes events, and [`crate::settle`] pays. What datasets teach
//! is assumed by the scenario, or found out by a [`Trainer`]. Parties outside the coalition are
//! honest, and whether they replay anything is a number in the scenario.

mod chance;
mod error;
mod market;
mod miners;
mod replays;
mod runs;
mod scenario;
mod strategy;
mod trainer;
mod validators;

pub use error::{ScenarioError, SimulateError};
pub use runs::{AttackLine, Done, Simulation, simulate};
pub use scenario::{
    Attack, Costs, Population, Quality, Replays, Response, Scenario, Skill, Training,
};
pub use strategy::{Copying, MinerStrategy, Moment, Ring, Swarming, ValidatorStrategy};
pub use trainer::{Failed, Trainer};
