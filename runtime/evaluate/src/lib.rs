//! The evaluation pipeline and its replay.
