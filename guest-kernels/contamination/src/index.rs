//! The index: a sorted list of the n-grams' hashes, cut to 40 bits.
//!
//! | bytes | what |
//! |---|---|
//! | 5 | `DFNG` and the version, 1 |
//! | 1 | n |
//! | 2 | 0 |
//! | 5 each | the 40 high bits of each hash, big-endian, ascending, each once |
//!
//! An n-gram that no document has is found by mistake with a probability of entries / 2⁴⁰: one in a
//! million for an index of a million.

const HEADER: [u8; 5] = *b"DFNG\x01";
const HEADER_BYTES: usize = 8;
const ENTRY_BYTES: usize = 5;

type Entry = [u8; ENTRY_BYTES];

/// An index that is in order.
pub(crate) struct Index<'a> {
    pub(crate) n: usize,
    entries: &'a [Entry],
}

impl<'a> Index<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(&HEADER).and_then(|rest| rest.split_at_checked(3));
        let Some(([n, 0, 0], entries)) = rest else {
            return Err("not an n-gram index".to_owned());
        };
        let n = checked_n(u32::from(*n))?;
        let (entries, rest) = entries.as_chunks();
        if !rest.is_empty() {
            return Err(format!("an n-gram index with {} bytes too many", rest.len()));
        }
        if !entries.is_sorted_by(|one, next| one < next) {
            return Err("an n-gram index that is not in order".to_owned());
        }
        Ok(Self { n, entries })
    }

    pub(crate) fn holds(&self, hash: u64) -> bool {
        self.entries.binary_search(&entry(hash)).is_ok()
    }
}

pub(crate) fn write(n: usize, hashes: Vec<u64>) -> Vec<u8> {
    let mut entries: Vec<Entry> = hashes.into_iter().map(entry).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES);
    bytes.extend(HEADER);
    bytes.extend([n as u8, 0, 0]);
    bytes.extend(entries.as_flattened());
    bytes
}

pub(crate) fn checked_n(n: u32) -> Result<usize, String> {
    match n {
        2..=64 => Ok(n as usize),
        _ => Err(format!("n-grams of {n} words: 2 to 64 are possible")),
    }
}

fn entry(hash: u64) -> Entry {
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    [a, b, c, d, e]
}
