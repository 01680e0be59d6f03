//! How a commit's parts lie one behind the other, as arkworks serialises them.
//!
//! Every length is known before it is read but for that of the body, so a length that lies is
//! refused and never allocated for. Whether points are points is not seen here.

use super::ibe::{Header, KEY_BYTES, POINT_BYTES};
use super::{COMMIT_BYTES_MAX, TimelockError};

pub(super) const TAG_BYTES: usize = 16;
pub(super) const NONCE_BYTES: usize = 12;

/// Names how the body is encrypted.
const SUITE: &[u8; 8] = b"AES_GCM_";

/// The bytes of a length.
const LENGTH_BYTES: usize = 8;

/// The bytes of a body beside those of the plain text: two lengths, tag and nonce.
const BODY_OVERHEAD_BYTES: usize = 2 * LENGTH_BYTES + TAG_BYTES + NONCE_BYTES;

/// The bytes of a commit beside those of the plain text.
pub(super) const OVERHEAD_BYTES: usize = POINT_BYTES
    + 2 * (LENGTH_BYTES + KEY_BYTES)
    + LENGTH_BYTES
    + BODY_OVERHEAD_BYTES
    + LENGTH_BYTES
    + SUITE.len();

/// A commit, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// The key, encrypted to a round.
    pub(super) header: Header,
    /// The plain text, encrypted by the key.
    pub(super) body: &'a [u8],
    pub(super) tag: [u8; TAG_BYTES],
    pub(super) nonce: [u8; NONCE_BYTES],
}

impl<'a> Envelope<'a> {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let sealed = self.body.len() + TAG_BYTES;
        let mut bytes = Vec::with_capacity(OVERHEAD_BYTES + self.body.len());
        bytes.extend_from_slice(&self.header.u);
        put(&mut bytes, &[&self.header.v]);
        put(&mut bytes, &[&self.header.w]);
        put_length(&mut bytes, BODY_OVERHEAD_BYTES + self.body.len());
        put_length(&mut bytes, sealed);
        bytes.extend_from_slice(self.body);
        bytes.extend_from_slice(&self.tag);
        put(&mut bytes, &[&self.nonce]);
        put(&mut bytes, &[SUITE]);
        bytes
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, TimelockError> {
        if bytes.len() > COMMIT_BYTES_MAX {
            return Err(TimelockError::CommitTooLong(bytes.len()));
        }
        let mut rest = Rest(bytes);
        let u = rest.array()?;
        let v = rest.sized_array()?;
        let w = rest.sized_array()?;
        let mut inner = Rest(rest.sized()?);
        let suite: [u8; SUITE.len()] = rest.sized_array()?;
        let sealed = inner.sized()?;
        let nonce = inner.sized_array()?;
        let (body, tag) =
            sealed.split_last_chunk().ok_or(TimelockError::Layout("the body has no tag"))?;
        if !rest.0.is_empty() || !inner.0.is_empty() {
            return Err(TimelockError::Layout("bytes are left over"));
        }
        if suite != *SUITE {
            return Err(TimelockError::Layout("the suite is not AES_GCM_"));
        }
        Ok(Self { header: Header { u, v, w }, body, tag: *tag, nonce })
    }
}

/// Appends a length, and the parts that have it together.
fn put(bytes: &mut Vec<u8>, parts: &[&[u8]]) {
    put_length(bytes, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(part);
    }
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TimelockError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(TimelockError::Layout("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TimelockError> {
        let (taken, rest) =
            self.0.split_first_chunk().ok_or(TimelockError::Layout("it is cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Bytes behind their length.
    fn sized(&mut self) -> Result<&'a [u8], TimelockError> {
        let length = u64::from_le_bytes(self.array()?);
        // A length that no usize holds is one that the bytes do not have.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Bytes behind their length, which can be one only.
    fn sized_array<const N: usize>(&mut self) -> Result<[u8; N], TimelockError> {
        self.sized()?.try_into().map_err(|_| TimelockError::Layout("a part has another length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(body: &[u8]) -> Vec<u8> {
        let header = Header { u: [1; POINT_BYTES], v: [2; KEY_BYTES], w: [3; KEY_BYTES] };
        Envelope { header, body, tag: [4; TAG_BYTES], nonce: [5; NONCE_BYTES] }.to_bytes()
    }

    #[test]
    fn what_is_written_is_read() {
        let written = bytes(b"weights");
        assert_eq!(written.len(), OVERHEAD_BYTES + 7);
        let read = Envelope::parse(&written).unwrap();
        assert_eq!((read.body, read.tag, read.nonce), (&b"weights"[..], [4; 16], [5; 12]));
        assert_eq!(read.to_bytes(), written);
    }

    #[test]
    fn every_other_length_is_refused() {
        let written = bytes(b"weights");
        for length in 0..written.len() {
            assert!(Envelope::parse(&written[..length]).is_err(), "{length} bytes are taken");
        }
        let longer = [written.as_slice(), &[0]].concat();
        assert_eq!(Envelope::parse(&longer), Err(TimelockError::Layout("bytes are left over")));
        let most = bytes(&vec![0; COMMIT_BYTES_MAX - OVERHEAD_BYTES]);
        assert!(Envelope::parse(&most).is_ok());
        let more = bytes(&vec![0; COMMIT_BYTES_MAX - OVERHEAD_BYTES + 1]);
        assert_eq!(Envelope::parse(&more), Err(TimelockError::CommitTooLong(5_001)));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let written = bytes(b"weights");
        // Where the lengths are: of V, W, the body, what is sealed in it, the nonce, the suite.
        let sealed = 192 + 7 + TAG_BYTES;
        for at in [96, 136, 176, 184, sealed, sealed + 20] {
            for lie in [0, 1, 31, 33, 4_999, u64::MAX - 7, u64::MAX] {
                let mut bytes = written.clone();
                bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                assert!(Envelope::parse(&bytes).is_err(), "{lie} at {at} is taken");
            }
        }
    }

    #[test]
    fn another_suite_is_refused() {
        let mut written = bytes(b"weights");
        *written.last_mut().unwrap() = b'-';
        let refused = Envelope::parse(&written);
        assert_eq!(refused, Err(TimelockError::Layout("the suite is not AES_GCM_")));
    }
}
