//! How long a settlement takes, and how much memory, for a market of a given size.
//!
//! Every miner submits a dataset of its own, everybody drawn tells the same score on time, and
//! every hundredth submission is a copy. Making the events is not part of the time; checking them
//! is.

use anyhow::Context as _;
use clap::Args;
use dataforge_core::hash::{Digest, EpochSeed, Hasher};
use dataforge_core::units::MicroNats;
use dataforge_settle::{
    Comparison, Event, Ledger, Lift, Outcome, Rao, Rules, Score, Script, Shared, settle,
};
use serde::Serialize;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::memory;

#[derive(Args)]
pub(crate) struct Settle {
    /// The rules of the market.
    rules: PathBuf,
    /// Miners, each with a submission.
    miners: u32,
    /// Validators.
    validators: u32,
    /// Validators drawn for each submission, instead of the rules' number.
    #[arg(long)]
    drawn: Option<NonZeroU32>,
    /// Times that it is settled.
    #[arg(long, default_value_t = 3)]
    passes: u32,
}

#[derive(Serialize)]
pub(crate) struct Settled {
    miners: u32,
    validators: u32,
    events: usize,
    assignments: usize,
    ms: Vec<f64>,
    /// Of the whole process, the list of events included.
    peak_mib: Option<f64>,
    report: String,
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn run(arguments: &Settle) -> anyhow::Result<Settled> {
    let path = &arguments.rules;
    let rules = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut rules: Rules = toml::from_str(&rules)?;
    // Everybody at once, so that the size alone decides.
    rules.draw.validators = arguments.drawn.unwrap_or(rules.draw.validators);
    let ledger = Ledger::default();
    let events = events(&rules, &ledger, arguments.miners, arguments.validators)?;
    let (mut ms, mut last) = (vec![], None);
    for _ in 0..arguments.passes {
        let start = std::time::Instant::now();
        let settled = settle(&rules, &ledger, &events)?;
        ms.push(1e3 * start.elapsed().as_secs_f64());
        last = Some(settled);
    }
    let last = last.context("--passes must be at least 1")?;
    let assignments = last.report.assignments.len();
    Ok(Settled {
        miners: arguments.miners,
        validators: arguments.validators,
        events: events.len(),
        assignments,
        ms,
        peak_mib: memory::peak_mib(),
        report: last.report.digest().to_string(),
    })
}

fn named<D: Digest>(kind: &str, number: u32) -> D {
    let mut hasher = Hasher::new("dataforge/bench/settle/v1");
    hasher.update(kind).update([0]).update(number.to_le_bytes());
    hasher.finish()
}

fn events(
    rules: &Rules,
    ledger: &Ledger,
    miners: u32,
    validators: u32,
) -> anyhow::Result<Vec<Event>> {
    let mut script = Script::new(rules, ledger, EpochSeed([1; 32]), EpochSeed([2; 32]))?;
    for number in 0..validators {
        script.list(named("validator", number), Rao(1_000_000 + u64::from(number)));
    }
    for number in 0..miners {
        script.list(named("miner", number), Rao(0));
    }
    let lottery = script.lottery()?;
    for number in 0..miners {
        let miner = named("miner", number);
        script.submit(miner, named("dataset", number), number % rules.phases.commit);
        let copies = number % 100 == 99 && number % rules.phases.commit != 0;
        let shared = Shared { with: named("dataset", number - number % 100), rows: 400 };
        script.compare(Comparison {
            dataset: named("dataset", number),
            rows: 500,
            own: if copies { 100 } else { 500 },
            most: copies.then_some(shared),
        });
        let all = MicroNats(i64::from(number % 1_000) * 1_000);
        let outcome = Outcome::Scored(Lift { all, hidden: all, bound: all });
        let score = Some(Score { proof: named("proof", number), outcome });
        let [validators, auditors] = script.asked(&lottery, miner);
        for (asked, audit) in [(validators, false), (auditors, true)] {
            for validator in asked {
                script.score(validator, miner, score, audit, 0);
            }
        }
    }
    Ok(script.finish())
}
