//! A miner's dataset file of any usual format, as a stream of rows.
//!
//! A file is told by its bytes, never by its name: JSON Lines or one JSON array, each plain or
//! within gzip or zstd, or Parquet. Memory stays flat however many rows there are, and whatever the
//! bytes claim: see [`dataforge_core::limits`].
//!
//! Nothing here judges a row. A row of a text file is handed on byte for byte, be it JSON or not,
//! but for line ends between the tokens of an array's element, which become spaces; and a row of a
//! Parquet file becomes a JSON object of its columns; the schema kernel decides.
//! Nothing is read in parallel, and rows come in the file's order.

mod error;
mod input;
mod parquet;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dataforge_core::limits::{CHECKED_BYTES_MAX, ROWS_MAX};
use dataforge_core::units::Bytes;

use self::error::Fault;
pub use self::error::RowsError;
pub use self::input::Compression;
use self::input::{Counted, Tally, fill};
use self::parquet::Records;
use self::text::Elements;
use crate::fs::FileError;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A row a line. Also what is nothing else: the kernel says what is wrong with its lines.
    JsonLines(Compression),
    /// One JSON array, an element a row.
    JsonArray(Compression),
    /// Apache Parquet.
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, compression) = match self {
            Self::JsonLines(compression) => ("JSON Lines", compression),
            Self::JsonArray(compression) => ("a JSON array", compression),
            Self::Parquet => return f.write_str("Parquet"),
        };
        f.write_str(name)?;
        match compression {
            Compression::None => Ok(()),
            Compression::Gzip => f.write_str(" in gzip"),
            Compression::Zstd => f.write_str(" in zstd"),
        }
    }
}

/// The rows of a file, each as the bytes of a JSON text without a line end.
///
/// A row has at most [`LINE_BYTES_MAX`](dataforge_core::limits::LINE_BYTES_MAX) bytes, and there
/// are 1 to [`ROWS_MAX`] of them. After an error there is nothing more. A line end in a row
/// is one within a string of an array's element, which no JSON may have.
pub struct Rows {
    path: PathBuf,
    format: Format,
    tally: Arc<Tally>,
    bytes_total: Option<Bytes>,
    reader: Reader,
    /// Rows given so far.
    given: u32,
    ended: bool,
}

enum Reader {
    Lines(Box<dyn BufRead + Send>),
    Array(Box<dyn BufRead + Send>, Elements),
    Parquet(Box<Records>),
}

impl Rows {
    /// Opens a file and tells its format.
    ///
    /// # Errors
    /// [`RowsError`] when it cannot be read, or when its format is known by then and it is damaged.
    pub fn open(path: &Path) -> Result<Self, RowsError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        Self::from_reader(path, file)
    }

    /// As [`Self::open`], of the bytes of `source`; `path` is for errors to name. Only Parquet has
    /// to be read from somewhere other than front to back.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_reader(
        path: &Path,
        source: impl Read + Seek + Send + 'static,
    ) -> Result<Self, RowsError> {
        Self::bounded(path, source, CHECKED_BYTES_MAX)
    }

    /// As [`Self::from_reader`], of at most `most` bytes once decompressed.
    fn bounded(
        path: &Path,
        mut source: impl Read + Seek + Send + 'static,
        most: Bytes,
    ) -> Result<Self, RowsError> {
        // A pipe has no end to go to, and can be read all the same.
        let bytes_total = source.seek(SeekFrom::End(0)).ok().map(Bytes);
        if bytes_total.is_some() {
            source.rewind().map_err(FileError::io("read", path))?;
        }
        let source = Counted::new(Box::new(source));
        let tally = Arc::clone(source.tally());
        let (format, reader) = open(source, most).map_err(|fault| fault.at(path, 0))?;
        let path = path.to_owned();
        Ok(Self { path, format, tally, bytes_total, reader, given: 0, ended: false })
    }

    /// What the file is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the file read so far, compressed as they are. Of Parquet some are read twice and
    /// some never, so that it may reach the total a little early, or never quite.
    #[must_use]
    pub fn position(&self) -> Bytes {
        let read = Bytes(self.tally.read());
        self.bytes_total.map_or(read, |total| read.min(total))
    }

    /// Bytes of the file; none where that cannot be known, as of a pipe.
    #[must_use]
    pub fn bytes_total(&self) -> Option<Bytes> {
        self.bytes_total
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match &mut self.reader {
            Reader::Lines(input) => text::line(input, &self.tally),
            Reader::Array(input, elements) => elements.next(input, &self.tally),
            Reader::Parquet(records) => records.next(),
        }
    }

    fn advance(&mut self) -> Result<Option<Vec<u8>>, RowsError> {
        let next = self.given.saturating_add(1);
        let row = self.read().map_err(|fault| fault.at(&self.path, next))?;
        match &row {
            None if self.given == 0 => Err(RowsError::Empty { path: self.path.clone() }),
            Some(_) if next > ROWS_MAX => Err(Fault::TooManyRows.at(&self.path, next)),
            _ => {
                self.given = next;
                Ok(row)
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Vec<u8>, RowsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.advance().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

/// Bytes that a format is told by: white space before an array may be this long.
const START_BYTES: usize = 4096;

fn open(mut source: Counted, most: Bytes) -> Result<(Format, Reader), Fault> {
    let mut start = [0; 4];
    let start = fill(&mut source, &mut start).map_err(Fault::Io)?;
    if start == parquet::MAGIC {
        return Ok((Format::Parquet, Reader::Parquet(Box::new(Records::open(source, most)?))));
    }
    let compression = Compression::of(start);
    let tally = Arc::clone(source.tally());
    let mut text = compression.unwrap(Cursor::new(start.to_vec()).chain(source), most);

    let start = beginning(&mut text).map_err(|error| tally.fault(error))?;
    if compression != Compression::None && binary(&start) {
        return Err(Fault::malformed("what was decompressed is no text: decompress it first"));
    }
    // As nothing at all, a line end alone is no row.
    let start = if start == b"\n" { Vec::new() } else { start };
    let is_array = text::is_array(&start);
    let text = Box::new(Cursor::new(start).chain(text));
    Ok(if is_array {
        (Format::JsonArray(compression), Reader::Array(text, Elements::new()))
    } else {
        (Format::JsonLines(compression), Reader::Lines(text))
    })
}

/// As much of a text as tells its format, and no more: what comes later is an error of its row.
fn beginning(text: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    while start.len() < START_BYTES && (start.len() < 4 || text::is_space_only(&start)) {
        let mut piece = [0; 64];
        let piece = fill(text, &mut piece)?;
        if piece.is_empty() {
            break;
        }
        start.extend_from_slice(piece);
    }
    Ok(start)
}

/// Whether what was in one wrapper is in another, or is Parquet.
fn binary(start: &[u8]) -> bool {
    start.starts_with(parquet::MAGIC) || Compression::of(start) != Compression::None
}
