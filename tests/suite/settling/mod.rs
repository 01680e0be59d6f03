//! Settling epochs from files: what is written, explained, replayed, and refused.
//!
//! The golden epochs in `tests/golden/epochs` are a folder as `dataforge settle` leaves it, with
//! what it prints of each.

mod market;
mod refused;

use std::fs;
use std::path::Path;
use std::process::Command;

use dataforge_core::hash::HotkeyId;
use dataforge_tests::{Answer, Short, dataforge};
use market::{FILES, Market, events, golden, golden_rules, named};
use serde_json::json;

/// When set, the golden files are written afresh instead of compared.
const UPDATE: &str = "DATAFORGE_UPDATE_GOLDEN";

fn key(name: &str) -> String {
    named::<HotkeyId>(name).to_string()
}

#[test]
fn the_golden_epochs_come_to_the_golden_files() {
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        market::update();
    }
    for (epoch, events) in events(&golden_rules()).iter().enumerate() {
        let lines = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n");
        let golden = fs::read_to_string(golden().join(format!("{epoch}/events.jsonl"))).unwrap();
        assert!(lines.collect::<String>() == golden, "the script writes other events of {epoch}");
    }
    let market = Market::settled(2);
    for epoch in ["0", "1"] {
        for name in FILES {
            let name = format!("{epoch}/{name}");
            let golden = fs::read_to_string(golden().join(&name)).unwrap();
            assert!(market.read(&name) == golden, "{name} is not the golden one");
        }
        let table = fs::read_to_string(golden().join(format!("{epoch}.txt"))).unwrap();
        assert_eq!(market.run(&format!("settle report epochs/{epoch}")).out, table);
    }
}

/// Files are written whole and in their order: whichever was the last one before a settlement was
/// ended, settling again comes to the same.
#[test]
fn a_settlement_that_was_ended_early_is_settled_again() {
    let whole = Market::settled(2);
    for written in 0..FILES.len() {
        let market = Market::settled(2);
        for missing in &FILES[written..] {
            fs::remove_file(market.path(&format!("1/{missing}"))).unwrap();
        }
        market.run("settle epochs/1").expect(0, &["written to"]);
        for name in FILES.iter().map(|name| format!("1/{name}")) {
            assert!(market.read(&name) == whole.read(&name), "{name} after {written} files");
        }
    }
}

#[test]
fn the_commands_of_the_readme_work() {
    let market = Market::new();
    market.run("settle epochs/0").expect(0, &["miners: 16", "validators: 5", "slashes: 1"]);
    let explain = "settle explain 6ecd9e2d --epoch epochs/0";
    market.run(explain).expect(0, &[&key("hal"), "as a miner", "standing     paid"]);
    market.run("settle rebuild epochs").expect(0, &["the same", "nothing"]);
}

#[test]
fn a_table_shows_every_kind_of_standing() {
    let answer = Market::new().run("settle epochs/0");
    for standing in
        ["paid", "copy of", "below margin", "not significant", "rejected", "diverged", "mismatch"]
    {
        answer.expect(0, &[standing]);
    }
    answer.expect(0, &["not revealed", "forfeited", "held", "two different scores"]);
    let answer = Market::settled(1).run("settle epochs/1");
    answer.expect(0, &["released: 1", "a replay", "a replay refutes its score"]);
}

#[test]
fn a_settled_epoch_is_not_settled_otherwise() {
    let market = Market::settled(1);
    market.refuses("settle epochs/0", 0, &["was settled before, and came to the same"]);
    let drop_one = |text: String| {
        let commit = text.lines().position(|line| line.contains("\"committed\"")).unwrap();
        let kept = text.lines().enumerate().filter(|(place, _)| *place != commit);
        kept.map(|(_, line)| format!("{line}\n")).collect()
    };
    let market = market.with("0/events.jsonl", drop_one);
    market.refuses("settle epochs/0", 1, &["report.json differs", "these events make"]);
}

#[test]
fn json_has_the_report_and_both_digests() {
    let market = Market::settled(1);
    let answer = market.run("settle epochs/0 --json").json();
    assert_eq!(answer["settled_before"], true);
    let file: serde_json::Value = serde_json::from_str(&market.read("0/report.json")).unwrap();
    assert_eq!(answer["digest"], file["digest"]);
    assert_eq!(answer["report"], file["report"]);
    let ledger: serde_json::Value = serde_json::from_str(&market.read("0/ledger.json")).unwrap();
    assert_eq!(answer["ledger"], ledger["digest"]);
    let weights: serde_json::Value = serde_json::from_str(&market.read("0/weights.json")).unwrap();
    assert_eq!(weights["weights"], file["report"]["weights"]);
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let page = fs::read_to_string(golden().join("0/report.html")).unwrap();
    for outside in ["http", "src=", "href=", "url(", "<script", "<link", "@import"] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    assert_eq!(page.matches("<svg ").count(), 4);
    assert_eq!(page.matches("<desc id=").count(), 4);
}

#[test]
fn a_page_is_written_again_from_the_report() {
    let market = Market::settled(1);
    let page = market.read("0/report.html");
    fs::remove_file(market.path("0/report.html")).unwrap();
    market.run("settle report epochs/0").expect(0, &["settlement"]);
    assert!(market.read("0/report.html") == page);
    market.refuses("settle report epochs/1", 2, &["epochs/1 is not settled"]);
}

/// What is said about one party of the first epoch.
#[track_caller]
fn explained(name: &str, mentions: &[&str]) {
    let market = Market::settled(1);
    let explain = format!("settle explain {} --epoch epochs/0", key(name));
    market.refuses(&explain, 0, mentions);
}

#[test]
fn every_factor_of_a_reward_is_explained() {
    explained(
        "hal",
        &[
            "300 of 500 rows are in no earlier dataset",
            "200 are in dataset",
            "asked        ",
            "finding      lift +1.240661, above +1.220661: every validator says so",
            "lift           +1.236661  the lesser of +1.240661 over all rows and +1.236661",
            "margin       − 0.050000",
            "unit         ÷ 1.386294",
            "originality  × 0.600000",
            "founder      × 1.200000  it joined before epoch 21",
            "weight       = 0.616",
            "of all miners'",
            "of the miners' part, 650.000000000, rounded down",
            "held         no: it is paid",
            "after the epoch",
        ],
    );
}

#[test]
fn what_earns_nothing_is_explained() {
    explained("ivy", &["copy of", "too many of its rows are in dataset"]);
    explained("kim", &["not significant: chance could explain the lift"]);
    explained("oda", &["revealed     nothing", "not revealed"]);
    explained("pia", &["and it does not count", "is not what was committed to"]);
    explained("dee", &["for the time being", "disputed", "validators disagree", "held"]);
    explained("mia", &["finding      rejected", "a kernel refused it"]);
}

#[test]
fn a_validators_work_is_explained() {
    explained("north", &["as a validator", "stake          5000.0", "the mean of all answers"]);
    let market = Market::settled(1);
    let report: serde_json::Value = serde_json::from_str(&market.read("0/report.json")).unwrap();
    let slashed = report["report"]["slashes"][0]["validator"].as_str().unwrap();
    let explain = format!("settle explain {slashed} --epoch epochs/0");
    let mentions = ["forfeited", "taken from its bond", "two different scores", " and "];
    market.refuses(&explain, 0, &mentions);
}

#[test]
fn an_explanation_is_data_too() {
    let market = Market::settled(2);
    let explain = format!("settle explain {} --epoch epochs --json", key("dee"));
    let answer = market.run(&explain).expect(0, &[]).json();
    assert_eq!(answer["epoch"], 1, "the latest settled epoch");
    assert_eq!(answer["miner"]["submission"]["standing"], "paid");
    assert_eq!(answer["released"][0]["judged"], true);
    assert_eq!(answer["validator"], serde_json::Value::Null);
}

#[test]
fn a_party_is_named_by_enough_digits() {
    let market = Market::settled(1);
    let refuses = |digits: &str, mentions: &[&str]| {
        market.refuses(&format!("settle explain {digits} --epoch epochs/0"), 2, mentions);
    };
    refuses("1234567", &["not 8 to 64 hexadecimal digits"]);
    refuses("gggggggg", &["not 8 to 64 hexadecimal digits"]);
    refuses("00000000", &["no party of this epoch has a key that begins with 00000000"]);
    let nowhere = format!("settle explain {}", key("ada"));
    market.refuses(&nowhere, 2, &["no settled epoch in .", "--epoch EPOCH_DIR"]);
}

#[test]
fn every_state_is_rebuilt_from_the_events() {
    let market = Market::settled(2);
    let answer = market.run("settle rebuild epochs");
    answer.expect(0, &["the same"]);
    assert!(!answer.out.contains("DIFFERS") && !answer.out.contains("nothing"));
    // An amount moved from one party to another, with a digest that fits: it adds up, and only a
    // replay tells.
    let market = market.with("0/ledger.json", moved);
    market.refuses("settle rebuild epochs", 1, &["DIFFERS", "epoch 0 is the first", "ledger.json"]);
    let answer = market.run("settle rebuild epochs --json").expect(1, &[]).json();
    assert_eq!((&answer["holds"], &answer["epochs"][0]["holds"]), (&false.into(), &false.into()));
    // The epoch after it names the ledger that it follows.
    fs::remove_file(market.path("1/ledger.json")).unwrap();
    market.refuses("settle epochs/1", 2, &["events.jsonl: line 1: ", "follows the ledger"]);
}

/// A ledger in which one party has a token of another's.
fn moved(text: String) -> String {
    refused::edited_ledger(&text, |ledger| {
        let mut paid = ledger.accounts.values_mut().filter(|account| account.paid.0 > 2);
        paid.next().unwrap().paid.0 -= 1;
        paid.next().unwrap().paid.0 += 1;
    })
}

#[test]
fn rules_can_be_given_or_lie_with_the_epoch() {
    let market = Market::new();
    let rules = market.read("rules.toml");
    fs::rename(market.path("rules.toml"), market.path("0/rules.toml")).unwrap();
    market.run("settle epochs/0").expect(0, &["settlement"]);
    market.refuses("settle epochs/1", 2, &["cannot open", "rules.toml"]);
    fs::write(market.path("elsewhere.toml"), rules).unwrap();
    market.run("settle epochs/1 --rules epochs/elsewhere.toml").expect(0, &["settlement"]);
}

/// By fingerprints, under a spec without a rule about copies, and by the similarity kernel.
#[test]
fn datasets_are_compared_with_those_before_them() {
    let compare = |program: &mut Command, spec: &str, datasets: &[&Path]| {
        let command = program.args(["settle", "compare", "--spec", spec, "--json"]).args(datasets);
        Answer::of(command).expect(0, &[]).json()["compared"].clone()
    };
    let short = Short::new();
    let first = Short::golden_path("dataset.jsonl");
    let text = fs::read_to_string(&first).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    let (half, total) = (rows.len() / 2, rows.len());
    let edited = rows[..half].iter().map(|row| row.to_uppercase());
    let edited = edited.map(|row| row.replace("INPUT", "input").replace("OUTPUT", "output"));
    let second = short.scratch().file("second.jsonl", edited.collect::<Vec<_>>().join("\n"));
    let found = compare(&mut short.program(), "short@1", &[&first, &second]);
    assert_eq!([&found[0]["own"], &found[1]["own"]], [&json!(total), &json!(0)]);
    assert_eq!(found[1]["most"], json!({ "with": found[0]["dataset"], "rows": half }));

    // A wide letter is another one to fingerprints, and the same to the kernel.
    let row = |said: &str| format!("{{\"input\": \"1999-01-02\", \"output\": \"{said}\"}}\n");
    let one = short.scratch().file("one.jsonl", row("Saturday, January 2, 1999."));
    let wide = row("\u{ff33}aturday, January 2, 1999.");
    let two = short.scratch().file("two.jsonl", wide + &row("It was a Saturday."));
    let own = |spec| compare(&mut dataforge(), spec, &[&one, &two])[1]["own"].clone();
    assert_eq!([own("date@1"), own("date@2")], [json!(2), json!(1)]);
}
