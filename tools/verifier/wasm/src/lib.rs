//! The verifier of score proofs as a WebAssembly module, for browsers and whatever else runs one.
//!
//! It imports nothing. A host calls `input` once for each file and writes the file where that says,
//! then `verify`, which gives the place of the answer: its length (u32 LE), then JSON. The files
//! are, in order: a proof or a part of one; with it or not, the spec and its lock; with these or
//! not, the revealed benchmark's rows. `verifier.mjs` does all this.

use dataforge_core::benchmark::{Benchmark, BenchmarkRow};
use dataforge_core::limits::{BENCHMARK_BYTES_MAX, PROOF_BYTES_MAX};
use dataforge_core::proof::{Disclosure, ProofFile};
use dataforge_core::spec::{PinnedSpec, Spec, SpecLock};
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Mutex;

/// Most files of one verification.
const INPUTS_MAX: usize = 4;

static INPUTS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Where the next file goes, or 0 where it is too large, or one too many.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: u32) -> *mut u8 {
    let Ok(mut inputs) = INPUTS.lock() else { return std::ptr::null_mut() };
    let limit = PROOF_BYTES_MAX.0.max(BENCHMARK_BYTES_MAX.0);
    if inputs.len() == INPUTS_MAX || u64::from(length) > limit {
        return std::ptr::null_mut();
    }
    inputs.push(vec![0; length as usize]);
    inputs.last_mut().map_or(std::ptr::null_mut(), |file| file.as_mut_ptr())
}

/// Verifies the files, forgets them, and gives the place of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn verify() -> *const u8 {
    let files = INPUTS.lock().map(|mut inputs| std::mem::take(&mut *inputs)).unwrap_or_default();
    let answer = answer(&files)
        .unwrap_or_else(|reason| json!({ "holds": false, "reason": reason.to_string() }))
        .to_string();
    let Ok(mut kept) = ANSWER.lock() else { return std::ptr::null() };
    *kept = [&(answer.len() as u32).to_le_bytes(), answer.as_bytes()].concat();
    kept.as_ptr()
}

fn answer(files: &[Vec<u8>]) -> Result<Value, Box<dyn Error>> {
    let (file, more) = files.split_first().ok_or("no file was given")?;
    if Disclosure::is_one(file) {
        let part = Disclosure::from_bytes(file)?;
        let (signer, digest) = (part.verify()?, part.signed.outline.digest());
        let shows = part.shown.to_string();
        return Ok(json!({ "holds": true, "digest": digest, "signer": signer, "shows": shows }));
    }
    let file = ProofFile::from_bytes(file)?;
    let proof = &file.proof;
    let (signer, digest) = (file.signer()?, proof.digest());
    proof.check()?;
    let mut answer =
        json!({ "holds": true, "digest": digest, "signer": signer, "lift": proof.lift().0 });
    let [spec, lock, benchmark @ ..] = more else { return Ok(answer) };
    let spec = Spec::parse(std::str::from_utf8(spec)?)?;
    let pinned = PinnedSpec::new(spec, SpecLock::parse(std::str::from_utf8(lock)?)?)?;
    proof.check_against(&pinned)?;
    answer["spec"] = json!(pinned.spec().reference());
    if let [benchmark, ..] = benchmark {
        let rows: Result<Vec<BenchmarkRow>, _> =
            serde_json::Deserializer::from_slice(benchmark).into_iter().collect();
        proof.check_metrics(&Benchmark::open(rows?, &pinned.spec().benchmark)?)?;
        answer["metrics_checked"] = json!(true);
    }
    Ok(answer)
}
