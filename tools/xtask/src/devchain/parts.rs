//! What a part of the chain is made of, as one digest, and whether it is made of that already.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Collects what a part is made of.
pub(super) struct Digester(Sha256);

impl Digester {
    /// Of a part whose way of being made has this name, which changes with it.
    pub(super) fn new(recipe: &str) -> Self {
        let mut digester = Self(Sha256::new());
        digester.bytes(recipe.as_bytes());
        digester
    }

    /// Behind their length, so that nothing moves from one to the next unseen.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// A file, or every file of a folder, with its name.
    pub(super) fn path(&mut self, path: &Path) -> Result<()> {
        let mut waiting = vec![path.to_path_buf()];
        let mut files = Vec::new();
        while let Some(path) = waiting.pop() {
            if !path.is_dir() {
                files.push(path);
                continue;
            }
            let entries = fs::read_dir(&path);
            for entry in entries.with_context(|| format!("cannot list {}", path.display()))? {
                waiting.push(entry?.path());
            }
        }
        files.retain(|path| !is_test(path));
        files.sort();
        for file in files {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            let text = fs::read(&file);
            self.bytes(name.as_bytes());
            self.bytes(&text.with_context(|| format!("cannot read {}", file.display()))?);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// Tests are in no runtime.
fn is_test(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new("tests.rs"))
}

/// A part that was made, with the digest of what it was made of beside it.
pub(super) struct Part {
    stamp: PathBuf,
    digest: String,
}

impl Part {
    /// The part whose stamp lies there.
    pub(super) fn new(stamp: PathBuf, digest: String) -> Self {
        Self { stamp, digest }
    }

    /// Makes it, unless it is made of the same already.
    pub(super) fn make(&self, make: impl FnOnce() -> Result<()>) -> Result<()> {
        if fs::read_to_string(&self.stamp).is_ok_and(|made| made == self.digest) {
            return Ok(());
        }
        // A failure half way must not pass for what was there before.
        let _ = fs::remove_file(&self.stamp);
        make()?;
        fs::write(&self.stamp, &self.digest)
            .with_context(|| format!("cannot write {}", self.stamp.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(folder: &Path) -> String {
        let mut digester = Digester::new("a");
        digester.path(folder).unwrap();
        digester.finish()
    }

    #[test]
    fn a_part_is_made_again_only_of_something_else() {
        let folder = std::env::temp_dir().join(format!("dataforge-parts-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "one").unwrap();
        let stamp = std::env::temp_dir().join(format!("dataforge-stamp-{}", std::process::id()));
        let made = || {
            let mut made = false;
            let part = Part::new(stamp.clone(), digest(&folder));
            part.make(|| {
                made = true;
                Ok(())
            })
            .unwrap();
            made
        };
        assert_eq!([made(), made()], [true, false]);
        fs::write(folder.join("src/tests.rs"), "a test").unwrap();
        assert!(!made());
        fs::write(folder.join("src/lib.rs"), "two").unwrap();
        assert!(made());
        let failing = Part::new(stamp.clone(), "other".to_owned());
        assert!(failing.make(|| anyhow::bail!("no")).is_err());
        assert!(made(), "what failed has left the old stamp");
        fs::remove_dir_all(folder).unwrap();
        fs::remove_file(stamp).unwrap();
    }
}
