//! `dataforge kernel`: what it refuses. `cargo xtask kernels --check` builds what it writes.

use std::fs;

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
