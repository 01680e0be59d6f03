//! Every command in the README is run by a test, and the table below says by which one.
//!
//! The commands that start with `dataforge` are run from here, as they stand and in their order, in
//! an empty folder. Of the others a test elsewhere looks at the answer. This module holds the
//! README, the table and the suite together, so that none of the three can change alone.

use std::fs;

use dataforge_tests::{Answer, Scratch, dataforge, root};

/// What runs a command of the README.
#[derive(Debug, Clone, Copy)]
enum RunBy {
    /// It is how this suite is started.
    Itself,
    /// `the_commands_work_in_their_order`, below.
    Here,
    /// A test of this suite, as `module::function`.
    Test(&'static str),
    /// The same, of a test that needs more than a fresh machine has: `.ci/run` runs it.
    InCi(&'static str),
}

/// In a folder with the golden epochs.
const SETTLING: RunBy = RunBy::Test("settling/mod::the_commands_of_the_readme_work");

/// How a test on the development chain begins.
const CHAIN_TEST: &str = "#[test]\n#[ignore = \"needs Node.js and Debian's rustc-web\"]";

/// On the development chain.
const CHAIN: RunBy = RunBy::InCi("chain/market::weights_reach_the_chain_and_incentives_follow");

/// Each command of the README, continuation lines joined, with what runs it.
const COMMANDS: &[(&str, RunBy)] = &[
    ("cargo run --release -- demo", RunBy::Test("demo::honest_data_is_paid_most")),
    ("cargo test --workspace", RunBy::Itself),
    ("dataforge artifacts fetch", RunBy::Here),
    ("dataforge doctor", RunBy::Here),
    ("dataforge spec list", RunBy::Here),
    ("dataforge spec show date@1", RunBy::Here),
    ("dataforge spec verify date@1", RunBy::Here),
    ("dataforge demo --prepare-only --out data", RunBy::Here),
    (
        "dataforge evaluate data/half.jsonl --spec date@1 --out half.proof \
         --seed 0101010101010101010101010101010101010101010101010101010101010101",
        RunBy::Here,
    ),
    ("dataforge settle epochs/0", SETTLING),
    ("dataforge settle explain 6ecd9e2d --epoch epochs/0", SETTLING),
    ("dataforge settle rebuild epochs", SETTLING),
    ("dataforge settle compare data/honest.jsonl data/copy.jsonl --spec date@1", RunBy::Here),
    ("dataforge wallet new --wallet validator", CHAIN),
    ("dataforge wallet show", CHAIN),
    ("dataforge chain status", CHAIN),
    ("dataforge chain register --netuid 12 --wallet validator", CHAIN),
    ("dataforge chain serve --netuid 12 --wallet validator --address 203.0.113.7:8091", CHAIN),
    ("dataforge chain metagraph --netuid 12", CHAIN),
    ("dataforge chain journal init", CHAIN),
    ("dataforge chain weights epochs/0 --netuid 12 --wallet validator --dry-run", CHAIN),
    ("dataforge chain weights epochs/0 --netuid 12 --wallet validator", CHAIN),
    ("dataforge chain journal show", CHAIN),
    (
        "dataforge simulate eval-specs/markets/scenarios/copy-public.toml",
        RunBy::Test("simulating::an_attack_is_shown_with_its_profit_and_bounds"),
    ),
    ("dataforge proof show half.proof", RunBy::Here),
    ("dataforge proof verify half.proof", RunBy::Here),
    ("dataforge audit step half.proof --dataset data/half.jsonl --step 100", RunBy::Here),
    (
        "dataforge audit spot half.proof --dataset data/half.jsonl --samples 4 \
         --randomness 0303030303030303030303030303030303030303030303030303030303030303",
        RunBy::Here,
    ),
    ("dataforge audit rows half.proof --dataset data/half.jsonl --rows 1,150", RunBy::Here),
    (
        "dataforge audit export-step half.proof --dataset data/half.jsonl --step 100 \
         --out step-100",
        RunBy::Here,
    ),
    ("dataforge audit replay half.proof --dataset data/half.jsonl", RunBy::Here),
    ("dataforge proof disclose half.proof --step 100 --out step-100.shown", RunBy::Here),
    ("dataforge proof verify step-100.shown", RunBy::Here),
    ("dataforge check data/half.jsonl --spec date@1", RunBy::Here),
    ("dataforge check data/copy.jsonl --spec date@1 --against data/honest.jsonl", RunBy::Here),
    ("dataforge index data/honest.jsonl --out known.index", RunBy::Here),
    ("dataforge check data/half.jsonl --spec date@1 --known known.index", RunBy::Here),
    ("dataforge kernel new my-kernel", RunBy::Here),
    ("dataforge artifacts verify", RunBy::Here),
];

#[test]
fn every_command_of_the_readme_is_run_by_a_test() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = commands(&readme);
    let missing: Vec<_> =
        shown.iter().filter(|shown| !COMMANDS.iter().any(|(known, _)| known == shown)).collect();
    assert!(missing.is_empty(), "no test runs these commands of README.md: {missing:#?}");
    let stale: Vec<_> =
        COMMANDS.iter().filter(|(known, _)| !shown.iter().any(|shown| shown == known)).collect();
    assert!(stale.is_empty(), "README.md does not show these commands: {stale:#?}");
}

#[test]
fn the_commands_work_in_their_order() {
    let folder = Scratch::new();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let here = |command: &str| {
        COMMANDS.iter().any(|(known, by)| *known == command && matches!(by, RunBy::Here))
    };
    let mut run = 0;
    for command in commands(&readme).iter().filter(|command| here(command)) {
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("dataforge"), "`{command}` cannot be run here");
        let answer = Answer::of(
            dataforge()
                .args(words)
                // The build folder may lie outside the repository.
                .env("DATAFORGE_SPECS", root().join("eval-specs"))
                .current_dir(folder.path("")),
        );
        println!("{command}\n{}", answer.out);
        answer.expect(0, &[]);
        run += 1;
    }
    let expected = COMMANDS.iter().filter(|(_, by)| matches!(by, RunBy::Here)).count();
    assert_eq!(run, expected, "commands of the table that were run");
}

#[test]
fn every_test_in_the_table_exists_and_is_run() {
    for (command, run_by) in COMMANDS {
        let (path, ignored) = match run_by {
            RunBy::Test(path) => (path, false),
            RunBy::InCi(path) => (path, true),
            RunBy::Itself | RunBy::Here => continue,
        };
        let (module, function) = path.split_once("::").unwrap();
        let source = fs::read_to_string(root().join(format!("tests/suite/{module}.rs")))
            .unwrap_or_else(|error| panic!("`{command}` is said to be run by {path}: {error}"));
        let ignored_test = format!("{CHAIN_TEST}\nfn {function}()");
        let there =
            if ignored { source.contains(&ignored_test) } else { has_test(&source, function) };
        assert!(there, "`{command}` is said to be run by {path}: no such test");
    }
}

#[test]
fn commands_are_read_from_shell_blocks_only() {
    let readme = "\
Text.

```sh
# A comment.
$ dataforge demo
dataforge evaluate a.jsonl \\
    --spec date
```

```text
not a command
```
";
    assert_eq!(commands(readme), ["dataforge demo", "dataforge evaluate a.jsonl --spec date"]);
}

#[test]
fn an_ignored_test_runs_nothing() {
    assert!(has_test("#[test]\nfn a() {\n", "a"));
    assert!(!has_test("#[test]\n#[ignore]\nfn a() {\n", "a"));
    assert!(!has_test("fn a() {\n", "a"));
    assert!(!has_test("#[test]\nfn ab() {\n", "a"));
}

/// The commands in the ```` ```sh ```` blocks of a Markdown text, one per entry.
fn commands(markdown: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut shell = false;
    let mut open = String::new();
    for line in markdown.lines().map(str::trim) {
        if let Some(language) = line.strip_prefix("```") {
            shell = language == "sh";
            continue;
        }
        if !shell || line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("$ ").unwrap_or(line);
        if let Some(part) = line.strip_suffix('\\') {
            open.push_str(part.trim_end());
            open.push(' ');
        } else {
            open.push_str(line);
            commands.push(std::mem::take(&mut open));
        }
    }
    commands
}

/// Whether this source has the function as a test that is not ignored.
fn has_test(source: &str, function: &str) -> bool {
    let signature = format!("fn {function}()");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with(&signature)) else {
        return false;
    };
    let attributes: Vec<&str> =
        lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).copied().collect();
    attributes.contains(&"#[test]") && !attributes.iter().any(|line| line.starts_with("#[ignore"))
}
