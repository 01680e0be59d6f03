//! The journal's file, in the hands of other programs and of people: nothing that is done to it
//! gives a second vector, and what is no journal is named.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

mod journal_steps;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use dataforge_chain::journal::{Journal, JournalError, Sent};
use journal_steps::Outcome::{Conflict, Signed};
use journal_steps::{Scratch, intent, outcome, slot};
use rusqlite::Connection;

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
    let permit = journal.recorded(&slot(1)).unwrap().unwrap();
    let sent = Sent { call: "set_weights".into(), hash: "0x01".into(), block: 7 };
    journal.note(&permit, &sent).unwrap();
    let db = Connection::open(scratch.path("j")).unwrap();
    let row = "genesis, netuid, mechanism, hotkey, epoch";
    for sql in [
        "DELETE FROM signed",
        "UPDATE signed SET epoch = 9",
        "DELETE FROM sent",
        "UPDATE sent SET block = 9",
        // Which would remove the row without asking the trigger on removal.
        &format!(
            "INSERT OR REPLACE INTO signed SELECT number, {row}, x'01000900', version_key, salt, \
             digest FROM signed"
        ),
        &format!(
            "INSERT OR REPLACE INTO signed SELECT 2, {row}, x'01000900', version_key, salt, digest \
             FROM signed"
        ),
        "INSERT INTO signed SELECT 7, genesis, netuid, mechanism, hotkey, 9, weights, version_key, \
         salt, digest FROM signed",
    ] {
        let refused = db.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("what was s"), "{sql}: {refused}");
    }
    assert_eq!(outcome(&mut journal, &intent(slot(1), 10)), Signed);
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
        (
            "UPDATE signed SET number = 9 WHERE number = 2; UPDATE signed SET number = 2 WHERE \
          number = 3; UPDATE signed SET number = 3 WHERE number = 9",
            2,
        ),
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
        move |path: &Path| {
            fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap()
        }
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
    let unchecked = "PRAGMA ignore_check_constraints = ON; UPDATE signed SET number = -1 WHERE \
                     number = 3";
    let unchecked = altered(unchecked);
    assert!(not_one(&unchecked), "{unchecked:?}");
    let rules = changed(|path| {
        Connection::open(path).unwrap().execute_batch("DROP TRIGGER signed_is_kept").unwrap();
    });
    assert!(not_one(&rules), "{rules:?}");
    for version in [0, 2] {
        let other = altered(&format!("PRAGMA user_version = {version}"));
        assert!(
            matches!(other, JournalError::Format { found, .. } if found == version),
            "{other:?}"
        );
    }
    let large = changed(|path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(dataforge_chain::journal::FILE_BYTES_MAX + 1).unwrap();
    });
    assert!(not_one(&large), "{large:?}");
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

#[test]
fn a_file_with_two_names_is_refused() {
    let error = changed(|path| fs::hard_link(path, path.with_extension("link")).unwrap());
    assert!(error.to_string().contains("it has 2 names"), "{error}");
}

#[test]
fn what_a_lost_journal_has_left_is_not_written_over_another_one() {
    for end in ["-journal", "-wal", "-shm"] {
        let scratch = Scratch::new();
        let left = scratch.path(&format!("j{end}"));
        fs::write(&left, [0xd9; 600]).unwrap();
        let error = Journal::create(&scratch.path("j")).unwrap_err();
        assert!(matches!(&error, JournalError::Leftover(path) if *path == left), "{error:?}");
        assert!(!scratch.path("j").exists());
    }
}

/// A program that goes on with a file that nobody else can reach signs what another one does not.
#[test]
fn a_journal_that_was_replaced_gives_no_permit() {
    let scratch = Scratch::new();
    let mut old = scratch.signed("j", &[1]);
    fs::remove_file(scratch.path("j")).unwrap();
    let replaced = |old: &mut Journal| {
        let errors = [
            old.authorise(&intent(slot(1), 10)).unwrap_err(),
            old.authorise(&intent(slot(2), 10)).unwrap_err(),
            old.recorded(&slot(1)).unwrap_err(),
            old.head().unwrap_err(),
            old.export(&scratch.path("document")).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, JournalError::Replaced(_)), "{error:?}");
        }
    };
    replaced(&mut old);
    let mut new = scratch.journal("j");
    assert_eq!(outcome(&mut new, &intent(slot(1), 11)), Signed);
    replaced(&mut old);
}

#[test]
fn an_older_copy_under_an_open_journal_gives_no_permit() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1]);
    let copy = fs::read(scratch.path("j")).unwrap();
    assert_eq!(outcome(&mut journal, &intent(slot(2), 10)), Signed);
    fs::write(scratch.path("j"), copy).unwrap();
    for epoch in [1, 2, 3] {
        let error = journal.authorise(&intent(slot(epoch), 10)).unwrap_err();
        assert!(matches!(error, JournalError::Altered { row: 2, .. }), "{error:?}");
    }
}

#[test]
fn a_row_that_was_altered_under_an_open_journal_gives_no_permit() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1, 2, 3]);
    let db = Connection::open(scratch.path("j")).unwrap();
    let sql =
        "DROP TRIGGER signed_is_final; UPDATE signed SET weights = x'01000900' WHERE epoch = 2";
    db.execute_batch(sql).unwrap();
    let errors = [
        journal.authorise(&intent(slot(2), 10)).map(drop).unwrap_err(),
        journal.recorded(&slot(2)).map(drop).unwrap_err(),
        journal.entries().map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, JournalError::Altered { row: 2, .. }), "{error:?}");
    }
}

#[test]
fn another_program_that_keeps_the_lock_is_named() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1]);
    journal.set_wait(Duration::from_millis(50)).unwrap();
    let db = Connection::open(scratch.path("j")).unwrap();
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        db.execute_batch(lock).unwrap();
        let error = journal.authorise(&intent(slot(1), 10)).unwrap_err();
        assert!(matches!(error, JournalError::Busy(_)), "{error:?}");
        db.execute_batch("ROLLBACK").unwrap();
    }
    assert_eq!(outcome(&mut journal, &intent(slot(1), 11)), Conflict);
    assert_eq!(outcome(&mut journal, &intent(slot(2), 11)), Signed);
}

#[test]
fn what_cannot_be_recorded_is_not_permitted() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1]);
    // Where SQLite would keep what to take back: as in a folder that cannot be written to.
    fs::create_dir(scratch.path("j-journal")).unwrap();
    let error = journal.authorise(&intent(slot(2), 10)).unwrap_err();
    assert!(matches!(error, JournalError::Database { .. }), "{error:?}");
    fs::remove_dir(scratch.path("j-journal")).unwrap();
    assert_eq!(outcome(&mut journal, &intent(slot(2), 11)), Signed);
    fs::write(scratch.path("file"), "").unwrap();
    let error = Journal::create(&scratch.path("file/j")).unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error:?}");
}

#[test]
fn a_file_of_another_program_stays_as_it_is() {
    let scratch = Scratch::new();
    let path = scratch.path("other");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
    drop(db);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let bytes = fs::read(&path).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
