//! Generators that several fuzz targets, or the seeds and a target, share.
//!
//! A target holds the oracle: what must be true of whatever a decoder accepts. What makes its input
//! is here, so that neither can excuse the other.

pub mod beacon;
pub mod damage;
pub mod many_rows;
pub mod numbers;
pub mod small_model;
