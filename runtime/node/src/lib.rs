//! The real world: artifact cache, spec store, public datasets.
