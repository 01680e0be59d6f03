//! `dataforge chain`: what a chain says, and what is said to it.
//!
//! What may be signed is decided by `dataforge-chain`. Here it is asked for and shown.

mod journal;
mod keys;
mod show;
mod weights;

use crate::arguments::{Chain, ChainAction, Connection, Mechanism, Wait};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::Context as _;
use dataforge_chain::client::{Client, Patience};
use dataforge_chain::error::ChainError;
use dataforge_chain::metagraph::Metagraph;
use dataforge_chain::network::Network;
use dataforge_chain::submit::{Receipt, Until};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks at whether Ctrl-C was pressed.
const STOP_POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(context: &Context, chain: &Chain) -> anyhow::Result<Answer> {
    // Those that need no chain.
    match &chain.action {
        ChainAction::Shapes { file } => return show::shapes(context, file.as_deref()),
        ChainAction::Journal { action } => return journal::run(context, action),
        _ => {}
    }
    let client = client(&chain.connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        tokio::select! {
            answer = act(context, client, &chain.action) => answer,
            () = stopped(context) => Err(Stopped.into()),
        }
    })
}

/// Ctrl-C ended the wait.
#[derive(Debug, thiserror::Error)]
#[error("a transaction that was sent may still be taken; the journal knows what was signed")]
pub(crate) struct Stopped;

async fn stopped(context: &Context) {
    while !context.stop().load(std::sync::atomic::Ordering::Relaxed) {
        tokio::time::sleep(STOP_POLL).await;
    }
}

fn client(connection: &Connection) -> anyhow::Result<Client> {
    let mut network: Network = connection.network.parse()?;
    if !connection.endpoints.is_empty() {
        network.endpoints = connection.endpoints.clone();
    }
    network.genesis = connection.genesis.or(network.genesis);
    let patience = Patience {
        request: Duration::from_secs(connection.timeout),
        rounds: connection.tries,
        age_ms_max: connection.max_age.saturating_mul(1000),
        ..Patience::default()
    };
    Ok(Client::new(network, patience, now_ms))
}

/// The time, in Unix milliseconds.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn act(
    context: &Context,
    mut client: Client,
    action: &ChainAction,
) -> anyhow::Result<Answer> {
    let client = &mut client;
    match action {
        ChainAction::Status => show::status(context, client).await,
        ChainAction::Metagraph { of } => show::metagraph(context, &metagraph(client, of).await?),
        ChainAction::Register(register) => keys::register(context, client, register).await,
        ChainAction::Serve { subnet, wallet, address, wait } => {
            let key = keys::hotkey(context, wallet)?;
            let receipt = client.serve(&key, subnet.netuid, *address, until(wait)).await?;
            done(context, &receipt)
        }
        ChainAction::Weights(weights) => weights::send(context, client, weights).await,
        ChainAction::Reveal(reveal) => weights::reveal(context, client, reveal).await,
        ChainAction::Commit(commit) => keys::commit(context, client, commit).await,
        ChainAction::Pledge { subnet, hotkey } => {
            let (netuid, key) = (subnet.netuid, *hotkey);
            let pledge = client.read(async |view| view.pledge(netuid, &key).await).await?;
            show::pledge(context, pledge)
        }
        ChainAction::Journal { .. } | ChainAction::Shapes { .. } => Ok(Answer::Yes),
    }
}

async fn metagraph(client: &mut Client, of: &Mechanism) -> Result<Metagraph, ChainError> {
    client.read(async |view| view.metagraph(of.subnet.netuid, of.mechanism).await).await
}

fn until(wait: &Wait) -> Until {
    if wait.no_finality { Until::Included } else { Until::Final }
}

/// Says what became of a transaction.
fn done(context: &Context, receipt: &Receipt) -> anyhow::Result<Answer> {
    if context.json {
        output::json(&json!({ "receipt": receipt }))?;
        return Ok(Answer::Yes);
    }
    for line in receipt_lines(receipt) {
        output::line(&line)?;
    }
    Ok(Answer::Yes)
}

fn receipt_lines(receipt: &Receipt) -> [String; 3] {
    let final_or_not = if receipt.finalized { "final" } else { "not final yet" };
    [
        format!("done      {}", receipt.call),
        format!("block     {} ({final_or_not}) {}", receipt.block, receipt.block_hash),
        format!("hash      {}", receipt.hash),
    ]
}
