//! Whatever bytes arrive, reading them ends with a value or an error, and what was read writes
//! itself back.
//!
//! Random bytes alone rarely get past a header, so most cases start from something valid and damage
//! it.

use dataforge_core::blind::ListRoot;
use dataforge_core::codec::{self, CodecError};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{
    BenchmarkRoot, DatasetDigest, EpochSeed, MerkleRoot, ReportDigest, SpecId, StateRoot,
    ValidatorKey,
};
use dataforge_core::limits::ROWS_MAX;
use dataforge_core::proof::{
    End, Measurement, Metrics, PlanRoots, ProofFile, ProofFileError, ProofInputs, RowResult, Run,
    ScoreProof, Signature, StepRecord, Training,
};
use dataforge_core::spec::{PinnedSpec, Spec, SpecLock};
use dataforge_core::units::{MicroNats, Ppm, StepIndex};
use proptest::collection::vec;
use proptest::prelude::*;

const SPEC: &str = include_str!("../../../eval-specs/date/1/spec.toml");
const LOCK: &str = include_str!("../../../eval-specs/date/1/spec.lock");

fn proof() -> ProofFile {
    let metrics = Metrics {
        choice_loss: MicroNats(1),
        accuracy: Ppm(2),
        answer_nll: MicroNats(3),
        token_nll: MicroNats(4),
    };
    let step = |number: u32| StepRecord {
        step: StepIndex(number),
        loss: MicroNats(9),
        state: number.is_multiple_of(2).then_some(StateRoot([2; 32])),
    };
    let list = |count| ListRoot { count, root: MerkleRoot([8; 32]) };
    let measurement = Measurement {
        final_state: StateRoot([2; 32]),
        rows: vec![RowResult { log_probabilities: vec![MicroNats(-5), MicroNats(-6)] }],
        metrics,
    };
    let model = Run {
        plan: PlanRoots { rows: list(5), batches: list(3) },
        steps: (0..3).map(step).collect(),
        end: End::Measured(measurement),
    };
    let proof = ScoreProof {
        inputs: ProofInputs {
            spec: SpecId([3; 32]),
            dataset: DatasetDigest([4; 32]),
            benchmark: BenchmarkRoot([5; 32]),
            seed: EpochSeed([6; 32]),
        },
        report: ReportDigest([7; 32]),
        training: Some(Training {
            initial_state: StateRoot([1; 32]),
            baseline: metrics,
            control: Some(Run { end: End::Diverged, ..model.clone() }),
            model,
            lift: MicroNats(0),
        }),
    };
    let signature = Signature { validator: ValidatorKey([9; 32]), halves: [[10; 32]; 2] };
    ProofFile { proof, signature: Some(signature) }
}

/// A file whose header and checksum are right for this body.
fn sealed(body: &[u8]) -> Vec<u8> {
    // The header of a real file, with length and sum replaced.
    let mut file = proof().to_bytes()[..10].to_vec();
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&dataforge_core::hash::file_digest(body).0);
    file.extend_from_slice(body);
    file
}

/// Bytes with a piece replaced: the place and the length are taken modulo what is there.
fn damaged(bytes: &[u8], at: usize, length: usize, piece: &[u8]) -> Vec<u8> {
    let start = at % (bytes.len() + 1);
    let end = (start + length % 8).min(bytes.len());
    [&bytes[..start], piece, &bytes[end..]].concat()
}

/// What decodes is written back to the same bytes.
fn one_encoding(file: &[u8]) {
    if let Ok(proof) = ProofFile::from_bytes(file) {
        assert_eq!(proof.to_bytes(), file);
        // Whatever it says, it is checked without overflow.
        let _ = (proof.proof.check(), proof.signer());
    }
}

proptest! {
    #[test]
    fn any_bytes_as_a_proof(bytes in vec(any::<u8>(), 0..512)) {
        one_encoding(&bytes);
    }

    #[test]
    fn any_body_under_a_good_header(body in vec(any::<u8>(), 0..512)) {
        one_encoding(&sealed(&body));
    }

    #[test]
    fn a_damaged_body_under_a_good_header(
        at: usize, length: usize, piece in vec(any::<u8>(), 0..8),
    ) {
        let body = codec::encode(&proof());
        one_encoding(&sealed(&damaged(&body, at, length, &piece)));
    }

    #[test]
    fn any_text_as_a_spec(text in ".{0,200}") {
        let _ = Spec::parse(&text);
        let _ = SpecLock::parse(&text);
    }

    #[test]
    fn a_damaged_spec(at: usize, length: usize, piece in vec(any::<u8>(), 0..8)) {
        let text = damaged(SPEC.as_bytes(), at, length, &piece);
        if let Ok(spec) = Spec::parse(&String::from_utf8_lossy(&text)) {
            // What parses keeps the promises that the engine builds on.
            let shape = spec.model.llama;
            prop_assert_eq!(shape.width.get() % shape.heads.get(), 0);
            prop_assert_eq!(shape.heads.get() % shape.kv_heads.get(), 0);
            prop_assert!(spec.training.positions <= shape.context);
            prop_assert!(!spec.rows.schema.contains(['/', '\\']));
        }
    }

    #[test]
    fn a_damaged_lock(at: usize, length: usize, piece in vec(any::<u8>(), 0..8)) {
        let text = damaged(LOCK.as_bytes(), at, length, &piece);
        if let Ok(lock) = SpecLock::parse(&String::from_utf8_lossy(&text)) {
            let _ = PinnedSpec::new(Spec::parse(SPEC).unwrap(), lock);
        }
    }

    #[test]
    fn any_bytes_as_a_dataset(bytes in vec(any::<u8>(), 0..512)) {
        if let Ok(raw) = RawSubmission::split(&bytes) {
            prop_assert!(!raw.lines().is_empty());
            prop_assert!(raw.lines().len() <= ROWS_MAX as usize);
            prop_assert!(raw.lines().iter().all(|line| !line.contains(&b'\n')));
            // The digest is of the lines, however they end.
            // Each is ended, the last one too: it may be empty.
            let ended: Vec<u8> =
                raw.lines().iter().flat_map(|line| [*line, b"\r\n"].concat()).collect();
            prop_assert_eq!(RawSubmission::split(&ended).unwrap().digest(), raw.digest());
        }
    }
}

#[test]
fn a_sealed_body_is_read() {
    assert_eq!(ProofFile::from_bytes(&sealed(&codec::encode(&proof()))), Ok(proof()));
}

#[test]
fn a_number_written_longer_than_needed_is_refused() {
    let body = codec::encode(&proof());
    let mut longer = 0;
    for at in 0..body.len() {
        let stretched = [&body[..at], &[body[at] | 0x80, 0], &body[at + 1..]].concat();
        let read = ProofFile::from_bytes(&sealed(&stretched));
        longer +=
            u32::from(matches!(read, Err(ProofFileError::Encoding(CodecError::NotCanonical))));
        assert!(read.is_err(), "byte {at}");
    }
    assert!(longer > 10, "{longer} of the bytes are numbers");
}
