//! A part of a page that is read from front to back.
//!
//! The bytes are shared, not copied: the levels and the values of a page read side by side.

use std::sync::Arc;

use super::super::error::Fault;

/// Bytes of a page from `at` to `end`.
#[derive(Debug, Clone)]
pub(super) struct Window {
    bytes: Arc<Vec<u8>>,
    at: usize,
    end: usize,
}

fn early() -> Fault {
    Fault::malformed("a page ends early")
}

impl Window {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes: Arc::new(bytes), at: 0, end }
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is left, unread.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], Fault> {
        if length > self.len() {
            return Err(early());
        }
        self.at += length;
        Ok(&self.bytes[self.at - length..self.at])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| early())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    /// The first `length` bytes, as a window of their own.
    pub(super) fn split(&mut self, length: usize) -> Result<Self, Fault> {
        let at = self.at;
        self.take(length)?;
        Ok(Self { bytes: Arc::clone(&self.bytes), at, end: self.at })
    }

    /// A length of four bytes, and as many bytes behind it.
    pub(super) fn split_prefixed(&mut self) -> Result<Self, Fault> {
        let length = u32::from_le_bytes(self.array()?);
        self.split(length as usize)
    }

    /// An unsigned LEB128 number.
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::malformed("a number in a page is too long"))
    }

    /// `width` bits from `bit` on, the first bit lowest; bits past the end are zero.
    pub(super) fn bits(&self, bit: usize, width: u32) -> u64 {
        let mut word = [0; 16];
        let from = self.as_slice().get(bit / 8..).unwrap_or_default();
        let length = from.len().min(9);
        word[..length].copy_from_slice(&from[..length]);
        let word = u128::from_le_bytes(word) >> (bit % 8);
        let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width.min(64)) };
        (word as u64) & mask
    }
}
