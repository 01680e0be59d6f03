//! What a chain says.

use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::anyhow;
use dataforge_chain::client::Client;
use dataforge_chain::metagraph::{Metagraph, Neuron};
use dataforge_chain::pledge::Pledge;
use dataforge_chain::shapes::{self, Difference};
use dataforge_core::units::Bytes;
use dataforge_node::fs::read_bounded;
use serde_json::json;
use std::path::Path;

/// Metadata has less than two megabytes.
const SHAPES_BYTES_MAX: Bytes = Bytes(32 << 20);

/// SCALE-encoded metadata begins so.
const METADATA_MAGIC: &[u8] = b"meta";

pub(super) async fn status(context: &Context, client: &mut Client) -> anyhow::Result<Answer> {
    let genesis = client.genesis().await?;
    let (view, time_ms) =
        client.read(async |view| Ok((view.clone(), view.time_ms().await?))).await?;
    let age_s = super::now_ms().saturating_sub(time_ms) / 1000;
    if context.json {
        output::json(&json!({
            "endpoint": view.endpoint().url(),
            "genesis": genesis.to_string(),
            "spec_version": view.spec_version(),
            "final_block": view.block(),
            "final_block_hash": view.block_hash(),
            "final_block_time_ms": time_ms,
            "final_block_age_s": age_s,
        }))?;
        return Ok(Answer::Yes);
    }
    output::line(&format!("node      {}", view.endpoint()))?;
    output::line(&format!("genesis   {genesis}"))?;
    output::line(&format!("runtime   {}, with the expected shapes", view.spec_version()))?;
    let (block, hash) = (view.block(), view.block_hash());
    output::line(&format!("final     block {block}, {age_s} s old, {hash}"))?;
    Ok(Answer::Yes)
}

pub(super) fn metagraph(context: &Context, metagraph: &Metagraph) -> anyhow::Result<Answer> {
    if context.json {
        output::json(metagraph)?;
        return Ok(Answer::Yes);
    }
    let (rules, schedule) = (&metagraph.rules, &metagraph.schedule);
    let next = schedule.next_epoch_block.map_or("none".to_owned(), |block| block.to_string());
    let weights = match rules.commit_reveal {
        true => format!("committed, revealed after {} epochs", rules.reveal_period),
        false => "set at once".to_owned(),
    };
    for line in [
        format!("subnet    {}, mechanism {}", metagraph.netuid, metagraph.mechanism),
        format!("block     {}; next epoch at {next}, tempo {}", metagraph.block, schedule.tempo),
        format!(
            "weights   {weights}; every {} blocks, at least {}, from {} rao of stake on",
            rules.weights_rate_limit, rules.min_allowed_weights, rules.stake_threshold
        ),
        format!("register  {} rao", rules.burn),
        String::new(),
    ] {
        output::line(&line)?;
    }
    let header = [
        "uid",
        "hotkey",
        "stake",
        "permit",
        "updated",
        "incentive",
        "dividends",
        "emission",
        "axon",
    ];
    let rows: Vec<_> = metagraph.neurons.iter().map(row).collect();
    output::line(&output::table(&header, &rows))?;
    Ok(Answer::Yes)
}

fn row(neuron: &Neuron) -> Vec<String> {
    vec![
        neuron.uid.to_string(),
        neuron.hotkey.to_string(),
        neuron.stake.to_string(),
        if neuron.validator_permit { "yes" } else { "" }.to_owned(),
        neuron.last_update.to_string(),
        neuron.incentive.to_string(),
        neuron.dividends.to_string(),
        neuron.emission.to_string(),
        neuron.axon.map_or(String::new(), |axon| axon.to_string()),
    ]
}

pub(super) fn pledge(context: &Context, pledge: Option<(Pledge, u32)>) -> anyhow::Result<Answer> {
    let Some((Pledge { spec, epoch, proofs }, block)) = pledge else {
        match context.json {
            true => output::json(&json!({ "pledge": null }))?,
            false => output::line("the key has committed to no spec and proofs")?,
        }
        return Ok(Answer::No);
    };
    if context.json {
        let pledge = json!({ "spec": spec, "epoch": epoch, "proofs": proofs });
        output::json(&json!({ "pledge": pledge, "block": block }))?;
        return Ok(Answer::Yes);
    }
    output::line(&format!("epoch     {epoch}, committed in block {block}"))?;
    output::line(&format!("spec      {spec}"))?;
    output::line(&format!("proofs    {proofs}"))?;
    Ok(Answer::Yes)
}

pub(super) fn shapes(context: &Context, file: Option<&Path>) -> anyhow::Result<Answer> {
    let Some(file) = file else {
        for line in shapes::declared() {
            output::line(line)?;
        }
        return Ok(Answer::Yes);
    };
    let bytes = read_bounded(file, SHAPES_BYTES_MAX)?;
    let (differences, told) = if bytes.starts_with(METADATA_MAGIC) {
        let differences = shapes::differences_in(&bytes);
        (differences.map_err(|reason| anyhow!("{}: {reason}", file.display()))?, None)
    } else {
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|_| anyhow!("{} is no text and no metadata", file.display()))?;
        let listing = shapes::compare_listing(text);
        (listing.differences, Some((listing.equal, listing.untold)))
    };
    let lines: Vec<_> = differences.iter().map(Difference::to_string).collect();
    let (equal, untold) = told.unwrap_or((shapes::declared().count() - lines.len(), 0));
    if context.json {
        output::json(&json!({ "equal": equal, "untold": untold, "differences": lines }))?;
        return Ok(differences.is_empty().into());
    }
    for line in &lines {
        output::line(line)?;
    }
    let differing = lines.len();
    output::line(&format!("{equal} equal, {differing} different, {untold} that it does not tell"))?;
    Ok(differences.is_empty().into())
}
