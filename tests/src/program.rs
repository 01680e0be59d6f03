//! The `dataforge` binary, built once per run, with the profile and in the folder of this run.
//!
//! Cargo builds a package's own binary for its tests, but not the binary of another package, so
//! the harness asks for it. It stops the test with a message when that fails: there is nothing to
//! test then.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The repository root.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// A command that runs `dataforge` from the repository root, without input and with the default
/// amount of logging.
///
/// # Panics
///
/// Where the binary does not build.
#[must_use]
pub fn dataforge() -> Command {
    prepared(Command::new(binary()))
}

/// As [`dataforge`], on an emulated x86-64 CPU of this model (`qemu-x86_64 -cpu help` lists them).
///
/// Emulation is slow and its program may be missing: a test that uses this is
/// `#[ignore = "needs qemu-x86_64"]`, and `.ci/run` runs it.
///
/// # Panics
///
/// Where the binary does not build.
#[must_use]
pub fn dataforge_on(cpu: &str) -> Command {
    let mut command = Command::new("qemu-x86_64");
    command.args(["-cpu", cpu]).arg(binary());
    prepared(command)
}

fn prepared(mut command: Command) -> Command {
    command.current_dir(root()).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

/// Builds the binary next to the running test binary and returns its path.
fn build() -> PathBuf {
    let place = Place::of_this_test();
    let status = cargo()
        // The whole workspace with its tests, although one binary is wanted: features are then
        // unified as they are for the tests, and no dependency is compiled a second time.
        .args(["build", "--workspace", "--tests", "--bin", "dataforge", "--profile"])
        .arg(place.profile())
        .arg("--target-dir")
        .arg(&place.target)
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cannot build the program under test: {status:?}"
    );
    let name = format!("dataforge{}", std::env::consts::EXE_SUFFIX);
    place.target.join(&place.folder).join(name)
}

/// Cargo, without what the one that runs this test says of its package. Build scripts that watch
/// such variables would run again, and all that depends on them be built again, for whoever asks.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command.current_dir(root());
    command
}

/// Where Cargo has put the running test: `<target>/<folder>/deps/suite-<hash>`.
struct Place {
    target: PathBuf,
    folder: String,
}

impl Place {
    fn of_this_test() -> Self {
        let test = std::env::current_exe().expect("the system names the running program");
        Self::of(&test).unwrap_or_else(|| panic!("{} is not Cargo's layout", test.display()))
    }

    fn of(test: &Path) -> Option<Self> {
        let folder = test.parent()?.parent()?;
        Some(Self {
            target: folder.parent()?.to_path_buf(),
            folder: folder.file_name()?.to_str()?.to_owned(),
        })
    }

    /// The profile whose artifacts go to `folder`: the two are named alike, but for one.
    fn profile(&self) -> &str {
        match self.folder.as_str() {
            "debug" => "dev",
            folder => folder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_follows_from_the_path() {
        let of = |path| Place::of(Path::new(path)).map(|place| place.profile().to_owned());
        assert_eq!(of("/t/debug/deps/suite-0").as_deref(), Some("dev"));
        assert_eq!(of("/t/release/deps/suite-0").as_deref(), Some("release"));
        assert_eq!(of("suite-0"), None);
    }
}
