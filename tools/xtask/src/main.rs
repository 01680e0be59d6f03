//! The single door for chores: `cargo xtask`.
fn main() {}
