//! `dataforge simulate`: what is shown, and the scenarios that are refused.

use std::fs;

use dataforge_tests::{Answer, Scratch, dataforge, root};

const SCENARIO: &str = "eval-specs/markets/scenarios/copy-public.toml";

#[test]
fn an_attack_is_shown_with_its_profit_and_bounds() {
    let answer = Answer::of(dataforge().current_dir(root()).args(["simulate", SCENARIO]));
    answer.expect(0, &["over honest", "copy-public", "does not pay", SCENARIO]);
    let json = Answer::of(dataforge().current_dir(root()).args(["simulate", SCENARIO, "--json"]));
    let shown = json.expect(0, &[]).json();
    let attack = &shown["attacks"][0];
    assert_eq!(attack["name"], "copy-public");
    let ppm = |name: &str| attack[name].as_i64().unwrap();
    assert!(ppm("low") <= ppm("profit_over_honest") && ppm("profit_over_honest") <= ppm("high"));
    assert!(ppm("high") < 0, "it pays to copy what is public");
}

/// Three datasets of a hundred rows, and one of shuffled answers that the kernels refuse whatever a
/// ring tells of it: checked, trained on, measured, told, replayed and settled. Every machine comes
/// to the same ledgers.
#[test]
fn a_rehearsal_trains_what_it_pays_for() {
    let scratch = Scratch::new();
    let scenario = root().join("eval-specs/markets/trained/boost-shuffled.toml");
    let rules = root().join("eval-specs/markets/rehearsal.toml");
    let text = fs::read_to_string(scenario).unwrap();
    let text = text
        .replace("../rehearsal.toml", &rules.to_string_lossy())
        .replace("epochs = 3", "epochs = 1")
        .replace("rows = 250", "rows = 100");
    let path = scratch.file("rehearsal.toml", &text);
    let run = |path: &std::path::Path| {
        Answer::of(dataforge().current_dir(root()).arg("simulate").arg(path).arg("--json"))
    };
    let shown = run(&path).expect(0, &[]).json();
    let attack = &shown["attacks"][0];
    // The ring loses the epoch's reward, and honest work earned some.
    assert!(attack["honest"].as_i64().unwrap() > 0, "{attack}");
    assert!(attack["profit_over_honest"].as_i64().unwrap() < 0, "{attack}");
    let ledgers = "bd77c3d52e7a78897c1cb7d2c40a13146a68900677b39f5c603b4772b6ccbe55";
    assert_eq!(shown["scenarios"][0]["runs"], ledgers);

    let other = scratch.file("other.toml", text.replace("date@3", "date@1"));
    run(&other).expect(2, &["trains under date@1", "the rules are about the spec c8e2012e"]);
}

#[test]
fn a_scenario_that_cannot_be_played_is_refused() {
    let scratch = Scratch::new();
    let text = fs::read_to_string(root().join(SCENARIO)).unwrap();
    let rules = root().join("eval-specs/markets/synapse-1.toml");
    let text = text.replace("../synapse-1.toml", &rules.to_string_lossy());
    let refused = |name: &str, text: String, mentions: &[&str]| {
        let path = scratch.file(&format!("{name}.toml"), text);
        Answer::of(dataforge().arg("simulate").arg(&path)).expect(2, mentions);
    };
    refused("unknown", format!("colour = 1\n{text}"), &["unknown.toml", "colour"]);
    refused("endless", text.replace("epochs = 24", "epochs = 4000000000"), &["endless.toml"]);
    refused("share", text.replace("found = 900_000", "found = 1_000_001"), &["share.toml"]);
}
