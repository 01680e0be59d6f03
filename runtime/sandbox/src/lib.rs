//! Loads, limits and calls guest kernels.
