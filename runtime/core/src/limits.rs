//! Every limit on data that crosses a trust boundary: unit, reason, and what happens at it.
//!
//! A spec may be stricter than these, never laxer.

use crate::units::{Bytes, Fuel};

/// A dataset file. Larger files are refused before they are read, so that a host never holds more
/// than this of a stranger's bytes. Bad input naming the file.
pub const DATASET_BYTES_MAX: Bytes = Bytes(64 * 1024 * 1024);

/// One line of a dataset. A longer line is refused with its row number without being buffered
/// whole.
pub const LINE_BYTES_MAX: Bytes = Bytes(256 * 1024);

/// Rows of a dataset. More are refused while splitting, before any kernel runs.
pub const ROWS_MAX: u32 = 1_000_000;

/// Bytes that a dataset file being checked may hold once decompressed; of a Parquet file its pages
/// and the rows made of them both count. Room for [`ROWS_MAX`] rows of 4 KiB, and a bomb costs a
/// minute, not a night. A file that goes on past it is refused there.
pub const CHECKED_BYTES_MAX: Bytes = Bytes(4 * 1024 * 1024 * 1024);

/// The window of a zstd frame, which is held whole while the frame is read: the most that the zstd
/// tool takes without being asked to. A frame that wants more is refused as bad input.
pub const ZSTD_WINDOW_BYTES_MAX: Bytes = Bytes(128 * 1024 * 1024);

/// The metadata at the end of a Parquet file, which is held whole. Writers make some hundred bytes
/// for each column of each row group. A larger one is refused before it is read.
pub const PARQUET_FOOTER_BYTES_MAX: Bytes = Bytes(16 * 1024 * 1024);

/// Decompressed pages of a Parquet file held at a time: of every column its dictionary and one
/// page. Most writers make pages of a mebibyte, some of up to a hundred million bytes. However
/// large a row group is, no more of it is held. A page that would pass this is refused before it is
/// decompressed.
pub const PARQUET_PAGES_BYTES_MAX: Bytes = Bytes(256 * 1024 * 1024);

/// What each page of a Parquet file counts for at least, however few bytes it has: a file of empty
/// pages is as much work as one of small ones. [`CHECKED_BYTES_MAX`] is thus some four million.
pub const PARQUET_PAGE_COST: Bytes = Bytes(1024);

/// A name in a Parquet file's schema, in bytes. Names of columns hold those of the groups around
/// them, so longer ones would cost their length many times. A file with one is refused before its
/// rows are read.
pub const PARQUET_NAME_BYTES_MAX: usize = 512;

/// Nodes of a Parquet file's schema. A file with more is refused before its rows are read.
pub const PARQUET_NODES_MAX: usize = 1024;

/// Groups around a column in a Parquet file's schema. A deeper one is refused, so that walking a
/// row cannot exhaust the stack.
pub const PARQUET_DEPTH_MAX: usize = 32;

/// Faulty rows kept in a check report. Further ones are counted, not kept, so that a hostile file
/// cannot grow the report beyond a few hundred kilobytes.
pub const REPORTED_FAULTS_MAX: usize = 100;

/// A `spec.toml`, a `spec.lock`, or a file that a spec names, but for an index. Larger files are
/// refused as bad input.
pub const SPEC_BYTES_MAX: Bytes = Bytes(256 * 1024);

/// An index of known documents, which is copied into each kernel call beside the texts. A larger
/// one is refused as bad input.
pub const INDEX_BYTES_MAX: Bytes = Bytes(48 * 1024 * 1024);

/// A benchmark file. Larger files are refused as bad input.
pub const BENCHMARK_BYTES_MAX: Bytes = Bytes(64 * 1024 * 1024);

/// Candidates of one benchmark row: enough for any multiple-choice set, few enough that scoring one
/// row is bounded.
pub const CANDIDATES_MAX: usize = 64;

/// A score proof on disk. One million steps fit; a larger file is refused before decoding.
pub const PROOF_BYTES_MAX: Bytes = Bytes(128 * 1024 * 1024);

/// A file that shows one part of a proof: an outline, a path, and at most a row of the dataset or
/// the benchmark. A larger one is refused before decoding.
pub const DISCLOSURE_BYTES_MAX: Bytes = Bytes(1024 * 1024);

/// Training steps of one run. A spec whose largest dataset would take more is refused.
pub const STEPS_MAX: u32 = 1_000_000;

/// Passes over a warm-up file. A spec that asks for more is refused: each pass pairs the rows anew
/// and is held whole. With [`SPEC_BYTES_MAX`] it also keeps a warm-up below [`STEPS_MAX`].
pub const WARM_EPOCHS_MAX: u32 = 64;

/// Tokens of one training batch, padding included. A spec that asks for more is refused: exact
/// weight gradients sum over all of them, and activations grow with them.
pub const BATCH_TOKENS_MAX: u64 = 1 << 20;

/// Elements of one parameter. A spec whose model has a larger one is refused: the gradient norm
/// sums over all of them, and an exact sum has at most 2^29 terms.
pub const PARAMETER_ELEMENTS_MAX: u64 = 1 << 29;

/// Blocks of a model. A spec whose model has more is refused: its parameters are listed before any
/// of them is looked for in a file, so their number must not be for the spec alone to say.
pub const LAYERS_MAX: u32 = 1024;

/// Tokens of one training row or one benchmark candidate with its prompt.
pub const SEQUENCE_TOKENS_MAX: u32 = 8_192;

/// Bits that a spec may let the operands of its products keep. Wider ones would not fit an f64 even
/// for short contractions; 20 lets all contractions of up to 2,048 terms share one snapped copy of
/// each operand; up to 14 fit 16-bit integers.
pub const OPERAND_BITS: std::ops::RangeInclusive<u32> = 8..=22;

/// Memory that a spec may grant a kernel call; up to sixteen are made at a time. A spec that grants
/// more is refused.
pub const KERNEL_MEMORY_BYTES_MAX: Bytes = Bytes(1024 * 1024 * 1024);

/// Fuel that a spec may grant a kernel call, and for each of its rows: some minutes. A spec that
/// grants more is refused.
pub const KERNEL_FUEL_MAX: Fuel = Fuel(200_000_000_000);

/// Rows whose variety is measured, in one call of a kernel: of a larger dataset a sample. A spec
/// with a rule about variety that takes more rows is refused, so that no row escapes the rule.
pub const VARIETY_ROWS_MAX: u32 = 2_000;

/// Pieces of the template that a spec puts around the fields of a row.
pub const TEMPLATE_PIECES_MAX: usize = 64;

/// A file with a market's rules. A larger one is refused before it is parsed.
pub const RULES_BYTES_MAX: Bytes = Bytes(256 * 1024);

/// One line of an epoch's events: many times the longest event. A longer line is refused with its
/// number without being buffered whole.
pub const EVENT_LINE_BYTES_MAX: Bytes = Bytes(64 * 1024);

/// An epoch's events on disk, which are read line by line: room for some ten million. A longer file
/// is refused where it goes on past it.
pub const EVENTS_BYTES_MAX: Bytes = Bytes(4 * 1024 * 1024 * 1024);

/// Events of one epoch, which are held whole: some 4 GiB. Ten thousand miners with a hundred
/// validators each are four million. A file with more is refused at the line that is one too many.
pub const EVENTS_MAX: usize = 1 << 24;

/// A ledger or a report on disk, which is held whole. A larger one is refused before it is parsed.
pub const LEDGER_BYTES_MAX: Bytes = Bytes(1024 * 1024 * 1024);
