//! The one test binary. A file in this folder that is not named here fails `registered`.

mod bad_input;
mod demo;
mod determinism;
mod environment;
mod layering;
mod readme;
mod registered;
mod stopped;
mod tampering;
mod usage;
