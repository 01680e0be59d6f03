//! The one test binary. A file in this folder that is not named here fails `registered`.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]
#![allow(clippy::disallowed_methods, reason = "some tests wait, and bound how long")]

mod auditing;
mod bad_input;
mod batches;
mod bisecting;
mod chain;
mod checking;
mod demo;
mod determinism;
mod drawing;
mod engine;
mod environment;
mod estimate;
mod faults;
mod imported;
mod kernels;
mod layering;
mod readme;
mod registered;
mod resuming;
mod rules;
mod scores;
mod settling;
mod simulating;
mod stopped;
mod tampering;
mod trunk;
mod usage;
mod verifying;
mod wallets;
