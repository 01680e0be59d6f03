//! Any bytes as a wallet's key file: a key that is read is the one that the file names, and
//! signs what verifies as its own; no refusal quotes the file.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use dataforge_chain::wallet::Keypair;
use dataforge_core::hash::ValidatorKey;
use dataforge_core::proof::{ProofFile, ScoreProof};
use libfuzzer_sys::fuzz_target;

static PROOF: LazyLock<ScoreProof> = LazyLock::new(|| {
    let file = include_bytes!("../../tests/golden/short/short.proof");
    ProofFile::from_bytes(file).expect("the golden proof").proof
});

/// Every reason is one of a few fixed sentences.
const REASON_BYTES_MAX: usize = 96;

fuzz_target!(|file: &[u8]| match Keypair::parse(Path::new(""), file) {
    Ok(key) => {
        let public = ValidatorKey::from(key.public());
        // A member that is not a key's may be a number that no value holds.
        if let Ok(json) = serde_json::from_slice::<serde_json::Value>(file) {
            let named = json["publicKey"].as_str().expect("a string").to_lowercase();
            assert_eq!(named.strip_prefix("0x").unwrap_or(&named), public.to_string());
        }
        assert_eq!(key.sign_proof(PROOF.clone()).signer(), Ok(Some(public)));
    }
    Err(error) => assert!(error.to_string().len() <= REASON_BYTES_MAX, "{error}"),
});
