//! Any bytes as a time-lock commit, as a beacon's signature and as weights: what is read as weights
//! is written back to the same bytes, and a commit that opens holds all bytes but its overhead.
#![no_main]

use std::sync::LazyLock;

use dataforge_chain::timelock::{
    COMMIT_BYTES_MAX, Commit, PLAIN_BYTES_MAX, RoundSignature, WeightsPayload, decrypt,
};
use dataforge_fuzz::beacon::{ROUND, signature};
use libfuzzer_sys::fuzz_target;

static SIGNATURE: LazyLock<RoundSignature> = LazyLock::new(signature);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(weights) = WeightsPayload::from_bytes(bytes) {
        assert_eq!(weights.to_bytes(), bytes);
    }
    if let Ok(signature) = RoundSignature::from_bytes(bytes) {
        assert_eq!(signature.verify(ROUND), signature == *SIGNATURE);
    }
    let Ok(commit) = Commit::from_bytes(bytes.to_vec()) else { return };
    if let Ok(plain) = decrypt(&commit, &SIGNATURE) {
        assert_eq!(COMMIT_BYTES_MAX - bytes.len(), PLAIN_BYTES_MAX - plain.len());
    }
});
