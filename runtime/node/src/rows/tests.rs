//! Datasets of text: what is a row, and what is refused instead of being held.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use dataforge_core::dataset::{RawSubmission, SplitError};
use dataforge_core::limits::{LINE_BYTES_MAX, ROWS_MAX};
use dataforge_core::units::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Compression, Format, Rows, RowsError};

const MOST: usize = LINE_BYTES_MAX.0 as usize;
/// More than all buffers between a file and a row hold.
const AHEAD_BYTES: u64 = 1 << 18;

fn open(bytes: &[u8]) -> Result<Rows, RowsError> {
    Rows::from_reader("the-file".as_ref(), Cursor::new(bytes.to_vec()))
}

fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, RowsError> {
    open(bytes)?.collect()
}

/// The rows as texts, or the error; an error names the file and is the last that comes.
#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expect: Result<&[&str], &str>) {
    let error = match (read(bytes.as_ref()), expect) {
        (Ok(rows), Ok(expect)) => {
            let rows: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row)).collect();
            return assert_eq!(rows, expect);
        }
        (Err(error), Err(_)) => error.to_string(),
        (found, _) => panic!("{found:?}"),
    };
    assert!(error.starts_with("the-file: "), "{error}");
    assert!(error.contains(expect.unwrap_err()), "{error}");
    if let Ok(mut rows) = open(bytes.as_ref()) {
        assert!(rows.by_ref().any(|row| row.is_err()));
        assert!(rows.next().is_none());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// A file that repeats itself without end.
struct Endless {
    start: &'static [u8],
    again: &'static [u8],
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for to in buffer.iter_mut() {
            let past = self.at.checked_sub(self.start.len());
            *to = past.map_or_else(|| self.start[self.at], |at| self.again[at % self.again.len()]);
            self.at += 1;
        }
        Ok(buffer.len())
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::NotSeekable.into())
    }
}

fn endless(start: &'static [u8], again: &'static [u8], most: u64) -> Rows {
    let source = Endless { start, again, at: 0 };
    Rows::bounded("the-file".as_ref(), source, Bytes(most)).unwrap()
}

#[test]
fn lines_are_passed_untouched() {
    check("{\"a\": 1}\r\n \t\n{}", Ok(&["{\"a\": 1}", " \t", "{}"]));
    check("\u{feff}{}\nnot json\n", Ok(&["\u{feff}{}", "not json"]));
    check(b"{\"a\0\":1}\n\0\n", Ok(&["{\"a\0\":1}", "\0"]));
    check("\r\n", Ok(&[""]));
    check("{\n}\n\n", Ok(&["{", "}", ""]));
}

#[test]
fn a_file_without_a_row_is_named() {
    for bytes in ["", "\n", "[]", " [ ]\n"] {
        check(bytes, Err("the file is empty"));
        check(gzip(bytes.as_bytes()), Err("the file is empty"));
        check(zstd(bytes.as_bytes()), Err("the file is empty"));
    }
}

#[test]
fn elements_of_an_array_keep_their_bytes_on_one_line() {
    check("[1]", Ok(&["1"]));
    check(
        "\u{feff} \r\n[ {\"a\":\n [1, 2]} ,\t\"],}\\\"\\\\\" , null\n]\n ",
        Ok(&["{\"a\":  [1, 2]}", "\"],}\\\"\\\\\"", "null"]),
    );
    // What is in a string would be another text without it, and is no JSON with it.
    check("[\"a\nb\",\n{\r\n}]", Ok(&["\"a\nb\"", "{  }"]));
    // What is no JSON is the kernel's to refuse, and stays what it is.
    check("[tru 1, \0, {]]", Ok(&["tru 1", "\0", "{]"]));
    check("[1\u{c}]", Ok(&["1\u{c}"]));
    let deep = format!("{}{}", "[{\"a\":".repeat(20_000), "}]".repeat(20_000));
    check(format!("[{deep},1]"), Ok(&[&deep, "1"]));
}

#[test]
fn a_damaged_array_is_refused_where_it_breaks() {
    check("[1, 2", Err("row 2: the array does not end"));
    check("[{\"a\": \"", Err("row 1: the array does not end"));
    check("[1,]", Err("row 2: an element is missing"));
    check("[,1]", Err("row 1: an element is missing"));
    check("[1}]", Err("row 1: a brace that was not opened"));
    check("[1] [2]", Err("row 2: text after the end of the array"));
    check("[]\0", Err("row 1: text after the end of the array"));
}

#[test]
fn a_format_is_told_by_content() {
    let expect = |bytes: &[u8], format, words: &str| {
        let rows = open(bytes).unwrap();
        assert_eq!((rows.format(), rows.format().to_string().as_str()), (format, words));
        assert_eq!(rows.bytes_total(), Some(Bytes(bytes.len() as u64)));
    };
    expect(b"{}", Format::JsonLines(Compression::None), "JSON Lines");
    expect(b"\n [", Format::JsonArray(Compression::None), "a JSON array");
    expect(&gzip(b"{}"), Format::JsonLines(Compression::Gzip), "JSON Lines in gzip");
    expect(&zstd(b"[1]"), Format::JsonArray(Compression::Zstd), "a JSON array in zstd");
    for inner in [b"PAR1".to_vec(), gzip(b"{}"), zstd(b"{}")] {
        check(gzip(&inner), Err("decompress it first"));
    }
}

#[test]
fn compressed_parts_are_read_on() {
    check([gzip(b"{}\n1"), gzip(b"2\n3")].concat(), Ok(&["{}", "12", "3"]));
    let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let frames = [skipped.clone(), zstd(b"[1,"), skipped, zstd(b"2]")];
    check(frames.concat(), Ok(&["1", "2"]));
    check(b"\x50\x2a\x4d\x18\x03\0\0\0ab", Err("the compressed data ends early"));
}

#[test]
fn what_zstd_itself_wrote_is_read() {
    let lines = include_bytes!("../../fixtures/rows.jsonl");
    let mut frame = include_bytes!("../../fixtures/rows.jsonl.zst").to_vec();
    assert_eq!(read(&frame).unwrap(), read(lines).unwrap());
    *frame.last_mut().unwrap() ^= 1;
    check(frame, Err("the checksum is of other bytes"));
}

#[test]
fn no_beginning_of_a_compressed_file_is_taken_for_it() {
    let text: Vec<u8> = (0..200).flat_map(|n| format!("{{\"n\": {n}}}\n").into_bytes()).collect();
    for whole in [gzip(&text), zstd(&text)] {
        assert_eq!(read(&whole).unwrap().len(), 200);
        for length in 4..whole.len() {
            let error = read(&whole[..length]).unwrap_err().to_string();
            assert!(error.contains("the compressed data ends early"), "{length}: {error}");
        }
        check([&whole[..], b"some more garbage"].concat(), Err("row 201: damaged compressed data"));
    }
}

#[test]
fn a_line_over_the_limit_is_not_held() {
    let line = "x".repeat(MOST);
    check(format!("{line}\n1"), Ok(&[&line, "1"]));
    check(format!("1\n{line}y"), Err("row 2: longer than 262144 bytes"));
    check(format!("[{line}]"), Ok(&[&line]));
    check(format!("[{line}y]"), Err("row 1: longer than"));
    for (start, again) in [(&b"{}\n{"[..], &b"x"[..]), (b"[{},[", b"1,"), (b"[1,\"", b"\\\"")] {
        let mut rows = endless(start, again, u64::MAX);
        assert!(rows.next().unwrap().is_ok());
        let error = rows.next().unwrap().unwrap_err();
        assert!(matches!(error, RowsError::RowTooLong { row: 2, .. }), "{error}");
        assert!(rows.position().0 < LINE_BYTES_MAX.0 + AHEAD_BYTES, "{:?}", rows.position());
    }
}

#[test]
fn rows_that_never_end_are_counted_out() {
    for (start, again) in [(&b""[..], &b"\n\n"[..]), (b"[", b"1,"), (b"[1", b",1")] {
        let mut rows = endless(start, again, u64::MAX);
        for _ in 0..ROWS_MAX {
            assert!(rows.next().unwrap().is_ok());
        }
        assert!(matches!(rows.next(), Some(Err(RowsError::TooManyRows { .. }))));
        assert!(rows.next().is_none());
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    const MOST: u64 = 1 << 20;
    let bombed = |bytes: Vec<u8>| {
        let mut rows = Rows::bounded("the-file".as_ref(), Cursor::new(bytes), Bytes(MOST)).unwrap();
        rows.find_map(Result::err).unwrap().to_string()
    };
    // Lines that are short enough, and space that is no row.
    let lines = format!("{}\n", "x".repeat(999)).repeat(2000);
    let space = format!("[{}", " ".repeat(1 << 21));
    for bomb in [gzip(lines.as_bytes()), zstd(lines.as_bytes())] {
        assert!(bomb.len() < 20_000);
        let error = bombed(bomb);
        assert!(error.starts_with("the-file: row 1049: the file holds more than"), "{error}");
    }
    for bomb in [gzip(space.as_bytes()), zstd(space.as_bytes()), space.into_bytes()] {
        assert!(bombed(bomb).starts_with("the-file: row 1: the file holds more than"));
    }
    // The limit itself is no fault.
    let most = [&b"1\n".repeat(MOST as usize / 2)[..], b""].concat();
    let rows = Rows::bounded("the-file".as_ref(), Cursor::new(gzip(&most)), Bytes(MOST)).unwrap();
    assert_eq!(rows.filter(Result::is_ok).count(), most.len() / 2);
}

#[test]
fn a_window_that_zstd_would_have_to_hold_is_bounded() {
    // A frame without a size whose window is 2 GiB.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0";
    check(frame, Err("window_size is too big"));
}

#[test]
fn rows_come_before_the_file_is_read() {
    let mut rows = endless(b"", b"{\"input\": 1}\n", u64::MAX);
    assert_eq!(rows.next().unwrap().unwrap(), b"{\"input\": 1}");
    assert!(rows.position().0 < AHEAD_BYTES);
    assert_eq!(rows.bytes_total(), None);
}

/// Gives one byte at a time, and fails in the end.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(&mut buffer[..1])? {
            0 => Err(io::Error::other("the disk is on fire")),
            length => Ok(length),
        }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_failing_disk_is_no_damaged_file() {
    let text = b"[1,\n2,\n3";
    for bytes in [text.to_vec(), gzip(text), zstd(text)] {
        let (whole, cut) = (bytes.len(), bytes.len() / 2);
        for length in [whole, cut, 2] {
            let source = Failing(Cursor::new(bytes[..length].to_vec()));
            let rows = Rows::from_reader("the-file".as_ref(), source);
            let error = rows.and_then(|rows| rows.collect::<Result<Vec<_>, _>>()).unwrap_err();
            assert!(matches!(error, RowsError::File(_)), "{error}");
            assert_eq!(error.to_string(), "cannot read the-file: the disk is on fire");
        }
    }
}

#[test]
fn a_file_is_opened_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    std::fs::write(&path, "{}\n[]\n").unwrap();
    assert_eq!(Rows::open(&path).unwrap().count(), 2);
    for path in [folder.path().join("missing"), folder.path().to_path_buf()] {
        let rows = Rows::open(&path).and_then(|rows| rows.collect::<Result<Vec<_>, _>>());
        assert!(matches!(rows, Err(RowsError::File(_))), "{rows:?}");
    }
}

proptest! {
    #[test]
    fn lines_are_those_of_a_submission(bytes in "[ -Z{}\r\n]{0,40}|\\PC{0,40}") {
        let bytes = bytes.as_bytes();
        prop_assume!(!super::text::is_array(bytes));
        match (RawSubmission::split(bytes), read(bytes)) {
            (Ok(raw), Ok(rows)) => assert_eq!(raw.lines(), rows),
            (Err(SplitError::Empty), Err(RowsError::Empty { .. })) => {}
            (raw, rows) => panic!("{raw:?} {rows:?}"),
        }
    }

    #[test]
    fn an_array_is_its_elements(
        texts in prop::collection::vec("\\PC{0,8}|[\\[\\]{},\"\\\\]{1,8}", 1..6)
    ) {
        let values: Vec<_> = texts
            .iter()
            .map(|text| serde_json::json!({ text.as_str(): [text, {"a": []}] }))
            .collect();
        let compact = serde_json::to_vec(&values).unwrap();
        let pretty = serde_json::to_vec_pretty(&values).unwrap();
        for document in [compact, pretty] {
            let rows = read(&document).unwrap();
            let read: Vec<serde_json::Value> =
                rows.iter().map(|row| serde_json::from_slice(row).unwrap()).collect();
            assert_eq!(read, values);
        }
    }
}
