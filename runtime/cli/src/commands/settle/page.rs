//! A report as one page: everything is in it, nothing is loaded and nothing runs.
//!
//! It is made of the report alone, so the same report is the same page, byte for byte.

use dataforge_core::hash::Digest as _;
use dataforge_settle::{Emission, Outcome, Rao, Report, Standing, SubmissionLine, ValidatorLine};

use super::plot::{Bar, Caption, Histogram, bars, escape, parts};
use super::{table, words};

const STYLE: &str = include_str!("page.css");

/// Bars of one plot; what is beyond is in the table below it.
const BARS_MAX: usize = 30;

pub(super) fn of(report: &Report) -> String {
    let sections =
        [emission(report), rewards(report), lifts(report), validators(report), others(report)];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Epoch {epoch}, settled</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         {head}<main>\n{tiles}{sections}</main>\n{foot}</body>\n</html>\n",
        epoch = report.epoch,
        head = head(report),
        tiles = tiles(report),
        sections = sections.concat(),
        foot = FOOT,
    )
}

const FOOT: &str = "<footer>Everybody who settles the same events by the same rules gets the same \
    digests: <code>dataforge settle rebuild</code> does it from the first epoch on, and \
    <code>dataforge settle explain</code> takes one reward apart. Amounts are in tokens; lifts in \
    nats.</footer>\n";

fn head(report: &Report) -> String {
    let facts = [
        ("settlement", report.digest().to_string()),
        ("ledger before", report.before.to_string()),
        ("ledger after", report.after.to_string()),
        ("events", report.log.to_string()),
        ("rules", report.rules.to_string()),
        ("spec", report.spec.to_string()),
        ("seed", report.seed.to_string()),
    ];
    let facts = facts.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value)));
    format!(
        "<header>\n<h1>Epoch {}</h1>\n<p>Who was paid, who was slashed, and why. Hidden rows: set \
         {}.</p>\n<dl>\n{}</dl>\n</header>\n",
        report.epoch,
        report.benchmark,
        facts.concat()
    )
}

fn tiles(report: &Report) -> String {
    let paid = report.submissions.iter().filter(|line| line.reward > Rao(0)).count();
    let slashed = table::sum(report.slashes.iter().map(|slash| slash.amount));
    let held = report.submissions.iter().filter(|line| line.held).count();
    let count = |number: usize| words::grouped(number as u64);
    let slashes = words::counted(report.slashes.len(), "slash", "slashes");
    let tiles = [
        (words::tokens(report.emission.total), "emitted".to_owned()),
        (count(paid), format!("of {} submissions paid", count(report.submissions.len()))),
        (count(held), "of them held by a dispute".to_owned()),
        (words::tokens(slashed), format!("taken by {slashes}")),
    ];
    let tile = |(number, what)| format!("<div><b>{number}</b><span>{what}</span></div>\n");
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.map(tile).concat())
}

fn section(title: &str, words: &str, inside: &str) -> String {
    let (title, words) = (escape(title), escape(words));
    format!("<section>\n<h2>{title}</h2>\n<p class=\"dim\">{words}</p>\n{inside}</section>\n")
}

/// What a plot shows, for those who would rather read it.
fn as_table(summary: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let head: String = header.iter().map(|cell| format!("<th scope=\"col\">{cell}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cell = |text: &String| match text.len() == 64 {
            true => format!("<td class=\"key\">{}</td>", escape(text)),
            false => format!("<td>{}</td>", escape(text)),
        };
        format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
    };
    format!(
        "<details><summary>{}</summary><div class=\"scroll\"><table>\n<thead><tr>{head}</tr>\
         </thead>\n<tbody>\n{}</tbody>\n</table></div></details>\n",
        escape(summary),
        rows.iter().map(row).collect::<String>()
    )
}

fn legend(entries: &[(&str, String)]) -> String {
    let entry = |(class, text): &(&str, String)| {
        format!("<li><i class=\"{class}\"></i>{}</li>\n", escape(text))
    };
    format!("<ul class=\"legend\">\n{}</ul>\n", entries.iter().map(entry).collect::<String>())
}

fn emission(report: &Report) -> String {
    let Emission { total, miners, validators, treasury, rest } = report.emission;
    let split = [
        ("miners", miners, "a"),
        ("validators", validators, "b"),
        ("treasury", treasury, "c"),
        ("rest", rest, "d"),
    ];
    let caption = Caption {
        id: "emission",
        title: "Where the emission went",
        description: "One bar in four parts: miners, validators, treasury, and what rounding and \
                      faults left to the treasury.",
    };
    let plot = parts(&caption, &split.map(|(name, part, class)| (name, part.0, class)));
    let entries = split.map(|(name, part, class)| {
        let share = words::share(part.0.into(), total.0.into());
        (class, format!("{name}: {part}, {share}"))
    });
    let words = "The rest is what rounding down, forfeited rewards and parts that nobody earned \
                 leave to the treasury.";
    section(caption.title, words, &(plot + &legend(&entries)))
}

/// Those who earn most first.
fn by_reward(report: &Report) -> Vec<&SubmissionLine> {
    let mut sorted: Vec<&SubmissionLine> = report.submissions.iter().collect();
    sorted.sort_by_key(|line| std::cmp::Reverse(line.reward));
    sorted
}

fn rewards(report: &Report) -> String {
    let sorted = by_reward(report);
    let paid = table::sum(sorted.iter().map(|line| line.reward));
    let earning: Vec<_> = sorted.iter().filter(|line| line.reward > Rao(0)).collect();
    let most = earning.first().map_or(Rao(0), |line| line.reward);
    let bar = |line: &&&SubmissionLine| {
        let share = words::share(line.reward.0.into(), paid.0.into());
        let held = if line.held { ", held" } else { "" };
        Bar {
            label: line.miner.short(),
            whole_label: line.miner.to_string(),
            length: line.reward.0,
            shown: format!("{}  ({share}{held})", words::tokens(line.reward)),
            class: if line.held { "b" } else { "paid" },
        }
    };
    let caption = Caption {
        id: "rewards",
        title: "Rewards of miners",
        description: "One bar per miner, the largest reward first.",
    };
    let plotted: Vec<Bar> = earning.iter().take(BARS_MAX).map(bar).collect();
    let mut words = match earning.len() {
        0 => "Nobody earned anything.".to_owned(),
        _ => "In tokens, with the share of all that miners earned.".to_owned(),
    };
    if let Some(more) = earning.len().checked_sub(BARS_MAX).filter(|more| *more > 0) {
        words.push_str(&format!(" {more} more are in the table."));
    }
    let mut inside = bars(&caption, &plotted, most.0, &[]);
    if earning.iter().any(|line| line.held) {
        let paid = ("a", "paid".to_owned());
        inside += &legend(&[paid, ("b", "held until a dispute ends".to_owned())]);
    }
    let header = ["miner", "standing", "lift", "originality", "founder", "weight", "reward", ""];
    let rows: Vec<_> = sorted.into_iter().map(miner_cells).collect();
    inside += &as_table(&words::counted(rows.len(), "submission", "submissions"), &header, &rows);
    section(caption.title, &words, &inside)
}

fn miner_cells(line: &SubmissionLine) -> Vec<String> {
    let lift = line.finding.map(|finding| words::outcome(finding.score.outcome));
    let factors = line.factors;
    vec![
        line.miner.to_string(),
        words::standing(line.standing),
        lift.unwrap_or_default(),
        factors.map(|of| words::percent(of.originality)).unwrap_or_default(),
        factors.map(|of| words::factor(of.founder)).unwrap_or_default(),
        factors.map(|of| words::millionths(of.weight.into())).unwrap_or_default(),
        line.reward.to_string(),
        words::remarks(line),
    ]
}

fn lifts(report: &Report) -> String {
    let lift = |line: &SubmissionLine| match line.finding?.score.outcome {
        Outcome::Scored(lift) => Some((lift.all, line.standing == Standing::Paid)),
        _ => None,
    };
    let lifts: Vec<_> = report.submissions.iter().filter_map(lift).collect();
    let caption = Caption {
        id: "lifts",
        title: "What submissions taught",
        description: "A histogram of the lifts of all submissions that were scored, in nats; those \
                      that are paid at the bottom of each column.",
    };
    let Some(histogram) = Histogram::of(&lifts) else {
        return section(caption.title, "No submission was scored.", "");
    };
    let margin = report.submissions.iter().find_map(|line| line.factors).map(|of| of.margin);
    let row = |(place, [paid, others]): (usize, &[u64; 2])| {
        let [from, to] = histogram.edges(place).map(words::brief_nats);
        vec![from, to, paid.to_string(), others.to_string()]
    };
    let rows: Vec<_> = histogram.bins.iter().enumerate().map(row).collect();
    let inside = histogram.plot(&caption, margin)
        + &legend(&[("a", "paid".to_owned()), ("d", "not paid".to_owned())])
        + &as_table("As a table", &["from", "to", "paid", "not paid"], &rows);
    let unscored = report.submissions.len() - lifts.len();
    let words = format!(
        "Submissions by lift over all rows, in nats. {} were scored, {unscored} have no lift.",
        lifts.len()
    );
    section(caption.title, &words, &inside)
}

fn validators(report: &Report) -> String {
    let mut sorted: Vec<&ValidatorLine> = report.validators.iter().collect();
    sorted.sort_by_key(|line| std::cmp::Reverse(line.stake));
    let bar = |line: &&ValidatorLine| {
        let stake = words::grouped(line.stake.0 / 1_000_000_000);
        let fault = if line.forfeited { ", forfeited" } else { "" };
        let quality = match line.drawn {
            0 => "not asked".to_owned(),
            drawn => format!("{} of {drawn}", words::percent(line.quality)),
        };
        Bar {
            label: line.validator.short(),
            whole_label: line.validator.to_string(),
            length: line.quality.0.into(),
            shown: format!("{quality}, stake {stake}{fault}"),
            class: if line.forfeited { "bad" } else { "paid" },
        }
    };
    let caption = Caption {
        id: "validators",
        title: "Agreement of validators",
        description: "One bar per validator, the largest stake first: the mean quality of all that \
                      it was asked for, of at most 100 per cent.",
    };
    let plotted: Vec<Bar> = sorted.iter().take(BARS_MAX).map(bar).collect();
    let header =
        ["validator", "stake", "asked", "missing", "quality", "reward", "bonded", "forfeited"];
    let cells = |line: &&ValidatorLine| {
        vec![
            line.validator.to_string(),
            line.stake.to_string(),
            line.drawn.to_string(),
            line.missing.to_string(),
            words::percent(line.quality),
            line.reward.to_string(),
            line.bonded.to_string(),
            if line.forfeited { "forfeited" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = sorted.iter().map(cells).collect();
    let mut inside = bars(
        &caption,
        &plotted,
        1_000_000,
        &[
            (0, "0 %"),
            (250_000, "25 %"),
            (500_000, "50 %"),
            (750_000, "75 %"),
            (1_000_000, "100 %"),
        ],
    );
    if report.validators.iter().any(|line| line.forfeited) {
        let paid = ("a", "paid".to_owned());
        inside += &legend(&[paid, ("bad", "a proven fault costs it the reward".to_owned())]);
    }
    inside += &as_table(&words::counted(rows.len(), "validator", "validators"), &header, &rows);
    let words = "Mean quality of all scores asked for: in agreement with what is true, every \
                 challenge answered, in time.";
    section(caption.title, words, &inside)
}

/// What has no plot.
fn others(report: &Report) -> String {
    let slashes: Vec<_> = report.slashes.iter().map(table::slash_row).collect();
    let released: Vec<_> = report.released.iter().map(table::release_row).collect();
    let notes: Vec<_> = report.notes.iter().map(table::note_row).collect();
    let tables = [
        (["slash", "slashes"], &["validator", "about", "amount", "held", "because"][..], slashes),
        (
            ["amount that was held before", "amounts that were held before"],
            &["epoch", "miner", "amount", "to", "told by"],
            released,
        ),
        (
            ["action that does not count", "actions that do not count"],
            &["party", "about", "block", "what"],
            notes,
        ),
    ];
    let table = |([one, many], header, rows): &([&str; 2], &[&str], Vec<Vec<String>>)| {
        as_table(&words::counted(rows.len(), one, many), header, rows)
    };
    let inside: String = tables.iter().filter(|(_, _, rows)| !rows.is_empty()).map(table).collect();
    let words = match inside.is_empty() {
        true => "Nothing was slashed or released, and everything counts.",
        false => "Keys by their first eight digits.",
    };
    section("Slashes, releases and slips", words, &inside)
}
