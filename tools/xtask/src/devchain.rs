//! `cargo xtask devchain`: a chain of our own for tests, on this machine's loopback address.
//!
//! `build` compiles the runtime in `tests/devchain` to WebAssembly, installs the node that runs it,
//! and makes the first state; `start` runs the node until it is stopped; `reset` removes all of it.
//! Each part is made again only when what it is made of has changed. Nothing is kept between runs:
//! every start begins with the first block.

mod node;
mod parts;
mod runtime;

use std::fs;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

use crate::sh;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Make the runtime, the node and the first state, as far as they are not made.
    Build,
    /// Run the chain until it is stopped; its address is the line that it prints.
    Start(Start),
    /// Remove everything that `build` made.
    Reset,
}

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Where to listen; 0 is any port that is free.
    #[arg(long, default_value_t = 9944)]
    port: u16,
    /// When blocks are made beside those that `dev_newBlock` asks for.
    #[arg(long, value_enum, default_value_t = Blocks::Instant)]
    blocks: Blocks,
    /// Also a block every so many milliseconds; 0 is none.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    block_time: u64,
}

/// When a transaction gets its block.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Blocks {
    /// At once, one block for each.
    Instant,
    /// A tenth of a second after the last of several, in one block.
    Batch,
    /// When the next block is made.
    Manual,
}

impl Blocks {
    /// As the node calls it.
    fn mode(self) -> &'static str {
        match self {
            Self::Instant => "Instant",
            Self::Batch => "Batch",
            Self::Manual => "Manual",
        }
    }
}

/// What the chain is made of and in.
struct Folders {
    /// The sources.
    sources: PathBuf,
    /// Everything that is made.
    made: PathBuf,
}

impl Folders {
    fn new() -> Self {
        Self { sources: sh::root().join("tests/devchain"), made: sh::target().join("devchain") }
    }

    /// The first state, made if it is not.
    fn state(&self) -> Result<PathBuf> {
        fs::create_dir_all(&self.made)
            .with_context(|| format!("cannot create {}", self.made.display()))?;
        // Tests start chains side by side.
        let lock = self.made.join("lock");
        let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = lock.context("cannot lock the folder of the development chain")?;
        let runtime = runtime::make(self)?;
        node::install(self)?;
        node::first_state(self, &runtime)
    }
}

/// Does it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folders = Folders::new();
    match options {
        Options::Build => sh::print(&folders.state()?.display().to_string()),
        Options::Start(start) => {
            let state = folders.state()?;
            let mut node = node::command(&folders)?;
            node.arg("start").arg(state).arg(start.port.to_string());
            node.arg(start.blocks.mode()).arg(start.block_time.to_string());
            // In this process's place, so that what stops this one stops the node.
            Err(node.exec()).context("cannot start node")
        }
        Options::Reset => match fs::remove_dir_all(&folders.made) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", folders.made.display()))
            }
            _ => Ok(()),
        },
    }
}
