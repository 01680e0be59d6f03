//! Dependencies point down only, and three libraries are each named by one crate only.
//!
//! The table is the one of the design: a crate may name what its row lists and nothing else of
//! ours, in any kind of dependency. Tests and tools stand outside: they may name everything.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::MetadataCommand;
use dataforge_tests::root;

/// What each crate of the runtime may name, lowest first.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("dataforge-core", &[]),
    ("dataforge-graph", &["dataforge-core"]),
    ("dataforge-sandbox", &["dataforge-core"]),
    ("dataforge-engine", &["dataforge-core", "dataforge-graph"]),
    (
        "dataforge-evaluate",
        &["dataforge-core", "dataforge-graph", "dataforge-sandbox", "dataforge-engine"],
    ),
    ("dataforge-settle", &["dataforge-core"]),
    ("dataforge-chain", &["dataforge-core"]),
    (
        "dataforge-node",
        &["dataforge-core", "dataforge-evaluate", "dataforge-settle", "dataforge-chain"],
    ),
    // The arguments and tables of the program show the types of the libraries below `node`.
    (
        "dataforge-cli",
        &[
            "dataforge-core",
            "dataforge-evaluate",
            "dataforge-settle",
            "dataforge-chain",
            "dataforge-node",
        ],
    ),
];

/// Crates of the workspace that are no part of the runtime.
const OUTSIDE: &[&str] = &["dataforge-bench", "dataforge-matrix", "dataforge-tests", "xtask"];

/// Libraries that one crate of the runtime names, so that replacing one touches one crate.
const ONLY: &[(&str, &str)] = &[
    ("wasmtime", "dataforge-sandbox"),
    ("wasi-common", "dataforge-sandbox"),
    ("ort", "dataforge-engine"),
    ("ort-sys", "dataforge-engine"),
    ("subxt", "dataforge-chain"),
    ("subxt-signer", "dataforge-chain"),
];

/// Crate of the workspace → every package its manifest names.
type Names = BTreeMap<String, BTreeSet<String>>;

#[test]
fn dependencies_point_down_only() {
    assert_eq!(faults(&workspace()), Vec::<String>::new());
}

#[test]
fn the_table_itself_points_down() {
    for (row, (name, may)) in MAY_NAME.iter().enumerate() {
        for below in *may {
            assert!(
                MAY_NAME[..row].iter().any(|(lower, _)| lower == below),
                "the row of {name} names {below}, which is not above it in the table"
            );
        }
    }
}

#[test]
fn chain_settle_and_evaluate_never_see_each_other() {
    let apart = ["dataforge-chain", "dataforge-settle", "dataforge-evaluate"];
    for (name, may) in MAY_NAME.iter().filter(|(name, _)| apart.contains(name)) {
        assert!(!may.iter().any(|below| apart.contains(below)), "{name}");
    }
}

#[track_caller]
fn refused(name: &str, named: &str, expect: &str) {
    let names = Names::from([(name.to_owned(), BTreeSet::from([named.to_owned()]))]);
    assert_eq!(faults(&names), [expect]);
}

#[test]
fn a_dependency_that_points_up_is_refused() {
    refused("dataforge-core", "dataforge-graph", "dataforge-core must not name dataforge-graph");
    refused(
        "dataforge-settle",
        "dataforge-chain",
        "dataforge-settle must not name dataforge-chain",
    );
    refused("dataforge-cli", "dataforge-engine", "dataforge-cli must not name dataforge-engine");
    refused("dataforge-core", "xtask", "dataforge-core must not name xtask");
}

#[test]
fn a_second_crate_that_names_a_library_is_refused() {
    refused(
        "dataforge-node",
        "wasmtime",
        "wasmtime is for dataforge-sandbox only, not dataforge-node",
    );
    refused(
        "dataforge-evaluate",
        "ort",
        "ort is for dataforge-engine only, not dataforge-evaluate",
    );
    refused("dataforge-cli", "subxt", "subxt is for dataforge-chain only, not dataforge-cli");
}

#[test]
fn a_crate_without_a_row_is_refused() {
    refused("dataforge-extra", "serde", "dataforge-extra has no row in the table");
}

fn workspace() -> Names {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec();
    let metadata = metadata.expect("the manifests can be read");
    metadata
        .packages
        .iter()
        .map(|package| {
            let named = package.dependencies.iter().map(|dependency| dependency.name.clone());
            (package.name.to_string(), named.collect())
        })
        .collect()
}

/// One line for each dependency that the tables do not allow.
fn faults(names: &Names) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, named) in names.iter().filter(|(name, _)| !OUTSIDE.contains(&name.as_str())) {
        let Some((_, may)) = MAY_NAME.iter().find(|(row, _)| row == name) else {
            faults.push(format!("{name} has no row in the table"));
            continue;
        };
        for dependency in named {
            let ours = names.contains_key(dependency)
                || OUTSIDE.contains(&dependency.as_str())
                || MAY_NAME.iter().any(|(row, _)| row == dependency);
            if ours && !may.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not name {dependency}"));
            }
            if let Some((library, owner)) = ONLY.iter().find(|(library, _)| library == dependency)
                && owner != name
            {
                faults.push(format!("{library} is for {owner} only, not {name}"));
            }
        }
    }
    faults
}
