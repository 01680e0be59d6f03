//! The chain: wallets, metagraph, weights, commitments, and a journal that signs once.

pub mod journal;
pub mod timelock;
pub mod wallet;
pub mod weight_commit;
