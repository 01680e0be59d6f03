//! `dataforge kernel`: what it refuses. `cargo xtask kernels --check` builds what it writes.

use std::fs;

use dataforge_core::hash::file_digest;
use dataforge_tests::{Answer, Scratch, dataforge, root};

#[test]
fn a_kernel_is_a_folder_of_its_own() {
    let scratch = Scratch::new();
    let new = |folder: &str| {
        let mut new = dataforge();
        new.args(["kernel", "new"]).arg(scratch.path(folder));
        Answer::of(new.env("DATAFORGE_SPECS", root().join("eval-specs")))
    };
    new("even-split").expect(0, &["cargo test"]);
    let read = |file: &str| fs::read_to_string(scratch.path("even-split").join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"even-split\""));
    assert!(read("Cargo.toml").contains("guest-kernels/sdk\""));
    assert!(read("src/lib.rs").contains("release/even_split.wasm"));
    assert_eq!(
        read("wit/kernel.wit"),
        fs::read_to_string(root().join("wit/2.0.0/kernel.wit")).unwrap()
    );
    new("even-split").expect(2, &["is there already"]);
    new("Even").expect(2, &["no name for a kernel"]);
    let mut new = dataforge();
    new.args(["kernel", "new", "--sdk"]).arg(scratch.path("")).arg(scratch.path("other"));
    Answer::of(&mut new).expect(2, &["no kernel SDK", "--sdk"]);
}

#[test]
fn what_is_no_kernel_is_not_packed() {
    let scratch = Scratch::new();
    let no_world = b"\0asm\x01\0\0\0".as_slice();
    for (bytes, mention) in [(&b""[..], "not a valid component"), (no_world, "it exports []")] {
        let module = scratch.file("module.wasm", bytes);
        let mut pack = dataforge();
        pack.args(["kernel", "pack"]).arg(module).arg("--out").arg(scratch.path("kernel.wasm"));
        Answer::of(&mut pack).expect(2, &[mention]);
        assert!(!scratch.path("kernel.wasm").exists());
    }
}

/// A world that is published never changes: kernels and hosts of others are built on it.
#[test]
fn published_worlds_keep_their_words() {
    for (version, digest) in [
        ("1.0.0", "04abce04c2cfd7bab5c6efe93b7c8f25201b1e7134965102a6e90edfe411873a"),
        ("1.1.0", "dee42221a66dcfc854b272732228f7a61c0b3b33e44bd6237172df282c5b7ba3"),
        ("2.0.0", "8d84499d725ea1ab35aea68479cd86cf48ade071988c0c5692feb99dc4c6ee3a"),
    ] {
        let world = fs::read(root().join("wit").join(version).join("kernel.wit")).unwrap();
        assert_eq!(file_digest(&world).to_string(), digest, "wit/{version}");
    }
}
