//! A report as tables on a terminal. Long lists are cut there; the page and `--json` have all.

use crate::output;
use dataforge_core::hash::Digest as _;
use dataforge_settle::{
    Emission, Note, Rao, Release, Report, Slash, SubmissionLine, ValidatorLine,
};

use super::words;

/// Rows of one table that a person reads on a terminal.
const ROWS_MAX: usize = 40;

pub(super) fn lines(report: &Report) -> Vec<String> {
    let Emission { total, miners, validators, treasury, rest } = report.emission;
    let mut lines = vec![
        format!("epoch       {}", report.epoch),
        format!("settlement  {}", report.digest()),
        format!("events      {}", report.log),
        format!("before      {}", report.before),
        format!("after       {}", report.after),
        format!("rules       {}", report.rules),
        format!("spec        {}", report.spec),
        format!("emission    {total}"),
        format!("  miners      {miners}"),
        format!("  validators  {validators}"),
        format!("  treasury    {treasury}, and {rest} that rounding and faults left"),
    ];
    let mut add = |title: &str, header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            lines.push(String::new());
            lines.extend(section(title, header, rows));
        }
    };
    add(
        "miners",
        &["miner", "standing", "lift", "originality", "founder", "weight", "share", "reward", ""],
        miner_rows(&report.submissions),
    );
    add(
        "validators",
        &["validator", "stake", "asked", "missing", "quality", "founder", "reward", "bonded", ""],
        report.validators.iter().map(validator_row).collect(),
    );
    add(
        "slashes",
        &["validator", "about", "amount", "", "reason"],
        report.slashes.iter().map(slash_row).collect(),
    );
    add(
        "released",
        &["epoch", "miner", "amount", "to", "told by"],
        report.released.iter().map(release_row).collect(),
    );
    add(
        "does not count",
        &["party", "about", "block", "what"],
        report.notes.iter().map(note_row).collect(),
    );
    lines
}

fn section(title: &str, header: &[&str], mut rows: Vec<Vec<String>>) -> Vec<String> {
    let count = rows.len();
    rows.truncate(ROWS_MAX);
    let mut lines = vec![format!("{title}: {count}")];
    let indented = |line: &str| format!("  {line}").trim_end().to_owned();
    lines.extend(output::table(header, &rows).lines().map(indented));
    if count > ROWS_MAX {
        let more = words::grouped((count - ROWS_MAX) as u64);
        lines.push(format!("  and {more} more: see the page, or --json"));
    }
    lines
}

/// Those who earn most first.
fn miner_rows(submissions: &[SubmissionLine]) -> Vec<Vec<String>> {
    let mut sorted: Vec<&SubmissionLine> = submissions.iter().collect();
    sorted.sort_by_key(|line| std::cmp::Reverse(line.reward));
    let paid: u128 = submissions.iter().map(|line| u128::from(line.reward.0)).sum();
    sorted.into_iter().map(|line| miner_row(line, paid)).collect()
}

fn miner_row(line: &SubmissionLine, paid: u128) -> Vec<String> {
    let lift = line.finding.map(|finding| words::outcome(finding.score.outcome));
    let factors = line.factors;
    vec![
        line.miner.short(),
        words::standing(line.standing),
        lift.unwrap_or_default(),
        factors.map(|of| words::percent(of.originality)).unwrap_or_default(),
        factors.map(|of| words::factor(of.founder)).unwrap_or_default(),
        factors.map(|of| words::millionths(of.weight.into())).unwrap_or_default(),
        words::share(line.reward.0.into(), paid),
        line.reward.to_string(),
        words::remarks(line),
    ]
}

fn validator_row(line: &ValidatorLine) -> Vec<String> {
    vec![
        line.validator.short(),
        line.stake.to_string(),
        line.drawn.to_string(),
        line.missing.to_string(),
        words::percent(line.quality),
        words::factor(line.founder),
        line.reward.to_string(),
        line.bonded.to_string(),
        if line.forfeited { "forfeited" } else { "" }.to_owned(),
    ]
}

pub(super) fn slash_row(slash: &Slash) -> Vec<String> {
    let about = slash.about.map(|(epoch, miner)| format!("{} in epoch {epoch}", miner.short()));
    vec![
        slash.validator.short(),
        about.unwrap_or_default(),
        slash.amount.to_string(),
        if slash.held { "held" } else { "" }.to_owned(),
        words::slash(slash.reason).to_owned(),
    ]
}

pub(super) fn release_row(release: &Release) -> Vec<String> {
    let to = release.to.map_or_else(|| "the treasury".to_owned(), |to| to.short());
    let Release { epoch, miner, amount, judged, .. } = release;
    let by = if *judged { "a replay" } else { "time" };
    vec![epoch.to_string(), miner.short(), amount.to_string(), to, by.to_owned()]
}

pub(super) fn note_row(note: &Note) -> Vec<String> {
    let about = note.about.map(|miner| miner.short()).unwrap_or_default();
    vec![note.party.short(), about, note.at.to_string(), words::slip(note.what).to_owned()]
}

/// The sum of amounts that together were emitted at most.
pub(super) fn sum(amounts: impl Iterator<Item = Rao>) -> Rao {
    Rao(amounts.fold(0u64, |sum, amount| sum.saturating_add(amount.0)))
}
