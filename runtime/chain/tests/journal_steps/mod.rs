//! What the tests of the journal share: steps, and what each must come to.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};

use dataforge_chain::ids::{AccountId, Genesis, MechanismId, NetUid, Uid};
use dataforge_chain::journal::{Intent, Journal, JournalError, Salt, Slot};
use dataforge_chain::weight_vector::WeightVector;
use tempfile::TempDir;

pub(crate) fn slot(epoch: u64) -> Slot {
    Slot {
        genesis: Genesis([1; 32]),
        netuid: NetUid(7),
        mechanism: MechanismId(0),
        hotkey: AccountId([2; 32]),
        epoch,
    }
}

pub(crate) fn intent(slot: Slot, weight: u16) -> Intent {
    let vector = WeightVector::new(vec![(Uid(3), weight), (Uid(1), 65535)]).unwrap();
    Intent { slot, vector, version_key: 5 }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Signed,
    Conflict,
    Behind,
    Leap,
}

pub(crate) fn outcome(journal: &mut Journal, intent: &Intent) -> Outcome {
    salted(journal, intent).0
}

/// The outcome, and the permit's salt where there is a permit.
pub(crate) fn salted(journal: &mut Journal, intent: &Intent) -> (Outcome, Option<Salt>) {
    match journal.authorise(intent) {
        Ok(permit) => {
            assert_eq!(permit.intent(), intent);
            (Outcome::Signed, Some(*permit.salt()))
        }
        Err(JournalError::Conflict { .. }) => (Outcome::Conflict, None),
        Err(JournalError::Behind { .. }) => (Outcome::Behind, None),
        Err(JournalError::Leap { .. }) => (Outcome::Leap, None),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// In memory where the system has such a folder: for tests of rules, which no disk decides.
    pub(crate) fn fast() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm");
        Self(memory.unwrap_or_else(|_| tempfile::tempdir().unwrap()))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn journal(&self, name: &str) -> Journal {
        Journal::create(&self.path(name)).unwrap()
    }

    /// An open journal that has signed one vector for each of these epochs.
    pub(crate) fn signed(&self, name: &str, epochs: &[u64]) -> Journal {
        let mut journal = self.journal(name);
        for epoch in epochs {
            assert_eq!(outcome(&mut journal, &intent(slot(*epoch), 10)), Outcome::Signed);
        }
        journal
    }
}

/// One of two programs does something.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// It asks for leave to sign.
    Sign(u64, u16),
    /// It starts anew.
    Restart,
    /// It imports what another machine has signed, of these epochs and weights.
    Import(Vec<(u64, u16)>),
    /// It imports what it has exported itself.
    ImportOwn,
    /// Both go on with another journal, into which all of this one was imported.
    Move,
}

/// Two programs that use one journal.
pub(crate) struct Two {
    scratch: Scratch,
    pub(crate) journals: [Journal; 2],
    files: u32,
}

impl Two {
    pub(crate) fn new(scratch: Scratch) -> Self {
        let journals = [scratch.journal("0"), Journal::open(&scratch.path("0")).unwrap()];
        Self { scratch, journals, files: 0 }
    }

    fn fresh(&mut self) -> PathBuf {
        self.files += 1;
        self.scratch.path(&self.files.to_string())
    }

    /// Takes one of these steps, and says whether all of the document was taken.
    pub(crate) fn import(&mut self, who: usize, rows: &[(u64, u16)]) -> bool {
        let (other, document) = (self.fresh(), self.fresh());
        let mut other = Journal::create(&other).unwrap();
        for (epoch, weight) in rows {
            assert_eq!(outcome(&mut other, &intent(slot(*epoch), *weight)), Outcome::Signed);
        }
        other.export(&document).unwrap();
        let before = self.journals[who].head().unwrap();
        match self.journals[who].import(&document) {
            Ok(imported) => {
                assert_eq!((imported.added, imported.known), (rows.len() as u64, 0));
                true
            }
            Err(JournalError::Document { .. }) => {
                assert_eq!(self.journals[who].head().unwrap(), before);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn import_own(&mut self, who: usize) {
        let (document, before) = (self.fresh(), self.journals[who].head().unwrap());
        let rows = self.journals[who].export(&document).unwrap();
        let imported = self.journals[who].import(&document).unwrap();
        assert_eq!((imported.added, imported.known), (0, rows));
        assert_eq!(self.journals[who].head().unwrap(), before);
    }

    pub(crate) fn restart(&mut self, who: usize) {
        self.journals[who] = Journal::open(self.journals[who].path()).unwrap();
    }

    pub(crate) fn go_elsewhere(&mut self) {
        let (document, place) = (self.fresh(), self.fresh());
        let noted = self.journals[0].head().unwrap();
        self.journals[0].export(&document).unwrap();
        let mut journal = Journal::create(&place).unwrap();
        journal.import(&document).unwrap();
        assert_eq!(journal.head().unwrap(), noted);
        self.journals = [journal, Journal::open(&place).unwrap()];
    }
}
