//! Files on disk: bounded reads that look at who else may read, and writes that replace nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::WalletError;

/// A key file has less than a thousand bytes.
pub(super) const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Its owner alone: it holds a secret.
    Owner,
    /// Anybody.
    Anybody,
}

/// Reads a whole file of at most [`FILE_BYTES_MAX`].
///
/// Links are followed: secrets are mounted as links in places. What is looked at is what was
/// opened, so that nobody puts something else in between.
pub(super) fn read(path: &Path, reader: Reader) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let file = open(path).map_err(WalletError::io("open", path))?;
    let metadata = file.metadata().map_err(WalletError::io("look at", path))?;
    if !metadata.is_file() {
        return Err(WalletError::NotAFile(path.to_owned()));
    }
    if reader == Reader::Owner && others_may(&metadata) {
        return Err(WalletError::Open(path.to_owned()));
    }
    // All at once: a buffer that grows leaves copies behind.
    let capacity = usize::try_from(FILE_BYTES_MAX + 1).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(WalletError::io("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(WalletError::TooLarge { path: path.to_owned(), limit: FILE_BYTES_MAX });
    }
    Ok(bytes)
}

/// Opens without waiting, which a pipe would make one do.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn others_may(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may(_: &std::fs::Metadata) -> bool {
    false
}

/// Whether something has this name, be it a link that leads nowhere.
pub(super) fn is_taken(path: &Path) -> Result<bool, WalletError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WalletError::io("look at", path)(error)),
    }
}

/// Writes a file that only its owner may read, in a folder that exists: first beside its place,
/// then there in one step, then synced.
///
/// Fails where something has that name.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let folder = parent(path);
    let mut file = private_file(folder)?;
    file.write_all(bytes).map_err(WalletError::io("write", file.path()))?;
    file.as_file().sync_all().map_err(WalletError::io("sync", file.path()))?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => WalletError::Exists(path.to_owned()),
        _ => WalletError::io("create", path)(error.error),
    })?;
    sync_folder(folder)
}

fn private_file(folder: &Path) -> Result<tempfile::NamedTempFile, WalletError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o600));
    }
    builder.tempfile_in(folder).map_err(WalletError::io("create a file in", folder))
}

/// Creates a folder that only its owner may enter, with those above it that are missing.
pub(super) fn create_folder(folder: &Path) -> Result<(), WalletError> {
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .map(Path::to_owned)
        .collect();
    private_folder(folder).map_err(WalletError::io("create folder", folder))?;
    missing.iter().try_for_each(|made| sync_folder(parent(made)))
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn parent(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Without this a power cut may take back a name although the file's bytes are on disk.
fn sync_folder(folder: &Path) -> Result<(), WalletError> {
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(WalletError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_neither_replaced_nor_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"mine").unwrap();
        let error = create(&path, b"other").unwrap_err();
        assert!(matches!(&error, WalletError::Exists(exists) if *exists == path), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
