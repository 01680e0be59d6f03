//! Settlement: who is paid for an epoch, who is slashed, and why, in integers.
//!
//! A pure state machine: rules, a ledger and the events of an epoch make the ledger after it and a
//! report. Everybody who settles the same events reaches the same digests, so there is no float, no
//! clock, no randomness and no I/O here, every operation is checked, and no unit is lost. This
//! crate does not evaluate, verify signatures or proofs, or talk to a chain: events are facts.
#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_arithmetic
)]

mod amount;
mod comparison;
mod draw;
mod epoch;
mod error;
mod event;
mod finding;
mod gather;
mod ledger;
mod miners;
mod report;
mod rules;
mod script;
pub mod simulate;
mod validators;

pub use amount::{AMOUNT_MAX, Rao};
pub use comparison::compare;
pub use draw::Lottery;
pub use epoch::{Settled, settle};
pub use error::{EventFault, RulesError, SettleError};
pub use event::{
    Block, Comparison, Epoch, Event, Lift, Outcome, Salt, Score, Shared, What, score_commitment,
    submission_commitment,
};
pub use finding::{Basis, Finding};
pub use gather::{Note, Slip};
pub use ledger::{Account, Conduct, Held, HeldFor, Ledger, Origin, Unbalanced};
pub use report::{
    AnswerKind, AssignmentLine, Emission, MinerFactors, Release, Report, Slash, SlashReason,
    Standing, SubmissionLine, ValidatorLine,
};
pub use rules::{Bond, Domain, Draw, LIFT_MAX, Phases, Profile, Rules, Slashing, Stage, Timetable};
pub use script::Script;
