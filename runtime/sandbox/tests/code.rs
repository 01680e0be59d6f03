//! Compiled kernels that are kept: used when they are ours, compiled anew when they are not.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

use dataforge_sandbox::{CodeName, CodeSecret, CodeStore, KernelLimits, Sandbox, SchemaRules};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Keeps code in memory, and counts how often.
#[derive(Default)]
struct Memory {
    secret: Option<CodeSecret>,
    code: RefCell<BTreeMap<CodeName, Vec<u8>>>,
    kept: RefCell<u32>,
}

impl CodeStore for Memory {
    fn secret(&self) -> Option<CodeSecret> {
        self.secret
    }

    fn read(&self, name: &CodeName) -> Option<Vec<u8>> {
        self.code.borrow().get(name).cloned()
    }

    fn keep(&self, name: &CodeName, bytes: &[u8]) {
        self.code.borrow_mut().insert(*name, bytes.to_vec());
        *self.kept.borrow_mut() += 1;
    }
}

/// A small kernel of the world `tokenizer`.
fn wasm() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-kernels/hostile/remembers.wat");
    wat::parse_file(path).unwrap()
}

/// Loads the kernel; how often code was kept by then.
fn load(store: &Memory) -> u32 {
    let sandbox = Sandbox::new().unwrap().keeping(Some(store));
    sandbox.tokenizer_kernel(&wasm(), KernelLimits::default()).unwrap();
    *store.kept.borrow()
}

fn store() -> Memory {
    Memory { secret: Some([7; 32]), ..Memory::default() }
}

#[test]
fn what_was_compiled_is_loaded() {
    let store = store();
    assert_eq!((load(&store), load(&store), load(&store)), (1, 1, 1));
    let without = Memory::default();
    assert_eq!((load(&without), load(&without)), (0, 0));
}

#[test]
fn what_is_not_ours_is_compiled_anew() {
    let check = |change: &dyn Fn(&mut Vec<u8>)| {
        let store = store();
        load(&store);
        store.code.borrow_mut().values_mut().for_each(change);
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
    let renamed = store.code.take().into_values().map(|code| ([0; 32], code)).collect();
    store.code = RefCell::new(renamed);
    assert_eq!(load(&store), 3);
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
    assert_eq!(*store.kept.borrow(), 1);
    assert_eq!(compiled, loaded);
}
