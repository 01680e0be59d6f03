//! Pages: cut out of the file and decompressed, under limits that hold before anything is
//! allocated.
//!
//! Format: <https://github.com/apache/parquet-format/blob/master/README.md#data-pages>.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use dataforge_core::limits::{PARQUET_PAGE_COST, PARQUET_PAGES_BYTES_MAX};
use dataforge_core::units::Bytes;
use flate2::Crc;
use flate2::bufread::MultiGzDecoder;

use super::super::error::Fault;
use super::super::input::{Counted, Zstd};
use super::thrift::{Bad, Kind, Thrift};
use super::window::Window;

/// The file, and what may still be made of it.
pub(super) struct Disk {
    source: Counted,
    /// Bytes that pages and rows may still have.
    left: u64,
    /// Bytes of the pages that are held.
    held: u64,
}

impl Disk {
    /// Of which pages and rows with `most` bytes may be made.
    pub(super) fn new(source: Counted, most: Bytes) -> Self {
        Self { source, left: most.0, held: 0 }
    }

    /// Bytes of the whole file.
    pub(super) fn length(&mut self) -> Result<u64, Fault> {
        self.source.seek(SeekFrom::End(0)).map_err(Fault::Io)
    }

    /// `length` bytes from `at` on.
    pub(super) fn read(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Fault> {
        self.source.seek(SeekFrom::Start(at)).map_err(Fault::Io)?;
        let mut bytes = Vec::new();
        self.source.by_ref().take(length).read_to_end(&mut bytes).map_err(Fault::Io)?;
        if bytes.len() as u64 != length {
            return Err(Fault::malformed("the file ends early"));
        }
        Ok(bytes)
    }

    /// Takes account of bytes that were made of the file.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes).ok_or(Fault::TooLarge)?;
        Ok(())
    }

    /// Takes account of a page that is about to be held.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Fault> {
        self.held = self.held.saturating_add(bytes);
        if self.held > PARQUET_PAGES_BYTES_MAX.0 {
            let most = PARQUET_PAGES_BYTES_MAX.0;
            let reason =
                format!("its pages want more than {most} bytes at a time: make them smaller");
            return Err(Fault::Malformed(reason));
        }
        Ok(())
    }

    /// No page is held any longer.
    pub(super) fn release_all(&mut self) {
        self.held = 0;
    }

    /// A page is no longer held.
    pub(super) fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }
}

/// What a page says of itself.
#[derive(Debug, Default)]
struct Header {
    kind: i32,
    /// Bytes once decompressed.
    size: u32,
    /// Bytes in the file.
    stored: u32,
    checksum: Option<u32>,
    values: u32,
    encoding: i32,
    /// How levels are stored, where they are part of what is compressed.
    level_encodings: [i32; 2],
    levels: Option<[u32; 2]>,
    /// Not whether it may be compressed, but whether it is.
    stored_plain: bool,
}

const DATA: i32 = 0;
const DICTIONARY: i32 = 2;
const DATA_2: i32 = 3;
/// Encoding RLE.
const RUNS: i32 = 3;

impl Header {
    /// Reads a `PageHeader`; also how many bytes it takes.
    fn read(bytes: &[u8]) -> Result<(Self, u64), Bad> {
        let (mut thrift, mut header) = (Thrift::new(bytes), Self::default());
        thrift.fields(Kind::Struct, |id, kind, thrift| {
            match id {
                1 => header.kind = thrift.number(kind)?,
                2 => header.size = thrift.number(kind)?,
                3 => header.stored = thrift.number(kind)?,
                4 => header.checksum = Some(thrift.number::<i32>(kind)?.cast_unsigned()),
                5 => header.read_data(kind, thrift)?,
                7 => header.read_dictionary(kind, thrift)?,
                8 => header.read_data_2(kind, thrift)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((header, (bytes.len() - thrift.rest().len()) as u64))
    }

    fn read_data(&mut self, kind: Kind, thrift: &mut Thrift<'_>) -> Result<(), Bad> {
        thrift.fields(kind, |id, kind, thrift| {
            match id {
                1 => self.values = thrift.number(kind)?,
                2 => self.encoding = thrift.number(kind)?,
                3 => self.level_encodings[1] = thrift.number(kind)?,
                4 => self.level_encodings[0] = thrift.number(kind)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn read_dictionary(&mut self, kind: Kind, thrift: &mut Thrift<'_>) -> Result<(), Bad> {
        thrift.fields(kind, |id, kind, thrift| {
            match id {
                1 => self.values = thrift.number(kind)?,
                2 => self.encoding = thrift.number(kind)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn read_data_2(&mut self, kind: Kind, thrift: &mut Thrift<'_>) -> Result<(), Bad> {
        let mut levels = [0; 2];
        thrift.fields(kind, |id, kind, thrift| {
            match id {
                1 => self.values = thrift.number(kind)?,
                4 => self.encoding = thrift.number(kind)?,
                5 => levels[1] = thrift.number(kind)?,
                6 => levels[0] = thrift.number(kind)?,
                7 => self.stored_plain = kind == Kind::Bool(false),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        self.levels = Some(levels);
        Ok(())
    }
}

/// How a column's pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
}

impl Codec {
    /// By the number that the format gives it.
    pub(super) fn of(number: i32) -> Result<Self, Fault> {
        let other = match number {
            0 => return Ok(Self::None),
            1 => return Ok(Self::Snappy),
            2 => return Ok(Self::Gzip),
            6 => return Ok(Self::Zstd),
            3 => "LZO",
            4 => "Brotli",
            5 | 7 => "LZ4",
            _ => "an unknown codec",
        };
        Err(Fault::Malformed(format!("pages compressed with {other} are not read: use zstd")))
    }

    /// The `size` bytes that `bytes` hold. Memory grows with what is there, not with `size`.
    fn decompress(self, bytes: Vec<u8>, size: usize) -> Result<Vec<u8>, Fault> {
        let bad = |reason: String| Fault::Malformed(format!("a page of {self:?}: {reason}"));
        let mut page = Vec::new();
        let most = (size as u64).saturating_add(1);
        let read = match self {
            Self::None => {
                page = bytes;
                Ok(0)
            }
            Self::Snappy => {
                page = unsnap(&bytes, size).map_err(bad)?;
                Ok(0)
            }
            Self::Gzip => MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut page),
            Self::Zstd => Zstd::new(&bytes[..]).take(most).read_to_end(&mut page),
        };
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => bad("it ends early".to_owned()),
            _ => bad(error.to_string()),
        })?;
        if page.len() != size {
            return Err(bad(format!("it is not of the {size} bytes that it states")));
        }
        Ok(page)
    }
}

fn unsnap(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    /// Three bytes copy at most 64, so that a page cannot be longer than this many times its bytes.
    const RATIO_MAX: usize = 22;
    let stated = snap::raw::decompress_len(bytes).map_err(|error| error.to_string())?;
    if stated != size || stated > bytes.len().saturating_mul(RATIO_MAX) {
        return Err(format!("its {} bytes cannot be {size}", bytes.len()));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| error.to_string())
}

/// A page, decompressed.
pub(super) enum Page {
    Dictionary {
        values: u32,
        bytes: Window,
    },
    Data {
        values: u32,
        encoding: i32,
        /// Repetition and definition levels; empty where a column has none.
        levels: [Window; 2],
        bytes: Window,
    },
    /// Of a kind that rows are not made of.
    Other,
}

/// Where the pages of one column of one row group are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) codec: Codec,
}

impl Chunk {
    /// The next page, and the bytes that holding it takes; `leveled` says which levels there are.
    /// Those bytes are taken account of.
    pub(super) fn next(
        &mut self,
        disk: &mut Disk,
        leveled: [bool; 2],
    ) -> Result<(Page, u64), Fault> {
        let header = self.header(disk)?;
        let stored = u64::from(header.stored);
        if stored > self.end - self.at {
            return Err(Fault::malformed("a page goes on past its column"));
        }
        let held = u64::from(header.size).max(stored);
        disk.hold(held)?;
        disk.spend(u64::from(header.size).max(PARQUET_PAGE_COST.0))?;
        let bytes = disk.read(self.at, stored)?;
        self.at += stored;
        if header.checksum.is_some_and(|stated| stated != checksum(&bytes)) {
            return Err(Fault::malformed("a page's checksum is of other bytes"));
        }
        Ok((self.page(&header, bytes, leveled)?, held))
    }

    fn header(&mut self, disk: &mut Disk) -> Result<Header, Fault> {
        /// Enough for all headers without long statistics.
        const USUAL_BYTES: u64 = 256;
        /// Statistics may hold a whole value.
        const BYTES_MAX: u64 = 1 << 20;
        let mut length = USUAL_BYTES;
        loop {
            let there = (self.end - self.at).min(length);
            if length > USUAL_BYTES {
                disk.spend(there)?;
            }
            match Header::read(&disk.read(self.at, there)?) {
                Ok((header, used)) => {
                    self.at += used;
                    return Ok(header);
                }
                Err(Bad::End) if there == length && length < BYTES_MAX => length *= 16,
                Err(_) => return Err(Fault::malformed("a page's header is damaged")),
            }
        }
    }

    fn page(&self, header: &Header, bytes: Vec<u8>, leveled: [bool; 2]) -> Result<Page, Fault> {
        let (size, values, encoding) = (header.size as usize, header.values, header.encoding);
        match (header.kind, header.levels) {
            (DICTIONARY, _) => {
                // Plain, which has two numbers here.
                if !matches!(encoding, 0 | 2) {
                    return Err(Fault::malformed("a dictionary of no known encoding"));
                }
                let bytes = Window::new(self.codec.decompress(bytes, size)?);
                Ok(Page::Dictionary { values, bytes })
            }
            (DATA, _) => {
                let mut bytes = Window::new(self.codec.decompress(bytes, size)?);
                let mut levels = [bytes.split(0)?, bytes.split(0)?];
                for which in 0..2 {
                    if leveled[which] {
                        if header.level_encodings[which] != RUNS {
                            return Err(Fault::malformed("levels of an encoding that is not read"));
                        }
                        levels[which] = bytes.split_prefixed()?;
                    }
                }
                Ok(Page::Data { values, encoding, levels, bytes })
            }
            (DATA_2, Some(lengths)) => {
                let mut stored = bytes;
                let [first, second] = lengths.map(|length| length as usize);
                let ahead = first.saturating_add(second);
                if ahead > stored.len().min(size) {
                    return Err(Fault::malformed("a page's levels are longer than the page"));
                }
                let values_stored = stored.split_off(ahead);
                let codec = if header.stored_plain { Codec::None } else { self.codec };
                let bytes = Window::new(match values_stored.is_empty() {
                    true => values_stored,
                    false => codec.decompress(values_stored, size - ahead)?,
                });
                let mut stored = Window::new(stored);
                let levels = [stored.split(first)?, stored.split(second)?];
                Ok(Page::Data { values, encoding, levels, bytes })
            }
            (DATA_2, None) => Err(Fault::malformed("a page's header is damaged")),
            _ => Ok(Page::Other),
        }
    }
}

pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
