//! The harness of the test suites: where the repository is, and the program under test.
//!
//! There is one test binary, `suite/main.rs`, with one module per subject. The harness knows
//! nothing of what the program should answer; that is for the suites.

mod program;

pub use program::{dataforge, dataforge_on, root};
