//! The content-addressed cache: `objects/<sha256>` under the home, filled from the lock.
//!
//! An object is trusted by hashing it, never by being there. Two processes may fetch at once: one
//! works while the other waits for the lock file and then finds the objects.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataforge_core::hash::{FileDigest, file_digest};
use dataforge_core::units::Bytes;

use super::lock::{Artifact, ArtifactLock, Source, Wheel};
use super::{ArtifactError, FetchEvent, FetchObserver, Found, Pip, Platform, wheel};
use crate::Home;
use crate::fs::{FileError, create_folder, digest_bounded, read_bounded, write_atomic};

/// ONNX Runtime's own convention for a library of the user's choice.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The artifact that [`LIBRARY_VARIABLE`] stands in for.
pub(super) const LIBRARY: &str = "onnxruntime";

/// How often a process that waits for another one's fetch looks again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Pinned files, cached under a [`Home`].
#[derive(Debug, Clone)]
pub struct Artifacts {
    home: PathBuf,
    lock: ArtifactLock,
    platform: Option<Platform>,
    library: Option<PathBuf>,
    pip: Pip,
}

/// Whether an artifact can be used right away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactState {
    /// In the cache, verified.
    Present,
    /// Not fetched.
    Missing,
    /// In the cache, with other bytes than the pinned ones.
    Corrupt,
    /// For another machine than this one.
    OtherPlatform,
    /// Replaced by a file that the environment names; not verified.
    Overridden,
}

/// One wheel and what is wanted from it: artifacts with their paths inside it.
struct Download<'a> {
    wheel: &'a Wheel,
    members: Vec<(&'a Artifact, &'a str)>,
}

/// One line of an overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactStatus {
    /// The artifact's name.
    pub name: String,
    /// The machine it is for; `None` for every machine.
    pub platform: Option<Platform>,
    /// Its pinned SHA-256.
    pub digest: FileDigest,
    /// Its pinned size.
    pub size: Bytes,
    /// Whether it can be used.
    pub state: ArtifactState,
}

impl Artifacts {
    /// The cache under `home`, with what `lock` pins for this machine. Reads `ORT_DYLIB_PATH` and
    /// `DATAFORGE_PYTHON`, touches no file.
    #[must_use]
    pub fn new(home: &Home, lock: ArtifactLock) -> Self {
        let library = std::env::var_os(LIBRARY_VARIABLE).filter(|value| !value.is_empty());
        Self {
            home: home.path().to_owned(),
            lock,
            platform: Platform::current(),
            library: library.map(PathBuf::from),
            pip: Pip::default(),
        }
    }

    /// Fetches with this pip.
    #[must_use]
    pub fn with_pip(mut self, pip: Pip) -> Self {
        self.pip = pip;
        self
    }

    /// Uses the file at `library` as `onnxruntime`, or the pinned one, whatever the environment
    /// says.
    #[must_use]
    pub fn with_library(mut self, library: Option<PathBuf>) -> Self {
        self.library = library;
        self
    }

    /// Acts as on a machine of `platform`: to provision another machine, and for tests.
    #[must_use]
    pub fn with_platform(mut self, platform: Option<Platform>) -> Self {
        self.platform = platform;
        self
    }

    /// The folder that the cache lives under.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The lock this cache is filled from.
    #[must_use]
    pub fn lock(&self) -> &ArtifactLock {
        &self.lock
    }

    /// The pinned SHA-256 of an artifact on this machine.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<FileDigest> {
        self.lock.get_for(name, self.platform).map(|artifact| artifact.digest)
    }

    /// The file of an artifact, verified in this call. Never fetches.
    ///
    /// # Errors
    /// [`ArtifactError::Missing`], [`ArtifactError::Corrupt`], or one that says why the name has no
    /// artifact here.
    pub fn path(&self, name: &str) -> Result<PathBuf, ArtifactError> {
        if let Some(library) = self.overridden(name) {
            return library;
        }
        let artifact = self.pinned(name)?;
        self.verify(artifact)?;
        Ok(self.object(artifact))
    }

    /// The bytes of an artifact, verified: exactly those that were hashed. Never fetches.
    ///
    /// # Errors
    /// As [`Artifacts::path`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, ArtifactError> {
        self.load(self.pinned(name)?)
    }

    /// Makes sure that artifacts are in the cache, and returns their files in the order asked for.
    /// Starts pip only for those that are missing or damaged.
    ///
    /// # Errors
    /// The first [`ArtifactError`]. What was fetched before it stays; nothing is half-written.
    pub fn fetch(
        &self,
        names: &[&str],
        observer: &dyn FetchObserver,
    ) -> Result<Vec<PathBuf>, ArtifactError> {
        let mut wanted = Vec::new();
        for name in names {
            if self.overridden(name).transpose()?.is_none() {
                wanted.push(self.pinned(name)?);
            }
        }
        if !self.absent(&wanted)?.is_empty() {
            let _guard = self.lock_cache(names, observer)?;
            // Another process may have fetched them while this one waited.
            self.fill(self.absent(&wanted)?, observer)?;
        }
        names.iter().map(|name| self.path(name)).collect()
    }

    /// Every artifact of every platform, in the order of the lock.
    #[must_use]
    pub fn status(&self) -> Vec<ArtifactStatus> {
        let status = |artifact: &Artifact| ArtifactStatus {
            name: artifact.name.clone(),
            platform: artifact.platform,
            digest: artifact.digest,
            size: artifact.size,
            state: self.state(artifact),
        };
        self.lock.all().map(status).collect()
    }

    fn state(&self, artifact: &Artifact) -> ArtifactState {
        if !artifact.fits(self.platform) {
            return ArtifactState::OtherPlatform;
        }
        if self.overridden(&artifact.name).is_some() {
            return ArtifactState::Overridden;
        }
        match self.verify(artifact) {
            Ok(()) => ArtifactState::Present,
            Err(ArtifactError::Missing { .. }) => ArtifactState::Missing,
            Err(_) => ArtifactState::Corrupt,
        }
    }

    fn overridden(&self, name: &str) -> Option<Result<PathBuf, ArtifactError>> {
        let path = self.library.as_ref().filter(|_| name == LIBRARY)?;
        if path.is_file() {
            return Some(Ok(path.clone()));
        }
        let (name, path) = (name.to_owned(), path.clone());
        Some(Err(ArtifactError::BadOverride { name, variable: LIBRARY_VARIABLE, path }))
    }

    pub(super) fn has_own_library(&self) -> bool {
        self.library.is_some()
    }

    pub(super) fn pinned(&self, name: &str) -> Result<&Artifact, ArtifactError> {
        if let Some(artifact) = self.lock.get_for(name, self.platform) {
            return Ok(artifact);
        }
        let others = self.lock.all().filter(|artifact| artifact.name == name);
        let platforms: Vec<_> = others.filter_map(|artifact| artifact.platform).collect();
        if platforms.is_empty() {
            let known = self.lock.names().collect::<Vec<_>>().join(", ");
            return Err(ArtifactError::Unknown { name: name.to_owned(), known });
        }
        let here = self.platform.map(|platform| platform.to_string());
        let available: Vec<_> = platforms.iter().map(ToString::to_string).collect();
        Err(ArtifactError::UnsupportedPlatform {
            name: name.to_owned(),
            platform: here
                .unwrap_or_else(|| format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)),
            available: available.join(", "),
        })
    }

    fn object(&self, artifact: &Artifact) -> PathBuf {
        self.home.join("objects").join(artifact.digest.to_string())
    }

    /// Checks an object against its pin.
    fn verify(&self, artifact: &Artifact) -> Result<(), ArtifactError> {
        let path = self.sized_object(artifact)?;
        compare(artifact, &path, digest_bounded(&path, artifact.size)?)
    }

    /// Reads an object and checks what was read against its pin.
    fn load(&self, artifact: &Artifact) -> Result<Vec<u8>, ArtifactError> {
        let path = self.sized_object(artifact)?;
        let bytes = read_bounded(&path, artifact.size)?;
        compare(artifact, &path, file_digest(&bytes))?;
        Ok(bytes)
    }

    /// The file of an object that is there and has the pinned size.
    fn sized_object(&self, artifact: &Artifact) -> Result<PathBuf, ArtifactError> {
        let path = self.object(artifact);
        if !path.exists() {
            return Err(ArtifactError::Missing { name: artifact.name.clone(), path });
        }
        let size = std::fs::metadata(&path).map_err(FileError::io("inspect", &path))?.len();
        if size != artifact.size.0 {
            return Err(corrupt(artifact, &path, Found::Size(Bytes(size))));
        }
        Ok(path)
    }

    /// Those of `wanted` that have to be fetched or made, sources of derived ones included.
    fn absent<'a>(&'a self, wanted: &[&'a Artifact]) -> Result<Vec<&'a Artifact>, ArtifactError> {
        let mut absent: Vec<&Artifact> = Vec::new();
        for &artifact in wanted {
            if self.is_present(artifact)? || absent.contains(&artifact) {
                continue;
            }
            if let Source::Derived { from, .. } = &artifact.source {
                let source = self.pinned(from)?;
                if !self.is_present(source)? && !absent.contains(&source) {
                    absent.push(source);
                }
            }
            absent.push(artifact);
        }
        Ok(absent)
    }

    fn is_present(&self, artifact: &Artifact) -> Result<bool, ArtifactError> {
        match self.verify(artifact) {
            Ok(()) => Ok(true),
            Err(ArtifactError::Missing { .. } | ArtifactError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Downloads each wheel once, takes the members out, then computes what is derived.
    fn fill(
        &self,
        absent: Vec<&Artifact>,
        observer: &dyn FetchObserver,
    ) -> Result<(), ArtifactError> {
        let mut wheels: BTreeMap<FileDigest, Download<'_>> = BTreeMap::new();
        let mut derived = Vec::new();
        for artifact in absent {
            match &artifact.source {
                Source::Member { wheel, path } => {
                    let download = wheels
                        .entry(wheel.digest)
                        .or_insert_with(|| Download { wheel, members: Vec::new() });
                    download.members.push((artifact, path));
                }
                Source::Derived { from, by } => derived.push((artifact, from, by)),
            }
        }
        for download in wheels.values() {
            self.fetch_wheel(download, observer)?;
        }
        for (artifact, from, by) in derived {
            let source = self.load(self.pinned(from)?)?;
            let bytes = by.apply(&source).map_err(|reason| ArtifactError::BadSource {
                name: artifact.name.clone(),
                from: from.clone(),
                reason,
            })?;
            self.keep(artifact, &format!("the file derived from {from}"), &bytes, observer)?;
        }
        Ok(())
    }

    fn fetch_wheel(
        &self,
        Download { wheel, members }: &Download<'_>,
        observer: &dyn FetchObserver,
    ) -> Result<(), ArtifactError> {
        let folder = self.downloads();
        create_folder(&folder)?;
        let scratch =
            tempfile::tempdir_in(&folder).map_err(FileError::io("create a folder in", &folder))?;
        let names: Vec<_> = members.iter().map(|(artifact, _)| artifact.name.clone()).collect();
        let file = self.pip.download(wheel, &names, scratch.path(), observer)?;
        for (artifact, path) in members {
            let bytes = wheel::read_member(&file, path, artifact.size).map_err(|reason| {
                let (name, package) = (artifact.name.clone(), wheel.requirement.clone());
                ArtifactError::BadWheel { name, package, reason }
            })?;
            self.keep(artifact, &format!("{path} of {}", wheel.requirement), &bytes, observer)?;
        }
        Ok(())
    }

    /// Puts bytes into the cache if they are the pinned ones. `origin` describes them.
    fn keep(
        &self,
        artifact: &Artifact,
        origin: &str,
        bytes: &[u8],
        observer: &dyn FetchObserver,
    ) -> Result<(), ArtifactError> {
        let found = file_digest(bytes);
        if found != artifact.digest {
            return Err(ArtifactError::HashMismatch {
                names: artifact.name.clone(),
                file: origin.to_owned(),
                expected: artifact.digest,
                found: found.to_string(),
            });
        }
        let path = self.object(artifact);
        write_atomic(&path, bytes)?;
        observer.event(FetchEvent::Done { artifact: &artifact.name, path: &path });
        Ok(())
    }

    fn downloads(&self) -> PathBuf {
        self.home.join("downloads")
    }

    /// Waits until no other process fetches into this home. Released when the file is dropped,
    /// by the system too when the process dies.
    fn lock_cache(
        &self,
        names: &[&str],
        observer: &dyn FetchObserver,
    ) -> Result<File, ArtifactError> {
        create_folder(&self.home)?;
        let path = self.home.join("fetch.lock");
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if observer.cancelled() => {
                    return Err(ArtifactError::Cancelled { names: names.join(" ") });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::io("lock", &path)(error).into());
                }
            }
        }
        // Whatever lies there was left by a process that was killed: the lock is ours.
        remove_leftovers(&self.downloads());
        Ok(file)
    }
}

fn compare(artifact: &Artifact, path: &Path, found: FileDigest) -> Result<(), ArtifactError> {
    if found == artifact.digest {
        return Ok(());
    }
    Err(corrupt(artifact, path, Found::Digest(found)))
}

fn corrupt(artifact: &Artifact, path: &Path, found: Found) -> ArtifactError {
    let (name, path) = (artifact.name.clone(), path.to_owned());
    ArtifactError::Corrupt { name, path, expected: artifact.digest, found }
}

/// Removing is tidiness: a folder that stays costs space, nothing else, so failure is ignored.
fn remove_leftovers(downloads: &Path) {
    let _ = std::fs::remove_dir_all(downloads);
}
