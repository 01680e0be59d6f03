//! `cargo xtask ci`: every check that the tests do not make.
//!
//! All checks run even after one has failed, so that one run shows everything there is to mend.
//! The kernels are rebuilt and the development chain is built meanwhile, since much of that is one
//! crate at a time; cargo's locks keep the folders whole that several use.
//! The tests are not run here: `.ci/run` runs them first.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::{report, sh, tidy, verifier};

type Check = (&'static str, fn() -> anyhow::Result<()>);

/// In this order: the quickest answer first.
const CHECKS: &[Check] = &[
    ("tidy", tidy::run),
    ("locks", locks),
    ("fmt", fmt),
    ("clippy", clippy),
    ("doc", doc),
    ("deny", deny),
    ("guests", guests),
    ("verifier", verifier::run),
    ("report", report::run),
];

/// Chores that run beside them: the committed kernels are what their sources are built to, and the
/// tests that follow find a chain.
const MEANWHILE: [[&str; 2]; 2] = [["kernels", "--check"], ["devchain", "build"]];

pub(crate) fn run() -> anyhow::Result<()> {
    let mut failed = Vec::new();
    let mut note = |name, result: anyhow::Result<()>| {
        if let Err(error) = result {
            eprintln!("{error:#}");
            failed.push(name);
        }
    };
    std::thread::scope(|scope| {
        let meanwhile = MEANWHILE.map(|chore| (chore, scope.spawn(move || run_chore(chore))));
        for (name, check) in CHECKS {
            eprintln!("== {name}");
            note(*name, check());
        }
        for (chore, thread) in meanwhile {
            eprintln!("== {}", chore[0]);
            let ran = thread.join();
            note(chore[0], ran.unwrap_or_else(|_| bail!("waiting for a chore panicked")));
        }
    });
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    eprintln!("== all {} checks passed", CHECKS.len() + MEANWHILE.len());
    Ok(())
}

/// Runs another chore. What is said of it is shown when it is done.
fn run_chore(arguments: [&str; 2]) -> anyhow::Result<()> {
    let name = format!("cargo xtask {}", arguments.join(" "));
    let mut chore = Command::new(std::env::current_exe()?);
    let said = chore.args(arguments).stdin(Stdio::null()).output();
    let said = said.with_context(|| format!("cannot start `{name}`"))?;
    std::io::stderr().write_all(&[said.stdout, said.stderr].concat())?;
    ensure!(said.status.success(), "`{name}` failed ({})", said.status);
    Ok(())
}

/// The workspaces that are not the main one.
const OTHERS: &[&str] = &[
    "fuzz/Cargo.toml",
    "guest-kernels/Cargo.toml",
    "tests/devchain/Cargo.toml",
    "tools/verifier/wasm/Cargo.toml",
];

/// Their locks are used long after the tests, some not before minutes of building.
fn locks() -> anyhow::Result<()> {
    for manifest in OTHERS {
        sh::cargo(&["fetch", "--quiet", "--locked", "--manifest-path", manifest], &[])?;
    }
    Ok(())
}

fn fmt() -> anyhow::Result<()> {
    sh::cargo(&["fmt", "--all", "--check"], &[])?;
    for manifest in OTHERS {
        sh::cargo(&["fmt", "--all", "--check", "--manifest-path", manifest], &[])?;
    }
    Ok(())
}

fn clippy() -> anyhow::Result<()> {
    // `-D warnings` goes after `--` rather than into RUSTFLAGS, which would rebuild every
    // dependency and fail on a warning that is not ours.
    sh::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])
}

/// The tests of the kernels, natively: what they compute, by golden vectors of the references.
fn guests() -> anyhow::Result<()> {
    let guests = ["--workspace", "--locked", "--manifest-path", "guest-kernels/Cargo.toml"];
    let target = sh::target().join("guests");
    let target = ["--target-dir", &target.to_string_lossy()];
    sh::cargo(&[&["test", "--quiet"], &guests[..], &target[..]].concat(), &[])
}

fn doc() -> anyhow::Result<()> {
    sh::cargo(
        &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

fn deny() -> anyhow::Result<()> {
    sh::cargo(&["deny", "--workspace", "--locked", "check", "licenses", "bans", "sources"], &[])
}
