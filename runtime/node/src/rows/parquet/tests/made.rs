//! Parquet files made by hand, byte by byte, so that every part of them can lie.

/// A struct in Thrift's compact protocol.
#[derive(Clone, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

pub(super) fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

impl Struct {
    fn head(&mut self, id: i16, kind: u8) {
        let delta = u8::try_from(id - self.last).unwrap();
        assert!((1..16).contains(&delta), "fields in order");
        self.bytes.push(delta << 4 | kind);
        self.last = id;
    }

    pub(super) fn int(mut self, id: i16, value: i64) -> Self {
        self.head(id, 6);
        varint((value << 1 ^ value >> 63).cast_unsigned(), &mut self.bytes);
        self
    }

    pub(super) fn text(mut self, id: i16, text: &str) -> Self {
        self.head(id, 8);
        varint(text.len() as u64, &mut self.bytes);
        self.bytes.extend(text.bytes());
        self
    }

    pub(super) fn truth(mut self, id: i16, truth: bool) -> Self {
        self.head(id, if truth { 1 } else { 2 });
        self
    }

    pub(super) fn sub(mut self, id: i16, value: Self) -> Self {
        self.head(id, 12);
        self.bytes.extend(value.done());
        self
    }

    pub(super) fn list(mut self, id: i16, values: Vec<Self>) -> Self {
        self.head(id, 9);
        self.bytes.push(0xfc);
        varint(values.len() as u64, &mut self.bytes);
        self.bytes.extend(values.into_iter().flat_map(Self::done));
        self
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

pub(super) const REQUIRED: i64 = 0;
pub(super) const OPTIONAL: i64 = 1;
pub(super) const REPEATED: i64 = 2;

pub(super) const INT32: i64 = 1;
pub(super) const FLOAT: i64 = 4;
pub(super) const BYTES: i64 = 6;

/// A column of the schema; `converted` as the format numbers it.
pub(super) fn leaf(name: &str, physical: i64, repetition: i64, converted: Option<i64>) -> Struct {
    let leaf = Struct::default().int(1, physical).int(3, repetition).text(4, name);
    converted.into_iter().fold(leaf, |leaf, converted| leaf.int(6, converted))
}

pub(super) fn text(name: &str, repetition: i64) -> Struct {
    leaf(name, BYTES, repetition, Some(0))
}

pub(super) fn group(name: &str, repetition: i64, below: i64, converted: Option<i64>) -> Struct {
    let group = Struct::default().int(3, repetition).text(4, name).int(5, below);
    converted.into_iter().fold(group, |group, converted| group.int(6, converted))
}

/// A column of one row group.
#[derive(Clone)]
pub(super) struct Chunk {
    pub(super) physical: i64,
    pub(super) codec: i64,
    /// Values that the metadata states.
    pub(super) values: i64,
    /// Bytes that the metadata states, where it lies.
    pub(super) stated: Option<i64>,
    /// Where the metadata says that it is, where it lies.
    pub(super) at: Option<i64>,
    pub(super) pages: Vec<u8>,
}

pub(super) fn chunk(physical: i64, values: i64, pages: Vec<Vec<u8>>) -> Chunk {
    Chunk { physical, codec: 0, values, stated: None, at: None, pages: pages.concat() }
}

/// A page of version 1 as it is in the file: `stored` are the bytes, `size` what they are said to
/// be once decompressed.
pub(super) fn page_of(values: i64, encoding: i64, size: i64, stored: &[u8]) -> Vec<u8> {
    let data = Struct::default().int(1, values).int(2, encoding).int(3, 3).int(4, 3);
    let head = Struct::default().int(1, 0).int(2, size).int(3, stored.len() as i64).sub(5, data);
    [head.done(), stored.to_vec()].concat()
}

/// An uncompressed page whose head has `more` in it, and levels that are said to be so encoded.
pub(super) fn page_with(
    values: i64,
    levels: i64,
    checksum: i64,
    more: &str,
    bytes: &[u8],
) -> Vec<u8> {
    let size = bytes.len() as i64;
    let data = Struct::default().int(1, values).int(2, 0).int(3, levels).int(4, levels);
    let data = data.sub(5, Struct::default().text(1, more));
    let head = Struct::default().int(1, 0).int(2, size).int(3, size).int(4, checksum).sub(5, data);
    [head.done(), bytes.to_vec()].concat()
}

/// An uncompressed page of version 2, its levels said to be so long.
pub(super) fn page_2(values: i64, [repetitions, definitions]: [i64; 2], bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len() as i64;
    let data = Struct::default().int(1, values).int(4, 0).int(5, definitions).int(6, repetitions);
    let data = data.truth(7, false);
    let head = Struct::default().int(1, 3).int(2, size).int(3, size).sub(8, data);
    [head.done(), bytes.to_vec()].concat()
}

pub(super) fn page(values: i64, encoding: i64, bytes: &[u8]) -> Vec<u8> {
    page_of(values, encoding, bytes.len() as i64, bytes)
}

pub(super) fn dictionary(values: i64, bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len() as i64;
    let dictionary = Struct::default().int(1, values).int(2, 0);
    let head = Struct::default().int(1, 2).int(2, size).int(3, size).sub(7, dictionary);
    [head.done(), bytes.to_vec()].concat()
}

/// Plain texts.
pub(super) fn texts(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| sized(text.as_bytes())).collect()
}

/// Four bytes of length, then the bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

/// Numbers of at most a byte as runs of length one, without the length in front.
pub(super) fn runs(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|number| [2, *number]).collect()
}

/// One run.
pub(super) fn run(count: u64, number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(count << 1, &mut bytes);
    bytes.push(number);
    bytes
}

/// A file of row groups, each with its number of rows; `nodes` are those below the root.
pub(super) fn file(below: i64, nodes: &[Struct], groups: &[(i64, Vec<Chunk>)]) -> Vec<u8> {
    let rows = groups.iter().map(|(rows, _)| rows).sum();
    file_stating(below, nodes, groups, rows)
}

pub(super) fn file_stating(
    below: i64,
    nodes: &[Struct],
    groups: &[(i64, Vec<Chunk>)],
    rows: i64,
) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut described = Vec::new();
    for (rows, chunks) in groups {
        let mut columns = Vec::new();
        for chunk in chunks {
            let at = chunk.at.unwrap_or(bytes.len() as i64);
            let stated = chunk.stated.unwrap_or(chunk.pages.len() as i64);
            bytes.extend(&chunk.pages);
            let metadata = Struct::default()
                .int(1, chunk.physical)
                .int(4, chunk.codec)
                .int(5, chunk.values)
                .int(7, stated)
                .int(9, at);
            columns.push(Struct::default().int(2, 0).sub(3, metadata));
        }
        described.push(Struct::default().list(1, columns).int(3, *rows));
    }
    let schema = [&[Struct::default().text(4, "root").int(5, below)], nodes].concat();
    let footer = Struct::default().int(1, 1).list(2, schema).int(3, rows).list(4, described).done();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}
