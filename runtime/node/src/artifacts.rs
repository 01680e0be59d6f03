//! What DataForge needs and its repository does not carry: pinned, fetched once, verified always.
//!
//! `artifacts.lock` names every artifact with its SHA-256 and exact size, per platform where it is
//! machine code. The cache is content-addressed: an object's file name is the digest of its bytes.
//!
//! Invariants: a path or bytes handed out have been hashed in that very call; an object appears in
//! the cache whole or not at all; once it is there, no process starts and no network is touched.
//! This module installs and executes nothing it downloads: a wheel is a zip to take one file from.

mod cache;
mod derive;
mod engine;
mod error;
mod lock;
mod observer;
mod pip;
mod platform;
#[cfg(test)]
mod tests;
mod wheel;

pub use cache::{ArtifactState, ArtifactStatus, Artifacts};
pub use derive::Derivation;
pub use error::{ArtifactError, Found};
pub use lock::{
    ARTIFACT_BYTES_MAX, Artifact, ArtifactLock, LOCK_BYTES_MAX, LockError, Source, Wheel,
};
pub use observer::{FetchEvent, FetchObserver, Silent};
pub use pip::Pip;
pub use platform::Platform;
