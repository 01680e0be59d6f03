//! Valid bytes, damaged.

use arbitrary::Arbitrary;

/// A change of some bytes.
#[derive(Debug, Clone, Arbitrary)]
pub enum Damage {
    /// One byte is another: which, and the difference.
    Flip(u16, u8),
    /// Bytes are left out: from where, and how many.
    Cut(u16, u8),
    /// Bytes are added: where, and which.
    Insert(u16, [u8; 4]),
}

/// The bytes after every change, in order. Places are taken modulo what is there.
#[must_use]
pub fn damaged(bytes: &[u8], changes: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match change {
            Damage::Flip(at, by) => {
                let at = place(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= by;
                }
            }
            Damage::Cut(at, count) => {
                let start = place(*at);
                let end = (start + usize::from(*count)).min(bytes.len());
                bytes.drain(start..end);
            }
            Damage::Insert(at, more) => {
                let at = place(*at);
                bytes.splice(at..at, *more);
            }
        }
    }
    bytes
}
