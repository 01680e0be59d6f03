//! `cargo xtask tidy`: what the compiler and its lints do not check.
//!
//! It reads the tree as it is on disk, build folders and dot folders aside, and reports every
//! fault with its place. It changes nothing.

mod layout;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::sh;

/// One thing to mend, with its place relative to the repository root.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    place: String,
    what: String,
}

impl Fault {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

pub(crate) fn run() -> anyhow::Result<()> {
    let root = sh::root();
    let mut faults = layout::check(&root)?;
    for path in files(&root)?.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let place = relative(&root, path);
        if let Some(lines) = source::large(&text) {
            eprintln!(
                "note: {place} has {lines} lines; past {} wants a reason",
                source::LINES_USUAL
            );
        }
        faults.extend(source::check(&place, &text));
    }
    for fault in &faults {
        eprintln!("{}: {}", fault.place, fault.what);
    }
    if !faults.is_empty() {
        bail!("{} faults", faults.len());
    }
    Ok(())
}

/// Every file below `root` in a fixed order, without build folders and dot folders.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The entries of one folder in a fixed order, without `target`, dot entries and links.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in listing {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        // A link could lead out of the tree or round in a circle.
        if !hidden && name != "target" && !entry.file_type()?.is_symlink() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The path below `root`, with `/` on every platform.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
