//! Any bytes as a dataset and as a benchmark: lines keep their bytes and their places, and a line
//! means to the schema kernel what it means to everyone, or nothing.
//!
//! The kernel's reader of JSON is compiled from its own file. The rest of the kernel is not: it
//! answers through glue that only a WebAssembly host can call.
#![no_main]

use std::num::NonZeroU32;
use std::path::Path;

use dataforge_core::benchmark::{Benchmark, benchmark_root};
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{EpochSeed, file_digest};
use dataforge_core::limits::{CANDIDATES_MAX, ROWS_MAX};
use dataforge_core::spec::BenchmarkCommitment;
use dataforge_node::benchmarks::parse_rows;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../../guest-kernels/schema/src/json.rs"]
mod json;
#[expect(unreachable_pub, reason = "a file of the kernels' SDK, where it is public")]
#[path = "../../guest-kernels/sdk/src/message.rs"]
mod message;

// The reader takes `bounded` from the SDK, whose other half is glue.
extern crate self as dataforge_kernel_sdk;
pub(crate) use message::bounded;

/// What `serde_json` itself takes for a command, where other crates have it keep raw text.
const COMMAND: &str = "private::RawValue";

fuzz_target!(|bytes: &[u8]| {
    dataset(bytes);
    benchmark(bytes);
});

fn dataset(bytes: &[u8]) {
    let Ok(raw) = RawSubmission::split(bytes) else { return };
    let lines = raw.lines();
    assert!((1..=ROWS_MAX as usize).contains(&lines.len()));
    assert!(lines.iter().all(|line| !line.contains(&b'\n')));
    // All that is not in a line is its end.
    let rest = lines.iter().fold(bytes, |rest, line| {
        let rest = rest.strip_prefix(*line).expect("a line is in its place");
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest.strip_prefix(b"\n").unwrap_or(rest)
    });
    assert_eq!(rest, b"");
    // The digest is of the lines, however they end.
    let ended: Vec<u8> = lines.iter().flat_map(|line| [*line, b"\r\n"].concat()).collect();
    let again = RawSubmission::split(&ended).expect("the same lines");
    assert_eq!((again.lines(), again.digest()), (lines, raw.digest()));

    let tree = raw.tree();
    let last = lines.len() - 1;
    let opening = tree.opening(last as u32).expect("the last line is there");
    assert!(opening.shows(lines[last], &tree.list_root()));

    let texts = lines.iter().filter_map(|line| std::str::from_utf8(line).ok());
    texts.filter(|text| !text.contains(COMMAND)).for_each(read);
}

/// The kernel reads a text as `serde_json` does, unless a name is repeated.
fn read(text: &str) {
    let usual = serde_json::from_str::<Value>(text);
    match json::parse(text) {
        Ok(value) => assert_eq!(Some(value), usual.ok()),
        Err(reason) => {
            assert!(usual.is_err() || reason.contains("repeated member name"), "{reason}");
            let said = bounded(reason);
            assert!(said.len() <= message::MESSAGE_BYTES_MAX && !said.contains(char::is_control));
        }
    }
}

fn benchmark(bytes: &[u8]) {
    let path = Path::new("");
    let Ok(rows) = parse_rows(path, bytes) else { return };
    let lines = rows.iter().map(|row| serde_json::to_string(row).expect("strings and a number"));
    let written = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(parse_rows(path, written.as_bytes()).expect("what was written"), rows);

    let count = |count: usize| NonZeroU32::new(u32::try_from(count).ok()?);
    let candidates = rows.first().map_or(0, |row| row.candidates.len());
    let (Some(count), Some(candidates)) = (count(rows.len()), count(candidates)) else { return };
    let root = benchmark_root(&rows);
    // About half of the rows, by a seed that the bytes make.
    let drawn = NonZeroU32::new(count.get().div_ceil(2));
    let commitment = BenchmarkCommitment { root, rows: count, drawn, candidates, public_set: None };
    if let Ok(benchmark) = Benchmark::open(rows, &commitment) {
        let places = benchmark.places(&EpochSeed(file_digest(bytes).0));
        assert_eq!(places.len(), commitment.measured().get() as usize);
        assert!(places.is_sorted_by(|a, b| a < b) && places.last() < Some(&benchmark.rows().len()));
        for row in benchmark.rows() {
            assert!(row.candidates.len() <= CANDIDATES_MAX);
            assert!(row.candidates.get(row.answer as usize).is_some());
        }
    }
}
