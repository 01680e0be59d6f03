//! Packed integers of Parquet: runs and bit-packed groups, and differences.
//!
//! Each yields one number at a time and holds none: what a header claims costs nothing until it is
//! asked for.
//!
//! Format: <https://github.com/apache/parquet-format/blob/master/Encodings.md>.

use super::super::error::Fault;
use super::thrift::zigzag;
use super::window::Window;

/// Encoding RLE: runs of one value, and groups of eight values of `width` bits each.
#[derive(Debug)]
pub(super) struct Hybrid {
    bytes: Window,
    width: u32,
    left: u64,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Same(u32),
    Packed { bytes: Window, bit: usize },
}

impl Hybrid {
    /// Numbers of `width` bits, at most 32.
    pub(super) fn new(bytes: Window, width: u32) -> Result<Self, Fault> {
        if width > 32 {
            return Err(Fault::malformed(format!("a page has numbers of {width} bits")));
        }
        Ok(Self { bytes, width, left: 0, run: Run::Same(0) })
    }

    /// The next number.
    pub(super) fn next(&mut self) -> Result<u32, Fault> {
        while self.left == 0 {
            self.open()?;
        }
        self.left -= 1;
        match &mut self.run {
            Run::Same(value) => Ok(*value),
            Run::Packed { bytes, bit } => {
                let value = bytes.bits(*bit, self.width);
                *bit += self.width as usize;
                Ok(value as u32)
            }
        }
    }

    fn open(&mut self) -> Result<(), Fault> {
        let head = self.bytes.varint()?;
        let count = head >> 1;
        if head & 1 == 0 {
            let mut value = [0; 4];
            let length = self.width.div_ceil(8) as usize;
            value[..length].copy_from_slice(self.bytes.take(length)?);
            (self.left, self.run) = (count, Run::Same(u32::from_le_bytes(value)));
            return Ok(());
        }
        // Eight values of so many bits are as many bytes. Some writers cut the last group short.
        let length = count.saturating_mul(self.width.into()).min(self.bytes.len() as u64) as usize;
        self.left = match self.width {
            0 => count.saturating_mul(8),
            width => (length * 8 / width as usize) as u64,
        };
        self.run = Run::Packed { bytes: self.bytes.split(length)?, bit: 0 };
        Ok(())
    }
}

/// Encoding DELTA_BINARY_PACKED: the differences of integers in blocks of miniblocks.
#[derive(Debug)]
pub(super) struct Deltas {
    bytes: Window,
    block_values: u64,
    miniblocks: usize,
    /// Numbers not yet given.
    left: u64,
    /// The next number.
    next: i64,
    least: i64,
    /// Bits of each number of the miniblocks of this block that were not yet opened.
    widths: Window,
    packed: Window,
    width: u32,
    bit: usize,
    /// Numbers of the open miniblock not yet used.
    packed_left: u64,
}

impl Deltas {
    pub(super) fn new(mut bytes: Window) -> Result<Self, Fault> {
        let (block_values, miniblocks) = (bytes.varint()?, bytes.varint()?);
        let (left, next) = (bytes.varint()?, zigzag(bytes.varint()?));
        let each = block_values.checked_div(miniblocks).unwrap_or(0);
        // Whole bytes in each miniblock, and no more of them than can be of use.
        if each == 0 || each % 8 != 0 || each.checked_mul(miniblocks) != Some(block_values) {
            return Err(Fault::malformed("a page's differences are in blocks of no size"));
        }
        let miniblocks = usize::try_from(miniblocks)
            .map_err(|_| Fault::malformed("a page's differences are in too many blocks"))?;
        let [widths, packed] = [bytes.split(0)?, bytes.split(0)?];
        Ok(Self {
            bytes,
            block_values,
            miniblocks,
            left,
            next,
            least: 0,
            widths,
            packed,
            width: 0,
            bit: 0,
            packed_left: 0,
        })
    }

    /// The next number.
    pub(super) fn next(&mut self) -> Result<i64, Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::malformed("a page ends early"))?;
        let value = self.next;
        if self.left > 0 {
            while self.packed_left == 0 {
                self.open()?;
            }
            self.packed_left -= 1;
            let difference = self.packed.bits(self.bit, self.width).cast_signed();
            self.bit += self.width as usize;
            self.next = value.wrapping_add(self.least).wrapping_add(difference);
        }
        Ok(value)
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.widths.is_empty() {
            self.least = zigzag(self.bytes.varint()?);
            self.widths = self.bytes.split(self.miniblocks)?;
        }
        let each = self.block_values / self.miniblocks as u64;
        self.width = self.widths.byte()?.into();
        let length = (each / 8).checked_mul(self.width.into()).filter(|_| self.width <= 64);
        let length = length.ok_or(Fault::malformed("a page's differences are too wide"))?;
        self.packed = self.bytes.split(usize::try_from(length).unwrap_or(usize::MAX))?;
        (self.bit, self.packed_left) = (0, each);
        Ok(())
    }

    /// What follows the numbers, none of which is given any more.
    pub(super) fn behind(mut self) -> Result<Window, Fault> {
        // The first number is in the head, not in a block.
        self.left = self.left.saturating_sub(1);
        while self.left > 0 {
            self.open()?;
            self.left = self.left.saturating_sub(self.packed_left);
        }
        Ok(self.bytes)
    }
}
