//! The bytes of a dataset file: counted as they are read, decompressed, and bounded once they are.
//!
//! Nothing here knows what a row is. A file that cannot be read is told apart from one whose bytes
//! are wrong, although decoders wrap both in one kind of error: the first marks the [`Tally`].

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dataforge_core::limits::ZSTD_WINDOW_BYTES_MAX;
use dataforge_core::units::Bytes;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::error::Fault;

/// Large enough that system calls cost nothing beside looking at every byte.
const PIECE_BYTES: usize = 1 << 16;

/// What a dataset is read from. Parquet is read from its end.
pub(super) trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// What was read of a source, and whether the source itself failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    read: AtomicU64,
    failed: AtomicBool,
}

impl Tally {
    /// Bytes read so far.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        // A decoder tries again after an interruption.
        let failed = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        if result.as_ref().is_err_and(failed) {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// What an error means that came up through decoders.
    pub(super) fn fault(&self, error: io::Error) -> Fault {
        if self.failed.load(Ordering::Relaxed) {
            Fault::Io(error)
        } else if error.get_ref().is_some_and(|inner| inner.is::<Overflow>()) {
            Fault::TooLarge
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            Fault::malformed("the compressed data ends early")
        } else {
            Fault::malformed(format!("damaged compressed data: {error}"))
        }
    }
}

/// A source that counts into a tally.
pub(super) struct Counted {
    source: Box<dyn Source>,
    tally: Arc<Tally>,
}

impl Counted {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        Self { source, tally: Arc::default() }
    }

    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.tally.watch(self.source.read(buffer))?;
        self.tally.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.tally.watch(self.source.seek(to))
    }
}

/// Reads until `buffer` is full or the input ends; the part that was filled.
pub(super) fn fill<'b>(input: &mut impl Read, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}

/// What a text file is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames, without a dictionary.
    Zstd,
}

impl Compression {
    /// By the file's first bytes.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The bytes that are wrapped in `input`, at most `most` of them.
    pub(super) fn unwrap(
        self,
        input: impl Read + Send + 'static,
        most: Bytes,
    ) -> Box<dyn BufRead + Send> {
        let input = BufReader::with_capacity(PIECE_BYTES, input);
        let inner: Box<dyn Read + Send> = match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(Zstd::new(input)),
        };
        let bounded = Bounded { inner, left: most.0 };
        Box::new(BufReader::with_capacity(PIECE_BYTES, bounded))
    }
}

/// The mark in an [`io::Error`] of an input that goes on past its bound.
#[derive(Debug, thiserror::Error)]
#[error("more bytes than are allowed")]
struct Overflow;

struct Bounded {
    inner: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // With nothing left, one byte tells an end from an overflow.
        let most = usize::try_from(self.left.max(1)).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.inner.read(&mut buffer[..most])?;
        self.left = self.left.checked_sub(length as u64).ok_or(io::Error::other(Overflow))?;
        Ok(length)
    }
}

/// Frames of zstd one after another. Checksums are compared, skippable frames are skipped, and the
/// window is bounded by [`ZSTD_WINDOW_BYTES_MAX`].
pub(super) struct Zstd<R> {
    input: R,
    /// The frame being read.
    frame: Option<FrameDecoder>,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, frame: None }
    }

    /// Goes to the start of the next frame's blocks; none at the end of the input.
    fn open(&mut self) -> io::Result<Option<FrameDecoder>> {
        while !self.input.fill_buf()?.is_empty() {
            // A decoder used again would reserve the window that a frame claims.
            let mut frame = FrameDecoder::new();
            frame.set_max_window_size(ZSTD_WINDOW_BYTES_MAX.0);
            match frame.init(&mut self.input) {
                Ok(()) => return Ok(Some(frame)),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = self.input.by_ref().take(length.into());
                    if io::copy(&mut skipped, &mut io::sink())? < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(plain(error)),
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(frame) = &mut self.frame else {
                self.frame = self.open()?;
                if self.frame.is_none() {
                    return Ok(0);
                }
                continue;
            };
            while frame.can_collect() == 0 && !frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                frame.decode_blocks(&mut self.input, one).map_err(plain)?;
            }
            let length = frame.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            let stated = frame.get_checksum_from_data();
            if stated.is_some() && stated != frame.get_calculated_checksum() {
                return Err(io::Error::other("the checksum is of other bytes"));
            }
            self.frame = None;
        }
    }
}

/// A decoder's error in few words: an early end is one, however deep it was met.
fn plain(error: FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref::<io::Error>() {
            return io::Error::new(inner.kind(), inner.to_string());
        }
        cause = inner.source();
    }
    io::Error::other(error.to_string())
}
