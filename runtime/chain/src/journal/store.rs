//! The journal's file: SQLite, with the rules that no program may break written into it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};

use super::row::{JournalDigest, Kept, Row, Salt};
use super::{Entry, Head, Intent, JournalError, LEAP_MAX, Permit, Sent, Slot};

/// `DFJ1`, by which SQLite files of this kind are told from others.
const APPLICATION_ID: i64 = 0x4446_4a31;

/// The format of the tables below.
const FORMAT: i64 = 1;

/// The largest file that is opened: a million rows of full subnets. At the limit, nothing is signed.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// The largest epoch that SQLite's integers hold.
const EPOCH_MAX: u64 = i64::MAX.cast_unsigned();

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(20);

const SCHEMA: &str = "
    CREATE TABLE signed (
        number      INTEGER PRIMARY KEY CHECK (number > 0),
        genesis     BLOB    NOT NULL CHECK (length(genesis) = 32),
        netuid      INTEGER NOT NULL CHECK (netuid BETWEEN 0 AND 65535),
        mechanism   INTEGER NOT NULL CHECK (mechanism BETWEEN 0 AND 255),
        hotkey      BLOB    NOT NULL CHECK (length(hotkey) = 32),
        epoch       INTEGER NOT NULL CHECK (epoch >= 0),
        weights     BLOB    NOT NULL,
        version_key INTEGER NOT NULL,
        salt        BLOB    NOT NULL CHECK (length(salt) = 16),
        digest      BLOB    NOT NULL CHECK (length(digest) = 32),
        UNIQUE (genesis, netuid, mechanism, hotkey, epoch)
    ) STRICT;
    CREATE TABLE sent (
        number INTEGER PRIMARY KEY,
        signed INTEGER NOT NULL REFERENCES signed (number),
        call   TEXT    NOT NULL,
        hash   TEXT    NOT NULL,
        block  INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER signed_is_kept BEFORE DELETE ON signed
        BEGIN SELECT RAISE(ABORT, 'what was signed is kept'); END;
    CREATE TRIGGER signed_is_final BEFORE UPDATE ON signed
        BEGIN SELECT RAISE(ABORT, 'what was signed is final'); END;
";

/// The columns of a row, in the order of [`kept`].
const COLUMNS: &str =
    "number, genesis, netuid, mechanism, hotkey, epoch, weights, version_key, salt, digest";

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    db: Connection,
}

impl Journal {
    /// Makes an empty journal. The file is whole or not there, whatever ends the process.
    ///
    /// # Errors
    /// [`JournalError::Exists`]; [`JournalError::Io`]; [`JournalError::Database`].
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(JournalError::io("create", folder))?;
        // Temporary files are their owner's alone.
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder);
        let file = file.map_err(JournalError::io("create a file in", folder))?;
        let failed = |source| JournalError::Database { path: path.to_owned(), source };
        let db = connect(file.path()).map_err(failed)?;
        let identity = format!(
            "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; \
             {SCHEMA} COMMIT;"
        );
        db.execute_batch(&identity).map_err(failed)?;
        db.close().map_err(|(_, source)| failed(source))?;
        file.as_file().sync_all().map_err(JournalError::io("sync", path))?;
        file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => JournalError::Exists(path.to_owned()),
            _ => JournalError::io("create", path)(error.error),
        })?;
        let synced = std::fs::File::open(folder).and_then(|handle| handle.sync_all());
        synced.map_err(JournalError::io("sync", folder))?;
        Self::open(path)
    }

    /// Opens a journal, and checks every row of it.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::OpenToOthers`], [`JournalError::NotAJournal`],
    /// [`JournalError::Format`], [`JournalError::Altered`], [`JournalError::Busy`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let metadata = match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(JournalError::Missing(path.to_owned()));
            }
            metadata => metadata.map_err(JournalError::io("look at", path))?,
        };
        let not_a_journal = |reason: &str| JournalError::NotAJournal {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if !metadata.is_file() {
            return Err(not_a_journal("it is no file"));
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(not_a_journal("it is too large"));
        }
        check_mode(path, &metadata)?;
        let db = connect(path).map_err(|source| opening(path, source))?;
        let journal = Self { path: path.to_owned(), db };
        journal.check_identity()?;
        journal.check_rows()?;
        Ok(journal)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leave to sign a vector: recorded on disk when this returns, and the only one for its slot.
    ///
    /// # Errors
    /// [`JournalError::Conflict`], [`JournalError::Behind`] and [`JournalError::Leap`] where it may
    /// not be signed; others where the journal cannot be used. Then nothing is recorded.
    pub fn authorise(&mut self, intent: &Intent) -> Result<Permit, JournalError> {
        let salt = fresh_salt()?;
        let path = self.path.clone();
        self.in_transaction(|transaction| {
            if let Some(row) = recorded(transaction, &path, &intent.slot)? {
                return permitted(row, intent);
            }
            let epoch = intent.slot.epoch;
            let newest = newest(transaction, &path, &intent.slot)?;
            if let Some(newest) = newest.filter(|newest| epoch < *newest) {
                return Err(JournalError::Behind { epoch, newest });
            }
            let leaps = newest.is_some_and(|newest| epoch - newest > LEAP_MAX);
            if leaps || epoch > EPOCH_MAX {
                return Err(JournalError::Leap { epoch, newest: newest.unwrap_or(0) });
            }
            let row = Row { intent: intent.clone(), salt };
            append(transaction, &path, &row)?;
            Ok(Permit { intent: row.intent, salt })
        })
    }

    /// Leave to sign again what was recorded for a slot; none where nothing was.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn recorded(&self, slot: &Slot) -> Result<Option<Permit>, JournalError> {
        let row = recorded(&self.db, &self.path, slot)?;
        Ok(row.map(|Row { intent, salt }| Permit { intent, salt }))
    }

    /// Notes that a transaction was sent by a permit.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn note(&mut self, permit: &Permit, sent: &Sent) -> Result<(), JournalError> {
        let path = self.path.clone();
        let slot = permit.intent.slot;
        self.in_transaction(|transaction| {
            let sql = "INSERT INTO sent (signed, call, hash, block) SELECT number, ?6, ?7, ?8 \
                       FROM signed WHERE genesis = ?1 AND netuid = ?2 AND mechanism = ?3 AND \
                       hotkey = ?4 AND epoch = ?5";
            let values = params![
                slot.genesis.0,
                slot.netuid.0,
                slot.mechanism.0,
                slot.hotkey.0,
                epoch_of(&slot),
                sent.call,
                sent.hash,
                sent.block
            ];
            transaction.execute(sql, values).map_err(|source| database(&path, source))?;
            Ok(())
        })
    }

    /// All rows, the oldest first.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let rows = self.rows()?;
        let sql = "SELECT call, hash, block FROM sent WHERE signed = ?1 ORDER BY number";
        let mut select = self.db.prepare(sql).map_err(|source| database(&self.path, source))?;
        let mut entries = Vec::with_capacity(rows.len());
        for (number, Row { intent, .. }) in (1_u64..).zip(rows) {
            let sent = select.query_map([number.cast_signed()], |row| {
                Ok(Sent { call: row.get(0)?, hash: row.get(1)?, block: row.get(2)? })
            });
            let sent: Result<Vec<_>, _> = sent.and_then(Iterator::collect);
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
                sent: sent.map_err(|source| database(&self.path, source))?,
            });
        }
        Ok(entries)
    }

    /// How far the journal is.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub fn head(&self) -> Result<Head, JournalError> {
        let (rows, digest) = last(&self.db, &self.path)?;
        Ok(Head { rows, digest })
    }

    /// All rows, the oldest first.
    pub(super) fn rows(&self) -> Result<Vec<Row>, JournalError> {
        self.checked(Vec::new(), |mut rows, row| {
            rows.push(row);
            rows
        })
    }

    /// Adds rows that are not there, or none where one contradicts the journal.
    pub(super) fn add(
        &mut self,
        rows: &[Row],
        refuse: impl Fn(usize, &str) -> JournalError,
    ) -> Result<u64, JournalError> {
        let path = self.path.clone();
        self.in_transaction(|transaction| {
            let mut added = 0;
            for (at, row) in rows.iter().enumerate() {
                match recorded(transaction, &path, &row.intent.slot)? {
                    Some(known) if known == *row => {}
                    Some(_) => return Err(refuse(at, "contradicts the journal")),
                    None => {
                        append(transaction, &path, row)?;
                        added += 1;
                    }
                }
            }
            Ok(added)
        })
    }

    /// Does something wholly or not at all, while nobody else writes.
    fn in_transaction<T>(
        &mut self,
        what: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        use rusqlite::TransactionBehavior::Immediate;
        let path = self.path.clone();
        let transaction = self.db.transaction_with_behavior(Immediate);
        let transaction = transaction.map_err(|source| database(&path, source))?;
        // An early return rolls back.
        let done = what(&transaction)?;
        transaction.commit().map_err(|source| database(&path, source))?;
        Ok(done)
    }

    fn check_identity(&self) -> Result<(), JournalError> {
        let pragma = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let id = pragma("application_id").map_err(|source| opening(&self.path, source))?;
        if id != APPLICATION_ID {
            return Err(self.not_a_journal("it is an SQLite file of another kind"));
        }
        let found = pragma("user_version").map_err(|source| opening(&self.path, source))?;
        if found != FORMAT {
            let path = self.path.clone();
            return Err(JournalError::Format { path, found, known: FORMAT });
        }
        let sound = "PRAGMA integrity_check(1)";
        let sound: String = self
            .db
            .query_row(sound, [], |row| row.get(0))
            .map_err(|source| opening(&self.path, source))?;
        if sound != "ok" {
            return Err(self.not_a_journal(&sound));
        }
        // Rules that somebody has taken out keep nobody from anything.
        let expected = Connection::open_in_memory().and_then(|fresh| {
            fresh.execute_batch(SCHEMA)?;
            rules(&fresh)
        });
        let expected = expected.map_err(|source| database(&self.path, source))?;
        let found = rules(&self.db).map_err(|source| opening(&self.path, source))?;
        match found == expected {
            true => Ok(()),
            false => Err(self.not_a_journal("its tables are not a journal's")),
        }
    }

    fn check_rows(&self) -> Result<(), JournalError> {
        self.checked((), |(), _| ())
    }

    /// Goes through all rows, and checks each.
    fn checked<T>(&self, start: T, mut step: impl FnMut(T, Row) -> T) -> Result<T, JournalError> {
        let failed = |source| opening(&self.path, source);
        let sql = format!("SELECT {COLUMNS} FROM signed ORDER BY number");
        let mut select = self.db.prepare(&sql).map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        let (mut value, mut before, mut number) = (start, JournalDigest::NONE, 0);
        while let Some(found) = rows.next().map_err(failed)? {
            number += 1;
            let altered = |reason| JournalError::Altered {
                path: self.path.clone(),
                row: number,
                reason,
            };
            let kept = kept(found).map_err(failed)?;
            if kept.0 != number.cast_signed() {
                return Err(altered("is missing"));
            }
            let row = kept.1.row().map_err(altered)?;
            let digest = row.digest(before);
            if kept.2 != digest.0 {
                return Err(altered("is not as it was written"));
            }
            before = digest;
            value = step(value, row);
        }
        Ok(value)
    }

    fn not_a_journal(&self, reason: &str) -> JournalError {
        JournalError::NotAJournal { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// The statements that made a database's tables and triggers, by name.
fn rules(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut select = db.prepare(sql)?;
    let rules = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rules.collect()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    // One file, and a commit that outlasts a power cut, its folder's entry of the roll-back too.
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; \
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    Ok(db)
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), JournalError> {
    use std::os::unix::fs::PermissionsExt;
    let others = metadata.permissions().mode() & 0o077;
    if others == 0 { Ok(()) } else { Err(JournalError::OpenToOthers(path.to_owned())) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), JournalError> {
    Ok(())
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

/// An epoch as SQLite has it; nothing is recorded for one beyond [`EPOCH_MAX`].
fn epoch_of(slot: &Slot) -> i64 {
    slot.epoch.cast_signed()
}

type Numbered = (i64, Kept, Vec<u8>);

fn kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<Numbered> {
    let kept = Kept {
        genesis: row.get(1)?,
        netuid: row.get(2)?,
        mechanism: row.get(3)?,
        hotkey: row.get(4)?,
        epoch: row.get(5)?,
        weights: row.get(6)?,
        version_key: row.get(7)?,
        salt: row.get(8)?,
    };
    Ok((row.get(0)?, kept, row.get(9)?))
}

fn recorded(db: &Connection, path: &Path, slot: &Slot) -> Result<Option<Row>, JournalError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM signed WHERE genesis = ?1 AND netuid = ?2 AND mechanism = ?3 AND \
         hotkey = ?4 AND epoch = ?5"
    );
    let Slot { genesis, netuid, mechanism, hotkey, .. } = slot;
    let keys = params![genesis.0, netuid.0, mechanism.0, hotkey.0, epoch_of(slot)];
    let found = db.query_row(&sql, keys, kept).optional();
    let Some((number, kept, _)) = found.map_err(|source| database(path, source))? else {
        return Ok(None);
    };
    let altered = |reason| JournalError::Altered {
        path: path.to_owned(),
        row: number.cast_unsigned(),
        reason,
    };
    kept.row().map(Some).map_err(altered)
}

/// The newest epoch of the slot's key.
fn newest(db: &Connection, path: &Path, slot: &Slot) -> Result<Option<u64>, JournalError> {
    let sql = "SELECT max(epoch) FROM signed WHERE genesis = ?1 AND netuid = ?2 AND \
               mechanism = ?3 AND hotkey = ?4";
    let keys = params![slot.genesis.0, slot.netuid.0, slot.mechanism.0, slot.hotkey.0];
    let newest: Option<i64> =
        db.query_row(sql, keys, |row| row.get(0)).map_err(|source| database(path, source))?;
    Ok(newest.map(i64::cast_unsigned))
}

/// The number and the digest of the last row.
fn last(db: &Connection, path: &Path) -> Result<(u64, JournalDigest), JournalError> {
    let sql = "SELECT number, digest FROM signed ORDER BY number DESC LIMIT 1";
    let last = db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)));
    let last = last.optional().map_err(|source| database(path, source))?;
    Ok(last.map_or((0, JournalDigest::NONE), |(number, digest)| {
        (number.cast_unsigned(), JournalDigest(digest))
    }))
}

fn append(db: &Connection, path: &Path, row: &Row) -> Result<(), JournalError> {
    let (number, before) = last(db, path)?;
    let Slot { genesis, netuid, mechanism, hotkey, .. } = row.intent.slot;
    let sql = format!("INSERT INTO signed ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    let values = params![
        number.saturating_add(1).cast_signed(),
        genesis.0,
        netuid.0,
        mechanism.0,
        hotkey.0,
        epoch_of(&row.intent.slot),
        row.weights_bytes(),
        row.intent.version_key.cast_signed(),
        row.salt_bytes(),
        row.digest(before).0
    ];
    db.execute(&sql, values).map_err(|source| database(path, source))?;
    Ok(())
}

/// A failure of SQLite while a journal is opened: then the file may be at fault.
fn opening(path: &Path, source: rusqlite::Error) -> JournalError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => JournalError::NotAJournal {
            path: path.to_owned(),
            reason: source.to_string(),
        },
        // A column that has what it cannot have, or a table that is not there.
        None | Some(ErrorCode::Unknown) => JournalError::NotAJournal {
            path: path.to_owned(),
            reason: source.to_string(),
        },
        _ => database(path, source),
    }
}

fn database(path: &Path, source: rusqlite::Error) -> JournalError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            JournalError::Busy(path.to_owned())
        }
        _ => JournalError::Database { path: path.to_owned(), source },
    }
}
