//! The journal's rules, as those of a validator's slashing protection: one step after another, and
//! what each must come to.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dataforge_chain::ids::{AccountId, MechanismId, NetUid, Uid};
use dataforge_chain::journal::{Intent, Journal, JournalError, LEAP_MAX, Slot};
use dataforge_chain::network::Genesis;
use dataforge_chain::weights::WeightVector;
use rusqlite::Connection;
use tempfile::TempDir;

use Outcome::{Behind, Conflict, Leap, Signed};

fn slot(epoch: u64) -> Slot {
    Slot {
        genesis: Genesis([1; 32]),
        netuid: NetUid(7),
        mechanism: MechanismId(0),
        hotkey: AccountId([2; 32]),
        epoch,
    }
}

fn intent(slot: Slot, weight: u16) -> Intent {
    let vector = WeightVector::new(vec![(Uid(3), weight), (Uid(1), 65535)]).unwrap();
    Intent { slot, vector, version_key: 5 }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Signed,
    Conflict,
    Behind,
    Leap,
}

fn outcome(journal: &mut Journal, intent: &Intent) -> Outcome {
    match journal.authorise(intent) {
        Ok(permit) => {
            assert_eq!(permit.intent(), intent);
            Signed
        }
        Err(JournalError::Conflict { .. }) => Conflict,
        Err(JournalError::Behind { .. }) => Behind,
        Err(JournalError::Leap { .. }) => Leap,
        Err(error) => panic!("{error}"),
    }
}

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn journal(&self, name: &str) -> Journal {
        Journal::create(&self.path(name)).unwrap()
    }
}

/// Epochs, weights and outcomes; the journal is opened anew before each step.
#[track_caller]
fn check(steps: &[(u64, u16, Outcome)]) {
    let scratch = Scratch::new();
    drop(scratch.journal("j"));
    for (at, (epoch, weight, expect)) in steps.iter().enumerate() {
        let mut journal = Journal::open(&scratch.path("j")).unwrap();
        assert_eq!(outcome(&mut journal, &intent(slot(*epoch), *weight)), *expect, "step {at}");
    }
}

#[test]
fn one_vector_for_one_epoch() {
    check(&[(1, 10, Signed), (1, 10, Signed), (1, 11, Conflict), (1, 10, Signed)]);
}

#[test]
fn epochs_go_forward_only() {
    check(&[(5, 10, Signed), (4, 10, Behind), (6, 9, Signed), (5, 10, Signed), (5, 9, Conflict)]);
    check(&[(0, 1, Signed), (0, 2, Conflict), (1, 2, Signed)]);
}

#[test]
fn a_number_that_is_no_epoch_is_not_signed_for() {
    check(&[(7, 1, Signed), (7 + LEAP_MAX + 1, 1, Leap), (7 + LEAP_MAX, 1, Signed)]);
    check(&[(u64::MAX, 1, Leap), (8, 1, Signed), (u64::MAX, 1, Leap), (9, 1, Signed)]);
}

#[test]
fn the_version_key_is_part_of_what_is_signed() {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    let first = intent(slot(1), 10);
    assert_eq!(outcome(&mut journal, &first), Signed);
    assert_eq!(outcome(&mut journal, &Intent { version_key: 6, ..first }), Conflict);
}

#[test]
fn other_keys_subnets_mechanisms_and_chains_are_other_slots() {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    assert_eq!(outcome(&mut journal, &intent(slot(9), 10)), Signed);
    let others = [
        Slot { genesis: Genesis([9; 32]), ..slot(1) },
        Slot { netuid: NetUid(8), ..slot(1) },
        Slot { mechanism: MechanismId(1), ..slot(1) },
        Slot { hotkey: AccountId([9; 32]), ..slot(1) },
    ];
    for other in others {
        assert_eq!(outcome(&mut journal, &intent(other, 11)), Signed, "{other:?}");
        assert_eq!(outcome(&mut journal, &intent(other, 12)), Conflict, "{other:?}");
    }
}

#[test]
fn two_handles_are_as_one() {
    let scratch = Scratch::new();
    let mut first = scratch.journal("j");
    let mut second = Journal::open(&scratch.path("j")).unwrap();
    assert_eq!(outcome(&mut first, &intent(slot(1), 10)), Signed);
    assert_eq!(outcome(&mut second, &intent(slot(1), 11)), Conflict);
    assert_eq!(outcome(&mut second, &intent(slot(2), 11)), Signed);
    assert_eq!(outcome(&mut first, &intent(slot(1), 10)), Signed);
    assert_eq!(first.head().unwrap(), second.head().unwrap());
}

#[test]
fn a_salt_stays_the_same() {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    let salt = *journal.authorise(&intent(slot(1), 10)).unwrap().salt();
    drop(journal);
    let mut journal = Journal::open(&scratch.path("j")).unwrap();
    assert_eq!(*journal.authorise(&intent(slot(1), 10)).unwrap().salt(), salt);
    assert_eq!(*journal.recorded(&slot(1)).unwrap().unwrap().salt(), salt);
    assert!(journal.recorded(&slot(2)).unwrap().is_none());
    assert_ne!(*journal.authorise(&intent(slot(2), 10)).unwrap().salt(), salt);
}

#[test]
fn what_was_exported_holds_where_it_is_imported() {
    let scratch = Scratch::new();
    let (mut old, document) = (scratch.journal("old"), scratch.path("document"));
    for epoch in [3, 4, 9] {
        assert_eq!(outcome(&mut old, &intent(slot(epoch), 10)), Signed);
    }
    assert_eq!(old.export(&document).unwrap(), 3);
    let bytes = fs::read(&document).unwrap();
    let mut new = scratch.journal("new");
    let imported = new.import(&document).unwrap();
    assert_eq!((imported.added, imported.known), (3, 0));
    let again = new.import(&document).unwrap();
    assert_eq!((again.added, again.known), (0, 3));
    assert_eq!(outcome(&mut new, &intent(slot(4), 11)), Conflict);
    assert_eq!(outcome(&mut new, &intent(slot(4), 10)), Signed);
    assert_eq!(outcome(&mut new, &intent(slot(8), 10)), Behind);
    assert_eq!(new.head().unwrap(), old.head().unwrap());
    new.export(&scratch.path("again")).unwrap();
    assert_eq!(fs::read(scratch.path("again")).unwrap(), bytes);
}

#[test]
fn history_may_be_imported_behind_the_newest_epoch() {
    let scratch = Scratch::new();
    let (mut old, mut new) = (scratch.journal("old"), scratch.journal("new"));
    assert_eq!(outcome(&mut old, &intent(slot(3), 10)), Signed);
    assert_eq!(outcome(&mut new, &intent(slot(9), 10)), Signed);
    old.export(&scratch.path("document")).unwrap();
    assert_eq!(new.import(&scratch.path("document")).unwrap().added, 1);
    assert_eq!(outcome(&mut new, &intent(slot(3), 11)), Conflict);
    assert_eq!(outcome(&mut new, &intent(slot(5), 11)), Behind);
}

#[test]
fn a_contradiction_refuses_the_whole_document() {
    let scratch = Scratch::new();
    let (mut old, mut new) = (scratch.journal("old"), scratch.journal("new"));
    for epoch in [1, 2, 3] {
        assert_eq!(outcome(&mut old, &intent(slot(epoch), 10)), Signed);
    }
    old.export(&scratch.path("document")).unwrap();
    assert_eq!(outcome(&mut new, &intent(slot(3), 11)), Signed);
    let before = new.head().unwrap();
    let error = new.import(&scratch.path("document")).unwrap_err().to_string();
    assert!(error.contains("row 3 contradicts the journal; nothing was imported"), "{error}");
    assert_eq!(new.head().unwrap(), before);
}

#[track_caller]
fn not_imported(change: impl FnOnce(&mut serde_json::Value), mention: &str) {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    assert_eq!(outcome(&mut journal, &intent(slot(1), 10)), Signed);
    journal.export(&scratch.path("document")).unwrap();
    let text = fs::read(scratch.path("document")).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    change(&mut document);
    fs::write(scratch.path("changed"), document.to_string()).unwrap();
    let mut other = scratch.journal("other");
    let error = other.import(&scratch.path("changed")).unwrap_err();
    assert!(matches!(error, JournalError::Document { .. }), "{error:?}");
    assert!(error.to_string().contains(mention), "{error}");
    assert_eq!(other.head().unwrap().rows, 0);
}

#[test]
fn hostile_documents_are_refused_whole() {
    not_imported(|document| document["format"] = "x".into(), "its format is \"x\"");
    not_imported(|document| document["version"] = 2.into(), "its version is 2");
    not_imported(|document| document["more"] = 1.into(), "unknown field");
    not_imported(|document| document["signed"][0]["more"] = 1.into(), "unknown field");
    not_imported(|document| document["signed"][0]["epoch"] = u64::MAX.into(), "row 1 has epoch");
    not_imported(|document| document["signed"][0]["genesis"] = "0x".into(), "no genesis hash");
    not_imported(|document| document["signed"][0]["hotkey"] = "5x".into(), "");
    not_imported(|document| document["signed"][0]["salt"] = "x".into(), "");
    let twice = serde_json::json!([[1, 1], [1, 2]]);
    not_imported(|document| document["signed"][0]["weights"] = twice, "uid 1 has two weights");
    not_imported(
        |document| {
            let row = document["signed"][0].clone();
            document["signed"].as_array_mut().unwrap().push(row);
        },
        "row 2 is about the same",
    );
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    for text in ["", "[", "{}", "null", &"[".repeat(100_000)] {
        fs::write(scratch.path("document"), text).unwrap();
        let error = journal.import(&scratch.path("document")).unwrap_err();
        assert!(matches!(error, JournalError::Document { .. }), "{error:?}");
    }
}

#[test]
fn a_journal_is_made_on_purpose_and_never_over_something() {
    let scratch = Scratch::new();
    let path = scratch.path("new/j");
    let missing = Journal::open(&path).unwrap_err();
    assert!(matches!(missing, JournalError::Missing(_)), "{missing:?}");
    drop(Journal::create(&path).unwrap());
    let exists = Journal::create(&path).unwrap_err();
    assert!(matches!(exists, JournalError::Exists(_)), "{exists:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(scratch.path("new")).unwrap().count(), 1);
}

#[test]
fn a_journal_that_others_may_use_is_refused() {
    let scratch = Scratch::new();
    drop(scratch.journal("j"));
    fs::set_permissions(scratch.path("j"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = Journal::open(&scratch.path("j")).unwrap_err();
    assert!(matches!(error, JournalError::OpenToOthers(_)), "{error:?}");
}

/// A journal of three epochs, once `change` has had its way with its file.
fn changed(change: impl FnOnce(&Path)) -> JournalError {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    for epoch in [1, 2, 3] {
        assert_eq!(outcome(&mut journal, &intent(slot(epoch), 10)), Signed);
    }
    drop(journal);
    change(&scratch.path("j"));
    Journal::open(&scratch.path("j")).unwrap_err()
}

/// A journal once this was run while its triggers were away.
fn altered(sql: &str) -> JournalError {
    changed(|path| {
        let db = Connection::open(path).unwrap();
        let triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
        let mut select = db.prepare(triggers).unwrap();
        let triggers = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let triggers: Vec<(String, String)> = triggers.map(Result::unwrap).collect();
        for (name, _) in &triggers {
            db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        db.execute_batch(sql).unwrap();
        for (_, trigger) in &triggers {
            // Not where the table is gone.
            let _ = db.execute_batch(trigger);
        }
    })
}

#[test]
fn what_was_signed_is_final() {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    assert_eq!(outcome(&mut journal, &intent(slot(1), 10)), Signed);
    let db = Connection::open(scratch.path("j")).unwrap();
    for sql in ["DELETE FROM signed", "UPDATE signed SET epoch = 9"] {
        let refused = db.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("what was signed"), "{refused}");
    }
}

#[test]
fn an_altered_journal_is_refused_by_its_first_altered_row() {
    for (sql, row) in [
        ("UPDATE signed SET epoch = 8 WHERE number = 2", 2),
        ("UPDATE signed SET version_key = 8 WHERE number = 3", 3),
        ("UPDATE signed SET weights = x'01000200' WHERE number = 1", 1),
        ("UPDATE signed SET salt = zeroblob(16) WHERE number = 3", 3),
        ("DELETE FROM signed WHERE number = 2", 2),
        ("DELETE FROM signed WHERE number = 1", 1),
        ("UPDATE signed SET number = 9 WHERE number = 2; UPDATE signed SET number = 2 WHERE \
          number = 3; UPDATE signed SET number = 3 WHERE number = 9", 2),
        ("UPDATE signed SET weights = x'010002' WHERE number = 2", 2),
        ("UPDATE signed SET weights = x'0100020001000200' WHERE number = 2", 2),
    ] {
        match altered(sql) {
            JournalError::Altered { row: found, .. } => assert_eq!(found, row, "{sql}"),
            error => panic!("{sql}: {error:?}"),
        }
    }
}

#[test]
fn what_is_no_journal_is_refused() {
    let not_one = |error: &JournalError| matches!(error, JournalError::NotAJournal { .. });
    let cut = |length: u64| {
        move |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap()
    };
    for length in [1, 100, 4096, 5000] {
        let error = changed(cut(length));
        assert!(not_one(&error), "{length}: {error:?}");
    }
    let empty = changed(cut(0));
    assert!(not_one(&empty), "{empty:?}");
    let garbage = changed(|path| fs::write(path, [7; 9000]).unwrap());
    assert!(not_one(&garbage), "{garbage:?}");
    let folder = changed(|path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    });
    assert!(not_one(&folder), "{folder:?}");
    let other = altered("PRAGMA application_id = 7");
    assert!(not_one(&other), "{other:?}");
    let tables = altered("PRAGMA foreign_keys = OFF; DROP TABLE signed");
    assert!(not_one(&tables), "{tables:?}");
    let rules = changed(|path| {
        Connection::open(path).unwrap().execute_batch("DROP TRIGGER signed_is_kept").unwrap();
    });
    assert!(not_one(&rules), "{rules:?}");
    let newer = altered("PRAGMA user_version = 2");
    assert!(matches!(newer, JournalError::Format { found: 2, .. }), "{newer:?}");
}

/// Whatever single byte is changed, the file is refused or says the same.
#[test]
fn a_changed_byte_never_changes_what_was_signed() {
    let scratch = Scratch::new();
    let mut journal = scratch.journal("j");
    for epoch in [1, 2, 3] {
        assert_eq!(outcome(&mut journal, &intent(slot(epoch), 10)), Signed);
    }
    let (entries, bytes) = (journal.entries().unwrap(), fs::read(scratch.path("j")).unwrap());
    drop(journal);
    let place = scratch.path("changed");
    fs::write(&place, &bytes).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
    // A prime step goes through all kinds of places.
    for at in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x15;
        fs::write(&place, &changed).unwrap();
        if let Ok(journal) = Journal::open(&place) {
            assert_eq!(journal.entries().unwrap(), entries, "byte {at}");
        }
    }
}
