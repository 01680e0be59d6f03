//! Every file of the suite is compiled into it: a test that nobody runs looks like one that passes.

use std::collections::BTreeSet;
use std::fs;

use dataforge_tests::root;

#[test]
fn every_file_is_a_module_of_main() {
    let folder = root().join("tests/suite");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let files: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // A folder is a module too, through its `mod.rs`.
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ext| ext == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "main")
        .collect();
    assert_eq!(files, modules(&main), "left: files in tests/suite; right: modules of main.rs");
}

#[test]
fn a_module_that_is_commented_out_does_not_count() {
    let modules: Vec<_> = modules("//! mod a;\nmod b;\n// mod c;\n").into_iter().collect();
    assert_eq!(modules, ["b"]);
}

fn modules(main: &str) -> BTreeSet<String> {
    main.lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}
