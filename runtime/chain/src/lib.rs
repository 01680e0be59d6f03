//! The chain: wallets, metagraph, weights, commitments, and a journal that signs once.
//!
//! Without the feature `client` it is what needs no node: keys and addresses, time locks and hashes
//! of weights, the journal.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod error;
pub mod ids;
pub mod journal;
#[cfg(feature = "client")]
mod membership;
#[cfg(feature = "client")]
pub mod metagraph;
#[cfg(feature = "client")]
pub mod network;
#[cfg(feature = "client")]
pub mod pledge;
#[cfg(feature = "client")]
pub mod shapes;
pub mod ss58;
#[cfg(feature = "client")]
pub mod submit;
pub mod timelock;
#[cfg(feature = "client")]
mod transport;
pub mod wallet;
#[cfg(feature = "client")]
mod weight_calls;
pub mod weight_commit;
pub mod weight_vector;
#[cfg(feature = "client")]
pub mod weights;
