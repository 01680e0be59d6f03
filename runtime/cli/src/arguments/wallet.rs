//! The arguments of `dataforge wallet`.

use clap::{Args, Subcommand, ValueEnum};
use dataforge_chain::wallet::{HotkeyName, WalletName, Words};
use std::path::PathBuf;

const WALLET_HELP: &str = "\
A wallet is a folder with a coldkey, which owns, and hotkeys, which act. A validator or miner needs
its hotkey here, and of the coldkey at most the public half: keep the coldkey on another machine.

  NAME/coldkey              encrypted under a password
  NAME/coldkeypub.txt       its public half
  NAME/hotkeys/HOTKEY       plain, so that it signs unattended
  NAME/hotkeys/HOTKEYpub.txt

The files are those of the Bittensor SDK: either program reads what the other one wrote.";

const NEW_HELP: &str = "\
The password of the coldkey comes from --password-file, else from the environment as the SDK has
it (BT_WALLET_PASSWORD, or BT_WALLET_PASSWORD_FILE with the name of a file), else it is asked for.
There is no way to recover it.

Examples:
  dataforge wallet new --wallet owner --coldkey-only --show-mnemonic
  dataforge wallet new --wallet validator --hotkey one --hotkey-only
  dataforge wallet new --wallet owner --password-file password.txt --json";

const SHOW_HELP: &str = "\
No password is asked for: of an encrypted key the address is read from its public half.

Exit code 1 says that something is wrong with one of the files.";

#[derive(Debug, Args)]
#[command(after_help = WALLET_HELP)]
pub(crate) struct WalletCommand {
    #[command(subcommand)]
    pub(crate) action: WalletAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalletAction {
    /// Make a coldkey and a hotkey from the system's randomness. Never overwrites a file.
    New(NewWallet),
    /// List wallets and their keys, with addresses, how each is encrypted, and what is wrong.
    Show(ShowWallets),
}

/// Where wallets are.
#[derive(Debug, Args)]
pub(crate) struct WalletsFolder {
    /// The folder of all wallets. Default: `~/.bittensor/wallets`.
    #[arg(long, visible_alias = "wallets", value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = NEW_HELP)]
pub(crate) struct NewWallet {
    /// The wallet, which is created where there is none.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) wallet: WalletName,

    /// The hotkey within the wallet.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) hotkey: HotkeyName,

    #[command(flatten)]
    pub(crate) folder: WalletsFolder,

    /// How many words each key is made of.
    #[arg(long, value_enum, default_value = "12")]
    pub(crate) words: WordCount,

    /// Make the hotkey alone, in a wallet that has its coldkey, or has it elsewhere.
    #[arg(long, visible_alias = "no-coldkey")]
    #[arg(conflicts_with_all = ["coldkey_only", "password_file", "unencrypted_coldkey"])]
    pub(crate) hotkey_only: bool,

    /// Make the coldkey alone.
    #[arg(long, visible_alias = "no-hotkey")]
    pub(crate) coldkey_only: bool,

    /// A file with one line: the password of the coldkey.
    #[arg(long, value_name = "FILE", conflicts_with = "unencrypted_coldkey")]
    pub(crate) password_file: Option<PathBuf>,

    /// Write the coldkey as it is: whoever reads the file owns all that it owns.
    #[arg(long)]
    pub(crate) unencrypted_coldkey: bool,

    /// Print the words, once. They make the keys again where the files are lost. On a terminal, or
    /// with --json as part of the object.
    #[arg(long)]
    pub(crate) show_mnemonic: bool,
}

/// How many words a mnemonic has.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WordCount {
    #[value(name = "12")]
    Twelve,
    #[value(name = "24")]
    TwentyFour,
}

impl From<WordCount> for Words {
    fn from(count: WordCount) -> Self {
        match count {
            WordCount::Twelve => Self::Twelve,
            WordCount::TwentyFour => Self::TwentyFour,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = SHOW_HELP)]
pub(crate) struct ShowWallets {
    /// Only this wallet.
    #[arg(long, value_name = "NAME")]
    pub(crate) wallet: Option<WalletName>,

    #[command(flatten)]
    pub(crate) folder: WalletsFolder,
}
