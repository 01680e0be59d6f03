//! Values of a column: a page's, or the dictionary's that a page points into.
//!
//! A value borrows the page it is in, and is decoded when it is asked for. The bytes of a text are
//! not looked at here.
//!
//! Format: <https://github.com/apache/parquet-format/blob/master/Encodings.md>.

use super::super::error::Fault;
use super::packed::{Deltas, Hybrid};
use super::window::Window;

/// What the values of a column are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Boolean(bool),
    Int32(i32),
    Int64(i64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

fn early() -> Fault {
    Fault::malformed("a page ends early")
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.first_chunk().copied().ok_or_else(early)
}

impl Physical {
    /// Bytes that the plain value takes with which `bytes` begin.
    fn length(self, bytes: &[u8]) -> Result<usize, Fault> {
        Ok(match self {
            Self::Boolean => 1,
            Self::Int32 | Self::Float => 4,
            Self::Int64 | Self::Double => 8,
            Self::Bytes => (u32::from_le_bytes(first(bytes)?) as usize).saturating_add(4),
        })
    }

    /// The plain value that `bytes` are.
    fn value(self, bytes: &[u8]) -> Result<Value<'_>, Fault> {
        Ok(match self {
            Self::Boolean => Value::Boolean(first::<1>(bytes)? != [0]),
            Self::Int32 => Value::Int32(i32::from_le_bytes(first(bytes)?)),
            Self::Int64 => Value::Int64(i64::from_le_bytes(first(bytes)?)),
            Self::Float => Value::Float(f32::from_le_bytes(first(bytes)?)),
            Self::Double => Value::Double(f64::from_le_bytes(first(bytes)?)),
            Self::Bytes => Value::Bytes(bytes.get(4..).ok_or_else(early)?),
        })
    }
}

/// The values that pages point at.
#[derive(Debug)]
pub(super) struct Dictionary {
    physical: Physical,
    bytes: Window,
    /// Where each value begins.
    starts: Vec<u32>,
}

impl Dictionary {
    /// A dictionary page of `count` values. Of each it keeps four bytes, and no value takes fewer
    /// in the page: truth values have no dictionary.
    pub(super) fn new(physical: Physical, bytes: Window, count: u32) -> Result<Self, Fault> {
        if physical == Physical::Boolean {
            return Err(Fault::malformed("a dictionary of truth values"));
        }
        let (mut rest, mut starts) = (bytes.clone(), Vec::new());
        for _ in 0..count {
            let start = u32::try_from(bytes.len() - rest.len());
            starts.push(start.map_err(|_| Fault::malformed("a dictionary is too large"))?);
            let length = physical.length(rest.as_slice())?;
            rest.take(length)?;
        }
        Ok(Self { physical, bytes, starts })
    }

    fn value(&self, index: u32) -> Result<Value<'_>, Fault> {
        let start = self.starts.get(index as usize);
        let start = *start.ok_or(Fault::malformed("a page points past its dictionary"))?;
        let bytes = self.bytes.as_slice().get(start as usize..).ok_or_else(early)?;
        let length = self.physical.length(bytes)?;
        self.physical.value(bytes.get(..length).ok_or_else(early)?)
    }
}

/// The values of a page that are there: nulls are not.
#[derive(Debug)]
pub(super) enum Values {
    Plain { physical: Physical, bytes: Window },
    PlainBooleans { bytes: Window, bit: usize },
    Booleans(Hybrid),
    Indices(Hybrid),
    Integers { physical: Physical, numbers: Deltas },
    Split(Split),
    Lengths(Strings),
    Suffixes { prefixes: Deltas, suffixes: Strings, last: Vec<u8> },
}

impl Values {
    /// The values of a page, by the number that the format gives their encoding.
    pub(super) fn new(encoding: i32, physical: Physical, bytes: Window) -> Result<Self, Fault> {
        let mut bytes = bytes;
        Ok(match (encoding, physical) {
            (0, Physical::Boolean) => Self::PlainBooleans { bytes, bit: 0 },
            (0, _) => Self::Plain { physical, bytes },
            (2 | 8, _) => {
                let width = bytes.byte()?.into();
                Self::Indices(Hybrid::new(bytes, width)?)
            }
            (3, Physical::Boolean) => Self::Booleans(Hybrid::new(bytes.split_prefixed()?, 1)?),
            (5, Physical::Int32 | Physical::Int64) => {
                Self::Integers { physical, numbers: Deltas::new(bytes)? }
            }
            (6, Physical::Bytes) => Self::Lengths(Strings::new(bytes)?),
            (7, Physical::Bytes) => {
                let prefixes = Deltas::new(bytes.clone())?;
                let suffixes = Strings::new(Deltas::new(bytes)?.behind()?)?;
                Self::Suffixes { prefixes, suffixes, last: Vec::new() }
            }
            (9, _) if !matches!(physical, Physical::Boolean | Physical::Bytes) => {
                Self::Split(Split { physical, bytes, index: 0, value: [0; 8] })
            }
            _ => {
                let reason = format!("{physical:?} values of encoding {encoding} are not read");
                return Err(Fault::Malformed(reason));
            }
        })
    }

    /// The next value.
    pub(super) fn next<'a>(
        &'a mut self,
        dictionary: Option<&'a Dictionary>,
    ) -> Result<Value<'a>, Fault> {
        match self {
            Self::Plain { physical, bytes } => {
                let length = physical.length(bytes.as_slice())?;
                physical.value(bytes.take(length)?)
            }
            Self::PlainBooleans { bytes, bit } => {
                let (byte, at) = (bytes.as_slice().get(*bit / 8).ok_or_else(early)?, *bit % 8);
                *bit += 1;
                Ok(Value::Boolean(byte >> at & 1 == 1))
            }
            Self::Booleans(runs) => Ok(Value::Boolean(runs.next()? == 1)),
            Self::Indices(indices) => {
                let missing =
                    || Fault::malformed("a page points into a dictionary, and none is there");
                dictionary.ok_or_else(missing)?.value(indices.next()?)
            }
            Self::Integers { physical: Physical::Int32, numbers } => {
                // Differences of 32-bit integers wrap around at 32 bits.
                Ok(Value::Int32(numbers.next()? as i32))
            }
            Self::Integers { numbers, .. } => Ok(Value::Int64(numbers.next()?)),
            Self::Split(split) => split.next(),
            Self::Lengths(strings) => Ok(Value::Bytes(strings.next()?)),
            Self::Suffixes { prefixes, suffixes, last } => {
                let kept =
                    usize::try_from(prefixes.next()?).ok().filter(|kept| *kept <= last.len());
                last.truncate(kept.ok_or(Fault::malformed("a page repeats more than there is"))?);
                last.extend_from_slice(suffixes.next()?);
                Ok(Value::Bytes(last))
            }
        }
    }
}

/// Encoding BYTE_STREAM_SPLIT: the first bytes of all values, then the second ones, and so on.
#[derive(Debug)]
pub(super) struct Split {
    physical: Physical,
    bytes: Window,
    index: usize,
    /// The value given last.
    value: [u8; 8],
}

impl Split {
    fn next(&mut self) -> Result<Value<'_>, Fault> {
        let (width, bytes) = (self.physical.length(&[])?, self.bytes.as_slice());
        let count = bytes.len() / width;
        if self.index >= count {
            return Err(early());
        }
        let its = bytes.iter().skip(self.index).step_by(count);
        self.value.iter_mut().zip(its).for_each(|(to, from)| *to = *from);
        self.index += 1;
        self.physical.value(&self.value)
    }
}

/// Strings behind their lengths.
#[derive(Debug)]
pub(super) struct Strings {
    lengths: Deltas,
    bytes: Window,
}

impl Strings {
    fn new(bytes: Window) -> Result<Self, Fault> {
        let lengths = Deltas::new(bytes.clone())?;
        Ok(Self { lengths, bytes: Deltas::new(bytes)?.behind()? })
    }

    fn next(&mut self) -> Result<&[u8], Fault> {
        let length = usize::try_from(self.lengths.next()?).map_err(|_| early())?;
        self.bytes.take(length)
    }
}
