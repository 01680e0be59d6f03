//! Canonical bytes: postcard, one encoding per value.
//!
//! Decoding refuses trailing bytes and any input that does not re-encode to itself, so two
//! different byte strings never stand for one value.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes are not the canonical encoding of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Cut short, malformed, or with impossible lengths.
    #[error("malformed encoding: {0}")]
    Malformed(String),
    /// Valid, but followed by this many further bytes.
    #[error("{0} bytes after the end of the encoding")]
    Trailing(usize),
    /// Decodes, but is not how the value is written.
    #[error("the encoding is not canonical")]
    NotCanonical,
}

/// The canonical bytes of `value`.
///
/// # Panics
/// Never for the types of this crate: postcard fails only on sequences of unknown length.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "our types all have known lengths; failing is our bug")]
    postcard::to_allocvec(value).expect("our types all have known lengths")
}

/// Reads one value that fills `bytes` exactly. The caller has bounded `bytes`.
///
/// # Errors
/// [`CodecError`] when the bytes are anything but the canonical encoding of a `T`.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|e| CodecError::Malformed(e.to_string()))?;
    if !rest.is_empty() {
        return Err(CodecError::Trailing(rest.len()));
    }
    if encode(&value) != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_trailing_and_overlong_bytes() {
        let bytes = encode(&(7u32, "row".to_owned()));
        assert_eq!(decode::<(u32, String)>(&bytes), Ok((7, "row".to_owned())));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(decode::<(u32, String)>(&longer), Err(CodecError::Trailing(1)));
        // 7 as a two-byte varint: same value, other bytes.
        assert_eq!(decode::<u32>(&[0x87, 0x00]), Err(CodecError::NotCanonical));
        assert!(matches!(decode::<(u32, String)>(&bytes[..3]), Err(CodecError::Malformed(_))));
    }
}
