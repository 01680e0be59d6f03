//! The chain: wallets, metagraph, weights, commitments, and a journal that signs once.

pub mod client;
pub mod error;
pub mod ids;
pub mod journal;
mod membership;
pub mod metagraph;
pub mod network;
pub mod pledge;
pub mod shapes;
pub mod ss58;
pub mod submit;
pub mod timelock;
mod transport;
pub mod wallet;
mod weight_calls;
pub mod weight_commit;
pub mod weights;
