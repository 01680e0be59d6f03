//! `cargo xtask kernels`: the guest kernels that eval specs pin, built from source.
//!
//! It builds `guest-kernels/`, turns each module into a component (but for checkers, which are WASI
//! commands) and writes it under `eval-specs/kernels/`; with `--check` it compares instead. The
//! bytes are a function of the sources, the guests' lock file and the pinned toolchain: no path of
//! this machine, no setting of its user. An ordinary build or test never comes here, because the
//! components are committed.

mod commands;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::sh;

/// The compiler whose output is pinned. Another one would make other bytes, and every spec that
/// pins a kernel would refuse them.
const RUSTC: &str = "/usr/bin/rustc";
const RUSTC_VERSION: &str = "rustc 1.96.0 (ac68faa20 2026-05-25)";
const CARGO: &str = "/usr/bin/cargo";
const LINKER: &str = "/usr/bin/wasm-ld";
const LINKER_VERSION: &str = "LLD 14.";
const TARGET: &str = "wasm32-unknown-unknown";
const PACKAGES: &str = "apt-get install rustc-web cargo-web rust-web-src lld";

/// Settings that would leak from the caller into the bytes.
const LEAKING: &[&str] = &[
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_UNSTABLE_",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_",
];

/// A kernel: the name and version of its file, and its folder under `guest-kernels/`.
struct Kernel {
    name: &'static str,
    version: &'static str,
    folder: &'static str,
    build: Build,
}

/// How a module is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// By the profile `release`: small.
    Small,
    /// By the profile `fast`, with WebAssembly's SIMD.
    Fast,
    /// From C, as a WASI command.
    Command,
}

impl Build {
    fn profile(self) -> &'static str {
        match self {
            Self::Small => "release",
            Self::Fast | Self::Command => "fast",
        }
    }
}

const fn kernel(
    name: &'static str,
    version: &'static str,
    folder: &'static str,
    build: Build,
) -> Kernel {
    Kernel { name, version, folder, build }
}

impl Kernel {
    fn package(&self) -> String {
        format!("dataforge-kernel-{}", self.folder)
    }

    /// Packages that are built at once: what one asks of its dependencies is asked for all of them.
    /// The small kernels are pinned as built together, every other one is built by itself.
    fn built_with(&self) -> Vec<String> {
        match self.build {
            Build::Small => {
                let small = KERNELS.iter().filter(|kernel| kernel.build == Build::Small);
                small.map(Self::package).collect()
            }
            Build::Fast | Build::Command => vec![self.package()],
        }
    }

    fn module(&self) -> String {
        format!("{}.wasm", self.package().replace('-', "_"))
    }
}

/// By name, the latest version of each last.
const KERNELS: &[Kernel] = &[
    kernel("contamination", "1.0.0", "contamination", Build::Fast),
    kernel("diversity", "1.0.0", "diversity", Build::Fast),
    kernel("metrics", "1.0.0", "metrics", Build::Fast),
    kernel("schema", "1.0.0", "schema", Build::Small),
    kernel("schema", "2.0.0", "schema-2", Build::Fast),
    kernel("similarity", "1.0.0", "similarity", Build::Fast),
    kernel("tokenizer", "1.0.0", "tokenizer", Build::Small),
    kernel("tokenizer", "2.0.0", "tokenizer-2", Build::Fast),
    kernel("weekday", "1.0.0", "checkers", Build::Command),
];

/// The names of the kernels that are components, each once.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().filter(|kernel| kernel.build == Build::Fast).map(|kernel| kernel.name)
}

/// Builds the kernels; writes them, or with `check` compares them with the committed ones.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = sh::root();
    let folder = root.join("eval-specs/kernels");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let workspace = root.join("guest-kernels");
    let mut differing = Vec::new();
    for kernel in KERNELS {
        let built = match kernel.build {
            Build::Command => commands::build(&workspace.join(kernel.folder), kernel.name)?,
            build => {
                let modules = self::build(&workspace, &kernel.built_with(), build)?;
                componentise(&modules.join(kernel.module()))?
            }
        };
        let file = format!("{}-{}.wasm", kernel.name, kernel.version);
        let pinned = folder.join(&file);
        eprintln!("{}  {file} ({} bytes)", digest(&built), built.len());
        if !check {
            write(&pinned, &built)?;
        } else if let Some(difference) = compare(&pinned, &built)? {
            differing.push(difference);
        }
    }
    if check {
        template(&root)?;
    }
    if !differing.is_empty() {
        bail!("{}\nrun `cargo xtask kernels` if the change is meant", differing.join("\n"));
    }
    Ok(())
}

/// Makes a kernel as an author would, and has it pass its test, built and packed.
fn template(root: &Path) -> anyhow::Result<()> {
    let folder = sh::target().join("kernel-template");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let [new, packed] = ["first", "first-1.0.0.wasm"].map(|name| folder.join(name));
    sh::cargo(&["build", "--workspace", "--tests", "--locked", "--bin", "dataforge"], &[])?;
    let dataforge = || {
        let mut command = Command::new(sh::target().join("debug/dataforge"));
        command.arg("--specs").arg(root.join("eval-specs")).arg("kernel");
        command
    };
    sh::output(dataforge().arg("new").arg(&new))?;
    let manifest = new.join("Cargo.toml");
    let target = folder.join("target");
    let paths = [&manifest, &target].map(|path| path.to_string_lossy());
    sh::cargo(&["test", "--quiet", "--manifest-path", &paths[0], "--target-dir", &paths[1]], &[])?;
    let module = build(&new, &["first".to_owned()], Build::Small)?.join("first.wasm");
    eprint!("{}", sh::output(dataforge().arg("pack").arg(module).arg("--out").arg(&packed))?);
    Ok(())
}

/// Refuses a machine whose toolchain cannot give the pinned bytes, and says how to mend that.
fn check_toolchain() -> anyhow::Result<()> {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std");
    let present = [CARGO, LINKER].iter().all(|path| Path::new(path).is_file()) && source.is_dir();
    if !present {
        bail!(
            "the kernels are built with Debian's wasm toolchain, which is missing: `{PACKAGES}`\n\
             (`rustup target add {TARGET}` builds kernels that work, but not the pinned bytes)"
        );
    }
    for (tool, expected) in [(RUSTC, RUSTC_VERSION), (LINKER, LINKER_VERSION)] {
        let output = Command::new(tool).arg("--version").output();
        let output = output.with_context(|| format!("cannot run {tool}: `{PACKAGES}`"))?;
        let version = String::from_utf8_lossy(&output.stdout);
        if !version.contains(expected) {
            bail!("{tool} is {}, the kernels are pinned to {expected}", version.trim());
        }
    }
    Ok(())
}

/// Builds packages of a workspace for wasm32 and returns the folder with the modules.
pub(crate) fn build(
    workspace: &Path,
    packages: &[String],
    build: Build,
) -> anyhow::Result<PathBuf> {
    check_toolchain()?;
    let root = sh::root();
    // Apart from each other: flags that differ would have everything built anew each time.
    let target = sh::target().join(match build {
        Build::Small => "kernels",
        Build::Fast | Build::Command => "kernels-fast",
    });
    let leaking = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| LEAKING.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)));
    let mut command = Command::new(CARGO);
    for name in leaking.collect::<Vec<_>>() {
        command.env_remove(name);
    }
    command
        .args(["build", "--profile", build.profile(), "--locked", "--lib", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort")
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(workspace)
        .env("PATH", "/usr/bin:/bin")
        .env("RUSTC", RUSTC)
        // Building std from source is a nightly feature of a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&root, &target, build)?.join("\u{1f}"));
    let profile = build.profile();
    eprintln!("$ cargo build --profile {profile} --target {TARGET} (in {})", workspace.display());
    let status = command.status().with_context(|| format!("cannot start {CARGO}"))?;
    if !status.success() {
        bail!("building {} failed ({status})", packages.join(", "));
    }
    Ok(target.join(TARGET).join(profile))
}

fn rustflags(root: &Path, target: &Path, build: Build) -> anyhow::Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor a home folder is set")?;
    let mut flags = vec![
        // See `guest-kernels/sdk/src/randomness.rs`.
        "--cfg=getrandom_backend=\"custom\"".to_owned(),
        // A guest has nowhere to print a panic message: it traps, and carries no text for it.
        "-Zunstable-options".to_owned(),
        "-Cpanic=immediate-abort".to_owned(),
    ];
    if build == Build::Fast {
        flags.push("-Ctarget-feature=+simd128".to_owned());
    }
    // The last match wins, so the folders that may lie inside another one come later.
    let remaps = [
        (Path::new("/usr/lib/rustlib/src"), "/rust-src"),
        (home.as_path(), "/cargo"),
        (root, "/dataforge"),
        (target, "/target"),
    ];
    for (from, to) in remaps {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags)
}

fn componentise(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("{} does not make a component", module.display()))
}

fn compare(pinned: &Path, built: &[u8]) -> anyhow::Result<Option<String>> {
    let committed =
        fs::read(pinned).with_context(|| format!("cannot read {}", pinned.display()))?;
    if committed == built {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} differs: committed sha256 {}, built sha256 {}",
        pinned.display(),
        digest(&committed),
        digest(built)
    )))
}

/// Writes beside the file and renames, so that a failure leaves the committed kernel whole.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("wasm.tmp");
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_kernel_is_named_with_both_digests() {
        let path = env::temp_dir().join(format!("dataforge-xtask-{}.wasm", std::process::id()));
        write(&path, b"committed").unwrap();
        assert!(compare(&path, b"committed").unwrap().is_none());
        let difference = compare(&path, b"built").unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        for part in [path.display().to_string(), digest(b"committed"), digest(b"built")] {
            assert!(difference.contains(&part), "{difference} lacks {part}");
        }
    }
}
