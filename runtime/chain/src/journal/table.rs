//! The table of what was signed: its rows, each behind the one before.
//!
//! No row comes from here before its digest was computed anew. What may be signed is decided in
//! [`super::store`].

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::row::{JournalDigest, Kept, Row};
use super::{JournalError, Newest, Sent, Slot, Tip};
use crate::ids::{AccountId, Genesis, MechanismId, NetUid};

/// The columns of a row, in the order of [`numbered`].
const COLUMNS: &str =
    "number, genesis, netuid, mechanism, hotkey, epoch, weights, version_key, salt, digest";

/// The rows of a database, whose file is named in errors.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    db: &'a Connection,
    path: &'a Path,
}

impl<'a> Table<'a> {
    pub(super) fn new(db: &'a Connection, path: &'a Path) -> Self {
        Self { db, path }
    }

    /// Goes through all rows after `seen`, checks each, and says where the last one is.
    pub(super) fn walk(
        self,
        seen: Tip,
        mut step: impl FnMut(u64, Row) -> Result<(), JournalError>,
    ) -> Result<Tip, JournalError> {
        let failed = |source| opening(self.path, source);
        if !self.has(seen)? {
            return Err(self.altered(seen.rows, "is not as it was read"));
        }
        let sql = format!("SELECT {COLUMNS} FROM signed WHERE number > ?1 ORDER BY number");
        let mut select = self.db.prepare(&sql).map_err(failed)?;
        // No row may have a number below 1 either.
        let after = if seen.rows == 0 { i64::MIN } else { seen.rows.cast_signed() };
        let mut rows = select.query([after]).map_err(failed)?;
        let mut tip = seen;
        while let Some(found) = rows.next().map_err(failed)? {
            let number = tip.rows.saturating_add(1);
            let altered = |reason| self.altered(number, reason);
            let (found_number, kept, digest) = numbered(found).map_err(failed)?;
            if found_number != number.cast_signed() {
                return Err(altered("is missing"));
            }
            let row = kept.row().map_err(altered)?;
            tip = Tip { rows: number, digest: row.digest(tip.digest) };
            if digest != tip.digest.0 {
                return Err(altered("is not as it was written"));
            }
            step(number, row)?;
        }
        Ok(tip)
    }

    /// Whether the table has these rows. Their digests were checked when they were walked through.
    pub(super) fn has(self, tip: Tip) -> Result<bool, JournalError> {
        Ok(self.digest_of(tip.rows)? == Some(tip.digest))
    }

    /// The row of a slot and its number.
    pub(super) fn recorded(self, slot: &Slot) -> Result<Option<(u64, Row)>, JournalError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM signed WHERE genesis = ?1 AND netuid = ?2 AND mechanism = ?3 \
             AND hotkey = ?4 AND epoch = ?5"
        );
        let Slot { genesis, netuid, mechanism, hotkey, epoch } = slot;
        // No row has an epoch beyond what SQLite's integers hold.
        let Ok(epoch) = i64::try_from(*epoch) else { return Ok(None) };
        let keys = params![genesis.0, netuid.0, mechanism.0, hotkey.0, epoch];
        let found = self.db.query_row(&sql, keys, numbered).optional();
        let Some((number, kept, digest)) = found.map_err(|source| self.database(source))? else {
            return Ok(None);
        };
        let number = number.cast_unsigned();
        let row = kept.row().map_err(|reason| self.altered(number, reason))?;
        let before = self.digest_of(number.wrapping_sub(1))?;
        match before.map(|before| digest == row.digest(before).0) {
            Some(true) => Ok(Some((number, row))),
            Some(false) => Err(self.altered(number, "is not as it was written")),
            None => Err(self.altered(number.wrapping_sub(1), "is missing")),
        }
    }

    /// The newest epoch of the slot's key.
    pub(super) fn newest(self, slot: &Slot) -> Result<Option<u64>, JournalError> {
        let sql = "SELECT max(epoch) FROM signed WHERE genesis = ?1 AND netuid = ?2 AND \
                   mechanism = ?3 AND hotkey = ?4";
        let keys = params![slot.genesis.0, slot.netuid.0, slot.mechanism.0, slot.hotkey.0];
        let newest = self.db.query_row(sql, keys, |row| row.get::<_, Option<i64>>(0));
        Ok(newest.map_err(|source| self.database(source))?.map(i64::cast_unsigned))
    }

    /// The newest epoch of each key, in the order of chains, subnets, mechanisms and keys.
    pub(super) fn newest_of_each(self) -> Result<Vec<Newest>, JournalError> {
        let sql = "SELECT genesis, netuid, mechanism, hotkey, max(epoch) FROM signed \
                   GROUP BY genesis, netuid, mechanism, hotkey ORDER BY 1, 2, 3, 4";
        let newest = self.db.prepare(sql).and_then(|mut select| {
            let rows = select.query_map([], |row| {
                Ok(Newest {
                    genesis: Genesis(row.get(0)?).to_string(),
                    netuid: NetUid(row.get(1)?),
                    mechanism: MechanismId(row.get(2)?),
                    hotkey: AccountId(row.get(3)?),
                    epoch: row.get::<_, i64>(4)?.cast_unsigned(),
                })
            });
            rows?.collect()
        });
        newest.map_err(|source| self.database(source))
    }

    /// Where the last row is.
    pub(super) fn tip(self) -> Result<Tip, JournalError> {
        let sql = "SELECT number, digest FROM signed ORDER BY number DESC LIMIT 1";
        let tip = self.db.query_row(sql, [], |row| {
            let rows = row.get::<_, i64>(0)?.cast_unsigned();
            Ok(Tip { rows, digest: JournalDigest(row.get(1)?) })
        });
        Ok(tip.optional().map_err(|source| self.database(source))?.unwrap_or(Tip::NONE))
    }

    /// Puts a row behind the last one. Its epoch fits SQLite's integers.
    pub(super) fn append(self, row: &Row) -> Result<(), JournalError> {
        let tip = self.tip()?;
        let Slot { genesis, netuid, mechanism, hotkey, epoch } = row.intent.slot;
        let sql = format!(
            "INSERT INTO signed ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        let values = params![
            tip.rows.saturating_add(1).cast_signed(),
            genesis.0,
            netuid.0,
            mechanism.0,
            hotkey.0,
            epoch.cast_signed(),
            row.weights_bytes(),
            row.intent.version_key.cast_signed(),
            row.salt_bytes(),
            row.digest(tip.digest).0
        ];
        self.db.execute(&sql, values).map_err(|source| self.database(source))?;
        Ok(())
    }

    /// Notes what was sent by the row of this number.
    pub(super) fn note(self, number: u64, sent: &Sent) -> Result<(), JournalError> {
        let sql = "INSERT INTO sent (signed, call, hash, block) VALUES (?1, ?2, ?3, ?4)";
        let values = params![number.cast_signed(), sent.call, sent.hash, sent.block];
        self.db.execute(sql, values).map_err(|source| self.database(source))?;
        Ok(())
    }

    /// What was sent by the row of this number, the oldest first.
    pub(super) fn sent(self, number: u64) -> Result<Vec<Sent>, JournalError> {
        let sql = "SELECT call, hash, block FROM sent WHERE signed = ?1 ORDER BY number";
        let sent = self.db.prepare(sql).and_then(|mut select| {
            let rows = select.query_map([number.cast_signed()], |row| {
                Ok(Sent { call: row.get(0)?, hash: row.get(1)?, block: row.get(2)? })
            });
            rows?.collect()
        });
        sent.map_err(|source| self.database(source))
    }

    /// The digest that the row of this number has; of row 0, what the first is chained to.
    fn digest_of(self, number: u64) -> Result<Option<JournalDigest>, JournalError> {
        if number == 0 {
            return Ok(Some(JournalDigest::NONE));
        }
        let sql = "SELECT digest FROM signed WHERE number = ?1";
        let digest = self.db.query_row(sql, [number.cast_signed()], |row| row.get(0)).optional();
        Ok(digest.map_err(|source| self.database(source))?.map(JournalDigest))
    }

    fn altered(self, row: u64, reason: &'static str) -> JournalError {
        JournalError::Altered { path: self.path.to_owned(), row, reason }
    }

    fn database(self, source: rusqlite::Error) -> JournalError {
        database(self.path, source)
    }
}

/// A row's number, its parts, and its digest.
type Numbered = (i64, Kept, Vec<u8>);

fn numbered(row: &rusqlite::Row<'_>) -> rusqlite::Result<Numbered> {
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

/// A failure of SQLite while a file is read that may be no journal.
pub(super) fn opening(path: &Path, source: rusqlite::Error) -> JournalError {
    match source.sqlite_error_code() {
        // No code: a column that has what it cannot have. Unknown: a table that is not there.
        None | Some(ErrorCode::Unknown) => {
            JournalError::NotAJournal { path: path.to_owned(), reason: source.to_string() }
        }
        _ => database(path, source),
    }
}

/// A failure of SQLite, by what can be done about it.
pub(super) fn database(path: &Path, source: rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => JournalError::Busy(path),
        Some(ErrorCode::DiskFull) => JournalError::Full(path),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            JournalError::NotAJournal { path, reason: source.to_string() }
        }
        _ => JournalError::Database { path, source },
    }
}
