//! Settlement: what an epoch's evaluations are worth, in integers.
//!
//! Every validator must reach the same awards from the same claims, so there is no float, no clock,
//! no randomness and no I/O here, every operation is checked, and what is not paid out is named.
//! This crate does not evaluate, sign or talk to a chain.
#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_arithmetic
)]

mod claim;
mod copies;
mod epoch;
mod error;
mod rule;
mod share;
#[cfg(test)]
mod tests;
mod weights;

pub use claim::{Claim, CommitOrder, Outcome, SubmissionName};
pub use epoch::{Award, Settlement, Standing, settle_epoch};
pub use error::SettleError;
pub use rule::{CopyRule, LIFT_MAX, Rule};
pub use share::MicroShare;
pub use weights::weights_u16;
