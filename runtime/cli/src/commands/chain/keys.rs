//! The keys that sign, and the calls that are about them.

use crate::arguments::{Commit, Register, WalletKeys};
use crate::commands::chain::{done, until};
use crate::commands::wallet::{unlock, wallets};
use crate::context::Context;
use crate::exit::Answer;
use dataforge_chain::client::Client;
use dataforge_chain::ids::AccountId;
use dataforge_chain::pledge::Pledge;
use dataforge_chain::wallet::{Keypair, Wallet, WalletError};

/// The hotkey, to sign with.
pub(super) fn hotkey(context: &Context, keys: &WalletKeys) -> anyhow::Result<Keypair> {
    let file = wallet(keys)?.hotkey(&keys.hotkey)?;
    unlock(context, &file, keys.password_file.as_deref())
}

/// The hotkey's address, for which no secret is read where its public half is there.
pub(super) fn hotkey_address(keys: &WalletKeys) -> Result<AccountId, WalletError> {
    wallet(keys)?.hotkey_account(&keys.hotkey)
}

fn wallet(keys: &WalletKeys) -> Result<Wallet, WalletError> {
    Ok(wallets(keys.folder.path.as_deref())?.wallet(&keys.wallet))
}

pub(super) async fn register(
    context: &Context,
    client: &mut Client,
    arguments: &Register,
) -> anyhow::Result<Answer> {
    let keys = &arguments.wallet;
    let hotkey = hotkey_address(keys)?;
    let coldkey = wallet(keys)?.coldkey()?;
    let coldkey = unlock(context, &coldkey, keys.password_file.as_deref())?;
    let (netuid, until) = (arguments.subnet.netuid, until(&arguments.wait));
    let receipt = client.register(&coldkey, netuid, &hotkey, arguments.max_burn, until).await?;
    done(context, &receipt)
}

pub(super) async fn commit(
    context: &Context,
    client: &mut Client,
    arguments: &Commit,
) -> anyhow::Result<Answer> {
    let Commit { subnet, wallet, spec, epoch, proofs, wait } = arguments;
    let pledge = Pledge { spec: *spec, epoch: *epoch, proofs: *proofs };
    let key = hotkey(context, wallet)?;
    let receipt = client.pledge(&key, subnet.netuid, &pledge, until(wait)).await?;
    done(context, &receipt)
}
