//! Processes that sign are killed at random moments, a hundred times: no epoch ever has signatures
//! of two vectors.
//!
//! A signature is a record in a file that only grows. It is written after the journal has given its
//! permit, by up to two processes at once, each of which tries new vectors all the time. The
//! moments of the kills come from a seed, which is printed and can be given; the system's own
//! moments do not.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]
#![allow(clippy::disallowed_methods, reason = "the moments of kills are random")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dataforge_chain::ids::{AccountId, Genesis, MechanismId, NetUid, Uid};
use dataforge_chain::journal::{Intent, Journal, JournalError, Slot};
use dataforge_chain::weight_vector::WeightVector;
use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;

const KILLS: u32 = 100;

/// The longest that a process is left alone, in microseconds.
const ALIVE_US_MAX: u64 = 50_000;

/// Set for processes that sign: the folder to sign in, and the seed of what they try.
const FOLDER: &str = "JOURNAL_KILLS_FOLDER";
const SEED: &str = "JOURNAL_KILLS_SEED";

/// What a process says once it has the journal.
const READY: &str = "ready to sign";

fn slot(epoch: u64) -> Slot {
    let (netuid, mechanism) = (NetUid(1), MechanismId(0));
    Slot { genesis: Genesis([1; 32]), netuid, mechanism, hotkey: AccountId([2; 32]), epoch }
}

/// Four weights, told apart by a number.
fn vector(number: u64) -> WeightVector {
    let bytes = number.to_le_bytes();
    let values = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    WeightVector::new((0..).map(Uid).zip(values).collect()).unwrap()
}

fn number_of(vector: &WeightVector) -> u64 {
    (0_u32..).zip(vector.values()).map(|(at, value)| u64::from(value) << (16 * at)).sum()
}

fn stream(seed: u64) -> SeedStream {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    SeedStream::new(&EpochSeed(bytes), "journal kills")
}

fn given_seed() -> Option<u64> {
    std::env::var(SEED).ok().map(|seed| seed.parse().unwrap())
}

/// Every signature: its epoch, and its vector's number.
fn signatures(folder: &Path) -> Vec<(u64, u64)> {
    let bytes = fs::read(folder.join("signatures")).unwrap_or_default();
    let (records, rest) = bytes.as_chunks::<16>();
    assert!(rest.is_empty(), "a record was written in part");
    let record = |record: &[u8; 16]| {
        let number = u128::from_le_bytes(*record);
        (
            u64::try_from(number >> 64).unwrap(),
            u64::try_from(number & u128::from(u64::MAX)).unwrap(),
        )
    };
    records.iter().map(record).collect()
}

fn sign(folder: &Path, epoch: u64, number: u64) {
    let mut options = File::options();
    let mut file = options.create(true).append(true).open(folder.join("signatures")).unwrap();
    // One write, which the system does wholly or not at all here.
    file.write_all(&((u128::from(epoch) << 64) | u128::from(number)).to_le_bytes()).unwrap();
    file.sync_data().unwrap();
}

/// The process that signs. Without its folder, a test of nothing.
#[test]
fn sign_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut random = stream(given_seed().unwrap());
    let mut journal = Journal::open(&folder.join("journal")).unwrap();
    println!("\n{READY}");
    loop {
        // Time goes on: now and then, an epoch that nobody has signed for.
        let newest = signatures(&folder).iter().map(|(epoch, _)| *epoch).max().unwrap_or(0);
        let epoch = newest + u64::from(random.next_u64().is_multiple_of(3));
        let again = random.next_u64().is_multiple_of(2);
        let recorded = journal.recorded(&slot(epoch)).unwrap().filter(|_| again);
        let vector = match recorded {
            Some(permit) => permit.intent().vector.clone(),
            None => vector(random.next_u64()),
        };
        match journal.authorise(&Intent { slot: slot(epoch), vector, version_key: 0 }) {
            Ok(permit) => sign(&folder, epoch, number_of(&permit.intent().vector)),
            Err(JournalError::Conflict { .. } | JournalError::Behind { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn signer(folder: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sign_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Waits until a process has opened the journal, and with it taken back what a killed one has left.
fn wait_until_ready(process: &mut Child) {
    let lines = BufReader::new(process.stdout.as_mut().unwrap()).lines();
    let ready = lines.map_while(Result::ok).any(|line| line == READY);
    assert!(ready, "a process ended by itself");
}

#[test]
fn a_hundred_kills_never_give_an_epoch_two_vectors() {
    let seed = given_seed().unwrap_or_else(|| getrandom::u64().unwrap());
    println!("{SEED}={seed}");
    let mut random = stream(seed);
    let scratch = tempfile::tempdir().unwrap();
    let (folder, path) = (scratch.path(), scratch.path().join("journal"));
    drop(Journal::create(&path).unwrap());
    let (mut kills, mut racing, mut within) = (0, 0, 0);
    while kills < KILLS {
        let processes = 1 + random.next_u64() % 2;
        let mut alive: Vec<_> = (0..processes).map(|_| signer(folder, random.next_u64())).collect();
        racing += u32::from(processes > 1);
        // Now and then the kill is while the journal is opened.
        if !random.next_u64().is_multiple_of(4) {
            alive.iter_mut().for_each(wait_until_ready);
        }
        for process in &mut alive {
            std::thread::sleep(Duration::from_micros(random.next_u64() % ALIVE_US_MAX));
            assert!(process.try_wait().unwrap().is_none(), "a process ended by itself");
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
        }
        // SQLite's own note of what to take back: the kill was within a transaction.
        within += u32::from(folder.join("journal-journal").exists());
    }
    let (signed, journal) = (signatures(folder), Journal::open(&path).unwrap());
    let mut by_epoch = BTreeMap::new();
    for (epoch, number) in &signed {
        assert_eq!(*by_epoch.entry(*epoch).or_insert(*number), *number, "epoch {epoch}");
        let permit = journal.recorded(&slot(*epoch)).unwrap().expect("what was signed is recorded");
        assert_eq!(permit.intent().vector, vector(*number), "epoch {epoch}");
    }
    let (epochs, rows) = (by_epoch.len(), journal.head().unwrap().tip.rows);
    println!(
        "{kills} kills, {within} within a transaction, {racing} rounds of two processes: \
         {} signatures for {epochs} epochs, {rows} rows",
        signed.len()
    );
    // Else nothing was tried.
    assert!(signed.len() > 50 && epochs > 10 && within > 0, "hardly anything was signed");
}
