//! The harness of the test suites: where the repository is, the program under test, what it
//! answers, and a small spec to run it on.
//!
//! There is one test binary, `suite/main.rs`, with one module per subject. The harness knows
//! nothing of what the program should answer; that is for the suites.

mod answer;
mod devchain;
mod node;
mod program;
mod short;
#[cfg(unix)]
mod terminal;

pub use answer::Answer;
pub use devchain::Devchain;
pub use node::{Fault, Tamper, faulty_node, tampered_node};
pub use program::{dataforge, dataforge_on, root};
pub use short::{SEED, Scratch, Short};
#[cfg(unix)]
pub use terminal::Terminal;

use dataforge_core::proof::{ProofFile, ScoreProof};

/// The proof in a file.
///
/// # Panics
///
/// Where it is no proof.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
pub fn proof_in(file: &[u8]) -> ScoreProof {
    ProofFile::from_bytes(file).unwrap().proof
}
