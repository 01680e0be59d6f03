//! The journal's file: made on purpose, and opened only where it is one, whole, and its owner's.
//!
//! Roll-back journal rather than write-ahead log: all that was signed is in one file at any moment
//! when nobody writes, so that who moves or copies it does not leave the newest rows behind in a
//! second one. One commit an epoch needs no speed.
//!
//! Nothing here opens the file other than through SQLite: closing a second descriptor of it would
//! drop the locks that this process holds.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::store::Journal;
use super::table::{Table, database, opening};
use super::{JournalError, Tip};

/// `DFJ1`, by which SQLite files of this kind are told from others.
const APPLICATION_ID: i64 = 0x4446_4a31;

/// The format of the tables below.
const FORMAT: i64 = 1;

/// The largest file: 170,000 rows of full subnets, twenty years of one key. At the limit nothing is
/// signed ([`JournalError::Full`]); a larger file is not opened. What fits can be exported and
/// imported: a document has at most 14 bytes for the 4 of a weight.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// How long to wait for another process where nothing else was said.
const WAIT: Duration = Duration::from_secs(20);

/// What SQLite may keep beside a file, by what it appends to the file's name.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Whoever writes past these rules is refused, other programs too. The trigger on insertion is for
/// `INSERT OR REPLACE`, which removes rows without asking the one on removal.
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
    CREATE TRIGGER signed_is_next BEFORE INSERT ON signed
        WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM signed)
            OR EXISTS (SELECT 1 FROM signed WHERE genesis = NEW.genesis AND netuid = NEW.netuid
                AND mechanism = NEW.mechanism AND hotkey = NEW.hotkey AND epoch = NEW.epoch)
        BEGIN SELECT RAISE(ABORT, 'what was signed is signed once'); END;
    CREATE TRIGGER sent_is_kept BEFORE DELETE ON sent
        BEGIN SELECT RAISE(ABORT, 'what was sent is kept'); END;
    CREATE TRIGGER sent_is_final BEFORE UPDATE ON sent
        BEGIN SELECT RAISE(ABORT, 'what was sent is final'); END;
";

impl Journal {
    /// Makes an empty journal. The file is whole or not there, whatever ends the process.
    ///
    /// # Errors
    /// [`JournalError::Exists`]; [`JournalError::Leftover`]; [`JournalError::Io`];
    /// [`JournalError::Database`].
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        if let Some(left) =
            BESIDE.map(|end| beside(path, end)).into_iter().find(|path| is_there(path))
        {
            // Where the file is there too, it is in use: that is the better reason.
            return Err(match is_there(path) {
                true => JournalError::Exists(path.to_owned()),
                false => JournalError::Leftover(left),
            });
        }
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(JournalError::io("create", folder))?;
        // Temporary files are their owner's alone.
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder);
        let file = file.map_err(JournalError::io("create a file in", folder))?;
        let failed = |source| database(path, source);
        let db = connect(file.path()).map_err(failed)?;
        let identity = format!(
            "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; \
             {SCHEMA} COMMIT;"
        );
        db.execute_batch(&identity).map_err(failed)?;
        db.close().map_err(|(_, source)| failed(source))?;
        file.as_file().sync_all().map_err(JournalError::io("sync", path))?;
        place(file, path)?;
        Self::open(path)
    }

    /// Opens a journal, and checks every row of it.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::OpenToOthers`], [`JournalError::NotAJournal`],
    /// [`JournalError::Format`], [`JournalError::Altered`], [`JournalError::Busy`],
    /// [`JournalError::Replaced`] where it is exchanged meanwhile.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let id = FileId::of(&checked_metadata(path)?);
        let db = connect(path).map_err(|source| opening(path, source))?;
        // Before any setting, some of which are kept in the file: it may be somebody else's.
        check_identity(&db, path)?;
        set_up(&db, path)?;
        check_structure(&db, path)?;
        let seen = Table::new(&db, path).walk(Tip::NONE, |_, _| Ok(()))?;
        id.check(path)?;
        Ok(Self::opened(path.to_owned(), db, id, seen))
    }
}

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Where open files cannot be removed or renamed, all are the same.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }

    /// Refuses a path that leads to another file, or none.
    ///
    /// SQLite goes on with the file that it has opened, even where nobody else can reach it; who
    /// opens the path would be asked by another file.
    pub(super) fn check(self, path: &Path) -> Result<(), JournalError> {
        match path.metadata() {
            Ok(metadata) if Self::of(&metadata) == self => Ok(()),
            _ => Err(JournalError::Replaced(path.to_owned())),
        }
    }
}

/// Puts a file that is written and synced in its place, where nothing is.
pub(super) fn place(file: tempfile::NamedTempFile, path: &Path) -> Result<(), JournalError> {
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => JournalError::Exists(path.to_owned()),
        _ => JournalError::io("create", path)(error.error),
    })?;
    let folder = folder_of(path);
    // Without this a power cut may take the file's name away.
    let synced = std::fs::File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(JournalError::io("sync", folder))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn not_a_journal(path: &Path, reason: impl Into<String>) -> JournalError {
    JournalError::NotAJournal { path: path.to_owned(), reason: reason.into() }
}

/// All that can be said of the file before it is opened.
fn checked_metadata(path: &Path) -> Result<Metadata, JournalError> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(JournalError::Missing(path.to_owned()));
        }
        metadata => metadata.map_err(JournalError::io("look at", path))?,
    };
    if !metadata.is_file() {
        return Err(not_a_journal(path, "it is no file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(not_a_journal(path, format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    check_owner(path, &metadata)?;
    Ok(metadata)
}

#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), JournalError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(JournalError::OpenToOthers(path.to_owned()));
    }
    // What is to be taken back after a kill lies beside the name by which the file was opened.
    // By its other name nobody would take it back.
    match metadata.nlink() {
        1 => Ok(()),
        names => Err(not_a_journal(path, format!("it has {names} names; remove the others"))),
    }
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), JournalError> {
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(WAIT)?;
    Ok(db)
}

fn check_identity(db: &Connection, path: &Path) -> Result<(), JournalError> {
    if number(db, path, "application_id")? != APPLICATION_ID {
        return Err(not_a_journal(path, "it is an SQLite file of another kind"));
    }
    match number(db, path, "user_version")? {
        FORMAT => Ok(()),
        found => Err(JournalError::Format { path: path.to_owned(), found, known: FORMAT }),
    }
}

/// One file, and a commit that outlasts a power cut, the removal of the roll-back journal included.
fn set_up(db: &Connection, path: &Path) -> Result<(), JournalError> {
    let pages = FILE_BYTES_MAX / number(db, path, "page_size")?.max(1).unsigned_abs();
    let settings = format!(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON; \
         PRAGMA max_page_count = {pages}; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
         PRAGMA cell_size_check = ON;"
    );
    db.execute_batch(&settings).map_err(|source| opening(path, source))?;
    // SQLite does not say when it leaves a setting as it was.
    let mode: String = db
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|source| opening(path, source))?;
    if mode != "delete" || number(db, path, "synchronous")? != 3 {
        return Err(not_a_journal(path, "SQLite cannot be made to keep what it writes to it"));
    }
    Ok(())
}

fn check_structure(db: &Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| opening(path, source);
    let sound: String =
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if sound != "ok" {
        return Err(not_a_journal(path, sound));
    }
    // Rules that somebody has taken out keep nobody from anything.
    let expected = Connection::open_in_memory().and_then(|fresh| {
        fresh.execute_batch(SCHEMA)?;
        rules(&fresh)
    });
    let expected = expected.map_err(|source| database(path, source))?;
    if rules(db).map_err(failed)? != expected {
        return Err(not_a_journal(path, "its tables are not a journal's"));
    }
    Ok(())
}

/// The statements that made a database's tables and triggers, by name.
fn rules(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut select = db.prepare(sql)?;
    let rules = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rules.collect()
}

fn number(db: &Connection, path: &Path, pragma: &str) -> Result<i64, JournalError> {
    let number = db.pragma_query_value(None, pragma, |row| row.get(0));
    number.map_err(|source| opening(path, source))
}
