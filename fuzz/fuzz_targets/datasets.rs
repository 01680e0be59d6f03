//! Any bytes as a dataset file: rows within the limits, and those that the format means.
//!
//! Lines are compared with how a submission is split, elements of an array with a parser of JSON,
//! and rows of Parquet are JSON objects whatever the file claims.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use dataforge_core::dataset::{RawSubmission, SplitError};
use dataforge_core::limits::{LINE_BYTES_MAX, ROWS_MAX};
use dataforge_node::rows::{Compression, Format, Rows, RowsError};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Where reading stops: a few bytes may be gigabytes of rows, and those are counted elsewhere.
const READ_BYTES_MAX: usize = 1 << 24;

fuzz_target!(|bytes: &[u8]| {
    let source = Cursor::new(bytes.to_vec());
    let Ok(mut rows) = Rows::from_reader(Path::new("it"), source) else { return };
    let format = rows.format();
    let (mut read, mut total) = (Vec::new(), 0);
    let mut error = None;
    for row in rows.by_ref() {
        assert!(error.is_none(), "a row after an error");
        match row {
            Ok(row) => {
                assert!(row.len() as u64 <= LINE_BYTES_MAX.0);
                total += row.len() + 1;
                read.push(row);
            }
            Err(refused) => error = Some(refused),
        }
        if total > READ_BYTES_MAX {
            return;
        }
    }
    assert!(rows.next().is_none());
    assert!(rows.position() <= rows.bytes_total().expect("bytes have an end"));
    assert!(read.len() <= ROWS_MAX as usize && (error.is_some() || !read.is_empty()));
    match format {
        Format::JsonLines(Compression::None) => lines(bytes, &read, error.as_ref()),
        Format::JsonArray(Compression::None) => array(bytes, &read, error.as_ref()),
        Format::Parquet => objects(&read),
        _ => {}
    }
});

fn lines(bytes: &[u8], read: &[Vec<u8>], error: Option<&RowsError>) {
    match (RawSubmission::split(bytes), error) {
        (Ok(raw), None) => assert_eq!(raw.lines(), read),
        (Err(SplitError::Empty), Some(RowsError::Empty { .. })) => {}
        (raw, error) => panic!("{raw:?}, but {error:?}"),
    }
}

/// A whole array is its elements, and elements that are whole make an array.
fn array(bytes: &[u8], read: &[Vec<u8>], error: Option<&RowsError>) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_json = |row: &Vec<u8>| serde_json::from_slice::<&RawValue>(row).is_ok();
    match (serde_json::from_slice::<Vec<&RawValue>>(text), error) {
        (Ok(elements), None) => {
            assert!(elements.iter().map(|element| element.get().as_bytes()).eq(read));
        }
        (Ok(elements), Some(error)) => {
            assert!(elements.is_empty() && matches!(error, RowsError::Empty { .. }), "{error}");
        }
        (Err(_), Some(_)) => {}
        (Err(reason), None) => assert!(!read.iter().all(is_json), "{reason}"),
    }
}

fn objects(read: &[Vec<u8>]) {
    for row in read {
        let text = std::str::from_utf8(row).expect("text");
        assert!(text.starts_with('{') && !text.contains('\n'));
        serde_json::from_str::<IgnoredAny>(text).expect("JSON");
    }
}
