//! The cache with a real pip and tiny wheels in a folder: no network, nothing pretended.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataforge_core::hash::{FileDigest, file_digest};
use tempfile::TempDir;

use super::*;
use crate::Home;

const CONTENT: &[u8] = b"pinned content";
const TOKENIZER: &[u8] = br#"{"version": 1, "alphabet": ["a"], "merges": []}"#;

/// A folder with an index (one wheel) and a home.
struct World {
    root: TempDir,
    wheel: FileDigest,
}

/// Notes every event; cancels after a number of questions.
#[derive(Default)]
struct Notes {
    events: RefCell<Vec<String>>,
    cancel_after: Cell<Option<u32>>,
}

impl FetchObserver for Notes {
    fn event(&self, event: FetchEvent<'_>) {
        let note = match event {
            FetchEvent::Started { artifacts, package, .. } => {
                format!("started {package} for {}", artifacts.join(" "))
            }
            FetchEvent::Progress { received, total, .. } => {
                assert!(received <= total);
                return;
            }
            FetchEvent::Retrying { attempt, .. } => format!("attempt {attempt}"),
            FetchEvent::Done { artifact, .. } => format!("done {artifact}"),
        };
        self.events.borrow_mut().push(note);
    }

    fn cancelled(&self) -> bool {
        let Some(left) = self.cancel_after.get() else { return false };
        self.cancel_after.set(Some(left.saturating_sub(1)));
        left == 0
    }
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let index = root.path().join("index");
        std::fs::create_dir(&index).unwrap();
        let path = index.join("tiny-1.0-py3-none-any.whl");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let metadata = b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n";
        let wheel = b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        for (name, content) in [
            ("tiny/data.bin", CONTENT),
            ("tiny/tokenizer.json", TOKENIZER),
            ("tiny-1.0.dist-info/METADATA", metadata),
            ("tiny-1.0.dist-info/WHEEL", wheel),
            ("tiny-1.0.dist-info/RECORD", b""),
        ] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        let wheel = file_digest(&std::fs::read(&path).unwrap());
        Self { root, wheel }
    }

    fn lock_text(&self) -> String {
        let member = |name: &str, path: &str, content: &[u8]| {
            let (digest, bytes) = (file_digest(content), content.len());
            format!(
                "[[wheel.member]]\nname = \"{name}\"\npath = \"tiny/{path}\"\n\
                 sha256 = \"{digest}\"\nbytes = {bytes}\n"
            )
        };
        let derived = Derivation::GlassllmTokenizerV1.apply(TOKENIZER).unwrap();
        format!(
            "version = 1\n[[wheel]]\npackage = \"tiny\"\nversion = \"1.0\"\nsha256 = \"{}\"\n\
             bytes = 1000\nlicence = \"MIT\"\n{}{}[[derived]]\nname = \"made\"\nfrom = \"source\"\n\
             by = \"glassllm-tokenizer-v1\"\nsha256 = \"{}\"\nbytes = {}\n",
            self.wheel,
            member("data", "data.bin", CONTENT),
            member("source", "tokenizer.json", TOKENIZER),
            file_digest(&derived),
            derived.len(),
        )
    }

    fn pip(&self) -> Pip {
        Pip::new("python3")
            .with_variable("PIP_NO_INDEX", "1")
            .with_variable("PIP_FIND_LINKS", self.root.path().join("index"))
            .with_backoff(Duration::from_millis(1))
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn artifacts(&self) -> Artifacts {
        self.artifacts_of(&self.lock_text())
    }

    fn artifacts_of(&self, lock: &str) -> Artifacts {
        let lock = ArtifactLock::parse(lock).unwrap();
        Artifacts::new(&Home::at(self.home()), lock).with_pip(self.pip()).with_library(None)
    }

    /// Everything in the cache's object folder.
    fn objects(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.home().join("objects")) else { return vec![] };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn downloads_left(&self) -> usize {
        std::fs::read_dir(self.home().join("downloads")).map_or(0, Iterator::count)
    }
}

/// The message names the artifact and the command that mends it.
fn mends(error: &ArtifactError, name: &str) {
    let text = error.to_string();
    assert!(text.contains(&format!("`{name}`")), "{text}");
    assert!(text.contains(&format!("dataforge artifacts fetch {name}")), "{text}");
}

fn state(artifacts: &Artifacts, name: &str) -> ArtifactState {
    artifacts.status().into_iter().find(|status| status.name == name).unwrap().state
}

#[test]
fn one_download_serves_all_members_and_later_use_is_offline() {
    let world = World::new();
    let artifacts = world.artifacts();
    assert_eq!(state(&artifacts, "data"), ArtifactState::Missing);
    mends(&artifacts.path("data").unwrap_err(), "data");

    let notes = Notes::default();
    let paths = artifacts.fetch(&["made", "data"], &notes).unwrap();
    assert_eq!(std::fs::read(&paths[1]).unwrap(), CONTENT);
    let events = notes.events.take();
    let expect = ["started tiny==1.0 for source data", "done source", "done data", "done made"];
    assert_eq!(events, expect);
    assert_eq!(world.downloads_left(), 0);

    let offline = artifacts.with_pip(Pip::new("no-such-python"));
    assert_eq!(offline.fetch(&["made", "data", "source"], &notes).unwrap()[..2], paths[..]);
    assert_eq!(offline.read("data").unwrap(), CONTENT);
    assert!(notes.events.take().is_empty());
    assert_eq!(state(&offline, "made"), ArtifactState::Present);
}

#[test]
fn a_damaged_object_is_named_then_replaced() {
    let world = World::new();
    let artifacts = world.artifacts();
    let path = artifacts.fetch(&["data"], &Silent).unwrap().remove(0);
    let mut flipped = CONTENT.to_vec();
    flipped[3] ^= 1;
    for damage in [&flipped[..], b"short", b""] {
        std::fs::write(&path, damage).unwrap();
        let error = artifacts.path("data").unwrap_err();
        assert!(matches!(error, ArtifactError::Corrupt { .. }), "{error}");
        mends(&error, "data");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(state(&artifacts, "data"), ArtifactState::Corrupt);
        artifacts.fetch(&["data"], &Silent).unwrap();
        assert_eq!(artifacts.read("data").unwrap(), CONTENT);
    }
}

#[test]
fn an_index_without_the_package_is_a_refusal_and_leaves_nothing() {
    let world = World::new();
    let pip = world.pip().with_variable("PIP_FIND_LINKS", world.home());
    let notes = Notes::default();
    let error = world.artifacts().with_pip(pip).fetch(&["data"], &notes).unwrap_err();
    assert!(matches!(error, ArtifactError::FetchFailed { .. }), "{error}");
    mends(&error, "data");
    assert!(error.to_string().contains("No matching distribution"), "{error}");
    assert_eq!(notes.events.take(), ["started tiny==1.0 for data"]);
    assert_eq!((world.objects().len(), world.downloads_left()), (0, 0));
}

#[test]
fn an_unreachable_index_is_tried_three_times() {
    let world = World::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pip = Pip::new("python3")
        .with_variable("PIP_INDEX_URL", format!("http://{closed}/simple"))
        .with_variable("PIP_FIND_LINKS", "")
        .with_backoff(Duration::from_millis(1));
    let notes = Notes::default();
    let error = world.artifacts().with_pip(pip).fetch(&["data"], &notes).unwrap_err();
    assert!(matches!(error, ArtifactError::NoNetwork { attempts: 3, .. }), "{error}");
    mends(&error, "data");
    assert_eq!(notes.events.take(), ["started tiny==1.0 for data", "attempt 2", "attempt 3"]);
    assert_eq!((world.objects().len(), world.downloads_left()), (0, 0));
}

#[test]
fn cancelling_kills_a_download_that_hangs() {
    let world = World::new();
    // Accepts the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let pip = Pip::new("python3")
        .with_variable("PIP_INDEX_URL", format!("http://{}/simple", silent.local_addr().unwrap()))
        .with_variable("PIP_FIND_LINKS", "")
        .with_variable("PIP_TIMEOUT", "600")
        .with_variable("PIP_DEFAULT_TIMEOUT", "600");
    let notes = Notes::default();
    notes.cancel_after.set(Some(20));
    let error = world.artifacts().with_pip(pip).fetch(&["data"], &notes).unwrap_err();
    assert!(matches!(error, ArtifactError::Cancelled { .. }), "{error}");
    mends(&error, "data");
    assert_eq!((world.objects().len(), world.downloads_left()), (0, 0));
}

#[test]
fn other_bytes_than_the_pinned_are_refused_without_a_second_attempt() {
    let world = World::new();
    let lock = world.lock_text();
    let other = "f".repeat(64);
    let refused = |lock: String| {
        let notes = Notes::default();
        let error = world.artifacts_of(&lock).fetch(&["data"], &notes).unwrap_err();
        mends(&error, "data");
        assert_eq!(notes.events.take(), ["started tiny==1.0 for data"]);
        assert_eq!((world.objects().len(), world.downloads_left()), (0, 0));
        error
    };
    let wheel = refused(lock.replace(&world.wheel.to_string(), &other));
    assert!(matches!(wheel, ArtifactError::HashMismatch { .. }), "{wheel}");
    assert!(wheel.to_string().contains(&world.wheel.to_string()), "{wheel}");
    let member = refused(lock.replace(&file_digest(CONTENT).to_string(), &other));
    assert!(matches!(member, ArtifactError::HashMismatch { .. }), "{member}");
    let moved = refused(lock.replace("tiny/data.bin", "tiny/gone.bin"));
    assert!(matches!(moved, ArtifactError::BadWheel { .. }), "{moved}");
    let small = refused(lock.replace("bytes = 14\n", "bytes = 13\n"));
    assert!(matches!(small, ArtifactError::BadWheel { .. }), "{small}");
}

#[test]
fn a_missing_python_or_pip_is_named() {
    let world = World::new();
    let artifacts = world.artifacts().with_pip(Pip::new("no-such-python"));
    let error = artifacts.fetch(&["data"], &Silent).unwrap_err();
    assert!(matches!(error, ArtifactError::NoPython { .. }), "{error}");
    mends(&error, "data");

    // A folder in front of the real pip whose `pip` is not a package that can be run.
    let shadow = world.root.path().join("shadow");
    std::fs::create_dir(&shadow).unwrap();
    std::fs::write(shadow.join("pip.py"), "import sys\nsys.exit('No module named pip')\n").unwrap();
    let pip = world.pip().with_variable("PYTHONPATH", shadow);
    let error = world.artifacts().with_pip(pip).fetch(&["data"], &Silent).unwrap_err();
    assert!(matches!(error, ArtifactError::NoPip { .. }), "{error}");
    mends(&error, "data");
}

#[test]
fn fetches_at_once_share_one_download() {
    let world = World::new();
    let started = std::sync::atomic::AtomicUsize::new(0);
    struct Count<'a>(&'a std::sync::atomic::AtomicUsize);
    impl FetchObserver for Count<'_> {
        fn event(&self, event: FetchEvent<'_>) {
            if matches!(event, FetchEvent::Started { .. }) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.artifacts().fetch(&["data", "made"], &Count(&started)).unwrap());
        }
    });
    assert_eq!(started.into_inner(), 1);
    assert_eq!(world.objects().len(), 3);
}

#[test]
fn leftovers_of_a_killed_fetch_are_removed() {
    let world = World::new();
    let left = world.home().join("downloads/old/1/wheel");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("half.whl"), "half").unwrap();
    world.artifacts().fetch(&["data"], &Silent).unwrap();
    assert_eq!(world.downloads_left(), 0);
}

#[test]
fn names_and_platforms_are_checked() {
    let world = World::new();
    let error = world.artifacts().path("nothing").unwrap_err();
    assert!(error.to_string().contains("known: data, made, source"), "{error}");

    let artifacts = Artifacts::new(&Home::at(world.home()), ArtifactLock::embedded().unwrap());
    let here = artifacts.with_library(None);
    for platform in [None, Some(Platform::LinuxAarch64)] {
        let there = here.clone().with_platform(platform);
        let states: Vec<_> = there.status().iter().map(|status| status.state).collect();
        assert!(states.contains(&ArtifactState::OtherPlatform));
        assert_eq!(there.digest("onnxruntime").is_some(), platform.is_some());
    }
    let error = here.with_platform(None).path("onnxruntime").unwrap_err();
    assert!(matches!(error, ArtifactError::UnsupportedPlatform { .. }), "{error}");
    assert!(error.to_string().contains("linux-x86_64, linux-aarch64, macos-arm64"), "{error}");
}

#[test]
fn a_library_of_the_users_choice_stands_in() {
    let world = World::new();
    let library = world.root.path().join("lib.so");
    let lock = ArtifactLock::embedded().unwrap();
    let artifacts = Artifacts::new(&Home::at(world.home()), lock);
    let artifacts = artifacts.with_library(Some(library.clone()));
    let error = artifacts.fetch(&["onnxruntime"], &Silent).unwrap_err();
    assert!(error.to_string().contains("ORT_DYLIB_PATH"), "{error}");
    std::fs::write(&library, "library").unwrap();
    assert_eq!(artifacts.fetch(&["onnxruntime"], &Silent).unwrap(), [Path::new(&library)]);
    assert!(!world.home().exists());
}

#[test]
fn parts_of_a_library_lie_side_by_side_under_their_own_names() {
    let world = World::new();
    let artifacts = world.artifacts();
    let error = artifacts.side_by_side(&["data"]).unwrap_err();
    assert!(matches!(error, ArtifactError::Missing { .. }), "{error}");
    artifacts.fetch(&["data", "source"], &Silent).unwrap();
    for _ in 0..2 {
        let first = artifacts.side_by_side(&["data", "source"]).unwrap();
        assert_eq!(first.file_name().unwrap(), "data.bin");
        assert_eq!(std::fs::read(&first).unwrap(), CONTENT);
        let folder = first.parent().unwrap();
        assert_eq!(std::fs::read(folder.join("tokenizer.json")).unwrap(), TOKENIZER);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
        // Whatever lies there is not believed.
        std::fs::remove_file(&first).unwrap();
        std::fs::write(&first, "something else").unwrap();
    }
}

#[test]
fn the_cuda_library_has_its_parts_in_the_lock() {
    let artifacts = crate::testing::real_artifacts().with_platform(Some(Platform::LinuxX86_64));
    let artifacts = artifacts.with_library(None);
    let parts = artifacts.engine_parts(dataforge_evaluate::Provider::Cuda);
    let lock = artifacts.lock();
    for part in parts {
        assert!(lock.get_for(part, Some(Platform::LinuxX86_64)).unwrap().optional, "{part}");
    }
    let own = artifacts.with_library(Some("/own/libonnxruntime.so".into()));
    assert_eq!(own.engine_parts(dataforge_evaluate::Provider::Cuda), ["onnxruntime"]);
}

#[test]
fn every_pinned_artifact_of_this_platform_can_be_had() {
    let artifacts = crate::testing::real_artifacts().with_library(None);
    let usual = artifacts.lock().all().filter(|artifact| !artifact.optional);
    let names: std::collections::BTreeSet<_> = usual.map(|artifact| &*artifact.name).collect();
    let names: Vec<_> = names.into_iter().collect();
    let paths = artifacts.fetch(&names, &Silent).unwrap();
    for (name, path) in names.iter().zip(paths) {
        let expect = artifacts.digest(name).unwrap();
        assert_eq!(file_digest(&std::fs::read(path).unwrap()), expect, "{name}");
    }
}
