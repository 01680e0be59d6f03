//! Checkers in C: WASI commands by Debian's clang and wasi-libc.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::sh;

const CLANG: &str = "/usr/bin/clang";
const CLANG_VERSION: &str = "clang version 14.0.6";
const PACKAGES: &str =
    "apt-get install --no-install-recommends clang lld wasi-libc libclang-rt-14-dev-wasm32";

/// Builds the command `name` from the C file of that name.
///
/// Compiled and linked apart: a driver that does both at once, with optimisation, runs a `wasm-opt`
/// that it finds, and the bytes would be that program's.
pub(super) fn build(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    check_toolchain()?;
    let target = sh::target().join("kernels-c");
    fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    let [object, module] = ["o", "wasm"].map(|kind| target.join(name).with_extension(kind));
    let source = folder.join(name).with_extension("c");
    let compile = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-c"];
    clang(&compile, &source, &object)?;
    clang(&["-Wl,--strip-all,--stack-first,-z,stack-size=65536"], &object, &module)?;
    fs::read(&module).with_context(|| format!("cannot read {}", module.display()))
}

fn clang(options: &[&str], from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(CLANG);
    command.env_clear().env("PATH", "/usr/bin:/bin").arg("--target=wasm32-wasi").args(options);
    let status = command.arg(from).arg("-o").arg(to).status();
    let status = status.with_context(|| format!("cannot start {CLANG}"))?;
    if !status.success() {
        bail!("{CLANG} does not make {} ({status})", to.display());
    }
    Ok(())
}

/// Refuses a machine whose toolchain cannot give the pinned bytes, and says how to mend that.
fn check_toolchain() -> anyhow::Result<()> {
    let output = Command::new(CLANG).arg("--version").output();
    let output = output.with_context(|| format!("cannot run {CLANG}: `{PACKAGES}`"))?;
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.contains(CLANG_VERSION) {
        let found = version.lines().next().unwrap_or_default();
        bail!("{CLANG} is {found}, the checkers are pinned to {CLANG_VERSION}");
    }
    if !Path::new("/usr/include/wasm32-wasi").is_dir() {
        bail!("the checkers are built with wasi-libc, which is missing: `{PACKAGES}`");
    }
    Ok(())
}
