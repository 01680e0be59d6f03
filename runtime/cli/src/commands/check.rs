//! `dataforge check`: what the kernels say of a dataset, without training.

use crate::arguments::Check;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_core::dataset::{CheckReport, RowFault};
use dataforge_core::limits::{DATASET_BYTES_MAX, INDEX_BYTES_MAX};
use dataforge_core::spec::RowRules;
use dataforge_core::units::Ppm;
use dataforge_evaluate::{
    Dispersion, EMBEDDING_ARTIFACTS, EvaluateError, Known, Like, Measures, Place, Survey, Surveyor,
};
use dataforge_node::fs::read_bounded;
use dataforge_node::rows::{Compression, Format, Rows};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Rows that are looked at together, unless a spec allows more: some tens of megabytes.
const PART_ROWS: u32 = 1 << 16;

/// Entries of each list, unless another number is asked for.
const LISTED: usize = 100;

/// Those that the text report has of rows that are merely alike or known.
const LINES: usize = 10;

pub(crate) fn run(context: &Context, arguments: &Check) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let dataset = &arguments.dataset;
    let mut rows = Rows::open(dataset)?;
    // Before anything is fetched or compiled: a file that cannot be read needs neither.
    let rules = &pinned.spec().rows;
    let part = next_part(context, &mut rows, rules)?;
    let known = arguments.known.as_deref();
    let known = known.map(|path| read_bounded(path, INDEX_BYTES_MAX)).transpose()?;
    context.provision(&[&pinned.spec().model.tokenizer])?;
    if arguments.embed {
        context.provision(&[context.engine_parts(), EMBEDDING_ARTIFACTS.as_slice()].concat())?;
    }
    let stage = Stage::new(&dataset.display().to_string());
    let world = context.world(&specs, &pinned, &stage);
    let listed = arguments.list.map_or(LISTED, |rows| rows as usize);
    let mut surveyor = Surveyor::load(&world, &pinned, known, listed)?;
    for path in &arguments.against {
        stage.rename(&path.display().to_string());
        surveyor.begin_earlier();
        let mut rows = Rows::open(path)?;
        read_parts(context, &mut rows, rules, vec![], |lines, _| {
            surveyor.add_earlier(&world, lines).with_context(|| path.display().to_string())
        })?;
    }
    stage.rename(&dataset.display().to_string());
    read_parts(context, &mut rows, rules, part, |lines, expected| {
        surveyor.add(&world, lines, expected).with_context(|| dataset.display().to_string())
    })?;
    let dispersion = match arguments.embed {
        true => surveyor.dispersion(&world)?,
        false => None,
    };
    let submittable = rows.format() == Format::JsonLines(Compression::None);
    let survey = surveyor.finish(rows.bytes_total().filter(|_| submittable))?;
    stage.finish();
    if context.json {
        output::json(&survey_json(
            &survey,
            dispersion,
            rows.format().to_string(),
            &arguments.against,
        ))?;
    } else {
        if !submittable {
            output::line(&format!("format    {}; submit it as plain JSON Lines", rows.format()))?;
        }
        let looked = pinned.spec().checks.as_ref().is_some_and(|checks| checks.known.is_some());
        print(arguments, &survey, dispersion, looked)?;
    }
    Ok(survey.report.accepted().into())
}

/// Gives a file's rows on, a part at a time with the rows expected in all, beginning with `part`
/// if it was read.
fn read_parts(
    context: &Context,
    rows: &mut Rows,
    rules: &RowRules,
    mut part: Vec<Vec<u8>>,
    mut give: impl FnMut(&[&[u8]], u32) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut seen = 0;
    loop {
        if part.is_empty() {
            part = next_part(context, rows, rules)?;
        }
        if part.is_empty() {
            return Ok(());
        }
        seen += part.len() as u64;
        let lines: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
        give(&lines, expected(rows, seen))?;
        part.clear();
    }
}

/// The next rows. A dataset that an evaluation takes is one part, and so looked at as it would be.
fn next_part(context: &Context, rows: &mut Rows, rules: &RowRules) -> anyhow::Result<Vec<Vec<u8>>> {
    let (mut part, mut bytes) = (vec![], 0);
    let most = rules.count_max.get().max(PART_ROWS) as usize;
    while bytes < DATASET_BYTES_MAX.0 && part.len() < most {
        if context.stop().load(Ordering::Relaxed) {
            return Err(EvaluateError::Cancelled.into());
        }
        let Some(row) = rows.next().transpose()? else { break };
        bytes += row.len() as u64 + 1;
        part.push(row);
    }
    Ok(part)
}

/// Rows in all, if the rest of the file is like what was read.
fn expected(rows: &Rows, seen: u64) -> u32 {
    let (position, total) = (rows.position().0.max(1), rows.bytes_total().map_or(0, |all| all.0));
    u32::try_from(seen.saturating_mul(total) / position).unwrap_or(u32::MAX)
}

fn print(
    Check { dataset, against, list, .. }: &Check,
    survey: &Survey,
    dispersion: Option<Dispersion>,
    known_by_rule: bool,
) -> anyhow::Result<()> {
    let lines = list.map_or(LINES, |rows| rows as usize);
    print_faults(dataset, &survey.worst, &survey.report)?;
    if !survey.kinds.is_empty() {
        let kinds = survey.kinds.iter().map(|(kind, faults)| format!("{faults} {kind}"));
        output::line(&format!("faults    {}", kinds.collect::<Vec<_>>().join(", ")))?;
    }
    print_verdict(&survey.report)?;
    for (path, [rows, compared]) in against.iter().zip(&survey.earlier) {
        let path = path.display();
        output::line(&format!("against   {path}: {compared} of its {rows} rows compared"))?;
    }
    let Survey { copies, near_copies, .. } = survey;
    output::line(&format!("alike     {copies} copies, {near_copies} near-copies of earlier rows"))?;
    for like in survey.alike.iter().take(lines) {
        output::line(&format!("  {}", like_line(like, against)))?;
    }
    if survey.copies + survey.near_copies > 0 {
        output::line(&format!("  help: {ALIKE_HINT}"))?;
    }
    match survey.known_rows {
        None if known_by_rule => {
            output::line("known     by the spec's own rule: --known looks in an index of yours")?;
        }
        None => output::line("known     not looked for: see --known")?,
        Some(rows) => output::line(&format!("known     {rows} rows with text of known documents"))?,
    }
    for Known { row, share, part } in survey.known.iter().take(lines) {
        output::line(&format!("  row {row}: {} of it, such as {part:?}", percent(*share)))?;
    }
    if !survey.known.is_empty() {
        output::line(&format!("  help: {KNOWN_HINT}"))?;
    }
    if let Some(measures) = &survey.variety {
        output::line(&variety_line(measures, survey.sample))?;
    }
    if let Some(Dispersion { distance, sample }) = dispersion {
        output::line(&format!("meaning   mean cosine distance {distance:.3} (of {sample} rows)"))?;
    }
    Ok(())
}

const ALIKE_HINT: &str =
    "such rows teach a model little beyond the earlier ones: say something else in them";
const KNOWN_HINT: &str = "write these rows in your own words";

fn like_line(like: &Like, against: &[PathBuf]) -> String {
    let Place { earlier, row } = like.of;
    let of = match earlier.and_then(|earlier| against.get(earlier as usize)) {
        Some(path) => format!("row {row} of {}", path.display()),
        None => format!("row {row}"),
    };
    if like.exact {
        return format!("row {}: {of} but for case, punctuation, symbols or white space", like.row);
    }
    format!("row {}: like {of}, {} alike", like.row, percent(like.similarity))
}

fn variety_line(measures: &Measures, sample: u32) -> String {
    let Measures { distinct1, distinct2, compression_ratio, self_similarity, .. } = measures;
    format!(
        "variety   distinct-1 {distinct1:.3}, distinct-2 {distinct2:.3}, compression \
         {compression_ratio:.2} ×, self-similarity {self_similarity:.3} (of {sample} rows)"
    )
}

fn percent(share: Ppm) -> String {
    format!("{:.0} %", f64::from(share.0) / 1e4)
}

/// The faults and the verdict, for people.
pub(crate) fn print_report(dataset: &Path, report: &CheckReport) -> anyhow::Result<()> {
    print_faults(dataset, &report.faults, report)?;
    print_verdict(report)
}

fn print_faults(dataset: &Path, faults: &[RowFault], report: &CheckReport) -> anyhow::Result<()> {
    for fault in faults {
        output::line(&format!("{}: {fault}", dataset.display()))?;
        if let Some(hint) = hint(&fault.reason) {
            output::line(&format!("  help: {hint}"))?;
        }
    }
    let more = report.faults_total as usize - faults.len();
    if more > 0 { output::line(&format!("… and {more} more faults")) } else { Ok(()) }
}

fn print_verdict(report: &CheckReport) -> anyhow::Result<()> {
    let verdict = if report.accepted() { "accepted" } else { "rejected" };
    output::line(&format!("{verdict}: {} rows, {} faults", report.rows, report.faults_total))
}

/// The same for programs.
pub(crate) fn report_json(report: &CheckReport) -> Value {
    json!({
        "accepted": report.accepted(),
        "rows": report.rows,
        "faults_total": report.faults_total,
        "faults": faults_json(&report.faults),
        "fuel": report.fuel,
    })
}

fn faults_json(faults: &[RowFault]) -> Value {
    let mut listed = vec![];
    for RowFault { row, pointer, reason } in faults {
        let hint = hint(reason);
        listed.push(json!({"row": row, "pointer": pointer, "reason": reason, "hint": hint}));
    }
    json!(listed)
}

/// What to do about a fault, told by a part of its reason; the first that fits. Reasons that quote
/// the dataset come first, since they may quote any other.
const HINTS: &[(&str, &str)] = &[
    ("is known text", "write the row in your own words"),
    ("invalid UTF-8", "save the file as UTF-8"),
    ("repeated member name", "give each member of an object its own name"),
    ("malformed JSON", "write each row as one JSON object on one line, with a JSON library"),
    ("is a required property", "give every row all members that the schema asks for"),
    ("properties are not allowed", "leave out members that the schema does not name"),
    ("is not of type", "give the member the type that the schema asks for"),
    ("is longer than", "shorten the value"),
    ("is shorter than", "lengthen the value, or leave the row out"),
    ("does not match", "write the value as the pattern in the spec's row schema asks"),
    ("is not one of", "use one of the values in the spec's row schema"),
    ("value is not a \"", "write the value in the format that is named"),
    ("is empty", "give it a text, or leave the row out"),
    ("bytes, the limit is", "shorten the text"),
    ("the role", "let user and assistant take turns, and the assistant have the last word"),
    ("a message has no members but", "leave the others out"),
    ("choice", "give each row different choices, and the place of the right one from 0"),
    ("is missing", "give every row the members that the spec's shape asks for"),
    ("the value is not a", "give the member the type that the spec's shape asks for"),
    ("tokens, the spec allows", "shorten the text: `dataforge spec show` says what fits"),
    ("spells the control token", "leave the model's control tokens out of texts"),
    ("rows, the spec asks for", "add rows, or leave the worst out"),
    ("bytes, at most", "submit fewer rows, or shorter ones"),
    ("used up its", "shorten the longest rows"),
    ("ran out of memory", "shorten the longest rows"),
    ("of the scripts asked for", "write the texts in the scripts that the spec names"),
    ("say what earlier ones said", "say something else in the rows listed under `alike`"),
    ("are distinct, the spec asks for", "vary the words: write fewer rows by one pattern"),
    ("times, the spec allows", "repeat less: write fewer rows by one pattern"),
    ("alike on average", "write about more subjects"),
];

fn hint(reason: &str) -> Option<&'static str> {
    HINTS.iter().find(|(part, _)| reason.contains(part)).map(|(_, hint)| *hint)
}

fn survey_json(
    survey: &Survey,
    dispersion: Option<Dispersion>,
    format: String,
    against: &[PathBuf],
) -> Value {
    let mut value = report_json(&survey.report);
    value["faults"] = faults_json(&survey.worst);
    let kinds = survey.kinds.iter().map(|(kind, faults)| json!({"kind": kind, "faults": faults}));
    value["kinds"] = kinds.collect();
    value["format"] = json!(format);
    let earlier = against.iter().zip(&survey.earlier);
    value["against"] = earlier
        .map(
            |(path, [rows, compared])| json!({"dataset": path, "rows": rows, "compared": compared}),
        )
        .collect();
    value["alike"] = json!({
        "hint": ALIKE_HINT,
        "copies": survey.copies,
        "near_copies": survey.near_copies,
        "rows": survey.alike.iter().map(|like| like_json(like, against)).collect::<Vec<_>>(),
    });
    let known = |known: &Known| {
        let share = f64::from(known.share.0) / 1e6;
        json!({"row": known.row, "share": share, "part": known.part})
    };
    value["known"] = json!(survey.known_rows.map(|rows| {
        let listed: Vec<Value> = survey.known.iter().map(known).collect();
        json!({"hint": KNOWN_HINT, "rows_total": rows, "rows": listed})
    }));
    value["variety"] = json!(survey.variety.map(|measures| {
        json!({
            "sample": survey.sample,
            "words": measures.words,
            "distinct1": measures.distinct1,
            "distinct2": measures.distinct2,
            "distinct3": measures.distinct3,
            "compression_ratio": measures.compression_ratio,
            "self_similarity": measures.self_similarity,
        })
    }));
    value["meaning"] = json!(dispersion.map(|Dispersion { distance, sample }| {
        json!({"sample": sample, "mean_cosine_distance": distance})
    }));
    value
}

fn like_json(like: &Like, against: &[PathBuf]) -> Value {
    let of = like.of.earlier.and_then(|earlier| against.get(earlier as usize));
    json!({
        "row": like.row,
        "of_dataset": of.map(|path| path.display().to_string()),
        "of_row": like.of.row,
        "similarity": f64::from(like.similarity.0) / 1e6,
        "exact": like.exact,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hint_hides_another() {
        for (part, expected) in HINTS {
            assert_eq!(hint(part), Some(*expected));
        }
        assert_eq!(hint("something else"), None);
    }
}
