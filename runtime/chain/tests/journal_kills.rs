//! Processes that sign are killed at random moments, a hundred times: no epoch ever has signatures
//! of two vectors.
//!
//! A signature is a record in a file that only grows. It is written after the journal has given its
//! permit, by up to two processes at once, each of which tries new vectors all the time.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]
#![allow(clippy::disallowed_methods, reason = "the moments of kills are random")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dataforge_chain::ids::{AccountId, MechanismId, NetUid, Uid};
use dataforge_chain::journal::{Intent, Journal, JournalError, Slot};
use dataforge_chain::network::Genesis;
use dataforge_chain::weights::WeightVector;

const KILLS: u32 = 100;

/// The longest that a process is left alone, in microseconds.
const ALIVE_US_MAX: u64 = 60_000;

/// Set for processes that sign: the folder to sign in.
const FOLDER: &str = "JOURNAL_KILLS_FOLDER";

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

fn random() -> u64 {
    getrandom::u64().unwrap()
}

/// Every signature: its epoch, and its vector's number.
fn signatures(folder: &Path) -> Vec<(u64, u64)> {
    let bytes = fs::read(folder.join("signatures")).unwrap_or_default();
    let (records, _) = bytes.as_chunks::<16>();
    let record = |record: &[u8; 16]| {
        let number = u128::from_le_bytes(*record);
        (u64::try_from(number >> 64).unwrap(), u64::try_from(number & u128::from(u64::MAX)).unwrap())
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
    let mut journal = Journal::open(&folder.join("journal")).unwrap();
    loop {
        let newest = signatures(&folder).iter().map(|(epoch, _)| *epoch).max().unwrap_or(0);
        let epoch = newest + random() % 2;
        let recorded = journal.recorded(&slot(epoch)).unwrap().filter(|_| random() % 2 == 0);
        let vector = match recorded {
            Some(permit) => permit.intent().vector.clone(),
            None => vector(random()),
        };
        match journal.authorise(&Intent { slot: slot(epoch), vector, version_key: 0 }) {
            Ok(permit) => sign(&folder, epoch, number_of(&permit.intent().vector)),
            Err(JournalError::Conflict { .. } | JournalError::Behind { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn signer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sign_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_hundred_kills_never_give_an_epoch_two_vectors() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, path) = (scratch.path(), scratch.path().join("journal"));
    drop(Journal::create(&path).unwrap());
    let (mut kills, mut within) = (0, 0);
    while kills < KILLS {
        let mut alive: Vec<_> = (0..1 + random() % 2).map(|_| signer(folder)).collect();
        for process in &mut alive {
            std::thread::sleep(Duration::from_micros(random() % ALIVE_US_MAX));
            assert!(process.try_wait().unwrap().is_none(), "a process ended by itself");
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
        }
        // SQLite's own note of what to take back: the kill was within a transaction.
        within += u32::from(scratch.path().join("journal-journal").exists());
    }
    let (signed, journal) = (signatures(folder), Journal::open(&path).unwrap());
    let mut by_epoch = BTreeMap::new();
    for (epoch, number) in &signed {
        assert_eq!(*by_epoch.entry(*epoch).or_insert(*number), *number, "epoch {epoch}");
        let permit = journal.recorded(&slot(*epoch)).unwrap().expect("what was signed is recorded");
        assert_eq!(permit.intent().vector, vector(*number), "epoch {epoch}");
    }
    let (epochs, rows) = (by_epoch.len(), journal.head().unwrap().rows);
    println!(
        "{kills} kills, {within} within a transaction: {} signatures for {epochs} epochs, {rows} rows",
        signed.len()
    );
    assert!(signed.len() > 100 && epochs > 10, "hardly anything was signed");
}
