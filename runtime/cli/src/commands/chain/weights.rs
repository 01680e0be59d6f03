//! Weights: what an epoch's settlement came to, under the journal's permit, onto the chain.

use crate::arguments::{Method as Asked, Reveal, Weights};
use crate::commands::chain::{journal, keys, receipt_lines, until};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::{Context as _, anyhow};
use dataforge_chain::client::Client;
use dataforge_chain::error::{ChainError, Refusal};
use dataforge_chain::ids::AccountId;
use dataforge_chain::journal::{Intent, Journal, Permit, Sent, Slot};
use dataforge_chain::metagraph::Metagraph;
use dataforge_chain::submit::Receipt;
use dataforge_chain::timelock::DrandRound;
use dataforge_chain::weight_vector::WeightVector;
use dataforge_chain::weights::{Method, Prepared, prepare, refusals};
use dataforge_node::epochs::{EpochFolder, EpochsError};
use serde_json::json;

/// All that is decided before something is signed.
struct Plan {
    metagraph: Metagraph,
    intent: Intent,
    unregistered: Vec<AccountId>,
    method: Method,
    round: Option<DrandRound>,
    refusals: Vec<Refusal>,
}

pub(super) async fn send(
    context: &Context,
    client: &mut Client,
    arguments: &Weights,
) -> anyhow::Result<Answer> {
    let hotkey = keys::hotkey_address(&arguments.wallet)?;
    // A dry run needs no journal; nothing else does without.
    let mut journal = match arguments.dry_run {
        true => None,
        false => Some(journal::open(&arguments.journal)?),
    };
    let plan = plan(client, arguments, hotkey, journal.as_ref()).await?;
    let Some(journal) = &mut journal else { return show(context, &plan) };
    if !plan.refusals.is_empty() {
        return Err(ChainError::Refused(plan.refusals).into());
    }
    let key = keys::hotkey(context, &arguments.wallet)?;
    let permit = journal.authorise(&plan.intent)?;
    let until = until(&arguments.wait);
    let receipt = match (plan.method, plan.round) {
        (Method::Timelocked, Some(round)) => {
            client.commit_timelocked_weights(&key, &permit, round, until).await?
        }
        (Method::Timelocked, None) => return Err(anyhow!("there is no round to encrypt to")),
        (Method::Hashed, _) => client.commit_weights(&key, &permit, until).await?,
        (Method::Set, _) => client.set_weights(&key, &permit, until).await?,
    };
    done(context, journal, &permit, &receipt, plan.round)
}

pub(super) async fn reveal(
    context: &Context,
    client: &mut Client,
    arguments: &Reveal,
) -> anyhow::Result<Answer> {
    let mut journal = journal::open(&arguments.journal)?;
    let key = keys::hotkey(context, &arguments.wallet)?;
    let slot = Slot {
        genesis: client.genesis().await?,
        netuid: arguments.of.subnet.netuid,
        mechanism: arguments.of.mechanism,
        hotkey: key.public(),
        epoch: arguments.epoch,
    };
    let permit = journal.recorded(&slot)?;
    let permit = permit.with_context(|| {
        format!("{} has no weights of this key for epoch {}", journal.path().display(), slot.epoch)
    })?;
    let receipt = client.reveal_weights(&key, &permit, until(&arguments.wait)).await?;
    done(context, &mut journal, &permit, &receipt, None)
}

async fn plan(
    client: &mut Client,
    arguments: &Weights,
    hotkey: AccountId,
    journal: Option<&Journal>,
) -> anyhow::Result<Plan> {
    let not_settled = || EpochsError::NotSettled { path: arguments.epoch.clone() };
    let report = EpochFolder::at(&arguments.epoch)?.report()?.ok_or_else(not_settled)?;
    let (netuid, mechanism) = (arguments.of.subnet.netuid, arguments.of.mechanism);
    let metagraph = client.read_to_sign(async |view| view.metagraph(netuid, mechanism).await);
    let metagraph = metagraph.await?;
    let slot =
        Slot { genesis: client.genesis().await?, netuid, mechanism, hotkey, epoch: report.epoch.0 };
    let recorded = match journal {
        Some(journal) if arguments.recorded => journal.recorded(&slot)?,
        _ => None,
    };
    let (intent, unregistered) = match recorded {
        Some(permit) => (permit.intent().clone(), Vec::new()),
        None => {
            let shares = report.weights.iter();
            let shares: Vec<_> = shares.map(|(key, w)| ((*key).into(), u64::from(*w))).collect();
            let Prepared { vector, unregistered } = prepare(&shares, &metagraph)?;
            let version_key = arguments.version_key.unwrap_or(metagraph.rules.weights_version);
            (Intent { slot, vector, version_key }, unregistered)
        }
    };
    let method = match arguments.method {
        Asked::Auto => Method::of(&metagraph),
        Asked::Set => Method::Set,
        Asked::Timelocked => Method::Timelocked,
        Asked::Hashed => Method::Hashed,
    };
    let round = match (method, arguments.reveal_round) {
        (Method::Timelocked, None) => Some(client.reveal_round(&metagraph)?),
        (Method::Timelocked, given) => given.map(DrandRound),
        _ => None,
    };
    let Intent { vector, version_key, .. } = &intent;
    let refusals = refusals(&metagraph, &hotkey, vector, *version_key, method, metagraph.block);
    Ok(Plan { metagraph, intent, unregistered, method, round, refusals })
}

/// What would be sent, and whether it would be taken.
fn show(context: &Context, plan: &Plan) -> anyhow::Result<Answer> {
    let Plan { metagraph, intent, unregistered, method, round, refusals } = plan;
    let refused: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    if context.json {
        output::json(&json!({
            "epoch": intent.slot.epoch,
            "netuid": intent.slot.netuid,
            "mechanism": intent.slot.mechanism,
            "hotkey": intent.slot.hotkey,
            "block": metagraph.block,
            "method": method,
            "reveal_round": round.map(|round| round.0),
            "version_key": intent.version_key,
            "weights": intent.vector,
            "unregistered": unregistered,
            "refusals": refused,
        }))?;
        return Ok(refusals.is_empty().into());
    }
    let how = match (method, round) {
        (Method::Set, _) => "set_weights".to_owned(),
        (Method::Hashed, _) => "commit_weights, to be revealed by `chain reveal`".to_owned(),
        (Method::Timelocked, round) => {
            let round = round.map_or(String::new(), |round| format!(" to round {round}"));
            format!("commit_timelocked_weights{round}")
        }
    };
    output::line(&format!("epoch     {}, by {}", intent.slot.epoch, intent.slot.hotkey))?;
    output::line(&format!("call      {how}, version key {}", intent.version_key))?;
    for line in vector_lines(&intent.vector, metagraph) {
        output::line(&line)?;
    }
    for key in unregistered {
        output::line(&format!("left out  {key}: not registered"))?;
    }
    for reason in &refused {
        output::line(&format!("refused   {reason}"))?;
    }
    if refused.is_empty() {
        output::line("taken     as far as the chain's checks are known; nothing was signed")?;
    }
    Ok(refused.is_empty().into())
}

fn vector_lines(vector: &WeightVector, metagraph: &Metagraph) -> Vec<String> {
    let hotkey = |uid: u16| {
        let neuron = metagraph.neurons.get(usize::from(uid));
        neuron.map_or("nobody".to_owned(), |neuron| neuron.hotkey.to_string())
    };
    let pairs = vector.uids().zip(vector.values());
    pairs.map(|(uid, weight)| format!("weight    {weight:5}  uid {uid} {}", hotkey(uid))).collect()
}

fn done(
    context: &Context,
    journal: &mut Journal,
    permit: &Permit,
    receipt: &Receipt,
    round: Option<DrandRound>,
) -> anyhow::Result<Answer> {
    let (call, hash) = (receipt.call.clone(), receipt.hash.clone());
    journal.note(permit, &Sent { call, hash, block: receipt.block })?;
    let intent = permit.intent();
    if context.json {
        output::json(&json!({
            "receipt": receipt,
            "epoch": intent.slot.epoch,
            "weights": intent.vector,
            "reveal_round": round.map(|round| round.0),
        }))?;
        return Ok(Answer::Yes);
    }
    for line in receipt_lines(receipt) {
        output::line(&line)?;
    }
    let weights = intent.vector.pairs().len();
    output::line(&format!("weights   {weights}, for epoch {}", intent.slot.epoch))?;
    if let Some(round) = round {
        output::line(&format!("reveal    by the chain, from round {round} on"))?;
    }
    Ok(Answer::Yes)
}
