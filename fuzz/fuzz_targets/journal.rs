//! Any text as a journal's document: what is taken over is exported to the same bytes by every
//! journal that takes it, and what is refused leaves a journal empty.
#![no_main]

use std::cell::RefCell;
use std::fs;

use dataforge_chain::journal::Journal;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// A journal without rows. Making one takes far longer than reading a document, and most documents
/// are refused.
struct Empty {
    folder: TempDir,
    journal: Journal,
}

impl Empty {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let journal = Journal::create(&folder.path().join("journal.db")).expect("a journal");
        Self { folder, journal }
    }

    /// What the journal exports once it has taken a document; none where it refuses that.
    fn taken(&mut self, document: &[u8]) -> Option<Vec<u8>> {
        let [given, exported] = ["given", "exported"].map(|name| self.folder.path().join(name));
        fs::write(&given, document).expect("a file can be written");
        let imported = self.journal.import(&given).ok()?;
        assert_eq!(imported.known, 0);
        let rows = self.journal.export(&exported).expect("a journal is exported");
        assert_eq!(rows, imported.added);
        Some(fs::read(&exported).expect("it was written"))
    }
}

thread_local! {
    static EMPTY: RefCell<Option<Empty>> = const { RefCell::new(None) };
}

fuzz_target!(|document: &[u8]| {
    EMPTY.with_borrow_mut(|place| {
        let mut first = place.take().unwrap_or_else(Empty::new);
        let Some(exported) = first.taken(document) else {
            assert_eq!(first.journal.head().expect("a journal").tip.rows, 0);
            *place = Some(first);
            return;
        };
        assert_eq!(Empty::new().taken(&exported), Some(exported));
    });
});
