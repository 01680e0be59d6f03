//! The arguments of `dataforge chain`.

use crate::arguments::wallet::WalletsFolder;
use clap::{Args, Subcommand, ValueEnum};
use dataforge_chain::ids::{AccountId, Genesis, MechanismId, NetUid};
use dataforge_chain::journal::Tip;
use dataforge_chain::network::Endpoint;
use dataforge_chain::wallet::{HotkeyName, WalletName};
use dataforge_core::hash::{MerkleRoot, SpecId};
use std::net::SocketAddr;
use std::path::PathBuf;

const CHAIN_HELP: &str = "\
Nothing is signed unless the node serves the chain that was meant, has caught up, and its runtime's
calls have the shapes that this program knows. Weights are signed under a journal: for one epoch,
one vector, whatever restarts, second processes, clocks and reorganisations do.

Examples:
  dataforge chain status --network finney
  dataforge chain metagraph --netuid 12
  dataforge chain journal init
  dataforge chain weights epochs/7 --netuid 12 --wallet validator --dry-run
  dataforge chain weights epochs/7 --netuid 12 --wallet validator";

#[derive(Debug, Args)]
#[command(after_help = CHAIN_HELP)]
pub(crate) struct Chain {
    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(subcommand)]
    pub(crate) action: ChainAction,
}

/// Which chain, by which nodes.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The chain: `finney`, `test`, or `local` for a node on this machine.
    #[arg(long, global = true, default_value = "finney")]
    pub(crate) network: String,

    /// A node's address in place of the network's own; several are tried in turn.
    #[arg(long = "endpoint", global = true, value_name = "URL")]
    pub(crate) endpoints: Vec<Endpoint>,

    /// What the hash of the first block must be. Default with `finney`: that of the main network;
    /// else whatever the node says.
    #[arg(long, global = true, value_name = "HASH")]
    pub(crate) genesis: Option<Genesis>,

    /// Seconds to wait for one answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,

    /// How often each node is tried, with growing pauses.
    #[arg(long, global = true, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) tries: u32,

    /// The age in seconds from which on a node's last final block is too old to sign by, or to wait
    /// for the next one.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) max_age: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChainAction {
    /// Say which chain a node serves, how far it is, and whether its runtime is one that this
    /// program knows.
    Status,
    /// Print a subnet: its rules, its next epoch, and everybody with a uid.
    Metagraph {
        #[command(flatten)]
        of: Mechanism,
    },
    /// Register a hotkey in a subnet, for what that costs. Signed by the coldkey.
    Register(Register),
    /// Announce where a hotkey is served.
    Serve {
        #[command(flatten)]
        subnet: Subnet,

        #[command(flatten)]
        wallet: WalletKeys,

        /// The public address: IP:PORT, with an IPv6 address in brackets.
        #[arg(long, value_name = "IP:PORT")]
        address: SocketAddr,

        #[command(flatten)]
        wait: Wait,
    },
    /// Pay an epoch's miners: set the weights that its settlement came to.
    Weights(Weights),
    /// Reveal weights that were committed by their hash.
    Reveal(Reveal),
    /// Commit to the spec and the root of the score proofs of an epoch.
    Commit(Commit),
    /// Print what a hotkey has committed to.
    Pledge {
        #[command(flatten)]
        subnet: Subnet,

        /// The hotkey.
        #[arg(value_name = "SS58")]
        hotkey: AccountId,
    },
    /// Keep the journal of what was signed.
    Journal {
        #[command(subcommand)]
        action: JournalAction,
    },
    /// Print the calls, storage items and runtime APIs that this program uses, or compare them
    /// with a runtime's.
    Shapes {
        /// A listing of signatures, or metadata as a node answers it.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Subnet {
    /// The subnet's number.
    #[arg(long, value_name = "N")]
    pub(crate) netuid: NetUid,
}

/// A subnet, and which of its weights.
#[derive(Debug, Args)]
pub(crate) struct Mechanism {
    #[command(flatten)]
    pub(crate) subnet: Subnet,

    /// One of the subnet's mechanisms.
    #[arg(long, value_name = "N", default_value_t)]
    pub(crate) mechanism: MechanismId,
}

/// Whose keys sign.
#[derive(Debug, Args)]
pub(crate) struct WalletKeys {
    /// The wallet.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) wallet: WalletName,

    /// The wallet's hotkey.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) hotkey: HotkeyName,

    #[command(flatten)]
    pub(crate) folder: WalletsFolder,

    /// A file whose one line is the password of an encrypted key. Default: the SDK's
    /// BT_WALLET_PASSWORD or BT_WALLET_PASSWORD_FILE, else asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Do not wait until the block that has the transaction is final.
    #[arg(long)]
    pub(crate) no_finality: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    #[command(flatten)]
    pub(crate) subnet: Subnet,

    #[command(flatten)]
    pub(crate) wallet: WalletKeys,

    /// Refuse to pay more, in rao.
    #[arg(long, value_name = "RAO")]
    pub(crate) max_burn: Option<u64>,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// How weights reach the chain.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Method {
    /// As the subnet wants it: `set`, or `timelocked` where it takes commitments.
    Auto,
    /// For everybody to see at once.
    Set,
    /// Encrypted until the chain reveals them.
    Timelocked,
    /// By a hash; `chain reveal` must follow.
    Hashed,
}

#[derive(Debug, Args)]
pub(crate) struct Weights {
    /// The settled epoch's folder, named by its number.
    #[arg(value_name = "EPOCH_DIR")]
    pub(crate) epoch: PathBuf,

    #[command(flatten)]
    pub(crate) of: Mechanism,

    #[command(flatten)]
    pub(crate) wallet: WalletKeys,

    #[command(flatten)]
    pub(crate) journal: JournalFile,

    /// How weights reach the chain.
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    pub(crate) method: Method,

    /// The round of the drand beacon from which on timelocked weights can be read. Default: the
    /// first that the chain has when it reveals them.
    #[arg(long, value_name = "ROUND")]
    pub(crate) reveal_round: Option<u64>,

    /// The version of whoever sets weights. Default: the smallest that the chain takes.
    #[arg(long, value_name = "N")]
    pub(crate) version_key: Option<u64>,

    /// Send what the journal has of this epoch, where who is registered has changed since.
    #[arg(long)]
    pub(crate) recorded: bool,

    /// Say what would be sent, and whether the chain would refuse it; sign nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Reveal {
    /// The epoch whose weights were committed.
    #[arg(long, value_name = "N")]
    pub(crate) epoch: u64,

    #[command(flatten)]
    pub(crate) of: Mechanism,

    #[command(flatten)]
    pub(crate) wallet: WalletKeys,

    #[command(flatten)]
    pub(crate) journal: JournalFile,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Commit {
    #[command(flatten)]
    pub(crate) subnet: Subnet,

    #[command(flatten)]
    pub(crate) wallet: WalletKeys,

    /// The id of the spec that the epoch was scored by.
    #[arg(long, value_name = "ID")]
    pub(crate) spec: SpecId,

    /// The epoch.
    #[arg(long, value_name = "N")]
    pub(crate) epoch: u64,

    /// The Merkle root of the epoch's score proofs.
    #[arg(long, value_name = "ROOT")]
    pub(crate) proofs: MerkleRoot,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct JournalFile {
    /// The journal. Default: `DATAFORGE_HOME/journal.db` where that variable is set, else
    /// `dataforge/journal.db` in the folder for state (`~/.local/state`).
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalAction {
    /// Begin an empty journal. Only for keys that have signed no weights elsewhere: what was signed
    /// by another journal is imported.
    Init {
        #[command(flatten)]
        journal: JournalFile,
    },
    /// Print what was signed.
    Show {
        #[command(flatten)]
        journal: JournalFile,

        /// Only of this key.
        #[arg(long, value_name = "SS58")]
        hotkey: Option<AccountId>,

        /// Refuse a journal that does not continue the one of which this was shown as the last row:
        /// an older copy, or another machine's. Sign nothing with such a journal.
        #[arg(long, value_name = "ROWS:DIGEST")]
        since: Option<Tip>,
    },
    /// Write all that was signed as one JSON document.
    Export {
        #[command(flatten)]
        journal: JournalFile,

        /// Where to.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take over what another journal has exported.
    Import {
        #[command(flatten)]
        journal: JournalFile,

        /// The document.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
