//! `cargo xtask fuzz`: hostile inputs to every decoder, for a bounded time.
//!
//! The targets are in `fuzz/`; this builds them once, writes the seeds they start from, and runs
//! each under limits of its own, so that to ask for more memory than its decoder may is a finding
//! like a panic or a broken promise. What a target has learnt stays in the build folder, where the
//! next run goes on from it.
//!
//! Address sanitizer is on, because without it libFuzzer sees no single allocation; a stable
//! compiler has it, but takes the flag only with `RUSTC_BOOTSTRAP`. With that set,
//! `cargo fuzz run TARGET` works as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use clap::Args;

use crate::sh;

/// Lets a stable compiler take the flags of a sanitizer.
const BOOTSTRAP: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// As cargo-fuzz has it: rustc may put one constant into two objects.
const ASAN: (&str, &str) = ("ASAN_OPTIONS", "detect_odr_violation=0");

/// Resident memory of a target, of which address sanitizer takes a part.
const MEMORY_MIB_MAX: u32 = 2048;

/// Seconds that one input may take.
const INPUT_SECONDS_MAX: u32 = 20;

/// Lines of a target's own words that a finding is shown with.
const WORDS_LINES: usize = 40;

/// Hostile inputs to decoders.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets, as the files in `fuzz/fuzz_targets` are called; default: all.
    targets: Vec<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// A decoder under fuzzing.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    name: &'static str,
    /// Longest input that is tried. Longer ones find little that shorter ones do not.
    input_kib_max: u32,
    /// Largest single allocation for such an input.
    allocation_mib_max: u32,
}

const fn target(name: &'static str, input_kib_max: u32, allocation_mib_max: u32) -> Target {
    Target { name, input_kib_max, allocation_mib_max }
}

/// Every target. An import may compute constants of 2^24 elements of 8 bytes; a dataset may be
/// compressed a thousandfold, and a page of it is held, in a buffer that doubles; a guest is
/// compiled, and has memory of its own; nothing else may ask for more than a small multiple of its
/// input.
const TARGETS: &[Target] = &[
    target("artifacts", 16, 8),
    target("bisect", 4, 4),
    target("checker", 4, 4),
    target("checkpoint", 16, 4),
    target("datasets", 16, 640),
    target("events", 64, 8),
    target("guest", 16, 128),
    target("hotkey", 4, 4),
    target("journal", 16, 4),
    target("locks", 16, 4),
    target("merkle", 4, 4),
    target("onnx", 64, 160),
    target("proof", 16, 4),
    target("rows", 4, 4),
    target("spec", 16, 4),
    target("timelock", 6, 4),
    target("weights", 16, 8),
];

/// Builds, seeds, runs and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    registered(&sh::root().join("fuzz/fuzz_targets"))?;
    let targets = chosen(&options.targets)?;
    let folder = sh::target().join("fuzz");
    let programs = build(&folder)?;
    let seeds = folder.join("seeds");
    sh::run(programs.join("seeds").as_os_str(), &[&seeds.to_string_lossy()], &[])?;

    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
        "target",
        "seconds",
        "executions",
        "coverage",
        "corpus",
    ]);
    let mut findings = Vec::new();
    for target in targets {
        eprintln!("fuzzing {} for {} s", target.name, options.seconds);
        let output = fuzz(target, &programs, &folder, options.seconds)?;
        let words = String::from_utf8_lossy(&output.stderr);
        table.add_row(row(target.name, &words));
        if !output.status.success() {
            eprintln!("{}", last_lines(&words));
            findings.push(finding(target, &programs, &words));
        }
    }
    sh::print(&table.to_string())?;
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// The targets of these names, or all.
fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.with_context(|| format!("no target {name:?}"))
    };
    names.iter().map(find).collect()
}

/// Refuses a file of a target that no run would reach.
fn registered(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let known = TARGETS.iter().any(|target| target.name == name);
        ensure!(known, "{} is not in the table of tools/xtask/src/fuzz.rs", path.display());
    }
    Ok(())
}

/// Builds all targets; the folder of their programs.
fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let installed = Command::new("cargo-fuzz").arg("--version").output();
    installed.context("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`")?;
    // cargo-fuzz does not pass `--locked` on.
    sh::cargo(&["fetch", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"], &[])?;
    let folder = folder.join("build");
    let place = folder.to_string_lossy();
    // Several units a crate: instrumented code is built far more often than it is run for long.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let build = ["fuzz", "build", "--codegen-units", "16", "--target", &triple, "--target-dir"];
    sh::cargo(&[&build[..], &[&place]].concat(), &[BOOTSTRAP])?;
    Ok(folder.join(&triple).join("release"))
}

/// Runs a target. What it finds is below `folder/findings`.
fn fuzz(target: &Target, programs: &Path, folder: &Path, seconds: u32) -> anyhow::Result<Output> {
    let below = |name: &str| folder.join(name).join(target.name);
    let [corpus, seeds, findings] = ["corpus", "seeds", "findings"].map(below);
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let program = programs.join(target.name);
    Command::new(&program)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.input_kib_max << 10))
        .arg(format!("-malloc_limit_mb={}", target.allocation_mib_max))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        // Leaks are no fault of safe code, and finding them needs rights that containers lack.
        .args(["-detect_leaks=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args([&corpus, &seeds])
        .envs([ASAN])
        .current_dir(sh::root())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Of what libFuzzer says at its end: seconds, executions, places reached, inputs kept.
fn row(target: &str, words: &str) -> [String; 5] {
    let after = |line: &str, mark: &str| {
        let rest = line.split_once(mark)?.1.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    };
    let last = |mark: &str| words.lines().rev().find_map(|line| after(line, mark));
    let seconds = last(" runs in ");
    let executions = last("stat::number_of_executed_units:");
    let cells = [seconds, executions, last(" cov: "), last(" corp: ")];
    let [seconds, executions, coverage, corpus] = cells.map(Option::unwrap_or_default);
    [target.to_owned(), seconds, executions, coverage, corpus]
}

/// Which input it was, and how to run it again under the limit that it may have passed.
fn finding(target: &Target, programs: &Path, words: &str) -> String {
    let Target { name, allocation_mib_max, .. } = target;
    let written = words.lines().rev().find_map(|line| line.split_once("Test unit written to "));
    let Some((_, input)) = written else { return format!("{name}: it did not run") };
    let (key, value) = ASAN;
    let program = programs.join(name);
    let program = program.display();
    let again = format!("{key}={value} {program} -malloc_limit_mb={allocation_mib_max} {input}");
    format!("{name}: {input}\n  {again}")
}

fn last_lines(words: &str) -> String {
    let lines: Vec<_> = words.lines().collect();
    lines[lines.len().saturating_sub(WORDS_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "\
#2\tINITED cov: 10 ft: 11 corp: 1/3b exec/s: 0 rss: 40Mb
#99\tDONE   cov: 812 ft: 2300 corp: 210/12Kb lim: 4096 exec/s: 3 rss: 50Mb
Done 99 runs in 21 second(s)
stat::number_of_executed_units: 99";

    #[test]
    fn what_libfuzzer_says_becomes_a_row() {
        assert_eq!(row("spec", WORDS), ["spec", "21", "99", "812", "210"]);
        assert_eq!(row("spec", "Killed"), ["spec", "", "", "", ""]);
    }

    #[test]
    fn a_finding_says_how_to_see_it_again() {
        let words = "artifact_prefix='x/'; Test unit written to x/crash-1\nBase64: YQ==";
        let said = |words| finding(&target("spec", 1, 2), Path::new("programs"), words);
        let again = "programs/spec -malloc_limit_mb=2 x/crash-1";
        assert!(said(words).ends_with(again), "{}", said(words));
        assert_eq!(said("Killed"), "spec: it did not run");
    }

    #[test]
    fn a_target_that_no_run_would_reach_is_refused() {
        registered(&sh::root().join("fuzz/fuzz_targets")).unwrap();
        assert!(registered(&sh::root().join("tools/xtask/src/tidy")).is_err());
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }
}
