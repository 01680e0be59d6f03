//! Reads GGUF version 3: metadata and tensors, as f32.
//!
//! Strict: what a model that this project pins does not need is refused, not skipped. Every count
//! and length is checked against a limit and against the bytes that are there before anything is
//! allocated. Tensors lie one after another, so that no byte is read for two of them and the
//! unpacked size is bounded by the packed one. Format: the specification in ggml's `docs/gguf.md`.

use std::collections::BTreeMap;

/// `GGUF`, then the version.
const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;

/// Metadata entries. Known models have some thirty.
const ENTRIES_MAX: u64 = 1024;
/// Tensors. A hundred layers have about a thousand.
const TENSORS_MAX: u64 = 4096;
/// Elements of a metadata array; the longest is the vocabulary.
const ARRAY_MAX: u64 = 1 << 20;
/// Bytes of a string. The longest is a chat template.
const STRING_BYTES_MAX: u64 = 1 << 16;
/// Dimensions of a tensor, as in ggml.
const RANK_MAX: u32 = 4;
/// Where tensors start, when the metadata does not say.
const ALIGNMENT: u32 = 32;

/// Elements of one quantised block.
const BLOCK: usize = 32;

/// A metadata value. Numbers and truth values that no conversion reads are kept as
/// [`Value::Other`].
#[derive(Debug, PartialEq)]
enum Value<'a> {
    U32(u32),
    Bool(bool),
    String(&'a str),
    Strings(Vec<&'a str>),
    I32s(Vec<i32>),
    Other,
}

/// How a tensor's elements are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    F32,
    /// Blocks of an f16 scale d, an f16 offset m and 32 four-bit numbers q, the low halves first:
    /// d · q + m.
    Q4_1,
    /// Blocks of an f16 scale d and 32 signed bytes q: d · q.
    Q8_0,
}

/// A tensor, packed. Its first dimension is the slowest, as elsewhere in this project and unlike in
/// the file.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) shape: Vec<usize>,
    packing: Packing,
    bytes: &'a [u8],
}

/// A model file.
#[derive(Debug)]
pub(super) struct Gguf<'a> {
    metadata: BTreeMap<&'a str, Value<'a>>,
    /// By name.
    pub(super) tensors: BTreeMap<&'a str, Tensor<'a>>,
}

impl Packing {
    fn from_id(id: u32) -> Option<Self> {
        match id {
            0 => Some(Self::F32),
            3 => Some(Self::Q4_1),
            8 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// Elements of a block and its bytes.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::Q4_1 => (BLOCK, 4 + BLOCK / 2),
            Self::Q8_0 => (BLOCK, 2 + BLOCK),
        }
    }
}

impl Tensor<'_> {
    /// The elements, row-major.
    ///
    /// Bit-deterministic: a scale has 11 significant bits and q at most 8, so d · q is exact in
    /// f32, and adding m rounds once. A fused multiply-add could not differ.
    pub(super) fn unpack(&self) -> Vec<f32> {
        let (elements, size) = self.packing.block();
        let mut out = Vec::with_capacity(self.bytes.len() / size * elements);
        for block in self.bytes.chunks_exact(size) {
            match self.packing {
                Packing::F32 => {
                    out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]]))
                }
                Packing::Q4_1 => {
                    let (d, m) = (half(block, 0), half(block, 2));
                    let value = |q: u8| d * f32::from(q) + m;
                    out.extend(block[4..].iter().map(|pair| value(pair & 0x0f)));
                    out.extend(block[4..].iter().map(|pair| value(pair >> 4)));
                }
                Packing::Q8_0 => {
                    let d = half(block, 0);
                    out.extend(block[2..].iter().map(|q| d * f32::from(q.cast_signed())));
                }
            }
        }
        out
    }
}

/// The f16 at `at`, widened exactly.
fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

impl<'a> Gguf<'a> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What is wrong with it, naming the metadata key or tensor.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, String> {
        let mut rest = Cursor { bytes: file };
        if rest.take(4)? != MAGIC {
            return Err("it is not a GGUF file".into());
        }
        let version = rest.u32()?;
        if version != VERSION {
            return Err(format!("its GGUF version is {version}, known is {VERSION}"));
        }
        let tensor_count = rest.count(TENSORS_MAX, "tensors")?;
        let entry_count = rest.count(ENTRIES_MAX, "metadata entries")?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let key = rest.string()?;
            let value = rest.value().map_err(|reason| format!("metadata {key:?}: {reason}"))?;
            if metadata.insert(key, value).is_some() {
                return Err(format!("metadata {key:?} is there twice"));
            }
        }
        let mut headers = Vec::new();
        for _ in 0..tensor_count {
            let name = rest.string()?;
            let header = rest.header().map_err(|reason| format!("tensor {name:?}: {reason}"))?;
            headers.push((name, header));
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::U32(n)) if n.is_power_of_two() && *n >= 8 => *n,
            Some(_) => return Err("metadata \"general.alignment\" is not one".into()),
        };
        let alignment = alignment as usize;
        let read = file.len() - rest.bytes.len();
        rest.take(padding(read, alignment))?;
        Ok(Self { metadata, tensors: tensors(headers, rest.bytes, alignment)? })
    }

    /// # Errors
    /// Names the key when it is absent or of another type; so do the other getters.
    pub(super) fn u32(&self, key: &str) -> Result<u32, String> {
        match self.metadata.get(key) {
            Some(Value::U32(value)) => Ok(*value),
            _ => Err(format!("metadata {key:?} is not a 32-bit count")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        match self.metadata.get(key) {
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(format!("metadata {key:?} is not a truth value")),
        }
    }

    pub(super) fn string(&self, key: &str) -> Result<&'a str, String> {
        match self.metadata.get(key) {
            Some(Value::String(value)) => Ok(value),
            _ => Err(format!("metadata {key:?} is not a string")),
        }
    }

    pub(super) fn strings(&self, key: &str) -> Result<&[&'a str], String> {
        match self.metadata.get(key) {
            Some(Value::Strings(values)) => Ok(values),
            _ => Err(format!("metadata {key:?} is not a list of strings")),
        }
    }

    pub(super) fn i32s(&self, key: &str) -> Result<&[i32], String> {
        match self.metadata.get(key) {
            Some(Value::I32s(values)) => Ok(values),
            _ => Err(format!("metadata {key:?} is not a list of 32-bit numbers")),
        }
    }
}

/// What precedes the data about a tensor: shape, packing, offset from the start of the data.
type Header = (Vec<usize>, Packing, u64);

/// Cuts `data` into the tensors that `headers` describe.
fn tensors<'a>(
    headers: Vec<(&'a str, Header)>,
    data: &'a [u8],
    alignment: usize,
) -> Result<BTreeMap<&'a str, Tensor<'a>>, String> {
    let mut rest = Cursor { bytes: data };
    let mut tensors = BTreeMap::new();
    for (name, (shape, packing, offset)) in headers {
        let wrong = |reason: &str| format!("tensor {name:?}: {reason}");
        let at = data.len() - rest.bytes.len();
        if offset != at as u64 {
            return Err(wrong("its data does not follow that of the tensor before it"));
        }
        let (elements, size) = packing.block();
        let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let row_fits = shape.last().is_some_and(|row| row.is_multiple_of(elements));
        let bytes = count
            .filter(|n| row_fits && *n > 0)
            .and_then(|n| (n / elements).checked_mul(size))
            .ok_or_else(|| wrong("it is empty, too large or does not divide into blocks"))?;
        let bytes = rest.take(bytes).map_err(|_| wrong("its data is cut off"))?;
        if tensors.insert(name, Tensor { shape, packing, bytes }).is_some() {
            return Err(wrong("it is there twice"));
        }
        let end = data.len() - rest.bytes.len();
        rest.take(padding(end, alignment)).map_err(|_| wrong("its data is cut off"))?;
    }
    if rest.bytes.is_empty() { Ok(tensors) } else { Err("bytes follow its last tensor".into()) }
}

/// Bytes from `at` to the next multiple of `alignment`.
fn padding(at: usize, alignment: usize) -> usize {
    at.next_multiple_of(alignment) - at
}

/// Little-endian numbers and strings, taken from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("it is cut off")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "it is cut off".to_owned())
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that follow.
    fn count(&mut self, max: u64, what: &str) -> Result<usize, String> {
        let count = self.u64()?;
        if count > max {
            return Err(format!("it has {count} {what}, the limit is {max}"));
        }
        usize::try_from(count).map_err(|error| error.to_string())
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let length = self.count(STRING_BYTES_MAX, "bytes in a string")?;
        std::str::from_utf8(self.take(length)?).map_err(|_| "a string is not UTF-8".to_owned())
    }

    fn value(&mut self) -> Result<Value<'a>, String> {
        match self.u32()? {
            0 | 1 => self.take(1).map(|_| Value::Other),
            2 | 3 => self.take(2).map(|_| Value::Other),
            4 => self.u32().map(Value::U32),
            5 | 6 => self.take(4).map(|_| Value::Other),
            7 => match self.take(1)? {
                [0] => Ok(Value::Bool(false)),
                [1] => Ok(Value::Bool(true)),
                _ => Err("a truth value is neither 0 nor 1".into()),
            },
            8 => self.string().map(Value::String),
            9 => self.list(),
            10..=12 => self.take(8).map(|_| Value::Other),
            other => Err(format!("has the unknown type {other}")),
        }
    }

    fn list(&mut self) -> Result<Value<'a>, String> {
        let kind = self.u32()?;
        let count = self.count(ARRAY_MAX, "elements")?;
        match kind {
            5 => {
                let numbers = self.take(4 * count)?.chunks_exact(4);
                let number = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                Ok(Value::I32s(numbers.map(number).collect()))
            }
            // Grown as strings are found, so that a claimed length allocates nothing.
            8 => (0..count).map(|_| self.string()).collect::<Result<_, _>>().map(Value::Strings),
            other => Err(format!("is a list of the type {other}, which no conversion reads")),
        }
    }

    fn header(&mut self) -> Result<Header, String> {
        let rank = self.u32()?;
        if !(1..=RANK_MAX).contains(&rank) {
            return Err(format!("it has {rank} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(usize::try_from(self.u64()?).map_err(|error| error.to_string())?);
        }
        shape.reverse();
        let id = self.u32()?;
        let packing = Packing::from_id(id)
            .ok_or_else(|| format!("its elements have the unknown type {id}"))?;
        Ok((shape, packing, self.u64()?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Builds a file by appending what the format asks for.
    #[derive(Default, Clone)]
    pub(in super::super) struct Writer {
        entries: Vec<Vec<u8>>,
        headers: Vec<Vec<u8>>,
        data: Vec<u8>,
    }

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    fn list(kind: u32, count: usize) -> Vec<u8> {
        [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &(count as u64).to_le_bytes()].concat()
    }

    impl Writer {
        fn entry(mut self, key: &str, value: &[&[u8]]) -> Self {
            self.entries.push([string(key), value.concat()].concat());
            self
        }

        pub(in super::super) fn u32(self, key: &str, value: u32) -> Self {
            self.entry(key, &[&4u32.to_le_bytes(), &value.to_le_bytes()])
        }

        pub(in super::super) fn flag(self, key: &str, value: bool) -> Self {
            self.entry(key, &[&7u32.to_le_bytes(), &[u8::from(value)]])
        }

        pub(in super::super) fn string(self, key: &str, value: &str) -> Self {
            self.entry(key, &[&8u32.to_le_bytes(), &string(value)])
        }

        pub(in super::super) fn strings(self, key: &str, values: &[&str]) -> Self {
            let strings: Vec<u8> = values.iter().flat_map(|value| string(value)).collect();
            self.entry(key, &[&list(8, values.len()), &strings])
        }

        pub(in super::super) fn i32s(self, key: &str, values: &[i32]) -> Self {
            let numbers: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.entry(key, &[&list(5, values.len()), &numbers])
        }

        /// A tensor with its slowest dimension first.
        fn packed(mut self, name: &str, shape: &[usize], kind: u32, bytes: &[u8]) -> Self {
            let mut header = string(name);
            header.extend((shape.len() as u32).to_le_bytes());
            header.extend(shape.iter().rev().flat_map(|d| (*d as u64).to_le_bytes()));
            header.extend(kind.to_le_bytes());
            header.extend((self.data.len() as u64).to_le_bytes());
            self.headers.push(header);
            self.data.extend(bytes);
            self.data.resize(self.data.len().next_multiple_of(32), 0);
            self
        }

        pub(in super::super) fn f32s(self, name: &str, shape: &[usize], data: &[f32]) -> Self {
            let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.packed(name, shape, 0, &bytes)
        }

        pub(in super::super) fn file(&self) -> Vec<u8> {
            let mut file = MAGIC.to_vec();
            file.extend(VERSION.to_le_bytes());
            file.extend((self.headers.len() as u64).to_le_bytes());
            file.extend((self.entries.len() as u64).to_le_bytes());
            file.extend(self.entries.concat());
            file.extend(self.headers.concat());
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(&self.data);
            file
        }
    }

    /// One of everything that is understood.
    fn sample() -> Writer {
        let q4: Vec<u8> = [[0x00, 0x3c], [0x00, 0xb8]].concat().into_iter().chain(0..16).collect();
        let q8: Vec<u8> = [0x00, 0x38].into_iter().chain(240..=255).chain(0..16).collect();
        Writer::default()
            .u32("count", 7)
            .flag("flag", true)
            .string("name", "model")
            .strings("tokens", &["a", "ß"])
            .i32s("kinds", &[1, -3])
            .f32s("plain", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .packed("q4", &[1, 32], 3, &q4)
            .packed("q8", &[32], 8, &q8)
    }

    #[track_caller]
    fn refused(file: &[u8], expect: &str) {
        let error = Gguf::parse(file).unwrap_err();
        assert!(error.contains(expect), "{error:?} lacks {expect:?}");
    }

    #[test]
    fn reads_what_it_knows() {
        let file = sample().file();
        let gguf = Gguf::parse(&file).unwrap();
        assert_eq!(gguf.u32("count"), Ok(7));
        assert_eq!(gguf.flag("flag"), Ok(true));
        assert_eq!(gguf.string("name"), Ok("model"));
        assert_eq!(gguf.strings("tokens"), Ok(&["a", "ß"][..]));
        assert_eq!(gguf.i32s("kinds"), Ok(&[1, -3][..]));
        assert_eq!(gguf.tensors["plain"].shape, [2, 3]);
        assert_eq!(gguf.tensors["plain"].unpack(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        // d = 1, m = −½: the low halves count 0 to 15, the high halves are 0.
        let low = (0..16u8).map(|q| f32::from(q) - 0.5);
        assert_eq!(gguf.tensors["q4"].unpack(), low.chain([-0.5; 16]).collect::<Vec<_>>());
        // d = ½.
        let halves: Vec<f32> = (-16..16i8).map(|q| f32::from(q) / 2.0).collect();
        assert_eq!(gguf.tensors["q8"].unpack(), halves);
    }

    #[test]
    fn a_wrong_key_is_named() {
        let file = sample().file();
        let gguf = Gguf::parse(&file).unwrap();
        assert!(gguf.u32("nothing").unwrap_err().contains("\"nothing\""));
        assert!(gguf.u32("name").unwrap_err().contains("\"name\" is not a 32-bit count"));
        assert!(gguf.strings("kinds").unwrap_err().contains("\"kinds\""));
    }

    #[test]
    fn every_cut_is_refused() {
        let file = sample().file();
        for length in 0..file.len() {
            assert!(Gguf::parse(&file[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn claimed_counts_allocate_nothing() {
        let claim = |at: usize, value: u64| {
            let mut file = sample().file();
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
            file
        };
        refused(&claim(8, u64::MAX), "tensors, the limit is 4096");
        refused(&claim(16, 1025), "1025 metadata entries, the limit is 1024");
        refused(&claim(24, 1 << 40), "bytes in a string, the limit is 65536");
        let strings = Writer::default().entry("many", &[&list(8, ARRAY_MAX as usize)]).file();
        refused(&strings, "metadata \"many\": it is cut off");
        let numbers = Writer::default().entry("many", &[&list(5, ARRAY_MAX as usize + 1)]).file();
        refused(&numbers, "elements, the limit is 1048576");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        refused(b"not a model", "not a GGUF file");
        refused(b"GGUF\x02\0\0\0", "version is 2");
        let nested = Writer::default().entry("nested", &[&list(9, 1)]).file();
        refused(&nested, "metadata \"nested\": is a list of the type 9");
        let odd = Writer::default().entry("odd", &[&13u32.to_le_bytes()]).file();
        refused(&odd, "metadata \"odd\": has the unknown type 13");
        refused(&Writer::default().u32("a", 1).u32("a", 1).file(), "\"a\" is there twice");
        refused(&Writer::default().u32("general.alignment", 0).file(), "alignment");
    }

    #[test]
    fn what_is_wrong_with_a_tensor_is_named() {
        let one =
            |shape: &[usize], kind| Writer::default().packed("t", shape, kind, &[0; 64]).file();
        refused(&one(&[16], 1), "tensor \"t\": its elements have the unknown type 1");
        refused(&one(&[1; 5], 0), "tensor \"t\": it has 5 dimensions");
        refused(&one(&[31], 3), "tensor \"t\": it is empty, too large or does not divide");
        refused(&one(&[0], 0), "tensor \"t\": it is empty");
        refused(&one(&[usize::MAX, 2], 0), "tensor \"t\": it is empty, too large");
        refused(&one(&[17], 0), "tensor \"t\": its data is cut off");
        refused(&one(&[8], 0), "bytes follow its last tensor");
        let twice = Writer::default().f32s("t", &[1], &[0.0]).f32s("t", &[1], &[0.0]);
        refused(&twice.file(), "tensor \"t\": it is there twice");
        let mut shared = Writer::default().f32s("a", &[1], &[0.0]).f32s("b", &[1], &[0.0]);
        let offset = shared.headers[1].len() - 8;
        shared.headers[1][offset] = 0;
        refused(&shared.file(), "tensor \"b\": its data does not follow");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Gguf::parse(&bytes);
            // Past the magic and the version too.
            let start = [&MAGIC[..], &VERSION.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
            bytes.splice(..0, start);
            let _ = Gguf::parse(&bytes);
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut file = sample().file();
            let at = at.index(file.len());
            file[at] = to;
            if let Ok(gguf) = Gguf::parse(&file) {
                for tensor in gguf.tensors.values() {
                    prop_assert_eq!(tensor.unpack().len(), tensor.shape.iter().product::<usize>());
                }
            }
        }
    }
}
