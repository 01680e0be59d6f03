//! The `dataforge` command.
fn main() {}
