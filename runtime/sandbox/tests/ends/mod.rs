//! How hostile guests end: golden files with a line for each guest of a folder.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use dataforge_sandbox::SandboxError;

/// Where hostile guests are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-kernels/hostile")
}

/// The guests of a folder, by name.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let path = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path();
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// One line: the answer or the error, with the fuel that the call took where it has any to tell.
pub(crate) fn end<A: Debug>(found: &Result<(A, u64), SandboxError>) -> String {
    let (what, fuel) = match found {
        Ok((answer, fuel)) => (format!("answers {answer:?}"), Some(fuel)),
        Err(error) => (format!("{error}"), taken(error)),
    };
    let what = what.replace('\n', " ");
    fuel.map_or(what.clone(), |fuel| format!("{what} [{fuel}]"))
}

fn taken(error: &SandboxError) -> Option<&u64> {
    match error {
        SandboxError::OutOfMemory { fuel, .. }
        | SandboxError::Trap { fuel, .. }
        | SandboxError::OutputTooLarge { fuel, .. }
        | SandboxError::Exit { fuel, .. } => Some(fuel),
        _ => None,
    }
}

/// Compares with the golden file, or writes it where `DATAFORGE_REFRESH` is set.
#[track_caller]
pub(crate) fn check(golden: &str, ends: &[(String, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ends").join(golden);
    let found: String = ends.iter().map(|(name, end)| format!("{name}: {end}\n")).collect();
    if std::env::var_os("DATAFORGE_REFRESH").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap(), "other ends than in {}", path.display());
}
