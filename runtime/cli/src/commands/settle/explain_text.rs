//! An explanation in words and numbers, in the order in which the numbers follow from each other.

use crate::output;
use dataforge_core::hash::Digest as _;
use dataforge_core::units::MicroNats;
use dataforge_settle::{HeldFor, MinerFactors, Outcome, Score, Standing};

use super::explain::{Asked, Explanation, Miner, Validator};
use super::{table, words};

pub(super) fn lines(of: &Explanation) -> Vec<String> {
    let mut lines = vec![
        format!("party       {}", of.party),
        format!("epoch       {}", of.epoch),
        format!("settlement  {}", of.digest),
        format!("stake       {}", of.stake),
    ];
    if let Some(miner) = &of.miner {
        lines.extend([String::new(), "as a miner".to_owned()]);
        lines.extend(as_miner(miner));
    }
    if let Some(validator) = &of.validator {
        lines.extend([String::new(), "as a validator".to_owned()]);
        lines.extend(as_validator(validator));
    }
    if of.miner.is_none() && of.validator.is_none() {
        lines.extend([String::new(), "It is listed, without a stake or a submission.".to_owned()]);
    }
    let mut add = |title: &str, header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(indented(header, &rows));
        }
    };
    add(
        "taken from its bond",
        &["validator", "about", "amount", "", "because"],
        of.slashes.iter().map(table::slash_row).collect(),
    );
    add(
        "held before, and not any more",
        &["epoch", "miner", "amount", "to", "told by"],
        of.released.iter().map(table::release_row).collect(),
    );
    add(
        "what does not count",
        &["party", "about", "block", "what"],
        of.notes.iter().map(table::note_row).collect(),
    );
    lines.extend([String::new(), "after the epoch".to_owned()]);
    lines.extend(after(of));
    lines
}

fn after(of: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(account) = &of.account {
        lines.push(format!("  paid in all  {}", account.paid));
        lines.push(format!("  held back    {}", of.bonded()));
        let due = account.bond.iter();
        lines.extend(due.map(|(epoch, amount)| format!("    {amount} until epoch {epoch}")));
    }
    for held in &of.held {
        let why = match &held.reason {
            HeldFor::Dispute { .. } => "validators disagree about its submission",
            HeldFor::Outlier { .. } => "it was slashed for outliers",
        };
        let (amount, epoch, until) = (held.amount, held.epoch, held.until);
        lines.push(format!(
            "  disputed     {amount} of epoch {epoch}: {why}; until epoch {until}, or a replay"
        ));
    }
    lines
}

fn as_miner(of: &Miner) -> Vec<String> {
    let line = &of.submission;
    let mut lines =
        vec![format!("  committed    at block {}, before {}", line.committed, of.commit_before)];
    lines.push(match (line.dataset, of.revealed) {
        (Some(dataset), Some(at)) => format!("  revealed     at block {at}: dataset {dataset}"),
        (None, Some(at)) => format!("  revealed     at block {at}, and it does not count"),
        _ => "  revealed     nothing".to_owned(),
    });
    if let Some(found) = of.comparison {
        let (own, rows) = (found.own, found.rows);
        lines.push(format!("  compared     {own} of {rows} rows are in no earlier dataset"));
        lines.extend(
            found
                .most
                .map(|most| format!("               {} are in dataset {}", most.rows, most.with)),
        );
    }
    if !of.asked.is_empty() {
        let asked = words::counted(of.asked.len(), "validator", "validators");
        lines.push(format!("  asked        {asked}"));
        let row = |asked: &Asked| {
            let mut row = vec![asked.line.validator.short()];
            row.extend(asked_row(asked));
            row
        };
        let rows: Vec<_> = of.asked.iter().map(row).collect();
        lines.extend(indented(&[&["validator"], ASKED].concat(), &rows));
    }
    if let Some(finding) = line.finding {
        let found = score(Some(finding.score));
        lines.push(format!("  finding      {found}: {}", words::basis(finding.basis)));
    }
    if line.overfit {
        lines.push(
            "  overfit      the lift over hidden rows is less by more than the margin".to_owned(),
        );
    }
    let (standing, because) = (words::standing(line.standing), words::because(line.standing));
    lines.push(format!("  standing     {standing}: {because}"));
    if let Some(factors) = line.factors {
        lines.extend(miner_factors(of, factors));
    }
    lines.push(format!("  reward       {}", line.reward));
    if line.held {
        lines.push("  held         until a replay tells, or it is too late to appeal".to_owned());
    } else if line.standing == Standing::Paid {
        lines.push("  held         no: it is paid".to_owned());
    }
    lines
}

/// The calculation, a line per factor.
fn miner_factors(of: &Miner, factors: MinerFactors) -> Vec<String> {
    let MinerFactors { lift, margin, unit, originality, founder, weight } = factors;
    let outcome = of.submission.finding.map(|finding| finding.score.outcome);
    let lesser = match outcome {
        Some(Outcome::Scored(found)) => format!(
            "the lesser of {} over all rows and {} over hidden ones",
            found.all.display(),
            found.hidden.display()
        ),
        _ => String::new(),
    };
    let weight = words::millionths(weight.into());
    let share = words::share(factors.weight.into(), of.weights);
    let nats = |value: MicroNats| words::millionths(value.0.unsigned_abs().into());
    vec![
        format!("  lift           {}  {lesser}", lift.display()),
        format!("  margin       − {}  is not paid", nats(margin)),
        format!("  unit         ÷ {}  counts as one", nats(unit)),
        format!("  originality  × {}  of its rows are its own", words::factor(originality)),
        format!(
            "  founder      × {}  {}",
            words::factor(founder),
            founder_words(founder.0, of.founders_before.0)
        ),
        format!("  weight       = {weight}"),
        format!("  share          {share} of all miners' {}", words::millionths(of.weights)),
        format!("                 of the miners' part, {}, rounded down", of.pool),
    ]
}

fn founder_words(bonus: u32, before: u64) -> String {
    match bonus == 1_000_000 {
        true => format!("no bonus: that is for who joined before epoch {before}"),
        false => format!("it joined before epoch {before}"),
    }
}

fn as_validator(of: &Validator) -> Vec<String> {
    let line = &of.line;
    let mut lines = vec![format!(
        "  asked        for {} scores, of which {} are missing",
        line.drawn, line.missing
    )];
    if !of.asked.is_empty() {
        let row = |asked: &Asked| {
            let mut row = vec![asked.line.miner.short()];
            row.extend(asked_row(asked));
            row
        };
        let rows: Vec<_> = of.asked.iter().map(row).collect();
        lines.extend(indented(&[&["miner"], ASKED].concat(), &rows));
    }
    let founder = founder_words(line.founder.0, of.founders_before.0);
    let share = words::share(line.weight.into(), of.weights);
    lines.extend([
        "  an answer's quality is consistency × execution × timeliness".to_owned(),
        format!("  stake          {}", line.stake),
        format!(
            "  quality      × {}  the mean of all answers asked for",
            words::factor(line.quality)
        ),
        format!("  founder      × {}  {founder}", words::factor(line.founder)),
        format!("  weight       = {}", words::grouped(line.weight)),
        format!("  share          {share} of all validators' weights"),
        format!("                 of the validators' part, {}, rounded down", of.pool),
    ]);
    if line.forfeited {
        lines.push("  forfeited    a proven fault costs it the reward".to_owned());
    }
    lines.push(format!("  reward       {}", line.reward));
    lines.push(format!("  held back    {} of it, until epoch {}", line.bonded, of.bonded_until));
    lines
}

const ASKED: &[&str] = &[
    "drawn as",
    "committed",
    "lift",
    "hidden",
    "bound",
    "proof",
    "answer",
    "consistency",
    "execution",
    "timeliness",
    "quality",
];

fn asked_row(asked: &Asked) -> Vec<String> {
    let line = &asked.line;
    let join = |part: fn(&Score) -> String| {
        let said = asked.said.iter();
        let said = said.map(|score| score.as_ref().map_or_else(|| "no proof".to_owned(), part));
        said.collect::<Vec<_>>().join(" and ")
    };
    vec![
        words::drawn_as(line.audit).to_owned(),
        asked.committed.map_or_else(|| "never".to_owned(), |at| format!("block {at}")),
        join(|score| words::outcome(score.outcome)),
        join(|score| part(score, |of| of.hidden)),
        join(|score| part(score, |of| of.bound)),
        join(|score| score.proof.short()),
        words::answer(line.answer).to_owned(),
        words::percent(line.consistency),
        words::percent(line.execution),
        words::percent(line.timeliness),
        words::percent(line.quality),
    ]
}

fn part(score: &Score, part: fn(dataforge_settle::Lift) -> MicroNats) -> String {
    match score.outcome {
        Outcome::Scored(lift) => part(lift).display(),
        _ => "none".to_owned(),
    }
}

fn score(score: Option<Score>) -> String {
    match score.map(|score| score.outcome) {
        None => "no proof".to_owned(),
        Some(outcome @ Outcome::Scored(lift)) => {
            format!("lift {}, above {}", words::outcome(outcome), lift.bound.display())
        }
        Some(outcome) => words::outcome(outcome),
    }
}

fn indented(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let text = output::table(header, rows);
    text.lines().map(|line| format!("   {line}").trim_end().to_owned()).collect()
}
