//! What cannot be settled is named with file, line and reason, and leaves every file as it was.

use std::fs;

use dataforge_settle::Ledger;

use super::key;
use super::market::Market;

/// Settling an epoch with these events ends so.
#[track_caller]
fn events(edit: impl FnOnce(&mut Vec<String>), mentions: &[&str]) {
    let market = Market::new().with("0/events.jsonl", |text| {
        let mut lines = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        lines.iter().map(|line| format!("{line}\n")).collect()
    });
    market.refuses("settle epochs/0", 2, &[&["epochs/0/events.jsonl"], mentions].concat());
    assert!(!market.path("0/ledger.json").exists());
}

fn place(lines: &[String], what: &str) -> usize {
    lines.iter().position(|line| line.contains(&format!("\"{what}\""))).unwrap()
}

#[test]
fn events_that_are_not_json_are_named_by_line_and_column() {
    events(|lines| lines[4].truncate(30), &["line 5: column ", "EOF"]);
    events(|lines| lines[4].clear(), &["line 5: ", "EOF"]);
    events(|lines| lines[2] = "{}".to_owned(), &["line 3: ", "missing field"]);
    let unknown = |lines: &mut Vec<String>| lines[2] = lines[2].replace("\"epoch\"", "\"era\"");
    events(unknown, &["line 3: ", "unknown field `era`"]);
    let number = |lines: &mut Vec<String>| lines[2] = lines[2].replace("\"at\":0", "\"at\":0.5");
    events(number, &["line 3: ", "expected u64"]);
}

#[test]
fn a_long_line_is_named_without_reading_it_whole() {
    let long = |lines: &mut Vec<String>| lines[1] = " ".repeat(65 * 1024);
    events(long, &["line 2: longer than 65536 bytes"]);
}

#[test]
fn a_log_that_was_cut_short_is_refused() {
    let drop_last = |lines: &mut Vec<String>| drop(lines.pop());
    events(drop_last, &["there is no event \"closed\": the list is cut short"]);
    events(|lines| lines.clear(), &["there is no event \"opened\""]);
    let market = Market::new().with("0/events.jsonl", |text| text.trim_end().to_owned());
    market.refuses("settle epochs/0", 2, &["events.jsonl: line ", "it does not end"]);
    fs::remove_file(market.path("0/events.jsonl")).unwrap();
    market.refuses("settle epochs/0", 2, &["cannot open", "events.jsonl"]);
}

#[test]
fn events_that_cannot_be_true_are_named_by_line() {
    let swap = |lines: &mut Vec<String>| {
        let (a, b) = (place(lines, "seeded"), place(lines, "audits_seeded"));
        lines.swap(a, b);
    };
    events(swap, &["line ", "block 700 after block "]);
    let twice = |lines: &mut Vec<String>| {
        let at = place(lines, "committed");
        lines.insert(at, lines[at].clone());
    };
    events(twice, &["line ", "it stands there twice"]);
    let stranger = |lines: &mut Vec<String>| {
        let ada = key("ada");
        let commits = |line: &String| line.contains("\"committed\"") && line.contains(&ada);
        let at = lines.iter().position(commits).unwrap();
        lines[at] = lines[at].replace(&ada, &key("nobody"));
    };
    events(stranger, &["line ", &key("nobody"), "is not listed"]);
    let other = |lines: &mut Vec<String>| lines[3] = lines[3].replace("\"epoch\":0", "\"epoch\":7");
    events(other, &["line 4: it is of epoch 7, the ledger expects 0"]);
    let early = |lines: &mut Vec<String>| {
        let at = place(lines, "seeded");
        lines[at] = lines[at].replace("\"at\":700", "\"at\":699");
    };
    events(early, &["line ", "block 699, but such an event is of blocks 700 to 1700"]);
}

#[test]
fn other_rules_are_noticed() {
    let market = Market::new().with("rules.toml", |text| text.replace("650_000", "650_001"));
    let mentions = ["line 1: the epoch was opened under the rules"];
    market.refuses("settle epochs/0", 2, &mentions);
    let market = Market::new().with("rules.toml", |text| text.replace("650_000", "850_000"));
    market.refuses("settle epochs/0", 2, &["rules.toml: the stage from epoch 0 has impossible"]);
    let market = Market::new().with("rules.toml", |text| format!("colour = 1\n{text}"));
    market.refuses("settle epochs/0", 2, &["rules.toml: line 1: unknown field `colour`"]);
}

#[test]
fn an_epoch_follows_the_one_before_it() {
    let market = Market::new();
    let mentions = ["epochs/0 is not settled; `dataforge settle epochs/0` does it"];
    market.refuses("settle epochs/1", 2, &mentions);
    market.refuses("settle epochs", 2, &["epochs is no epoch"]);
    market.refuses("settle epochs/3", 2, &["cannot open epochs/3"]);
    fs::rename(market.path("0"), market.path("2")).unwrap();
    market.refuses("settle rebuild epochs", 2, &["epochs has no epoch 0"]);
    market.refuses("settle epochs/2", 2, &["epochs/1 is not settled"]);
}

/// The next epoch cannot be settled after a ledger that was changed so.
#[track_caller]
fn ledger(code: i32, change: impl FnOnce(String) -> String, mentions: &[&str]) {
    let market = Market::settled(1).with("0/ledger.json", change);
    market.refuses("settle epochs/1", code, &[&["epochs/0/ledger.json: "], mentions].concat());
}

/// The file with its ledger edited, and the digest that fits.
pub(super) fn edited_ledger(text: &str, edit: impl FnOnce(&mut Ledger)) -> String {
    let mut file: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut ledger: Ledger = serde_json::from_value(file["ledger"].take()).unwrap();
    edit(&mut ledger);
    file["digest"] = serde_json::to_value(ledger.digest()).unwrap();
    file["ledger"] = serde_json::to_value(&ledger).unwrap();
    serde_json::to_string_pretty(&file).unwrap()
}

#[test]
fn a_ledger_that_was_cut_short_is_refused() {
    ledger(2, |text| text[..text.len() / 2].to_owned(), &["line ", "EOF"]);
    ledger(2, |_| String::new(), &["EOF"]);
    ledger(2, |text| text + "{}", &["line ", "trailing characters"]);
    let unknown = |text: String| text.replacen("\"treasury\"", "\"treasure\"", 1);
    ledger(2, unknown, &["line ", "unknown field `treasure`"]);
}

#[test]
fn a_ledger_that_was_altered_is_refused() {
    let amount = |text: String| {
        let at = text.find("\"treasury\": ").unwrap() + "\"treasury\": ".len();
        format!("{}9{}", &text[..at], &text[at..])
    };
    ledger(1, amount, &["what it holds has the digest", "it states"]);
    let unbalanced = |text: String| edited_ledger(&text, |ledger| ledger.treasury.0 += 1);
    ledger(1, unbalanced, &["the ledger does not add up"]);
    let misplaced = |text: String| edited_ledger(&text, |ledger| ledger.epoch.0 = 4);
    ledger(2, misplaced, &["it is of epoch 4, not 1"]);
}

#[test]
fn a_report_that_was_altered_is_refused() {
    let market = Market::settled(1).with("0/report.json", |text| text.replacen("paid", "copy", 1));
    market.refuses("settle report epochs/0", 2, &["report.json: line "]);
    let more = |text: String| text.replacen("\"reward\": ", "\"reward\": 1", 1);
    let market = Market::settled(1).with("0/report.json", more);
    market.refuses("settle report epochs/0", 1, &["report.json: what it holds has the digest"]);
}
