//! Parquet files of several writers, and files that no writer makes.

mod made;

use std::io::{Cursor, Write};

use dataforge_core::units::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use serde_json::Value;

use self::made::{
    BYTES, Chunk, FLOAT, INT32, OPTIONAL, REPEATED, REQUIRED, Struct, chunk, dictionary, file,
    file_stating, group, leaf, page, page_2, page_of, page_with, run, runs, sized, text, texts,
};
use super::super::{Format, Rows, RowsError};

fn read(bytes: &[u8]) -> Result<Vec<String>, RowsError> {
    let rows = Rows::from_reader("the-file".as_ref(), Cursor::new(bytes.to_vec()))?;
    assert_eq!(rows.format(), Format::Parquet);
    rows.map(|row| row.map(|row| String::from_utf8(row).unwrap())).collect()
}

#[track_caller]
fn check(bytes: &[u8], expect: Result<&[&str], &str>) {
    match (read(bytes), expect) {
        (Ok(rows), Ok(expect)) => assert_eq!(rows, expect),
        (Err(error), Err(expect)) => {
            let error = error.to_string();
            assert!(error.starts_with("the-file: ") && error.contains(expect), "{error}");
        }
        (found, _) => panic!("{found:?}"),
    }
}

/// Two rows of one text column.
fn small() -> Chunk {
    chunk(BYTES, 2, vec![page(2, 0, &texts(&["a\n", "b"]))])
}

fn small_file(chunk: Chunk) -> Vec<u8> {
    file(1, &[text("input", REQUIRED)], &[(2, vec![chunk])])
}

#[test]
fn every_writer_s_file_holds_the_same_rows() {
    let folder = format!("{}/fixtures", env!("CARGO_MANIFEST_DIR"));
    let parse = |row: Vec<u8>| serde_json::from_slice::<Value>(&row).unwrap();
    let rows = |path: &std::path::Path| -> Vec<Value> {
        Rows::open(path).unwrap().map(|row| parse(row.unwrap())).collect()
    };
    let expected = rows(format!("{folder}/rows.jsonl").as_ref());
    assert_eq!(expected.len(), 24);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension() == Some("parquet".as_ref())).collect();
    assert_eq!(files.len(), 5);
    for path in files {
        assert_eq!(rows(&path), expected, "{}", path.display());
    }
}

#[test]
fn no_beginning_of_a_file_is_taken_for_it() {
    let whole = include_bytes!("../../../fixtures/pyarrow-1.parquet");
    for length in 4..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_row_is_an_object_of_its_columns() {
    check(&small_file(small()), Ok(&[r#"{"input":"a\n"}"#, r#"{"input":"b"}"#]));
    // A dictionary, nulls, unsigned numbers, two row groups.
    let nodes = [text("a \"b\"", OPTIONAL), leaf("n", INT32, REQUIRED, Some(13))];
    let words = [sized(&runs(&[1, 0, 1])), vec![1], runs(&[1, 0])].concat();
    let words = vec![dictionary(2, &texts(&["x", "y"])), page(3, 8, &words)];
    let numbers: Vec<u8> = [7, -1, 0_i32].iter().flat_map(|n| n.to_le_bytes()).collect();
    let numbers = chunk(INT32, 3, vec![page(3, 0, &numbers)]);
    let one = (3, vec![chunk(BYTES, 3, words), numbers.clone()]);
    let nulls = page(3, 0, &sized(&run(3, 0)));
    let two = (3, vec![chunk(BYTES, 3, vec![nulls]), numbers]);
    check(
        &file(2, &nodes, &[one, two]),
        Ok(&[
            r#"{"a \"b\"":"y","n":7}"#,
            r#"{"a \"b\"":null,"n":4294967295}"#,
            r#"{"a \"b\"":"x","n":0}"#,
            r#"{"a \"b\"":null,"n":7}"#,
            r#"{"a \"b\"":null,"n":4294967295}"#,
            r#"{"a \"b\"":null,"n":0}"#,
        ]),
    );
    check(&file(1, &[text("a", REQUIRED)], &[]), Err("the file is empty"));
    // The other way to say that numbers are unsigned.
    let unsigned = Struct::default().sub(10, Struct::default().int(1, 32).truth(2, false));
    let unsigned = Struct::default().int(1, INT32).int(3, REQUIRED).text(4, "n").sub(10, unsigned);
    let number = chunk(INT32, 1, vec![page(1, 0, &[0xff; 4])]);
    check(&file(1, &[unsigned], &[(1, vec![number])]), Ok(&[r#"{"n":4294967295}"#]));
}

/// Rows `["x","y"]`, `[]` and `["z"]` of a repeated column.
fn repeated(definition: u8) -> Chunk {
    let levels = [
        sized(&runs(&[0, 1, 0, 0])),
        sized(&runs(&[definition, definition, definition - 1, definition])),
    ];
    chunk(BYTES, 4, vec![page(4, 0, &[levels.concat(), texts(&["x", "y", "z"])].concat())])
}

#[test]
fn lists_of_every_age_are_lists() {
    let lists = [r#"{"l":["x","y"]}"#, r#"{"l":[]}"#, r#"{"l":["z"]}"#];
    let bare = [text("l", REPEATED)];
    check(&file(1, &bare, &[(3, vec![repeated(1)])]), Ok(&lists));
    let two = [group("l", REQUIRED, 1, Some(3)), text("array", REPEATED)];
    check(&file(1, &two, &[(3, vec![repeated(1)])]), Ok(&lists));
    let three =
        [group("l", OPTIONAL, 1, Some(3)), group("list", REPEATED, 1, None), text("e", REQUIRED)];
    check(&file(1, &three, &[(3, vec![repeated(2)])]), Ok(&lists));
    // The same shape, where the name says that the group is the element.
    let tuple = [
        group("l", REQUIRED, 1, Some(3)),
        group("l_tuple", REPEATED, 1, None),
        text("e", REQUIRED),
    ];
    let structs = [r#"{"l":[{"e":"x"},{"e":"y"}]}"#, r#"{"l":[]}"#, r#"{"l":[{"e":"z"}]}"#];
    check(&file(1, &tuple, &[(3, vec![repeated(1)])]), Ok(&structs));
    let array =
        [group("l", REQUIRED, 1, Some(3)), group("array", REPEATED, 1, None), text("e", REQUIRED)];
    check(&file(1, &array, &[(3, vec![repeated(1)])]), Ok(&structs));
}

#[test]
fn maps_are_objects() {
    let map = |key| {
        [group("m", REQUIRED, 1, Some(1)), group("kv", REPEATED, 2, None), key, text("v", REQUIRED)]
    };
    let chunks = vec![repeated(1), repeated(1)];
    check(
        &file(1, &map(text("k", REQUIRED)), &[(3, chunks)]),
        Ok(&[r#"{"m":{"x":"x","y":"y"}}"#, r#"{"m":{}}"#, r#"{"m":{"z":"z"}}"#]),
    );
    let numbers = file(1, &map(leaf("k", INT32, REQUIRED, None)), &[]);
    check(&numbers, Err("column m: a map whose keys are not texts"));
    let missing =
        chunk(BYTES, 1, vec![page(1, 0, &[sized(&runs(&[0])), sized(&runs(&[1]))].concat())]);
    let value = chunk(
        BYTES,
        1,
        vec![page(1, 0, &[sized(&runs(&[0])), sized(&runs(&[1])), texts(&["v"])].concat())],
    );
    check(
        &file(1, &map(text("k", OPTIONAL)), &[(1, vec![missing, value])]),
        Err("a key that is null"),
    );
}

#[test]
fn what_json_cannot_express_is_named() {
    let typed = |node| file(1, &[node], &[]);
    check(&typed(leaf("image", BYTES, OPTIONAL, None)), Err("the-file: column image: bytes that"));
    check(&typed(leaf("hash", 7, OPTIONAL, None)), Err("column hash: bytes that"));
    check(&typed(leaf("day", INT32, OPTIONAL, Some(6))), Err("column day: dates"));
    check(&typed(leaf("when", 3, OPTIONAL, None)), Err("column when: dates"));
    let decimal = Struct::default()
        .int(1, INT32)
        .text(4, "price")
        .sub(10, Struct::default().sub(5, Struct::default()));
    check(&typed(decimal), Err("column price: dates, times and decimals"));
    let floats: Vec<u8> = [0.1, f32::NAN].iter().flat_map(|n| n.to_le_bytes()).collect();
    let floats = chunk(FLOAT, 2, vec![page(2, 0, &floats)]);
    let floats = file(1, &[leaf("score", FLOAT, REQUIRED, None)], &[(2, vec![floats])]);
    check(&floats, Err("the-file: row 2: column score: a number that is not finite"));
    let latin = [texts(&["ok"]), sized(b"\xe9")].concat();
    let latin = small_file(chunk(BYTES, 2, vec![page(2, 0, &latin)]));
    check(&latin, Err("the-file: row 2: column input: text that is not UTF-8"));
    let twice = file(2, &[text("a", REQUIRED), text("a", REQUIRED)], &[]);
    check(&twice, Err("two columns of \"\" are called \"a\""));
}

#[test]
fn a_footer_that_lies_is_refused() {
    let whole = small_file(small());
    let lie = |from_end: usize, byte: u8| {
        let mut bytes = whole.clone();
        let at = bytes.len() - from_end;
        bytes[at] = byte;
        bytes
    };
    check(&lie(8, 0xff), Err("its metadata is damaged"));
    check(&lie(5, 0x7f), Err("its metadata is larger than"));
    check(&lie(1, b'E'), Err("it is encrypted"));
    check(&lie(2, b'E'), Err("ends early"));
    let nodes = [text("input", REQUIRED)];
    check(&file_stating(1, &nodes, &[(2, vec![small()])], 3), Err("more rows than it has"));
    check(&file_stating(1, &nodes, &[(2, vec![small()])], 1), Err("fewer rows than it has"));
    check(
        &file_stating(1, &nodes, &[(2, vec![small()])], 1_000_001),
        Err("more than 1000000 rows"),
    );
    check(&file(1, &nodes, &[(3, vec![small()])]), Err("row 3: column input has other rows"));
    check(&file(1, &nodes, &[(1, vec![small()])]), Err("column input has more rows"));
    check(&file(1, &nodes, &[(2, vec![])]), Err("other columns than the schema"));
    check(&file(2, &nodes, &[]), Err("the schema ends early"));
    check(&file(0, &nodes, &[]), Err("the schema goes on"));
    check(&file(0, &[], &[]), Err("is empty"));
}

#[test]
fn a_column_that_lies_is_refused() {
    check(&small_file(Chunk { values: 9, ..small() }), Err("column input ends early"));
    check(&small_file(Chunk { values: 1, ..small() }), Err("column input goes on too long"));
    for (stated, at) in
        [(Some(i64::MAX), None), (Some(-1), None), (None, Some(i64::MAX)), (None, Some(0))]
    {
        let error = read(&small_file(Chunk { stated, at, ..small() })).unwrap_err().to_string();
        assert!(error.contains("not within") || error.contains("damaged"), "{error}");
    }
    check(&small_file(Chunk { stated: Some(5), ..small() }), Err("a page's header is damaged"));
    let short = small().pages.len() as i64 - 1;
    let short = Chunk { stated: Some(short), ..small() };
    check(&small_file(short), Err("a page goes on past its column"));
    check(&small_file(Chunk { codec: 4, ..small() }), Err("compressed with Brotli are not read"));
    let header = chunk(BYTES, 2, vec![b"\x15\x00\x15\x7f".to_vec()]);
    check(&small_file(header), Err("a page's header is damaged"));
}

#[test]
fn a_page_that_lies_is_refused() {
    let of = |pages| small_file(chunk(BYTES, 2, pages));
    check(&of(vec![page(2, 0, &texts(&["a"]))]), Err("row 2: a page ends early"));
    check(&of(vec![page(2, 0, b"\xff\xff\xff\xff")]), Err("row 1: a page ends early"));
    check(&of(vec![page(2, 8, &[1, 4, 0])]), Err("none is there"));
    let two = dictionary(2, &texts(&["a", "b"]));
    check(&of(vec![two.clone(), page(2, 8, &[8, 4, 2])]), Err("points past its dictionary"));
    check(&of(vec![two.clone(), page(2, 8, &[33, 4, 2])]), Err("numbers of 33 bits"));
    check(&of(vec![two.clone(), two]), Err("two dictionaries"));
    check(&of(vec![dictionary(i32::MAX.into(), &texts(&["a"]))]), Err("a page ends early"));
    check(&of(vec![page(2, 99, &[])]), Err("values of encoding 99 are not read"));
    check(&of(vec![page_with(2, 3, 1, "", &texts(&["a", "b"]))]), Err("checksum is of other"));
}

fn sum(bytes: &[u8]) -> i64 {
    super::page::checksum(bytes).cast_signed().into()
}

#[test]
fn the_head_of_a_page_may_be_long() {
    let bytes = texts(&["a\n", "b"]);
    let page = page_with(2, 3, sum(&bytes), &"x".repeat(10_000), &bytes);
    let expected = read(&small_file(small())).unwrap();
    assert_eq!(read(&small_file(chunk(BYTES, 2, vec![page]))).unwrap(), expected);
}

#[test]
fn levels_that_lie_are_refused() {
    let of = |page| file(1, &[text("a", OPTIONAL)], &[(2, vec![chunk(BYTES, 2, vec![page])])]);
    let with = |levels: &[u8]| [sized(&runs(levels)), texts(&["a", "b"])].concat();
    check(&of(page(2, 0, &with(&[1, 1]))), Ok(&[r#"{"a":"a"}"#, r#"{"a":"b"}"#]));
    check(&of(page(2, 0, &with(&[2, 2]))), Err("a level is higher than the schema is deep"));
    let packed = with(&[1, 1]);
    check(
        &of(page_with(2, 4, sum(&packed), "", &packed)),
        Err("levels of an encoding that is not"),
    );
    let bytes = [runs(&[1, 0]), texts(&["a"])].concat();
    check(&of(page_2(2, [0, 4], &bytes)), Ok(&[r#"{"a":"a"}"#, r#"{"a":null}"#]));
    for lengths in [[0, 10], [10, 0], [5, 5], [i32::MAX.into(), i32::MAX.into()]] {
        check(&of(page_2(2, lengths, &bytes)), Err("levels are longer than the page"));
    }
    check(&of(page_2(2, [0, -1], &bytes)), Err("a page's header is damaged"));
}

#[test]
fn differences_that_lie_are_refused() {
    let of = |encoding, bytes: &[u8]| small_file(chunk(BYTES, 2, vec![page(2, encoding, bytes)]));
    check(&of(6, &[0, 0, 2, 0]), Err("blocks of no size"));
    check(&of(6, &[0x80, 1, 3, 2, 0]), Err("blocks of no size"));
    check(&of(6, &[0x80, 1, 1, 2, 0, 0, 65]), Err("too wide"));
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    check(&of(6, &[&[0x80, 1, 1][..], &most, &[0, 0, 0]].concat()), Err("a page ends early"));
    // Two texts of no bytes: a block whose numbers take no bits.
    check(&of(6, &[0x80, 1, 1, 2, 0, 0, 0]), Ok(&[r#"{"input":""}"#; 2]));
    check(&of(7, &[0x80, 1, 1, 2, 2, 0, 0, 0x80, 1, 1, 2, 0, 0, 0]), Err("repeats more than"));
}

#[test]
fn columns_that_disagree_make_no_row() {
    let nodes = [group("s", OPTIONAL, 2, None), text("a", REQUIRED), text("b", REQUIRED)];
    let column = |levels: &[u8], values: &[&str]| {
        chunk(BYTES, 2, vec![page(2, 0, &[sized(&runs(levels)), texts(values)].concat())])
    };
    let of = |a, b| file(1, &nodes, &[(2, vec![a, b])]);
    let whole = of(column(&[1, 0], &["x"]), column(&[1, 0], &["y"]));
    check(&whole, Ok(&[r#"{"s":{"a":"x","b":"y"}}"#, r#"{"s":null}"#]));
    let torn = of(column(&[1, 0], &["x"]), column(&[0, 1], &["y"]));
    check(&torn, Err("row 1: column s.b has other rows than the columns before it"));
    let torn = of(column(&[1, 0], &["x"]), column(&[1, 1], &["y", "z"]));
    check(&torn, Err("row 2: column s.b has other rows"));
    // Lists of three and of two, of as many elements in all.
    let nodes = [group("s", REPEATED, 2, None), text("a", REQUIRED), text("b", REQUIRED)];
    let column = |levels: &[u8]| {
        let levels = [sized(&runs(levels)), sized(&run(4, 1))].concat();
        let texts = texts(&["w", "x", "y", "z"]);
        chunk(BYTES, 4, vec![page(4, 0, &[levels, texts].concat())])
    };
    let of = |a, b| file(1, &nodes, &[(2, vec![column(a), column(b)])]);
    let whole = [
        r#"{"s":[{"a":"w","b":"w"},{"a":"x","b":"x"},{"a":"y","b":"y"}]}"#,
        r#"{"s":[{"a":"z","b":"z"}]}"#,
    ];
    check(&of(&[0, 1, 1, 0], &[0, 1, 1, 0]), Ok(&whole));
    check(&of(&[0, 1, 1, 0], &[0, 1, 0, 1]), Err("row 1: column s.b has other rows"));
    check(&of(&[0, 1, 0, 1], &[0, 1, 1, 0]), Err("row 2: column s.b has other rows"));
    check(&of(&[1, 1, 1, 0], &[0, 1, 1, 0]), Err("row 1: column s.a has other rows"));
}

#[test]
fn a_schema_is_bounded() {
    let deep = |groups: usize| {
        let mut nodes = vec![group("g", REQUIRED, 1, None); groups];
        nodes.push(text("a", REQUIRED));
        file(1, &nodes, &[])
    };
    check(&deep(31), Err("the file is empty"));
    check(&deep(32), Err("more than 32 groups deep"));
    check(&deep(1000), Err("more than 32 groups deep"));
    let names: Vec<_> = (0..1024).map(|n| text(&n.to_string(), REQUIRED)).collect();
    check(&file(1023, &names[1..], &[]), Err("the file is empty"));
    check(&file(1024, &names, &[]), Err("more than 1024 nodes"));
    let named = |length| file(1, &[text(&"n".repeat(length), REQUIRED)], &[]);
    check(&named(512), Err("the file is empty"));
    check(&named(513), Err("the schema has a name of more than 512 bytes"));
}

#[test]
fn pages_without_bytes_are_counted_too() {
    // Row groups of a row each, which all have the same pages: a hundred empty ones and the row's.
    let pages = [vec![page(0, 0, b""); 100], vec![page(1, 0, &texts(&["a"]))]].concat();
    let pages = chunk(BYTES, 1, pages);
    let mut groups = vec![(1, vec![Chunk { at: Some(4), ..pages.clone() }]); 100];
    groups[0].1[0].at = None;
    let bytes = file(1, &[text("input", REQUIRED)], &groups);
    let rows = |limit| {
        let rows = Rows::bounded("the-file".as_ref(), Cursor::new(bytes.clone()), Bytes(limit));
        rows.and_then(|rows| rows.collect::<Result<Vec<_>, _>>()).map(|rows| rows.len())
    };
    let cost = 100 * (101 * 1024 + r#"{"input":"a"}"#.len() as u64);
    assert_eq!(rows(cost).unwrap(), 100);
    let error = rows(cost - 1).unwrap_err().to_string();
    assert!(error.contains("row 100: the file holds more than"), "{error}");
}

#[test]
fn a_page_costs_no_more_than_is_there() {
    const CLAIMED: i64 = i32::MAX as i64;
    let of = |codec, size, stored: &[u8]| {
        small_file(Chunk { codec, ..chunk(BYTES, 2, vec![page_of(2, 0, size, stored)]) })
    };
    for codec in [0, 1, 2, 6] {
        check(&of(codec, CLAIMED, b"x"), Err("more than 268435456 bytes at a time"));
        check(&of(codec, -1, b"x"), Err("header is damaged"));
        check(&of(codec, 100_000, b"xyzxyzxyz"), Err("a page of"));
    }
    // Snappy that claims more than its bytes can hold, and Snappy that holds all they can.
    check(&of(1, 100_000, b"\xa0\x8d\x06\0\0\0"), Err("its 6 bytes cannot be 100000"));
    let zeros = vec![0; 1 << 20];
    let snapped = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    check(&of(1, 1 << 20, &snapped), Ok(&[r#"{"input":""}"#; 2]));
}

#[test]
fn pages_that_were_read_are_let_go() {
    // More than may be held, one after another: two empty texts, and space that nothing reads.
    const SIZE: usize = 32 << 20;
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(&vec![0; SIZE]).unwrap();
    let stored = page_of(2, 0, SIZE as i64, &encoder.finish().unwrap());
    let pages = |count: i64| Chunk {
        codec: 2,
        ..chunk(BYTES, 2 * count, vec![stored.clone(); count as usize])
    };
    let group = |count: i64| (2 * count, vec![pages(count)]);
    for groups in [vec![group(9)], vec![group(1); 9]] {
        let bytes = file(1, &[text("input", REQUIRED)], &groups);
        check(&bytes, Ok(&[r#"{"input":""}"#; 18]));
    }
    // Two columns are held at a time, and are too much.
    let nodes = [text("input", REQUIRED), text("output", REQUIRED)];
    let bytes = file(
        2,
        &nodes,
        &[(2, vec![pages(1), chunk(BYTES, 2, vec![page_of(2, 0, 225 << 20, b"")])])],
    );
    check(&bytes, Err("row 1: its pages want more than 268435456 bytes at a time"));
}

#[test]
fn rows_made_of_little_end_at_the_limit() {
    // Every row points at the same long text.
    let long = "x".repeat(100_000);
    let indices = [vec![1], run(1_000_000, 0)].concat();
    let pages = vec![dictionary(1, &texts(&[&long])), page(1_000_000, 8, &indices)];
    let nodes = [text("input", REQUIRED)];
    let bytes = file(1, &nodes, &[(1_000_000, vec![chunk(BYTES, 1_000_000, pages)])]);
    let limit = Bytes(10_000_000);
    let rows = Rows::bounded("the-file".as_ref(), Cursor::new(bytes), limit).unwrap();
    let mut rows = rows.skip_while(Result::is_ok);
    let error = rows.next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("the-file: row 99: the file holds more than"), "{error}");
}

#[test]
fn a_row_that_never_ends_is_not_held() {
    // A list of 2^31 - 1 empty texts in 40 bytes.
    let count = i64::from(i32::MAX);
    let first = [run(1, 0), run(count.cast_unsigned() - 1, 1)].concat();
    let levels = [sized(&first), sized(&run(count.cast_unsigned(), 1))].concat();
    let indices = [vec![1], run(count.cast_unsigned(), 0)].concat();
    let pages = vec![dictionary(1, &texts(&[""])), page(count, 8, &[levels, indices].concat())];
    let bytes = file(1, &[text("l", REPEATED)], &[(1, vec![chunk(BYTES, count, pages)])]);
    check(&bytes, Err("row 1: longer than 262144 bytes"));
}
