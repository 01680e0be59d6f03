//! Rows of a Parquet file, one at a time.
//!
//! A row group may be as large as it likes: of every column only the dictionary and one page are
//! held, and what they take together is bounded. Nothing that the file claims is believed before
//! the bytes are there; statistics, indexes and the names that a chunk repeats are not read.
//!
//! Read are pages of version 1 and 2, plain, of dictionaries, of runs and of differences,
//! uncompressed or compressed with Snappy, gzip or zstd. Anything else is refused by name.
//!
//! Format: <https://github.com/apache/parquet-format>.

mod column;
mod packed;
mod page;
mod record;
mod schema;
#[cfg(test)]
mod tests;
mod thrift;
mod values;
mod window;

use dataforge_core::limits::{PARQUET_FOOTER_BYTES_MAX, PARQUET_NODES_MAX, ROWS_MAX};
use dataforge_core::units::Bytes;

use self::column::Column;
use self::page::{Chunk, Codec, Disk};
use self::schema::{Element, Leaf, Schema};
use self::thrift::{Bad, Kind, Thrift};
use super::error::Fault;
use super::input::Counted;

/// What a file begins and ends with.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";
/// What a file ends with whose metadata is encrypted.
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";
/// The length of the metadata and the magic behind it.
const TAIL_BYTES: u64 = 8;

/// The rows of a file.
pub(super) struct Records {
    disk: Disk,
    schema: Schema,
    footer: Vec<u8>,
    /// Where in the file the footer begins: no page goes on past it.
    pages_end: u64,
    /// Where in the footer the next row group is described.
    group_at: usize,
    groups_left: u32,
    /// The columns of the open row group.
    columns: Vec<Column>,
    rows_left: u64,
    /// Rows that the file states, less those of the row groups opened.
    rows_unopened: u64,
}

impl Records {
    /// Reads the metadata of a file of which pages and rows with `most` bytes may be made.
    pub(super) fn open(source: Counted, most: Bytes) -> Result<Self, Fault> {
        let mut disk = Disk::new(source, most);
        let (footer, pages_end) = read_footer(&mut disk)?;
        let metadata = Metadata::read(&footer).map_err(|_| damaged())?;
        if metadata.encrypted {
            return Err(encrypted());
        }
        if metadata.rows > u64::from(ROWS_MAX) {
            return Err(Fault::TooManyRows);
        }
        let schema = Schema::new(metadata.schema)?;
        let Metadata { rows, group_at, groups, .. } = metadata;
        Ok(Self {
            disk,
            schema,
            pages_end,
            group_at,
            groups_left: groups,
            columns: Vec::new(),
            rows_left: 0,
            rows_unopened: rows,
            footer,
        })
    }

    /// The next row; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while self.rows_left == 0 {
            self.close_group()?;
            if self.groups_left == 0 {
                return match self.rows_unopened {
                    0 => Ok(None),
                    _ => Err(Fault::malformed("the file states more rows than it has")),
                };
            }
            self.open_group()?;
        }
        self.rows_left -= 1;
        let line = record::line(&self.schema.root, &mut self.columns, &mut self.disk)?;
        self.disk.spend(line.len() as u64)?;
        Ok(Some(line))
    }

    /// Every value of a group is of one of its rows.
    fn close_group(&mut self) -> Result<(), Fault> {
        for mut column in self.columns.drain(..) {
            if column.head(&mut self.disk)?.is_some() {
                let reason = format!("column {} has more rows than its group", column.path());
                return Err(Fault::Malformed(reason));
            }
        }
        self.disk.release_all();
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Fault> {
        let mut thrift = Thrift::new(&self.footer[self.group_at..]);
        let group = Group::read(&mut thrift, self.schema.leaves.len()).map_err(|_| damaged())?;
        self.group_at = self.footer.len() - thrift.rest().len();
        self.groups_left -= 1;
        if group.chunks.len() != self.schema.leaves.len() {
            return Err(Fault::malformed("a row group has other columns than the schema"));
        }
        let left = self.rows_unopened.checked_sub(group.rows);
        self.rows_unopened =
            left.ok_or(Fault::malformed("the file states fewer rows than it has"))?;
        self.rows_left = group.rows;
        for (leaf, chunk) in self.schema.leaves.iter().zip(group.chunks) {
            self.columns.push(chunk.open(leaf, self.pages_end)?);
        }
        Ok(())
    }
}

fn damaged() -> Fault {
    Fault::malformed("its metadata is damaged")
}

fn encrypted() -> Fault {
    Fault::malformed("it is encrypted")
}

/// The metadata, and where it begins.
fn read_footer(disk: &mut Disk) -> Result<(Vec<u8>, u64), Fault> {
    let length = disk.length()?;
    let tail_at = length.checked_sub(TAIL_BYTES).ok_or_else(damaged)?;
    let tail = disk.read(tail_at, TAIL_BYTES)?;
    let (stated, magic) = tail.split_at(4);
    if magic == MAGIC_ENCRYPTED {
        return Err(encrypted());
    }
    if magic != MAGIC {
        return Err(Fault::malformed("the file ends early: Parquet ends as it begins"));
    }
    let stated = stated.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    if stated > PARQUET_FOOTER_BYTES_MAX.0 {
        let most = PARQUET_FOOTER_BYTES_MAX.0;
        return Err(Fault::Malformed(format!("its metadata is larger than {most} bytes")));
    }
    let begin = tail_at.checked_sub(stated).filter(|begin| *begin >= MAGIC.len() as u64);
    let begin = begin.ok_or_else(damaged)?;
    Ok((disk.read(begin, stated)?, begin))
}

/// A `FileMetaData`, its row groups unread.
#[derive(Default)]
struct Metadata<'a> {
    schema: Vec<Element<'a>>,
    rows: u64,
    group_at: usize,
    groups: u32,
    encrypted: bool,
}

impl<'a> Metadata<'a> {
    fn read(footer: &'a [u8]) -> Result<Self, Bad> {
        let mut metadata = Self::default();
        Thrift::new(footer).fields(Kind::Struct, |id, kind, thrift| {
            match id {
                2 => {
                    let count = thrift.structs(kind)?;
                    metadata.schema.clear();
                    // One more than is allowed, to be refused as too many.
                    for index in 0..count {
                        let element = Element::read(thrift)?;
                        if index as usize <= PARQUET_NODES_MAX {
                            metadata.schema.push(element);
                        }
                    }
                }
                3 => metadata.rows = thrift.number(kind)?,
                4 => {
                    metadata.groups = thrift.structs(kind)?;
                    metadata.group_at = footer.len() - thrift.rest().len();
                    for _ in 0..metadata.groups {
                        thrift.fields(Kind::Struct, |_, _, _| Ok(false))?;
                    }
                }
                8 => {
                    metadata.encrypted = true;
                    return Ok(false);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(metadata)
    }
}

/// A `RowGroup`.
#[derive(Default)]
struct Group {
    rows: u64,
    chunks: Vec<Described>,
}

impl Group {
    /// Keeps one chunk more than there are columns, to be refused as too many.
    fn read(thrift: &mut Thrift<'_>, columns: usize) -> Result<Self, Bad> {
        let mut group = Self::default();
        thrift.fields(Kind::Struct, |id, kind, thrift| {
            match id {
                1 => {
                    let count = thrift.structs(kind)?;
                    group.chunks.clear();
                    for index in 0..count {
                        let chunk = Described::read(thrift)?;
                        if index as usize <= columns {
                            group.chunks.push(chunk);
                        }
                    }
                }
                3 => group.rows = thrift.number(kind)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(group)
    }
}

/// A `ColumnChunk`: where it is, as the metadata has it.
#[derive(Default)]
struct Described {
    elsewhere: bool,
    encrypted: bool,
    physical: i32,
    codec: i32,
    values: u64,
    bytes: u64,
    data_at: u64,
    dictionary_at: Option<u64>,
}

impl Described {
    fn read(thrift: &mut Thrift<'_>) -> Result<Self, Bad> {
        let mut chunk = Self::default();
        thrift.fields(Kind::Struct, |id, kind, thrift| {
            match id {
                1 => chunk.elsewhere = true,
                3 => {
                    chunk.read_metadata(kind, thrift)?;
                    return Ok(true);
                }
                8 | 9 => chunk.encrypted = true,
                _ => {}
            }
            Ok(false)
        })?;
        Ok(chunk)
    }

    fn read_metadata(&mut self, kind: Kind, thrift: &mut Thrift<'_>) -> Result<(), Bad> {
        thrift.fields(kind, |id, kind, thrift| {
            match id {
                1 => self.physical = thrift.number(kind)?,
                4 => self.codec = thrift.number(kind)?,
                5 => self.values = thrift.number(kind)?,
                7 => self.bytes = thrift.number(kind)?,
                9 => self.data_at = thrift.number(kind)?,
                11 => self.dictionary_at = Some(thrift.number(kind)?),
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    /// The column at its first value.
    fn open(self, leaf: &Leaf, pages_end: u64) -> Result<Column, Fault> {
        if self.encrypted {
            return Err(encrypted());
        }
        if self.elsewhere {
            return Err(Fault::malformed("its columns are in other files"));
        }
        // Some writers state 0 where there is no dictionary.
        let dictionary_at = self.dictionary_at.filter(|at| (1..self.data_at).contains(at));
        let at = dictionary_at.unwrap_or(self.data_at);
        let end = at.checked_add(self.bytes).filter(|end| *end <= pages_end);
        let (Some(end), true) = (end, at >= MAGIC.len() as u64) else {
            let reason = format!("column {} is not within the file's pages", leaf.path);
            return Err(Fault::Malformed(reason));
        };
        let chunk = Chunk { at, end, codec: Codec::of(self.codec)? };
        Ok(Column::new(leaf.clone(), chunk, self.values))
    }
}
