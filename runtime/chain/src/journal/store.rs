//! What may be signed: look and record, in one durable transaction.
//!
//! Each decision is made while the journal is locked against every other writer, on rows that were
//! checked: all of them on opening, those of other processes as they come. How rows are kept is
//! for [`super::table`] to say, what file they are in for [`super::file`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::file::FileId;
use super::row::{Row, Salt};
use super::table::{Table, database};
use super::{Entry, Head, Intent, JournalError, Permit, Sent, Slot, Tip, leap};

/// The longest wait for another process.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    db: Connection,
    id: FileId,
    /// The last row that was checked. It stays where it is, or the file was put back.
    seen: Tip,
}

impl Journal {
    /// A journal whose rows up to `seen` were checked.
    pub(super) fn opened(path: PathBuf, db: Connection, id: FileId, seen: Tip) -> Self {
        Self { path, db, id, seen }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets how long to wait for another process before [`JournalError::Busy`]; 20 s where nothing
    /// was set, an hour at most.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn set_wait(&mut self, wait: Duration) -> Result<(), JournalError> {
        let set = self.db.busy_timeout(wait.min(WAIT_MAX));
        set.map_err(|source| database(&self.path, source))
    }

    /// Leave to sign a vector: recorded on disk when this returns, and the only one for its slot.
    ///
    /// # Errors
    /// [`JournalError::Conflict`], [`JournalError::Behind`] and [`JournalError::Leap`] where it may
    /// not be signed; others where the journal cannot be used. Then no permit is given; where the
    /// failure is of the disk, the row may be there all the same, and only what it says may be
    /// signed later.
    pub fn authorise(&mut self, intent: &Intent) -> Result<Permit, JournalError> {
        let salt = fresh_salt()?;
        self.in_transaction(|table| {
            if let Some((_, row)) = table.recorded(&intent.slot)? {
                return permitted(row, intent);
            }
            let epoch = intent.slot.epoch;
            let newest = table.newest(&intent.slot)?;
            if let Some(newest) = newest.filter(|newest| epoch < *newest) {
                return Err(JournalError::Behind { epoch, newest });
            }
            if let Some(newest) = leap(newest, epoch) {
                return Err(JournalError::Leap { epoch, newest });
            }
            let row = Row { intent: intent.clone(), salt };
            table.append(&row)?;
            Ok(Permit { intent: row.intent, salt })
        })
    }

    /// Leave to sign again what was recorded for a slot; none where nothing was.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn recorded(&self, slot: &Slot) -> Result<Option<Permit>, JournalError> {
        self.read(|table| {
            let found = table.recorded(slot)?;
            Ok(found.map(|(_, Row { intent, salt })| Permit { intent, salt }))
        })
    }

    /// Notes that a transaction was sent by a permit. For people: no rule depends on it.
    ///
    /// # Errors
    /// [`JournalError::NotRecorded`] where the permit is another journal's; others where the
    /// journal cannot be used.
    pub fn note(&mut self, permit: &Permit, sent: &Sent) -> Result<(), JournalError> {
        let (path, slot) = (self.path.clone(), permit.intent.slot);
        self.in_transaction(|table| match table.recorded(&slot)? {
            Some((number, row)) if row.intent == permit.intent && row.salt == permit.salt => {
                table.note(number, sent)
            }
            _ => Err(JournalError::NotRecorded { path, epoch: slot.epoch }),
        })
    }

    /// All rows, the oldest first, each checked.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        self.walk(|table, number, Row { intent, .. }| {
            let Slot { genesis, netuid, mechanism, hotkey, epoch } = intent.slot;
            entries.push(Entry {
                number,
                genesis: genesis.to_string(),
                netuid,
                mechanism,
                hotkey,
                epoch,
                weights: intent.vector,
                version_key: intent.version_key,
                sent: table.sent(number)?,
            });
            Ok(())
        })?;
        Ok(entries)
    }

    /// How far the journal is.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn head(&self) -> Result<Head, JournalError> {
        self.read(|table| Ok(Head { tip: table.tip()?, newest: table.newest_of_each()? }))
    }

    /// Refuses a journal that is not a later state of the one whose tip was noted, or that very
    /// state. What was exported and imported into an empty journal is; what was merged is not.
    ///
    /// # Errors
    /// [`JournalError::RolledBack`]; others where the journal cannot be used.
    pub fn check_continues(&self, noted: Tip) -> Result<(), JournalError> {
        self.read(|table| {
            if table.has(noted)? {
                return Ok(());
            }
            let (path, rows) = (self.path.clone(), table.tip()?.rows);
            Err(JournalError::RolledBack { path, noted: noted.rows, rows })
        })
    }

    /// Goes through all rows, the oldest first, and checks each.
    pub(super) fn walk(
        &self,
        mut step: impl FnMut(Table<'_>, u64, Row) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.read(|table| {
            table.walk(Tip::NONE, |number, row| step(table, number, row))?;
            Ok(())
        })
    }

    /// Adds rows that are not there, or none where one contradicts the journal. Those before the
    /// newest epoch are history. `refuse` makes the error of the row at a place of `rows`.
    pub(super) fn add(
        &mut self,
        rows: &[Row],
        refuse: impl Fn(usize, &str) -> JournalError,
    ) -> Result<u64, JournalError> {
        self.in_transaction(|table| {
            let mut added = 0;
            for (at, row) in rows.iter().enumerate() {
                let slot = &row.intent.slot;
                match table.recorded(slot)? {
                    Some((_, known)) if known == *row => continue,
                    Some((_, known)) => return Err(refuse(at, contradiction(&known, row))),
                    None => {}
                }
                if leap(table.newest(slot)?, slot.epoch).is_some() {
                    return Err(refuse(at, "is too far ahead of the epoch before it"));
                }
                table.append(row)?;
                added += 1;
            }
            Ok(added)
        })
    }

    /// Reads one state of the journal, whatever others write meanwhile.
    fn read<T>(
        &self,
        what: impl FnOnce(Table<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let failed = |source| database(&self.path, source);
        // Dropped, it ends; nothing was written.
        let transaction = self.db.unchecked_transaction().map_err(failed)?;
        let table = Table::new(&transaction, &self.path);
        table.walk(self.seen, |_, _| Ok(()))?;
        self.id.check(&self.path)?;
        what(table)
    }

    /// Does something wholly or not at all, while nobody else writes.
    fn in_transaction<T>(
        &mut self,
        what: impl FnOnce(Table<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let Self { path, db, id, seen } = self;
        let failed = |source| database(path, source);
        // Locked before it is read: two that both have looked cannot both record.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed)?;
        id.check(path)?;
        let table = Table::new(&transaction, path);
        // An early return takes back.
        table.walk(*seen, |_, _| Ok(()))?;
        let done = what(table)?;
        let tip = table.tip()?;
        transaction.commit().map_err(failed)?;
        *seen = tip;
        Ok(done)
    }
}

fn fresh_salt() -> Result<Salt, JournalError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(JournalError::Randomness)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut salt = [0; 8];
    for (number, pair) in salt.iter_mut().zip(pairs) {
        *number = u16::from_le_bytes(*pair);
    }
    Ok(Salt(salt))
}

fn permitted(row: Row, intent: &Intent) -> Result<Permit, JournalError> {
    if row.intent == *intent {
        return Ok(Permit { intent: row.intent, salt: row.salt });
    }
    Err(JournalError::Conflict {
        intent: Box::new(intent.clone()),
        recorded: row.intent.vector,
        recorded_key: row.intent.version_key,
    })
}

/// In what two rows of one slot differ.
fn contradiction(known: &Row, row: &Row) -> &'static str {
    if known.intent.vector != row.intent.vector {
        "contradicts the journal, which has other weights"
    } else if known.intent.version_key != row.intent.version_key {
        "contradicts the journal, which has another version key"
    } else {
        "contradicts the journal, which has another salt"
    }
}
