//! Ids, units, specs, datasets, proofs, Merkle trees, canonical encoding and every limit.
