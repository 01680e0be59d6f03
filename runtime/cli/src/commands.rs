//! One module per command.

pub(crate) mod artifacts;
pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod estimate;
pub(crate) mod evaluate;
pub(crate) mod index;
pub(crate) mod kernel;
pub(crate) mod model;
pub(crate) mod proof;
pub(crate) mod settle;
pub(crate) mod simulate;
pub(crate) mod spec;
pub(crate) mod wallet;
