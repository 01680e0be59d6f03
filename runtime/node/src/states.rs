//! The state store: checkpoints of training runs on disk.
//!
//! `tensors/` holds elements by tensor hash, so that equal tensors are stored once; `runs/RUN/`
//! holds one manifest per checkpoint, named after the number of steps taken. A manifest is written
//! after its tensors, so a killed process leaves none that lacks one. What is read is compared with
//! its hashes, and what a power cut spoilt is passed over. `finished/RUN` marks a run whose proof
//! was written. When the store outgrows its budget, the checkpoints that were written first go
//! first, and the tensors that no manifest names any more.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use dataforge_core::codec;
use dataforge_core::hash::{RunId, file_digest};
use dataforge_core::merkle::NodeHash;
use dataforge_core::state::{Checkpoint, Manifest, SavedTensor};
use dataforge_core::units::Bytes;

use crate::fs::{FileError, create_folder, read_bounded, write_unsynced};

/// A manifest of a run of a million steps.
const MANIFEST_BYTES_MAX: Bytes = Bytes(64 << 20);

/// A tensor of 2^29 elements, the largest that a spec may have.
const TENSOR_BYTES_MAX: Bytes = Bytes(2 << 30);

/// Bytes of the digest that a manifest begins with.
const DIGEST_BYTES: usize = 32;

/// Checkpoints of runs, in a folder, up to a budget.
#[derive(Debug)]
pub struct StateStore {
    folder: PathBuf,
    budget: Bytes,
    /// Least time between two checkpoints of a run that is under way.
    interval: Duration,
    kept_last: Cell<Instant>,
}

/// A manifest on disk.
struct Entry {
    written: SystemTime,
    path: PathBuf,
}

impl StateStore {
    /// The store in a folder, this machine's own or one that a prover handed over. A budget of 0
    /// keeps nothing new.
    #[must_use]
    pub fn new(folder: PathBuf, budget: Bytes, interval: Duration) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "when to keep a checkpoint changes no result"
        )]
        let kept_last = Cell::new(Instant::now());
        Self { folder, budget, interval, kept_last }
    }

    /// Whether a checkpoint is wanted now; `last` is after a run's last step.
    #[must_use]
    pub fn is_due(&self, last: bool) -> bool {
        self.budget.0 > 0 && (last || self.kept_last.get().elapsed() >= self.interval)
    }

    /// Keeps a checkpoint, then prunes.
    ///
    /// # Errors
    /// [`FileError`]; the checkpoint is then not there, and all others are.
    pub fn keep(&self, run: &RunId, checkpoint: &Checkpoint) -> Result<(), FileError> {
        let _lock = self.lock()?;
        let manifest = checkpoint.manifest();
        for (tensor, (_, _, hash)) in checkpoint.tensors.iter().zip(&manifest.tensors) {
            let path = self.tensor(hash);
            let size = path.metadata().map(|metadata| metadata.len()).ok();
            if size != Some(tensor.elements.len() as u64) {
                write_unsynced(&path, &tensor.elements)?;
            }
        }
        let body = codec::encode(&manifest);
        let path = self.manifest_path(run, checkpoint.taken());
        write_unsynced(&path, &[&file_digest(&body).0[..], &body].concat())?;
        #[expect(
            clippy::disallowed_methods,
            reason = "when to keep a checkpoint changes no result"
        )]
        self.kept_last.set(Instant::now());
        self.prune(&path)
    }

    /// The last whole checkpoint of a run after at most `taken` steps.
    #[must_use]
    pub fn latest(&self, run: &RunId, taken: u32) -> Option<Checkpoint> {
        let names = fs::read_dir(self.run(run)).ok()?;
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
        let mut numbers: Vec<u32> =
            names.flatten().filter_map(number).filter(|number| *number <= taken).collect();
        numbers.sort_unstable();
        numbers.into_iter().rev().find_map(|number| self.read(run, number))
    }

    /// What the checkpoint of a run after so many steps consists of; its tensors are not read.
    #[must_use]
    pub fn manifest(&self, run: &RunId, taken: u32) -> Option<Manifest> {
        let manifest = read_manifest(&self.manifest_path(run, taken))?;
        (u32::try_from(manifest.steps.len()) == Ok(taken)).then_some(manifest)
    }

    /// The last whole checkpoint of a run that was not finished.
    #[must_use]
    pub fn unfinished(&self, run: &RunId) -> Option<Checkpoint> {
        if self.finished(run).exists() { None } else { self.latest(run, u32::MAX) }
    }

    /// Marks a run of which there are checkpoints as finished.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn finish(&self, run: &RunId) -> Result<(), FileError> {
        if !self.run(run).is_dir() {
            return Ok(());
        }
        write_unsynced(&self.finished(run), &[])
    }

    fn read(&self, run: &RunId, taken: u32) -> Option<Checkpoint> {
        let manifest = self.manifest(run, taken)?;
        let mut tensors = Vec::with_capacity(manifest.tensors.len());
        for (name, dims, hash) in &manifest.tensors {
            let elements = read_bounded(&self.tensor(hash), TENSOR_BYTES_MAX).ok()?;
            let tensor = SavedTensor { name: name.clone(), dims: dims.clone(), elements };
            if tensor.hash() != *hash {
                tracing::warn!("{} is damaged and passed over", self.tensor(hash).display());
                return None;
            }
            tensors.push(tensor);
        }
        Some(Checkpoint { steps: manifest.steps, tensors })
    }

    /// Removes the oldest manifests but `newest`, then unused tensors, until the budget holds.
    fn prune(&self, newest: &Path) -> Result<(), FileError> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| (entry.written, entry.path.clone()));
        let mut oldest = entries.into_iter().filter(|entry| entry.path != newest);
        while self.size()? > self.budget.0 {
            let Some(entry) = oldest.next() else { break };
            fs::remove_file(&entry.path).map_err(FileError::io("remove", &entry.path))?;
            // The folder of a run whose last checkpoint this was; any other is not empty.
            if let Some(run) = entry.path.parent()
                && fs::remove_dir(run).is_ok()
                && let Some(name) = run.file_name()
            {
                let _ = fs::remove_file(self.folder.join("finished").join(name));
            }
            self.remove_unused()?;
        }
        Ok(())
    }

    fn remove_unused(&self) -> Result<(), FileError> {
        let manifests = self.entries()?.into_iter().filter_map(|entry| read_manifest(&entry.path));
        let used: BTreeSet<PathBuf> = manifests
            .flat_map(|manifest| manifest.tensors)
            .map(|(_, _, hash)| self.tensor(&hash))
            .collect();
        for path in files(&self.folder.join("tensors"))? {
            if !used.contains(&path) {
                fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, FileError> {
        let mut entries = vec![];
        for run in files(&self.folder.join("runs"))? {
            for path in files(&run)? {
                let modified = path.metadata().and_then(|metadata| metadata.modified());
                let written = modified.map_err(FileError::io("look at", &path))?;
                entries.push(Entry { written, path });
            }
        }
        Ok(entries)
    }

    /// Bytes of all tensors; manifests are small beside them.
    fn size(&self) -> Result<u64, FileError> {
        let mut size: u64 = 0;
        for path in files(&self.folder.join("tensors"))? {
            let metadata = path.metadata().map_err(FileError::io("look at", &path))?;
            size = size.saturating_add(metadata.len());
        }
        Ok(size)
    }

    /// Held while the store changes: pruning must not remove what another process is adding.
    fn lock(&self) -> Result<File, FileError> {
        create_folder(&self.folder)?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        file.lock().map_err(FileError::io("lock", &path))?;
        Ok(file)
    }

    fn run(&self, run: &RunId) -> PathBuf {
        self.folder.join("runs").join(run.to_string())
    }

    fn finished(&self, run: &RunId) -> PathBuf {
        self.folder.join("finished").join(run.to_string())
    }

    fn manifest_path(&self, run: &RunId, taken: u32) -> PathBuf {
        self.run(run).join(taken.to_string())
    }

    fn tensor(&self, hash: &NodeHash) -> PathBuf {
        self.folder.join("tensors").join(hex::encode(hash))
    }
}

/// A manifest that carries its own digest and holds together.
fn read_manifest(path: &Path) -> Option<Manifest> {
    let bytes = read_bounded(path, MANIFEST_BYTES_MAX).ok()?;
    let (digest, body) = bytes.split_at_checked(DIGEST_BYTES)?;
    let manifest = (file_digest(body).0 == *digest).then(|| codec::decode::<Manifest>(body))?;
    let manifest = manifest.ok().filter(Manifest::holds);
    if manifest.is_none() {
        tracing::warn!("{} is damaged and passed over", path.display());
    }
    manifest
}

/// What a folder holds but for files that are being written; nothing when there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut paths = vec![];
    for entry in fs::read_dir(folder).map_err(FileError::io("list", folder))? {
        let path = entry.map_err(FileError::io("list", folder))?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            paths.push(path);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataforge_core::proof::StepRecord;
    use dataforge_core::state::state_root;
    use dataforge_core::units::{MicroNats, StepIndex};

    const RUN: RunId = RunId([7; 32]);
    /// One tensor of a checkpoint.
    const ELEMENTS: usize = 400;

    fn store(folder: &tempfile::TempDir, checkpoints: u64) -> StateStore {
        let budget = Bytes(checkpoints * 2 * ELEMENTS as u64);
        StateStore::new(folder.path().join("states"), budget, Duration::ZERO)
    }

    /// Two tensors, of which the second is the same at each step.
    fn checkpoint(taken: u32) -> Checkpoint {
        let tensor = |name: &str, byte| SavedTensor {
            name: name.into(),
            dims: vec![ELEMENTS as u32 / 4],
            elements: vec![byte; ELEMENTS],
        };
        let tensors = vec![tensor("moves", taken as u8), tensor("stays", 0)];
        let hashes: Vec<_> = tensors.iter().map(SavedTensor::hash).collect();
        let record = |number| StepRecord {
            step: StepIndex(number),
            loss: MicroNats(5),
            state: (number + 1 == taken).then(|| state_root(&hashes)),
        };
        Checkpoint { steps: (0..taken).map(record).collect(), tensors }
    }

    #[test]
    fn the_latest_checkpoint_in_reach_is_found_and_equal_tensors_are_stored_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, 100);
        for taken in [5, 10, 20] {
            store.keep(&RUN, &checkpoint(taken)).unwrap();
        }
        assert_eq!(store.latest(&RUN, u32::MAX), Some(checkpoint(20)));
        assert_eq!(store.latest(&RUN, 19), Some(checkpoint(10)));
        assert_eq!(store.latest(&RUN, 4), None);
        assert_eq!(store.manifest(&RUN, 10), Some(checkpoint(10).manifest()));
        assert_eq!(store.manifest(&RUN, 11), None);
        assert_eq!(store.latest(&RunId([8; 32]), 20), None);
        assert_eq!(store.size().unwrap(), 4 * ELEMENTS as u64);
    }

    #[test]
    fn a_store_stays_within_its_budget_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, 2);
        for taken in 1..=9 {
            store.keep(&RunId([taken as u8; 32]), &checkpoint(taken)).unwrap();
            assert!(store.size().unwrap() <= store.budget.0);
        }
        assert_eq!(store.latest(&RunId([9; 32]), 9), Some(checkpoint(9)));
        assert_eq!(store.latest(&RunId([1; 32]), 9), None);
        assert_eq!(files(&store.folder.join("runs")).unwrap().len(), 3);
    }

    #[test]
    fn a_finished_run_is_not_gone_on_with_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder, 2);
        store.finish(&RUN).unwrap();
        store.keep(&RUN, &checkpoint(5)).unwrap();
        assert_eq!(store.unfinished(&RUN), Some(checkpoint(5)));
        store.finish(&RUN).unwrap();
        assert_eq!((store.unfinished(&RUN), store.latest(&RUN, 5)), (None, Some(checkpoint(5))));
        for taken in 1..=9 {
            store.keep(&RunId([taken as u8 + 100; 32]), &checkpoint(taken)).unwrap();
        }
        assert_eq!(files(&store.folder.join("finished")).unwrap().len(), 0);
    }

    #[test]
    fn a_budget_of_nothing_wants_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!store(&folder, 0).is_due(true));
        assert!(store(&folder, 1).is_due(false));
    }

    #[test]
    fn damage_is_passed_over_for_an_earlier_checkpoint() {
        let check = |damage: &dyn Fn(&StateStore)| {
            let folder = tempfile::tempdir().unwrap();
            let store = store(&folder, 100);
            store.keep(&RUN, &checkpoint(5)).unwrap();
            store.keep(&RUN, &checkpoint(10)).unwrap();
            damage(&store);
            assert_eq!(store.latest(&RUN, u32::MAX), Some(checkpoint(5)));
        };
        let last = |store: &StateStore| store.manifest_path(&RUN, 10);
        check(&|store| fs::write(last(store), b"garbage").unwrap());
        check(&|store| {
            let mut bytes = fs::read(last(store)).unwrap();
            bytes[40] ^= 1;
            fs::write(last(store), bytes).unwrap();
        });
        // Another checkpoint under its name.
        check(&|store| {
            fs::copy(store.manifest_path(&RUN, 5), last(store)).unwrap();
        });
        let moved = |store: &StateStore| store.tensor(&checkpoint(10).tensors[0].hash());
        check(&|store| fs::remove_file(moved(store)).unwrap());
        check(&|store| fs::write(moved(store), [1; ELEMENTS]).unwrap());
        check(&|store| fs::write(moved(store), []).unwrap());
    }
}
