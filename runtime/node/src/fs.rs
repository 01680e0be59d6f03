//! The ways this project touches files: read with a limit, write all or nothing.
//!
//! A reader of a file written here sees the old bytes or the new ones, never a part, whatever
//! process dies when.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dataforge_core::hash::{FileDigest, FileHasher};
use dataforge_core::units::Bytes;
use tempfile::NamedTempFile;

/// A file could not be read or written. Always names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is larger than anything this reader accepts.
    #[error("{} is larger than the {} bytes allowed", path.display(), limit.0)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: Bytes,
    },
}

impl FileError {
    /// Names the file in an [`io::Error`]; for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`FileError::TooLarge`] after reading one byte more than the limit; [`FileError::Io`] otherwise.
pub fn read_bounded(path: &Path, limit: Bytes) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let expected = file.metadata().map_or(0, |metadata| metadata.len()).min(limit.0);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    file.take(limit.0.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit.0 {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// SHA-256 of a whole file of at most `limit` bytes, in constant memory.
///
/// # Errors
/// As [`read_bounded`].
pub(crate) fn digest_bounded(path: &Path, limit: Bytes) -> Result<FileDigest, FileError> {
    /// Large enough that system calls cost nothing beside hashing.
    const PIECE_BYTES: usize = 1 << 18;
    let mut file = File::open(path).map_err(FileError::io("open", path))?;
    let (mut hasher, mut piece) = (FileHasher::default(), vec![0; PIECE_BYTES]);
    let mut left = limit.0;
    loop {
        let length = file.read(&mut piece).map_err(FileError::io("read", path))?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        let too_large = || FileError::TooLarge { path: path.to_owned(), limit };
        left = left.checked_sub(length as u64).ok_or_else(too_large)?;
        hasher.update(&piece[..length]);
    }
}

/// Writes `bytes` to `path`, replacing what is there in one step: a temporary file in the same
/// folder (created when missing), synced, then renamed.
///
/// # Errors
/// [`FileError::Io`]; the file at `path` is then what it was before.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let file = write_beside(path, bytes)?;
    file.as_file().sync_all().map_err(FileError::io("sync", file.path()))?;
    file.persist(path).map_err(|error| FileError::io("replace", path)(error.error))?;
    sync_folder(folder_of(path))
}

/// As [`write_atomic`], but what is there after a power cut may be anything. For what its reader
/// compares with a digest and can do without: syncing takes longer than writing.
///
/// # Errors
/// [`FileError::Io`]; the file at `path` is then what it was before.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let file = write_beside(path, bytes)?;
    file.persist(path).map_err(|error| FileError::io("replace", path)(error.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A temporary file with `bytes` in the folder of `path`, which is created when missing.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, FileError> {
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".partial-")
        .tempfile_in(folder)
        .map_err(FileError::io("create a temporary file in", folder))?;
    file.write_all(bytes).map_err(FileError::io("write", file.path()))?;
    Ok(file)
}

/// Creates a folder and its parents; fine when it exists.
pub(crate) fn create_folder(folder: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(folder).map_err(FileError::io("create folder", folder))
}

/// Without this a power cut may undo the rename although the file's bytes are on disk.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(FileError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_whole_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path, Bytes(3)).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        let error = write_atomic(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_larger_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        write_atomic(&path, b"four").unwrap();
        let digest = digest_bounded(&path, Bytes(4)).unwrap();
        assert_eq!(digest, dataforge_core::hash::file_digest(b"four"));
        let read = read_bounded(&path, Bytes(3)).unwrap_err();
        let digested = digest_bounded(&path, Bytes(3)).unwrap_err();
        for error in [read, digested] {
            assert!(matches!(error, FileError::TooLarge { .. }));
            assert!(error.to_string().contains("big"), "{error}");
        }
    }
}
