//! Takes one file out of a wheel, reading no more than was pinned.
//!
//! A wheel is a zip. The size its directory declares is not believed: a member is read until one
//! byte more than the pin, whatever a bomb would expand to.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use dataforge_core::units::Bytes;
use zip::ZipArchive;
use zip::result::ZipError;

/// Reads `member` of the wheel at `path`, which must expand to exactly `size` bytes.
///
/// # Errors
/// What is wrong with the wheel, as the end of a sentence that begins with its name.
pub(super) fn read_member(path: &Path, member: &str, size: Bytes) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened ({error})"))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| format!("is not a readable zip ({error})"))?;
    let entry = archive.by_name(member).map_err(|error| match error {
        ZipError::FileNotFound => format!("has no member {member}"),
        other => format!("has an unreadable member {member} ({other})"),
    })?;
    let bytes = read_until_past(entry, size)
        .map_err(|error| format!("has a damaged member {member} ({error})"))?;
    let found = bytes.len() as u64;
    if found > size.0 {
        return Err(format!("has a member {member} larger than the {} bytes pinned", size.0));
    }
    if found < size.0 {
        return Err(format!("has a member {member} of {found} bytes, pinned are {}", size.0));
    }
    Ok(bytes)
}

/// All of `reader`, or its first bytes and one more than `size` when it holds more.
fn read_until_past(reader: impl Read, size: Bytes) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(size.0.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MEMBER: &str = "package/data.bin";

    fn wheel(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        zip.start_file(MEMBER, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap();
        file
    }

    fn refused(file: &Path, member: &str, size: u64, message: &str) {
        let error = read_member(file, member, Bytes(size)).unwrap_err();
        assert!(error.contains(message), "{error:?} lacks {message:?}");
    }

    #[test]
    fn a_member_of_the_pinned_size_is_read() {
        assert_eq!(read_member(wheel(b"four").path(), MEMBER, Bytes(4)).unwrap(), b"four");
    }

    #[test]
    fn a_missing_member_is_named() {
        refused(wheel(b"four").path(), "package/other", 4, "no member package/other");
    }

    #[test]
    fn a_bomb_is_cut_off_at_the_pin() {
        // 64 MiB of zeros deflate to some 64 kB.
        let bomb = wheel(&vec![0; 64 << 20]);
        assert!(bomb.path().metadata().unwrap().len() < 1 << 20);
        refused(bomb.path(), MEMBER, 100, "larger than the 100 bytes pinned");
    }

    #[test]
    fn no_more_is_read_than_tells_that_it_is_too_much() {
        struct Bomb(u64);
        impl Read for Bomb {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += buffer.len() as u64;
                assert!(self.0 <= 1001, "read {} bytes of a bomb", self.0);
                Ok(buffer.len())
            }
        }
        assert_eq!(read_until_past(Bomb(0), Bytes(1000)).unwrap().len(), 1001);
    }

    #[test]
    fn a_short_or_damaged_member_is_refused() {
        refused(wheel(b"four").path(), MEMBER, 5, "of 4 bytes, pinned are 5");
        let file = wheel(&[7; 4096]);
        let mut bytes = std::fs::read(file.path()).unwrap();
        let at = bytes.windows(MEMBER.len()).position(|part| part == MEMBER.as_bytes()).unwrap();
        bytes[at + MEMBER.len()] ^= 0xff;
        std::fs::write(file.path(), &bytes).unwrap();
        refused(file.path(), MEMBER, 4096, "damaged member");
        std::fs::write(file.path(), b"not a zip").unwrap();
        refused(file.path(), MEMBER, 4, "not a readable zip");
    }
}
