//! Thrift's compact protocol, as far as the metadata of Parquet needs it.
//!
//! It reads a slice and allocates nothing: what a length claims is never more than what is there.
//! Unknown fields are skipped, to a bounded depth.
//!
//! Format: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// Deepest value that is skipped. Metadata is six deep.
const DEPTH_MAX: u32 = 32;

/// The bytes are not what they should be, or end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// More bytes might help.
    End,
    Value,
}

type Result<T> = std::result::Result<T, Bad>;

/// What a field or an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool(bool),
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn of(code: u8) -> Result<Self> {
        Ok(match code {
            1 => Self::Bool(true),
            2 => Self::Bool(false),
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Bad::Value),
        })
    }
}

/// A list's elements: what they are, and how many are said to be there. Each takes a byte at least,
/// so that no number outlasts the bytes.
#[derive(Debug, Clone, Copy)]
struct List {
    kind: Kind,
    length: u32,
}

/// A place in the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What was not read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| Bad::End)?;
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Bad::End)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.bytes.split_first().ok_or(Bad::End)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad::Value)
    }

    /// An integer of any width.
    pub(super) fn integer(&mut self, kind: Kind) -> Result<i64> {
        match kind {
            Kind::Byte => Ok(i64::from(self.byte()?.cast_signed())),
            Kind::Integer => self.varint().map(zigzag),
            _ => Err(Bad::Value),
        }
    }

    /// An integer that fits `T`.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, kind: Kind) -> Result<T> {
        T::try_from(self.integer(kind)?).map_err(|_| Bad::Value)
    }

    pub(super) fn text(&mut self, kind: Kind) -> Result<&'a str> {
        if kind != Kind::Binary {
            return Err(Bad::Value);
        }
        let length = self.varint()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Bad::Value)
    }

    /// Reads a struct: `field` takes each field's value by its number, or says that it did not.
    pub(super) fn fields(
        &mut self,
        kind: Kind,
        mut field: impl FnMut(i16, Kind, &mut Self) -> Result<bool>,
    ) -> Result<()> {
        if kind != Kind::Struct {
            return Err(Bad::Value);
        }
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            let kind = Kind::of(head & 0x0f)?;
            id = match head >> 4 {
                0 => i16::try_from(zigzag(self.varint()?)).map_err(|_| Bad::Value)?,
                delta => id.checked_add(delta.into()).ok_or(Bad::Value)?,
            };
            if !field(id, kind, self)? {
                self.skip(kind, DEPTH_MAX)?;
            }
        }
    }

    /// The head of a list of structs: how many follow.
    pub(super) fn structs(&mut self, kind: Kind) -> Result<u32> {
        let List { kind, length } = self.list(kind)?;
        if kind == Kind::Struct { Ok(length) } else { Err(Bad::Value) }
    }

    fn list(&mut self, kind: Kind) -> Result<List> {
        if kind != Kind::List {
            return Err(Bad::Value);
        }
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => u32::try_from(self.varint()?).map_err(|_| Bad::Value)?,
            length => length.into(),
        };
        // Some writers give an empty list no type.
        let kind = if length == 0 { Kind::Struct } else { Kind::of(head & 0x0f)? };
        Ok(List { kind, length })
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or(Bad::Value)?;
        match kind {
            Kind::Bool(_) => {}
            Kind::Byte => drop(self.take(1)?),
            Kind::Integer => drop(self.varint()?),
            Kind::Double => drop(self.take(8)?),
            Kind::Uuid => drop(self.take(16)?),
            Kind::Binary => {
                let length = self.varint()?;
                self.take(length)?;
            }
            Kind::List => {
                let List { kind, length } = self.list(kind)?;
                (0..length).try_for_each(|_| self.skip_element(kind, depth))?;
            }
            Kind::Map => self.skip_map(depth)?,
            Kind::Struct => self.fields(kind, |_, kind, this| {
                this.skip(kind, depth)?;
                Ok(true)
            })?,
        }
        Ok(())
    }

    /// In a list or a map, a truth value is a byte of its own.
    fn skip_element(&mut self, kind: Kind, depth: u32) -> Result<()> {
        let kind = if matches!(kind, Kind::Bool(_)) { Kind::Byte } else { kind };
        self.skip(kind, depth)
    }

    fn skip_map(&mut self, depth: u32) -> Result<()> {
        let length = self.varint()?;
        if length == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?);
        for _ in 0..length {
            self.skip_element(key, depth)?;
            self.skip_element(value, depth)?;
        }
        Ok(())
    }
}

/// Signed integers are written with their sign last.
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_skipped() {
        // 1: list of 2 bools, 2: map of binary to i32, 3: struct {1: uuid}, 20: i32 = -2.
        let mut bytes = vec![0x19, 0x21, 1, 2, 0x1b, 1, 0x85, 1, b'k', 4, 0x1c, 0x1d];
        bytes.extend([0; 16]);
        bytes.extend([0, 0x05, 40, 3, 0, 0xff]);
        let (mut thrift, mut found) = (Thrift::new(&bytes), None);
        let read = thrift.fields(Kind::Struct, |id, kind, thrift| {
            let wanted = id == 20;
            if wanted {
                found = Some(thrift.integer(kind)?);
            }
            Ok(wanted)
        });
        assert_eq!((read, found, thrift.rest()), (Ok(()), Some(-2), &[0xff][..]));
    }

    #[test]
    fn what_lies_is_refused() {
        let skip = |bytes: &[u8]| Thrift::new(bytes).fields(Kind::Struct, |_, _, _| Ok(false));
        assert_eq!(skip(&[0x19, 0xfc, 0xff, 0xff, 0x03, 0]), Err(Bad::End));
        assert_eq!(skip(&[0x18, 0x7f, b'x']), Err(Bad::End));
        assert_eq!(skip(&[0x1e, 0]), Err(Bad::Value));
        assert_eq!(
            skip(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(Bad::Value)
        );
        assert_eq!(skip(&[0x1c; 1000]), Err(Bad::Value));
        assert_eq!(skip(&[0x19; 1000]), Err(Bad::Value));
    }
}
