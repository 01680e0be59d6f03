//! The folder DataForge keeps its files under.
//!
//! Finding it reads the environment and nothing else: no folder is created before something is
//! written into it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::NodeError;

/// The folder everything DataForge caches lives under. Always an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder the environment asks for: `DATAFORGE_HOME`; else `dataforge` in
    /// `XDG_CACHE_HOME`; else in the user's cache folder (`~/Library/Caches` on macOS, `~/.cache`
    /// elsewhere). Empty variables count as unset.
    ///
    /// # Errors
    /// [`NodeError::NoHome`] when none of the variables is set.
    pub fn discover() -> Result<Self, NodeError> {
        resolve(|name| std::env::var_os(name), cfg!(target_os = "macos")).map(Self::at)
    }

    /// A home at `path`, taken relative to the current folder when it is not absolute.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        // Fails only for an empty path or an unreadable current folder; the first use of the path
        // then reports it by name.
        Self(std::path::absolute(&path).unwrap_or(path))
    }

    /// The folder itself. It may not exist yet.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn resolve(variable: impl Fn(&str) -> Option<OsString>, macos: bool) -> Result<PathBuf, NodeError> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = set("DATAFORGE_HOME") {
        return Ok(home);
    }
    // The XDG base directory specification says that relative paths are invalid and ignored.
    if let Some(cache) = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        return Ok(cache.join("dataforge"));
    }
    let user = set("HOME").ok_or(NodeError::NoHome)?;
    let cache = if macos { user.join("Library/Caches") } else { user.join(".cache") };
    Ok(cache.join("dataforge"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], macos: bool, expect: Option<&str>) {
        let lookup = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(resolve(lookup, macos).ok(), expect.map(PathBuf::from));
    }

    #[test]
    fn the_most_specific_variable_wins() {
        let all = [("DATAFORGE_HOME", "/d"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        check(&all, false, Some("/d"));
        check(&all[1..], false, Some("/x/dataforge"));
        check(&all[2..], false, Some("/h/.cache/dataforge"));
        check(&all[2..], true, Some("/h/Library/Caches/dataforge"));
        check(&[], false, None);
    }

    #[test]
    fn empty_and_relative_values_are_passed_over() {
        check(&[("DATAFORGE_HOME", ""), ("HOME", "/h")], false, Some("/h/.cache/dataforge"));
        check(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")], false, Some("/h/.cache/dataforge"));
    }
}
