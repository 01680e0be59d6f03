//! `dataforge settle explain`: every factor of one party's reward.
//!
//! The epoch is settled again, so that what is explained follows from its events. What a validator
//! said is in the events alone; the report says what of it counts.

use crate::arguments::Explain;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::bail;
use dataforge_core::hash::{HotkeyId, LedgerDigest, SettlementDigest};
use dataforge_settle::{
    Account, AssignmentLine, Block, Comparison, Epoch, Event, Held, HeldFor, Ledger, Note, Rao,
    Release, Report, Rules, Score, Slash, SubmissionLine, ValidatorLine, What,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

use super::{explain_text, latest, table};

/// Everything that an epoch says about a party.
#[derive(Serialize)]
pub(super) struct Explanation {
    pub(super) party: HotkeyId,
    pub(super) epoch: Epoch,
    pub(super) digest: SettlementDigest,
    pub(super) ledger: LedgerDigest,
    /// What stands behind it.
    pub(super) stake: Rao,
    /// Its submission, if it made one.
    pub(super) miner: Option<Miner>,
    /// Its work on others' submissions, if it has a stake.
    pub(super) validator: Option<Validator>,
    /// What was taken from its bond.
    pub(super) slashes: Vec<Slash>,
    /// What was held before, and was paid to it or taken from it.
    pub(super) released: Vec<Release>,
    /// What it did that does not count.
    pub(super) notes: Vec<Note>,
    /// What it has after the epoch.
    pub(super) account: Option<Account>,
    /// What is held of its rewards and slashes after the epoch.
    pub(super) held: Vec<Held>,
}

#[derive(Serialize)]
pub(super) struct Miner {
    pub(super) submission: SubmissionLine,
    pub(super) commit_before: Block,
    pub(super) revealed: Option<Block>,
    pub(super) comparison: Option<Comparison>,
    /// Who was asked, and what each said.
    pub(super) asked: Vec<Asked>,
    /// The miners' part of the emission.
    pub(super) pool: Rao,
    /// All miners' weights, in millionths.
    pub(super) weights: u128,
    pub(super) founders_before: Epoch,
}

#[derive(Serialize)]
pub(super) struct Validator {
    pub(super) line: ValidatorLine,
    /// What it was asked about, and what it said.
    pub(super) asked: Vec<Asked>,
    /// The validators' part of the emission.
    pub(super) pool: Rao,
    /// All validators' weights.
    pub(super) weights: u128,
    pub(super) founders_before: Epoch,
    /// The epoch in which what is bonded of this reward is paid.
    pub(super) bonded_until: Epoch,
}

#[derive(Serialize)]
pub(super) struct Asked {
    #[serde(flatten)]
    pub(super) line: AssignmentLine,
    pub(super) stake: Rao,
    /// When it committed to a score first.
    pub(super) committed: Option<Block>,
    /// What it revealed; without a score where that is no valid proof.
    pub(super) said: Vec<Option<Score>>,
}

pub(super) fn run(context: &Context, arguments: &Explain) -> anyhow::Result<Answer> {
    let epoch = latest(arguments.epoch.as_deref().unwrap_or(Path::new(".")))?;
    let rules = epoch.rules(arguments.rules.rules.as_deref())?;
    let events = epoch.events()?;
    let settled = epoch.settle(&rules, &epoch.before()?, &events)?;
    // An explanation of something else than what was settled would mislead.
    epoch.is_settled_as(&settled)?;
    let party = find(&arguments.hotkey, &events)?;
    let found = explained(party, &rules, &events, &settled.report, &settled.ledger);
    if context.json {
        output::json(&found)?;
        return Ok(Answer::Yes);
    }
    for line in explain_text::lines(&found) {
        output::line(&line)?;
    }
    Ok(Answer::Yes)
}

/// The one party of the epoch whose key begins so.
fn find(prefix: &str, events: &[Event]) -> anyhow::Result<HotkeyId> {
    let begins = |event: &Event| match event.what {
        What::Listed { party, .. } => party.to_string().starts_with(prefix).then_some(party),
        _ => None,
    };
    let found: Vec<HotkeyId> = events.iter().filter_map(begins).collect();
    match found[..] {
        [party] => Ok(party),
        [] => bail!("no party of this epoch has a key that begins with {prefix}"),
        _ => bail!("{} parties have keys that begin with {prefix}: name more digits", found.len()),
    }
}

/// What the events say that the report does not.
#[derive(Default)]
struct Told {
    stakes: BTreeMap<HotkeyId, Rao>,
    revealed: BTreeMap<HotkeyId, Block>,
    /// By validator and miner.
    committed: BTreeMap<(HotkeyId, HotkeyId), Block>,
    said: BTreeMap<(HotkeyId, HotkeyId), Vec<Option<Score>>>,
}

impl Told {
    fn by(events: &[Event]) -> Self {
        let mut told = Self::default();
        for Event { at, what, .. } in events {
            match *what {
                What::Listed { party, stake } => {
                    told.stakes.insert(party, stake);
                }
                What::Revealed { miner, .. } => {
                    told.revealed.entry(miner).or_insert(*at);
                }
                What::ScoreCommitted { validator, miner, .. } => {
                    told.committed.entry((validator, miner)).or_insert(*at);
                }
                What::ScoreRevealed { validator, miner, score, .. } => {
                    told.said.entry((validator, miner)).or_default().push(score);
                }
                _ => {}
            }
        }
        told
    }

    fn stake(&self, party: HotkeyId) -> Rao {
        self.stakes.get(&party).copied().unwrap_or_default()
    }

    fn asked(&self, line: &AssignmentLine) -> Asked {
        let pair = (line.validator, line.miner);
        Asked {
            line: *line,
            stake: self.stake(line.validator),
            committed: self.committed.get(&pair).copied(),
            said: self.said.get(&pair).cloned().unwrap_or_default(),
        }
    }
}

fn explained(
    party: HotkeyId,
    rules: &Rules,
    events: &[Event],
    report: &Report,
    after: &Ledger,
) -> Explanation {
    let told = Told::by(events);
    let of_slash = |slash: &&Slash| slash.validator == party;
    let of_release = |of: &&Release| of.to == Some(party) || of.miner == party;
    Explanation {
        party,
        epoch: report.epoch,
        digest: report.digest(),
        ledger: report.after,
        stake: told.stake(party),
        miner: miner(party, rules, events, report, &told),
        validator: validator(party, rules, report, &told),
        slashes: report.slashes.iter().filter(of_slash).copied().collect(),
        released: report.released.iter().filter(of_release).copied().collect(),
        notes: report.notes.iter().filter(|note| note.party == party).copied().collect(),
        account: after.accounts.get(&party).cloned(),
        held: after.held.iter().filter(|held| is_about(held, party)).cloned().collect(),
    }
}

fn is_about(held: &Held, party: HotkeyId) -> bool {
    match held.reason {
        HeldFor::Dispute { .. } => held.miner == party,
        HeldFor::Outlier { validator, .. } => validator == party,
    }
}

fn miner(
    party: HotkeyId,
    rules: &Rules,
    events: &[Event],
    report: &Report,
    told: &Told,
) -> Option<Miner> {
    let submission = *report.submissions.iter().find(|line| line.miner == party)?;
    let compared = |event: &Event| match event.what {
        What::Compared(found) => (Some(found.dataset) == submission.dataset).then_some(found),
        _ => None,
    };
    let stage = rules.stage(report.epoch)?;
    let asked = report.assignments.iter().filter(|line| line.miner == party);
    let weights = report.submissions.iter().filter_map(|line| line.factors);
    Some(Miner {
        submission,
        commit_before: rules.timetable(report.epoch)?.committed,
        revealed: told.revealed.get(&party).copied(),
        comparison: events.iter().find_map(compared),
        asked: asked.map(|line| told.asked(line)).collect(),
        pool: report.emission.total.part(stage.miners.0.into()).ok()?,
        weights: weights.map(|factors| u128::from(factors.weight)).sum(),
        founders_before: stage.founders_before,
    })
}

fn validator(party: HotkeyId, rules: &Rules, report: &Report, told: &Told) -> Option<Validator> {
    let line = report.validators.iter().find(|line| line.validator == party)?.clone();
    let stage = rules.stage(report.epoch)?;
    let asked = report.assignments.iter().filter(|line| line.validator == party);
    let until = report.epoch.0.saturating_add(rules.bond.epochs.get().into());
    Some(Validator {
        line,
        asked: asked.map(|line| told.asked(line)).collect(),
        pool: report.emission.total.part(stage.validators.0.into()).ok()?,
        weights: report.validators.iter().map(|line| u128::from(line.weight)).sum(),
        founders_before: stage.founders_before,
        bonded_until: Epoch(until),
    })
}

impl Explanation {
    /// What is held back of all its rewards as a validator.
    pub(super) fn bonded(&self) -> Rao {
        let bonds = self.account.iter().flat_map(|account| account.bond.values().copied());
        table::sum(bonds)
    }
}
