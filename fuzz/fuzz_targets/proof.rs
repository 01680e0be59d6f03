//! Any bytes as a proof file, or as a part of one: what is read is written back to the same bytes,
//! is the proof that its outline stands for, and is checked to the end whatever it says.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use dataforge_core::benchmark::Benchmark;
use dataforge_core::codec;
use dataforge_core::hash::file_digest;
use dataforge_core::merkle::leaf_hash;
use dataforge_core::proof::{Disclosure, ProofFile, Shown, row_tree, step_tree};
use dataforge_core::spec::{PinnedSpec, Spec, SpecLock};
use dataforge_core::units::MicroNats;
use dataforge_node::benchmarks::parse_rows;
use libfuzzer_sys::fuzz_target;

/// Bytes before the length, and before the body.
const LENGTH_AT: usize = 10;
const BODY_AT: usize = LENGTH_AT + 8 + 32;

/// What the golden proof was made with.
static GOLDEN: LazyLock<(PinnedSpec, Benchmark)> = LazyLock::new(|| {
    let spec = Spec::parse(include_str!("../../tests/golden/short/spec.toml")).expect("golden");
    let lock = include_str!("../../tests/golden/short/spec.lock");
    let rows = include_bytes!("../../tests/golden/short/benchmark.jsonl");
    let rows = parse_rows(Path::new("golden"), rows).expect("golden");
    let benchmark = Benchmark::open(rows, &spec.benchmark).expect("golden");
    let lock = SpecLock::parse(lock).expect("golden");
    (PinnedSpec::new(spec, lock).expect("golden"), benchmark)
});

fuzz_target!(|file: &[u8]| {
    read(file);
    // No change of a body gets past its checksum, so it is put right.
    if let Some((header, body)) = file.split_at_checked(BODY_AT) {
        let length = (body.len() as u64).to_le_bytes();
        read(&[&header[..LENGTH_AT], &length, &file_digest(body).0, body].concat());
    }
});

fn read(file: &[u8]) {
    if let Ok(part) = Disclosure::from_bytes(file) {
        assert_eq!(part.to_bytes(), file);
        if part.verify().is_ok() {
            shown(part);
        }
    }
    let Ok(read) = ProofFile::from_bytes(file) else { return };
    assert_eq!(read.to_bytes(), file);
    let proof = &read.proof;
    let outline = proof.outline();
    assert_eq!(outline.digest(), proof.digest());
    assert_eq!(codec::decode(&codec::encode(&outline)).as_ref(), Ok(&outline));
    if let Ok(Some(signer)) = read.signer() {
        assert_eq!(read.signed_by(signer), Ok(()));
    }

    let (spec, benchmark) = &*GOLDEN;
    let alone = proof.check();
    if proof.check_against(spec).is_ok() {
        assert_eq!(alone, Ok(()));
    }
    let _ = proof.check_metrics(benchmark);

    let (Some(training), Some(outlined)) = (&proof.training, &outline.training) else { return };
    for ((_, run), (_, outlined)) in training.runs().zip(outlined.runs()) {
        let (tree, root) = (step_tree(&run.steps), outlined.steps);
        if let (Some(step), Some(at)) = (run.steps.last(), tree.leaves().checked_sub(1)) {
            let path = tree.inclusion(at).expect("the last step is there");
            assert_eq!(path.root(&leaf_hash(&codec::encode(step))), Some(root.root.0));
        }
        if let (Some(measured), Some(outlined)) = (run.measured(), outlined.measured()) {
            assert_eq!(row_tree(&measured.rows).root(), outlined.rows.root.0);
        }
    }
}

/// What a proof commits to, it does not commit to when it says something else.
fn shown(mut part: Disclosure) {
    match &mut part.shown {
        Shown::Step { record, .. } => record.loss.0 ^= 1,
        Shown::Result { result, .. } => result.log_probabilities.push(MicroNats(0)),
        Shown::DatasetRow { line, .. } => line.push(b' '),
        Shown::BenchmarkRow { row, .. } => row.input.push(' '),
    }
    assert!(part.verify().is_err());
}
