//! What was signed, as one document: to carry to another machine, or to keep.
//!
//! An import only ever forbids more. Rows older than the newest one are taken as history; a row
//! that contradicts the journal refuses the whole document. What was sent is not in it: no rule
//! depends on that.
//!
//! The bytes: JSON in UTF-8, without spaces, a line for each row, in the journal's order. All
//! numbers are integers: `version_key` any u64, `epoch` below 2^63, weights `[uid, value]` with the
//! lowest uid first. A document with a field more or less, or a slot twice, is refused.
//!
//! ```json
//! {"format":"dataforge-journal","version":1,"signed":[
//! {"genesis":"0x…","netuid":1,"mechanism":0,"hotkey":"5…","epoch":7,
//!  "weights":[[0,65535],[3,21845]],"version_key":0,"salt":[1,2,3,4,5,6,7,8]}
//! ]}
//! ```

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::{folder_of, place};
use super::row::{Row, Salt};
use super::{Imported, Intent, Journal, JournalError, Slot};
use crate::ids::{AccountId, MechanismId, NetUid, Uid};
use crate::weight_vector::WeightVector;

/// The largest document that is read. Whatever a journal's file may have fits: see
/// [`super::FILE_BYTES_MAX`].
pub const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

const FORMAT: &str = "dataforge-journal";
const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    signed: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    genesis: String,
    netuid: NetUid,
    mechanism: MechanismId,
    hotkey: AccountId,
    epoch: u64,
    weights: Vec<(Uid, u16)>,
    version_key: u64,
    salt: Salt,
}

impl Signed {
    fn of(row: Row) -> Self {
        let Slot { genesis, netuid, mechanism, hotkey, epoch } = row.intent.slot;
        Self {
            genesis: genesis.to_string(),
            netuid,
            mechanism,
            hotkey,
            epoch,
            weights: row.intent.vector.pairs().to_vec(),
            version_key: row.intent.version_key,
            salt: row.salt,
        }
    }

    fn row(self) -> Result<Row, String> {
        let vector = WeightVector::new(self.weights).map_err(|error| error.to_string())?;
        let slot = Slot {
            genesis: self.genesis.parse().map_err(|_| "has no genesis hash".to_owned())?,
            netuid: self.netuid,
            mechanism: self.mechanism,
            hotkey: self.hotkey,
            epoch: self.epoch,
        };
        if i64::try_from(self.epoch).is_err() {
            return Err(format!("has epoch {}", self.epoch));
        }
        let intent = Intent { slot, vector, version_key: self.version_key };
        Ok(Row { intent, salt: self.salt })
    }
}

impl Journal {
    /// Writes all that was signed, and says how many rows that is. The same journal gives the same
    /// bytes. The file is its owner's alone: before a reveal, the salts are secret.
    ///
    /// # Errors
    /// [`JournalError::Exists`] where the file is there; [`JournalError::Io`]; others where the
    /// journal cannot be used.
    pub fn export(&self, path: &Path) -> Result<u64, JournalError> {
        let folder = folder_of(path);
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder);
        let file = file.map_err(JournalError::io("create a file in", folder))?;
        let failed = |source| JournalError::io("write", path)(source);
        let (mut out, mut count) = (BufWriter::new(file), 0);
        let start = format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"signed\":[");
        out.write_all(start.as_bytes()).map_err(failed)?;
        self.walk(|_, number, row| {
            count = number;
            let separator: &[u8] = if number == 1 { b"\n" } else { b",\n" };
            out.write_all(separator).map_err(failed)?;
            serde_json::to_writer(&mut out, &Signed::of(row)).map_err(|error| failed(error.into()))
        })?;
        out.write_all(b"\n]}\n").map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        place(file, path)?;
        Ok(count)
    }

    /// Takes over what another journal has exported: all of it or nothing.
    ///
    /// # Errors
    /// [`JournalError::Document`] where it is no document, or a row contradicts the journal or
    /// another row, or leaps; [`JournalError::Io`]; others where the journal cannot be used.
    pub fn import(&mut self, path: &Path) -> Result<Imported, JournalError> {
        let refused = |reason: String| JournalError::Document { path: path.to_owned(), reason };
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        let mut text = Vec::new();
        let read = file.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text);
        read.map_err(JournalError::io("read", path))?;
        if text.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(refused(format!("it is larger than {DOCUMENT_BYTES_MAX} bytes")));
        }
        let rows = rows_of(&text).map_err(refused)?;
        let row_refused = |at: usize, reason: &str| {
            let Slot { hotkey, epoch, .. } = rows[at].intent.slot;
            refused(format!("row {}, of epoch {epoch} by {hotkey}, {reason}", at + 1))
        };
        let added = self.add(&rows, row_refused)?;
        Ok(Imported { added, known: rows.len() as u64 - added })
    }
}

/// The rows of a document; a reason where it is none.
fn rows_of(text: &[u8]) -> Result<Vec<Row>, String> {
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if document.format != FORMAT {
        return Err(format!("its format is {:?}, not {FORMAT:?}", document.format));
    }
    if document.version != VERSION {
        return Err(format!(
            "its version is {}, and this program knows {VERSION}",
            document.version
        ));
    }
    let numbered = (1..).zip(document.signed);
    let rows: Vec<_> = numbered
        .map(|(number, signed)| signed.row().map_err(|reason| format!("row {number} {reason}")))
        .collect::<Result<_, _>>()?;
    let mut slots = std::collections::BTreeSet::new();
    match rows.iter().position(|row| !slots.insert(row.intent.slot)) {
        Some(at) => Err(format!("row {} is about the same as one before it", at + 1)),
        None => Ok(rows),
    }
}
