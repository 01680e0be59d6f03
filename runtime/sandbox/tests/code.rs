//! Compiled kernels that are kept: used when they are ours, compiled anew when they are not.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

use dataforge_sandbox::{CodeName, CodeSecret, CodeStore, KernelLimits, Sandbox, SchemaRules};
use std::cell::Cell;
use std::fs::{self, File};
use std::path::PathBuf;
use tempfile::TempDir;

/// Keeps code in a folder, and counts how often.
struct Folder {
    secret: Option<CodeSecret>,
    folder: TempDir,
    kept: Cell<u32>,
}

impl Folder {
    fn with(secret: Option<CodeSecret>) -> Self {
        Self { secret, folder: tempfile::tempdir().unwrap(), kept: Cell::new(0) }
    }

    fn path(&self, name: &CodeName) -> PathBuf {
        self.folder.path().join(name.map(|byte| format!("{byte:02x}")).concat())
    }

    /// The one file that was kept.
    fn only(&self) -> PathBuf {
        let [file] = fs::read_dir(&self.folder).unwrap().collect::<Vec<_>>().try_into().unwrap();
        let file: Result<fs::DirEntry, _> = file;
        file.unwrap().path()
    }
}

impl CodeStore for Folder {
    fn secret(&self) -> Option<CodeSecret> {
        self.secret
    }

    fn open(&self, name: &CodeName) -> Option<File> {
        File::open(self.path(name)).ok()
    }

    fn keep(&self, name: &CodeName, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        self.kept.update(|times| times + 1);
    }
}

/// Loads a small kernel; how often code was kept by then.
fn load(store: &Folder) -> u32 {
    load_guest(store, "remembers")
}

fn load_guest(store: &Folder, name: &str) -> u32 {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-kernels/hostile");
    let wasm = wat::parse_file(format!("{folder}/{name}.wat")).unwrap();
    let sandbox = Sandbox::new().unwrap().keeping(Some(store));
    sandbox.tokenizer_kernel(&wasm, KernelLimits::default()).unwrap();
    store.kept.get()
}

fn store() -> Folder {
    Folder::with(Some([7; 32]))
}

#[test]
fn what_was_compiled_is_loaded() {
    let store = store();
    assert_eq!((load(&store), load(&store), load(&store)), (1, 1, 1));
    let without = Folder::with(None);
    assert_eq!((load(&without), load(&without)), (0, 0));
}

#[test]
fn what_is_not_ours_is_compiled_anew() {
    let check = |change: &dyn Fn(&mut Vec<u8>)| {
        let store = store();
        load(&store);
        let mut sealed = fs::read(store.only()).unwrap();
        change(&mut sealed);
        fs::write(store.only(), sealed).unwrap();
        assert_eq!((load(&store), load(&store)), (2, 2));
    };
    check(&|sealed| sealed[0] ^= 1);
    check(&|sealed| *sealed.last_mut().unwrap() ^= 1);
    check(&|sealed| sealed[5000] ^= 128);
    check(&|sealed| sealed.truncate(sealed.len() / 2));
    check(&|sealed| sealed.truncate(31));
    check(&Vec::clear);
    check(&|sealed| sealed.push(0));
}

#[test]
fn code_under_another_secret_or_name_is_not_ours() {
    let mut store = store();
    load(&store);
    store.secret = Some([8; 32]);
    assert_eq!(load(&store), 2);
    let ours = store.only();
    let code = fs::read(&ours).unwrap();
    fs::remove_file(&ours).unwrap();
    assert_eq!(load_guest(&store, "infinite-loop"), 3);
    fs::write(store.only(), code).unwrap();
    assert_eq!(load_guest(&store, "infinite-loop"), 4);
}

#[test]
fn a_loaded_kernel_answers_as_the_compiled_one_and_takes_the_same_fuel() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../eval-specs/kernels/schema-1.0.0.wasm");
    let wasm = std::fs::read(path).unwrap();
    let store = store();
    let rules = SchemaRules::pair(
        r#"{"properties": {"input": {"pattern": "^[a-c]+$"}}}"#,
        "input",
        "output",
        9,
    );
    let lines = [&br#"{"input": "abc", "output": "d"}"#[..], br#"{"input": "d"}"#, b"\xff"];
    let [compiled, loaded] = [(), ()].map(|()| {
        let sandbox = Sandbox::new().unwrap().keeping(Some(&store));
        let kernel = sandbox.schema_kernel(&wasm, KernelLimits::default()).unwrap();
        kernel.check(&rules, &lines).unwrap()
    });
    assert_eq!(store.kept.get(), 1);
    assert_eq!(compiled, loaded);
}
