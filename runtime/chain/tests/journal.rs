//! The journal's rules, as those of a validator's slashing protection: one step after another, and
//! what each must come to.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

mod journal_steps;

use std::fs;

use dataforge_chain::ids::{AccountId, Genesis, MechanismId, NetUid};
use dataforge_chain::journal::{
    Intent, Journal, JournalError, LEAP_MAX, Sent, Slot, Tip, TipError,
};
use journal_steps::Outcome::{self, Behind, Conflict, Leap, Signed};
use journal_steps::{Scratch, Step, Two, intent, outcome, slot};

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
    // The first one too: it would leave no epoch to come.
    check(&[(LEAP_MAX + 1, 1, Leap), (LEAP_MAX, 1, Signed)]);
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
    assert!(
        error.contains("contradicts the journal, which has other weights; nothing was imported"),
        "{error}"
    );
    assert!(error.contains("row 3, of epoch 3 by 5C7LYpP2"), "{error}");
    assert_eq!(new.head().unwrap(), before);
}

#[test]
fn the_same_weights_under_another_salt_are_a_contradiction() {
    let scratch = Scratch::new();
    scratch.signed("old", &[1]).export(&scratch.path("document")).unwrap();
    let mut new = scratch.signed("new", &[1]);
    let error = new.import(&scratch.path("document")).unwrap_err().to_string();
    assert!(error.contains("which has another salt; nothing was imported"), "{error}");
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
    assert_eq!(other.head().unwrap().tip.rows, 0);
}

#[test]
fn hostile_documents_are_refused_whole() {
    not_imported(|document| document["format"] = "x".into(), "its format is \"x\"");
    not_imported(|document| document["version"] = 2.into(), "its version is 2");
    not_imported(|document| document["more"] = 1.into(), "unknown field");
    not_imported(|document| document["signed"][0]["more"] = 1.into(), "unknown field");
    not_imported(|document| document["signed"][0]["epoch"] = u64::MAX.into(), "row 1 has epoch");
    let leap = LEAP_MAX + 1;
    not_imported(|document| document["signed"][0]["epoch"] = leap.into(), "is too far ahead");
    not_imported(|document| document["signed"][0]["epoch"] = (-1).into(), "");
    not_imported(|document| document["signed"][0]["epoch"] = "1".into(), "");
    not_imported(|document| document["signed"][0]["netuid"] = 65_536.into(), "");
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
    let twice = r#"{"format":"dataforge-journal","version":1,"version":1,"signed":[]}"#;
    let more = r#"{"format":"dataforge-journal","version":1,"signed":[]}{}"#;
    for text in ["", "[", "{}", "null", twice, more, &"[".repeat(100_000)] {
        fs::write(scratch.path("document"), text).unwrap();
        let error = journal.import(&scratch.path("document")).unwrap_err();
        assert!(matches!(error, JournalError::Document { .. }), "{error:?}");
    }
}

/// What two programs do, one at a time, with one journal.
#[track_caller]
fn together(steps: &[(usize, Step, Option<Outcome>)]) {
    let mut two = Two::new(Scratch::new());
    for (at, (who, step, expect)) in steps.iter().enumerate() {
        match step {
            Step::Sign(epoch, weight) => {
                let got = outcome(&mut two.journals[*who], &intent(slot(*epoch), *weight));
                assert_eq!(Some(got), *expect, "step {at}");
            }
            Step::Restart => two.restart(*who),
            Step::Import(rows) => assert_eq!(two.import(*who, rows), expect.is_none(), "step {at}"),
            Step::ImportOwn => two.import_own(*who),
            Step::Move => two.go_elsewhere(),
        }
    }
}

fn sign(who: usize, epoch: u64, weight: u16, expect: Outcome) -> (usize, Step, Option<Outcome>) {
    (who, Step::Sign(epoch, weight), Some(expect))
}

#[test]
fn neither_restarts_nor_imports_nor_moves_give_a_second_vector() {
    together(&[sign(0, 5, 1, Signed), (1, Step::Restart, None), sign(1, 5, 2, Conflict)]);
    together(&[
        sign(0, 5, 1, Signed),
        (1, Step::Import(vec![(3, 9), (8, 9)]), None),
        sign(0, 3, 1, Conflict),
        sign(0, 3, 9, Signed),
        sign(0, 6, 1, Behind),
        sign(0, 8, 1, Conflict),
        sign(1, 5, 1, Signed),
    ]);
    together(&[
        sign(0, 5, 1, Signed),
        (1, Step::Import(vec![(5, 2), (6, 2)]), Some(Conflict)),
        sign(1, 6, 1, Signed),
    ]);
    together(&[
        sign(0, 5, 1, Signed),
        (0, Step::Move, None),
        (1, Step::ImportOwn, None),
        sign(1, 5, 2, Conflict),
        sign(0, 4, 2, Behind),
        sign(0, 5, 1, Signed),
    ]);
}

#[test]
fn a_refusal_says_what_was_signed_by_its_digest() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1]);
    let error = journal.authorise(&intent(slot(1), 11)).unwrap_err();
    assert!(error.is_refusal());
    let text = "for epoch 1 of 5C7LYpP2ZH3tpKbvVvwiVe54AapxErdPBbvkYhe6y9ZBkqWt other weights were \
                signed: 2 weights ea6d68db with version key 5, not 2 weights 3a2b2281 with version \
                key 5; nothing was signed";
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_was_sent_is_noted_under_the_permit_of_this_journal() {
    let scratch = Scratch::new();
    let (mut journal, mut other) = (scratch.signed("j", &[1, 2]), scratch.signed("other", &[1]));
    let sent = |block| Sent { call: "set_weights".into(), hash: "0x01".into(), block };
    let permit = journal.recorded(&slot(1)).unwrap().unwrap();
    for block in [7, 8] {
        journal.note(&permit, &sent(block)).unwrap();
    }
    let entries = journal.entries().unwrap();
    assert_eq!(entries[0].sent, [sent(7), sent(8)]);
    assert_eq!(entries[1].sent, []);
    // The same weights, but another salt.
    let error = other.note(&permit, &sent(7)).unwrap_err();
    assert!(matches!(error, JournalError::NotRecorded { epoch: 1, .. }), "{error:?}");
}

#[test]
fn a_noted_head_shows_that_rows_were_cut_off() {
    let scratch = Scratch::new();
    let mut journal = scratch.signed("j", &[1, 4]);
    let (empty, head) = (scratch.journal("empty").head().unwrap().tip, journal.head().unwrap());
    let noted = head.tip;
    assert_eq!((noted.rows, head.newest.len(), head.newest[0].epoch), (2, 1, 4));
    assert_eq!(noted.to_string().parse(), Ok(noted));
    for other in ["", "2", "2:", &format!("-{noted}"), &format!("{noted}0")] {
        assert_eq!(other.parse::<Tip>(), Err(TipError), "{other}");
    }
    assert_eq!(outcome(&mut journal, &intent(slot(5), 10)), Signed);
    journal.check_continues(noted).unwrap();
    journal.check_continues(empty).unwrap();
    for epochs in [&[][..], &[1], &[1, 4], &[1, 4, 5]] {
        let other = scratch.signed(&format!("{epochs:?}"), epochs);
        let error = other.check_continues(noted).unwrap_err();
        let rows = epochs.len() as u64;
        let shown =
            matches!(error, JournalError::RolledBack { noted: 2, rows: r, .. } if r == rows);
        assert!(shown, "{error:?}");
    }
}

/// The bytes of a document, and what its rows come to: whoever has written one can rely on it.
#[test]
fn documents_of_version_1_keep_their_meaning() {
    let genesis = "01".repeat(32);
    let hotkey = "5C7LYpP2ZH3tpKbvVvwiVe54AapxErdPBbvkYhe6y9ZBkqWt";
    let row = format!(r#""genesis":"0x{genesis}","netuid":7,"mechanism":0,"hotkey":"{hotkey}""#);
    let text = format!(
        "{{\"format\":\"dataforge-journal\",\"version\":1,\"signed\":[\n\
         {{{row},\"epoch\":3,\"weights\":[[1,65535],[3,10]],\"version_key\":5,\
         \"salt\":[1,2,3,4,5,6,7,8]}},\n\
         {{{row},\"epoch\":4,\"weights\":[[0,1]],\"version_key\":18446744073709551615,\
         \"salt\":[65535,65535,65535,65535,65535,65535,65535,65535]}}\n]}}\n"
    );
    let scratch = Scratch::new();
    let (mut journal, document) = (scratch.journal("j"), scratch.path("document"));
    fs::write(&document, &text).unwrap();
    assert_eq!(journal.import(&document).unwrap().added, 2);
    // Computed by another program from the description of the bytes.
    let digest = "eb1a85043a8b97b962c2efba18df12650944d700bb5eaa330b2a9bcc41c76621";
    assert_eq!(journal.head().unwrap().tip.digest.to_string(), digest);
    journal.export(&scratch.path("again")).unwrap();
    assert_eq!(fs::read_to_string(scratch.path("again")).unwrap(), text);
}
