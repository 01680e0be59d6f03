//! The harness of the test suites: where the repository is, the program under test, what it
//! answers, and a small spec to run it on.
//!
//! There is one test binary, `suite/main.rs`, with one module per subject. The harness knows
//! nothing of what the program should answer; that is for the suites.

mod answer;
mod program;
mod short;

pub use answer::Answer;
pub use program::{dataforge, dataforge_on, root};
pub use short::{SEED, Scratch, Short};
