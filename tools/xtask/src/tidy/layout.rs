//! The tree holds what the layout names, and nothing else.

use std::path::Path;

use super::{Fault, entries, relative};

/// Everything that may lie at the top, dot files and the build folder aside.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "artifacts.lock",
    "clippy.toml",
    "deny.toml",
    "eval-specs",
    "fuzz",
    "guest-kernels",
    "runtime",
    "rustfmt.toml",
    "tests",
    "tools",
    "wit",
];

/// The folders of `eval-specs` that hold no versions of a spec: the pinned kernels, and the rules
/// of markets with the scenarios that try them.
const OTHERS: &[&str] = &["kernels", "markets"];

/// Refuses unknown and missing entries at the top, and versions of a spec without both files.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let present: Vec<String> = entries(root)?.iter().map(|path| relative(root, path)).collect();
    let mut faults = top(&present);
    faults.extend(eval_specs(root)?);
    Ok(faults)
}

fn top(present: &[String]) -> Vec<Fault> {
    let unknown = present
        .iter()
        .filter(|name| !TOP.contains(&name.as_str()))
        .map(|name| Fault::new(name, "is not part of the layout"));
    let missing = TOP
        .iter()
        .filter(|name| !present.iter().any(|entry| entry == *name))
        .map(|name| Fault::new(*name, "is part of the layout, but missing"));
    unknown.chain(missing).collect()
}

/// `eval-specs/<name>/<version>/` holds `spec.toml` and `spec.lock`.
fn eval_specs(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let folder = root.join("eval-specs");
    if !folder.is_dir() {
        // `top` has reported it.
        return Ok(Vec::new());
    }
    let mut faults = Vec::new();
    for spec in entries(&folder)? {
        if spec.is_file() || OTHERS.iter().any(|name| spec.ends_with(name)) {
            continue;
        }
        let versions: Vec<_> = entries(&spec)?.into_iter().filter(|path| path.is_dir()).collect();
        if versions.is_empty() {
            faults.push(Fault::new(relative(root, &spec), "a spec without a version"));
        }
        for version in versions {
            for file in ["spec.toml", "spec.lock"] {
                if !version.join(file).is_file() {
                    faults.push(Fault::new(relative(root, &version), format!("lacks {file}")));
                }
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_and_a_missing_entry_are_both_named() {
        let mut present: Vec<String> = TOP.iter().map(|name| name.to_string()).collect();
        assert_eq!(top(&present), []);
        present.retain(|name| name != "LICENSE");
        present.push("notes.txt".to_owned());
        let places: Vec<_> = top(&present).into_iter().map(|fault| fault.place).collect();
        assert_eq!(places, ["notes.txt", "LICENSE"]);
    }
}
