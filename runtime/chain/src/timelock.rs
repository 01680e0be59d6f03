//! In the making.
#[derive(Debug, thiserror::Error)]
pub enum TimelockError {}
