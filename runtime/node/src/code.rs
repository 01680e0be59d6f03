//! Compiled kernels on disk, and the secret that authenticates them.
//!
//! Compiled code is run, so whoever could write here could run code as us. The secret and the code
//! therefore are files that nobody else can read or have put there: on Unix they must belong to
//! this user and be open to nobody else. Elsewhere nothing is kept. Files are never written where
//! they are: another takes their place.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};

use dataforge_core::hash::FileDigest;
use dataforge_core::units::Bytes;
use dataforge_evaluate::{CodeName, CodeSecret, CodeStore};

use crate::fs::{read_bounded, write_atomic, write_unsynced};

/// A compiled kernel. Larger files are taken for damaged.
const CODE_BYTES_MAX: Bytes = Bytes(256 << 20);

/// Compiled kernels that are kept, the ones written last.
const CODES_MAX: usize = 32;

const SECRET_BYTES: usize = size_of::<CodeSecret>();

/// The folder that compiled kernels are in.
#[derive(Debug)]
pub struct KernelCode {
    folder: PathBuf,
}

impl KernelCode {
    /// The store of a home.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self { folder: home.join("code") }
    }

    fn secret_path(&self) -> PathBuf {
        self.folder.join("key")
    }

    fn path(&self, name: &CodeName) -> PathBuf {
        self.folder.join(FileDigest(*name).to_string())
    }

    /// Removes the oldest of more than [`CODES_MAX`].
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let codes = entries.flatten().filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.parse::<FileDigest>().is_ok())
        });
        let mut codes: Vec<_> = codes
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        codes.sort();
        for (_, path) in codes.iter().rev().skip(CODES_MAX) {
            let _ = fs::remove_file(path);
        }
    }

    fn read_secret(&self) -> Option<CodeSecret> {
        let path = self.secret_path();
        let bytes = read_bounded(&path, Bytes(SECRET_BYTES as u64)).ok()?;
        if !path.symlink_metadata().is_ok_and(|file| is_ours_alone(&file)) {
            tracing::warn!("{} is not ours alone: kernels are compiled anew", path.display());
            return None;
        }
        bytes.try_into().ok()
    }

    /// Makes a secret; whoever makes another at the same time has the last word, and what was
    /// authenticated under this one is compiled again.
    fn make_secret(&self) -> Option<CodeSecret> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).ok()?;
        // Open to nobody else, as every temporary file is.
        write_atomic(&self.secret_path(), &secret).ok()?;
        self.read_secret()
    }
}

impl CodeStore for KernelCode {
    fn secret(&self) -> Option<CodeSecret> {
        if self.secret_path().exists() { self.read_secret() } else { self.make_secret() }
    }

    fn open(&self, name: &CodeName) -> Option<File> {
        let file = File::open(self.path(name)).ok()?;
        let about = file.metadata().ok()?;
        (is_ours_alone(&about) && about.len() <= CODE_BYTES_MAX.0).then_some(file)
    }

    fn keep(&self, name: &CodeName, bytes: &[u8]) {
        // Damage by a power cut is found by whoever authenticates it.
        if let Err(error) = write_unsynced(&self.path(name), bytes) {
            tracing::warn!("the next start will be slower: {error}");
        }
        self.prune();
    }
}

#[cfg(unix)]
fn is_ours_alone(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let ours = rustix::process::geteuid().as_raw();
    file.is_file() && file.uid() == ours && file.mode() & 0o077 == 0
}

#[cfg(not(unix))]
fn is_ours_alone(_: &Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_made_once_and_nobody_else_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let store = KernelCode::of(home.path());
        let secret = store.secret().unwrap();
        assert_eq!(store.secret(), Some(secret));
        assert_eq!(fs::metadata(store.secret_path()).unwrap().permissions().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(KernelCode::of(other.path()).secret(), Some(secret));
    }

    #[test]
    fn what_was_kept_last_stays() {
        let home = tempfile::tempdir().unwrap();
        let store = KernelCode::of(home.path());
        store.secret().unwrap();
        for number in 0..=CODES_MAX as u8 {
            store.keep(&[number; 32], &[number]);
        }
        let last = [CODES_MAX as u8; 32];
        assert_eq!(store.open(&last).unwrap().metadata().unwrap().len(), 1);
        // The secret is none of them.
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), CODES_MAX + 1);
        assert!(store.secret().is_some());
    }

    #[test]
    fn code_that_others_may_write_is_not_opened() {
        let home = tempfile::tempdir().unwrap();
        let store = KernelCode::of(home.path());
        store.keep(&[1; 32], b"code");
        assert!(store.open(&[1; 32]).is_some());
        fs::set_permissions(store.path(&[1; 32]), Permissions::from_mode(0o620)).unwrap();
        assert!(store.open(&[1; 32]).is_none());
    }

    #[test]
    fn a_secret_that_others_may_read_or_that_is_a_link_is_none() {
        let home = tempfile::tempdir().unwrap();
        let store = KernelCode::of(home.path());
        store.secret().unwrap();
        fs::set_permissions(store.secret_path(), Permissions::from_mode(0o640)).unwrap();
        assert_eq!(store.secret(), None);
        fs::set_permissions(store.secret_path(), Permissions::from_mode(0o600)).unwrap();
        let moved = home.path().join("moved");
        fs::rename(store.secret_path(), &moved).unwrap();
        std::os::unix::fs::symlink(&moved, store.secret_path()).unwrap();
        assert_eq!(store.secret(), None);
    }
}
