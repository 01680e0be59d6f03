//! The one test binary. A file in this folder that is not named here fails `registered`.

mod layering;
mod readme;
mod registered;
