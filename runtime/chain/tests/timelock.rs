//! Time-lock commits and commit hashes as the Bittensor SDK makes them, without the SDK.
//!
//! `timelock_cases/golden.jsonl` is written by `cargo xtask sdk --write`: cases with the answers of
//! bittensor-core 0.1.5 and bittensor 10.3.0. They must keep their answers.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod timelock_cases;

use dataforge_chain::timelock::{
    COMMIT_BYTES_MAX, Commit, DrandRound, PLAIN_BYTES_MAX, RoundSignature, TimelockError, decrypt,
    encrypt,
};
use serde::Deserialize;
use serde_json::Value;
use timelock_cases::{Case, answer};

/// Round 1000's, as quicknet published it.
const SIGNATURE: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125\
                         e342b73a8dd2bacbe47e4b6b63ed5e39";

#[derive(Deserialize)]
struct Golden {
    case: Case,
    answer: Value,
}

fn signature() -> RoundSignature {
    RoundSignature::from_bytes(&hex::decode(SIGNATURE).unwrap()).unwrap()
}

/// Bytes that depend on the seed alone.
fn stream(mut state: u64) -> impl FnMut(&mut [u8]) -> Result<(), TimelockError> {
    move |into| {
        into.fill_with(|| {
            // Knuth's linear congruence; the low bits are poor.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        Ok(())
    }
}

fn commit(plain: &[u8]) -> Commit {
    encrypt(plain, DrandRound(1000), &mut stream(1)).unwrap()
}

#[test]
fn answers_are_the_sdks() {
    let golden = include_str!("timelock_cases/golden.jsonl");
    let mut kinds = std::collections::BTreeMap::new();
    for (number, line) in golden.lines().enumerate() {
        let Golden { case, answer: expected } = serde_json::from_str(line).unwrap();
        assert_eq!(answer(&case).unwrap(), expected, "line {}: {case:?}", number + 1);
        let kind = match case {
            Case::Commit { .. } => "commit",
            Case::Seal { .. } => "seal",
            Case::Round { .. } => "round",
            Case::Open { .. } => "open",
            Case::Hash { .. } => "hash",
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn what_is_encrypted_is_decrypted() {
    for size in [0, 1, 15, 16, 17, PLAIN_BYTES_MAX] {
        let plain = vec![7; size];
        let made = commit(&plain);
        let read = Commit::from_bytes(made.as_bytes().to_vec()).unwrap();
        assert_eq!(read, made);
        assert_eq!(decrypt(&read, &signature()).as_deref(), Ok(&plain[..]));
    }
    assert_eq!(commit(&[0; PLAIN_BYTES_MAX]).as_bytes().len(), COMMIT_BYTES_MAX);
    let more = encrypt(&[0; PLAIN_BYTES_MAX + 1], DrandRound(1), &mut stream(1));
    assert_eq!(more, Err(TimelockError::PlainTooLong(PLAIN_BYTES_MAX + 1)));
}

#[test]
fn only_the_rounds_signature_opens() {
    assert!(signature().verify(DrandRound(1000)));
    assert!(!signature().verify(DrandRound(1001)));
    let other = encrypt(b"weights", DrandRound(1001), &mut stream(1)).unwrap();
    assert_eq!(decrypt(&other, &signature()), Err(TimelockError::WrongSignature));
}

#[test]
fn rounds_are_signed_every_three_seconds() {
    let signed_at_ms = [0, 1, 2, u64::MAX].map(|round| DrandRound(round).signed_at_ms());
    let genesis = 1_692_803_367_000;
    assert_eq!(signed_at_ms, [genesis, genesis, genesis + 3_000, u64::MAX]);
}

#[test]
fn signatures_are_points_of_the_group() {
    let bytes = hex::decode(SIGNATURE).unwrap();
    for wrong in [&[][..], &bytes[..47], &[0; 48], &[0xff; 48], &[&bytes[..], &[0]].concat()] {
        assert_eq!(RoundSignature::from_bytes(wrong), Err(TimelockError::Signature));
    }
    // On the curve, outside the group: x = 4 has a y.
    let mut outside = [0; 48];
    [outside[0], outside[47]] = [0x80, 4];
    assert_eq!(RoundSignature::from_bytes(&outside), Err(TimelockError::Signature));
}

#[test]
fn every_damaged_byte_is_found() {
    let made = commit(b"weights").as_bytes().to_vec();
    for at in 0..made.len() {
        let mut damaged = made.clone();
        damaged[at] ^= 1;
        let found = Commit::from_bytes(damaged).and_then(|commit| decrypt(&commit, &signature()));
        let error = found.expect_err("the damage is not found");
        match at {
            // U, mostly no point any more.
            0..96 => assert!(
                matches!(error, TimelockError::CommitPoint | TimelockError::WrongSignature),
                "{at}: {error}"
            ),
            104..136 | 144..176 => assert_eq!(error, TimelockError::WrongSignature, "{at}"),
            // The body, its tag and the nonce.
            192..215 | 223..235 => assert_eq!(error, TimelockError::Damaged, "{at}"),
            _ => assert!(matches!(error, TimelockError::Layout(_)), "{at}: {error}"),
        }
    }
}

#[test]
fn hostile_bytes_are_refused_by_name() {
    for seed in 0..2_000 {
        let mut fill = stream(seed);
        let mut length = [0; 2];
        fill(&mut length).unwrap();
        let mut bytes = vec![0; usize::from(u16::from_le_bytes(length)) % (COMMIT_BYTES_MAX + 50)];
        fill(&mut bytes).unwrap();
        assert!(Commit::from_bytes(bytes).is_err(), "seed {seed} is a commit");
    }
    // Laid out well, with random points: what a fuzzer rarely gets to.
    for seed in 0..20 {
        let mut made = commit(b"weights").as_bytes().to_vec();
        stream(seed)(&mut made[..96]).unwrap();
        let error = decrypt(&Commit::from_bytes(made).unwrap(), &signature()).unwrap_err();
        assert_eq!(error, TimelockError::CommitPoint, "seed {seed}");
    }
}

#[test]
fn a_broken_source_of_randomness_ends() {
    let mut stuck = |into: &mut [u8]| {
        into.fill(0xff);
        Ok(())
    };
    assert_eq!(encrypt(b"weights", DrandRound(1), &mut stuck), Err(TimelockError::Random));
    let mut failing = |_: &mut [u8]| Err(TimelockError::Random);
    assert_eq!(encrypt(b"weights", DrandRound(1), &mut failing), Err(TimelockError::Random));
}
