//! `cargo xtask sdk`: what is made for the chain, beside the Bittensor SDK.
//!
//! Each part is a script of `tools/chain` that asks both sides the same cases, prints a line for
//! each comparison, and ends with the first difference. Cases that the tests of the chain crate
//! keep are compared with what the SDK says of them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::{sh, venv};

/// The SDK.
const PACKAGES: &[&str] =
    &["bittensor-core==0.1.5", "bittensor-drand==2.0.0", "bittensor-wallet==4.1.1"];

/// The last SDK that hashes weights for the older commit–reveal. Apart: it wants another drand.
const PACKAGES_OLDER: &[&str] = &["bittensor==10.3.0", "cyscale==0.8.0"];

/// The cases that the tests keep, from the repository's root, and by which seed they are made.
const GOLDEN: &str = "runtime/chain/tests/timelock_cases/golden.jsonl";
const SEED: u64 = 4;

/// What is made for the chain, beside the SDK.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Makes other cases.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Write the cases that the tests keep instead of comparing with them.
    #[arg(long)]
    write: bool,
}

/// Everything that the parts need.
struct Peers {
    /// Our side.
    program: PathBuf,
    /// Our side for key files.
    key_files: PathBuf,
    /// Python with the SDK.
    sdk: PathBuf,
    /// Python with the older one.
    older: PathBuf,
    /// What gives Python a fixed clock and fixed randomness.
    fixed_world: PathBuf,
    seed: String,
    /// Where the parts put the cases that are kept.
    golden: PathBuf,
}

/// One comparison of a kind.
type Part = fn(&Peers) -> anyhow::Result<()>;

const PARTS: &[Part] = &[timelock, commit_hash, keyfiles];

/// Runs every part, up to the first difference.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let peers = Peers::new(options.seed)?;
    for part in PARTS {
        part(&peers)?;
    }
    if options.seed != SEED {
        ensure!(!options.write, "kept cases are made by the seed {SEED}");
        return Ok(());
    }
    let (made, kept) = (fs::read_to_string(&peers.golden)?, sh::root().join(GOLDEN));
    if options.write {
        return fs::write(&kept, made).with_context(|| format!("cannot write {GOLDEN}"));
    }
    let same = fs::read_to_string(&kept).is_ok_and(|kept| kept == made);
    ensure!(same, "{GOLDEN} is not what the SDK says: look at `cargo xtask sdk --write`");
    sh::print(&format!("kept cases: {}, equal", made.lines().count()))
}

/// Weights encrypted to a round, and the round itself.
fn timelock(peers: &Peers) -> anyhow::Result<()> {
    peers.script(Command::new(&peers.sdk).env("LD_PRELOAD", &peers.fixed_world), "timelock.py")
}

/// Weights hashed.
fn commit_hash(peers: &Peers) -> anyhow::Result<()> {
    peers.script(&mut Command::new(&peers.older), "commit_hash.py")
}

/// Key files, read both ways.
fn keyfiles(peers: &Peers) -> anyhow::Result<()> {
    let mut python = Command::new(&peers.sdk);
    python.arg(script("keyfiles.py")).arg(&peers.key_files).arg(&peers.seed);
    sh::print(sh::output(&mut python)?.trim())
}

impl Peers {
    fn new(seed: u64) -> anyhow::Result<Self> {
        let build = ["build", "--locked", "--package", "dataforge-chain"];
        let examples = ["--example", "sdk_cases", "--example", "key_files"];
        sh::cargo(&[&build[..], &examples].concat(), &[])?;
        let folder = sh::target().join("sdk");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let golden = folder.join("golden.jsonl");
        // The parts append.
        fs::write(&golden, "")?;
        Ok(Self {
            program: sh::target().join("debug/examples/sdk_cases"),
            key_files: sh::target().join("debug/examples/key_files"),
            sdk: venv::made("sdk-venv", PACKAGES)?,
            older: venv::made("sdk-older-venv", PACKAGES_OLDER)?,
            fixed_world: fixed_world(&folder)?,
            seed: seed.to_string(),
            golden,
        })
    }

    /// Runs a script of `tools/chain`, and prints what it printed.
    fn script(&self, python: &mut Command, name: &str) -> anyhow::Result<()> {
        // They import each other, and what Python keeps of that is not to lie in the tree.
        python.arg("-B").arg(script(name));
        python.args([&self.program, Path::new(&self.seed), &self.golden]);
        sh::print(sh::output(python)?.trim())
    }
}

/// Compiles what is preloaded.
fn fixed_world(folder: &Path) -> anyhow::Result<PathBuf> {
    let library = folder.join("fixed_world.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let mut compile = Command::new(compiler);
    compile.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library);
    sh::output(compile.arg(script("fixed_world.c")).arg("-ldl"))?;
    Ok(library)
}

fn script(name: &str) -> PathBuf {
    sh::root().join("tools/chain").join(name)
}
