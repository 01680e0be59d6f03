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
        let macos = cfg!(target_os = "macos");
        resolve(&CACHE, |name| std::env::var_os(name), macos).map(Self::at)
    }

    /// The folder for what must not be lost, as a cache may be: `DATAFORGE_HOME`; else `dataforge`
    /// in `XDG_STATE_HOME`; else in the user's folder for state (`~/Library/Application Support` on
    /// macOS, `~/.local/state` elsewhere).
    ///
    /// # Errors
    /// As [`Home::discover`].
    pub fn discover_state() -> Result<Self, NodeError> {
        let macos = cfg!(target_os = "macos");
        resolve(&STATE, |name| std::env::var_os(name), macos).map(Self::at)
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

/// Where systems keep one kind of files: the variable that says so, and the folder in the user's
/// home otherwise.
struct Kind {
    variable: &'static str,
    macos: &'static str,
    elsewhere: &'static str,
}

const CACHE: Kind =
    Kind { variable: "XDG_CACHE_HOME", macos: "Library/Caches", elsewhere: ".cache" };
const STATE: Kind = Kind {
    variable: "XDG_STATE_HOME",
    macos: "Library/Application Support",
    elsewhere: ".local/state",
};

fn resolve(
    kind: &Kind,
    variable: impl Fn(&str) -> Option<OsString>,
    macos: bool,
) -> Result<PathBuf, NodeError> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = set("DATAFORGE_HOME") {
        return Ok(home);
    }
    // The XDG base directory specification says that relative paths are invalid and ignored.
    if let Some(folder) = set(kind.variable).filter(|path| path.is_absolute()) {
        return Ok(folder.join("dataforge"));
    }
    let user = set("HOME").ok_or(NodeError::NoHome)?;
    Ok(user.join(if macos { kind.macos } else { kind.elsewhere }).join("dataforge"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], macos: bool, expect: Option<&str>) {
        check_kind(&CACHE, variables, macos, expect);
    }

    #[track_caller]
    fn check_kind(kind: &Kind, variables: &[(&str, &str)], macos: bool, expect: Option<&str>) {
        let lookup = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(resolve(kind, lookup, macos).ok(), expect.map(PathBuf::from));
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
    fn state_is_kept_where_nobody_cleans_up() {
        let home = [("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        check_kind(&STATE, &home, false, Some("/h/.local/state/dataforge"));
        check_kind(&STATE, &[("XDG_STATE_HOME", "/s")], false, Some("/s/dataforge"));
        check_kind(&STATE, &[("DATAFORGE_HOME", "/d")], false, Some("/d"));
    }

    #[test]
    fn empty_and_relative_values_are_passed_over() {
        check(&[("DATAFORGE_HOME", ""), ("HOME", "/h")], false, Some("/h/.cache/dataforge"));
        check(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")], false, Some("/h/.cache/dataforge"));
    }
}
