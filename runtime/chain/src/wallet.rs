//! Keys, in the files of a Bittensor wallet: read, made, and used to sign.
//!
//! ```text
//! ~/.bittensor/wallets/NAME/coldkey               owns; encrypted under a password
//! ~/.bittensor/wallets/NAME/coldkeypub.txt        its public half
//! ~/.bittensor/wallets/NAME/hotkeys/HOTKEY        acts; plain
//! ~/.bittensor/wallets/NAME/hotkeys/HOTKEYpub.txt its public half
//! ```
//!
//! Files that the SDK (`bittensor` 11, `bittensor-wallet` 4) writes are read here, and those
//! written here are read there; `cargo xtask sdk` shows it. Only sr25519 keys are used. Encryption
//! other than `$NACL` is recognised and refused by name: the SDK can change it.
//!
//! What holds everywhere here:
//! - No existing file is replaced. A key file is there whole, or not at all.
//! - What holds a secret is wiped when it is dropped, has no `Debug`, `Display` or `Serialize`, and
//!   is never part of an error. Copies that a compiler or a system keeps (registers, swap) are
//!   beyond that.
//! - A key is used only where everything that its file says of it agrees: which of several secrets
//!   counts is answered differently by different programs.
//!
//! Passwords are not asked for, and no environment is read but the home folder: both are for the
//! program.

mod error;
mod file;
mod json;
mod key_file;
mod keypair;
mod layout;
mod make;
mod mnemonic;
mod names;
mod sealed;
mod survey;

pub use error::WalletError;
pub use key_file::{Encryption, KeyFile};
pub use keypair::Keypair;
pub use layout::{Wallet, Wallets};
pub use make::{Made, MadeKey, Making, Protection};
pub use mnemonic::{Mnemonic, Words};
pub use names::{HotkeyName, NameError, WalletName};
pub use sealed::{PASSWORD_CHARS_MIN, Password};
pub use survey::{KeyKind, SurveyedKey, SurveyedWallet};
