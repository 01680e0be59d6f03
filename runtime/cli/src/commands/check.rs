//! `dataforge check`: what the kernels say of a dataset, without training.

use crate::arguments::Check;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use dataforge_core::dataset::{CheckReport, RowFault};
use dataforge_core::limits::{DATASET_BYTES_MAX, INDEX_BYTES_MAX};
use dataforge_core::spec::RowRules;
use dataforge_core::units::Ppm;
use dataforge_evaluate::{
    Dispersion, EMBEDDING_ARTIFACTS, Known, Like, Measures, Place, Survey, Surveyor, World,
};
use dataforge_node::fs::read_bounded;
use dataforge_node::rows::Rows;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Rows that are looked at together, unless a spec allows more: some tens of megabytes.
const PART_ROWS: u32 = 1 << 16;

/// Lines that the text report has for near-duplicates and for known text; `--json` has more.
const LINES: usize = 10;

pub(crate) fn run(context: &Context, arguments: &Check) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let mut rows = Rows::open(&arguments.dataset)?;
    // Before anything is fetched or compiled: a file that cannot be read needs neither.
    let rules = &pinned.spec().rows;
    let mut part = next_part(&mut rows, rules)?;
    let known = arguments.known.as_deref();
    let known = known.map(|path| read_bounded(path, INDEX_BYTES_MAX)).transpose()?;
    context.provision(&[&pinned.spec().model.tokenizer])?;
    if arguments.embed {
        context.provision(&[context.engine_parts(), EMBEDDING_ARTIFACTS.as_slice()].concat())?;
    }
    let stage = Stage::new(&arguments.dataset.display().to_string());
    let world = context.world(&specs, &pinned, &stage);
    let mut surveyor = Surveyor::load(&world, &pinned, known)?;
    for path in &arguments.against {
        compare_with(&mut surveyor, &world, path, rules)?;
    }
    let mut seen = 0;
    while !part.is_empty() {
        seen += part.len() as u64;
        let lines: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
        surveyor.add(&world, &lines, expected(&rows, seen))?;
        part = next_part(&mut rows, rules)?;
    }
    let dispersion = match arguments.embed {
        true => surveyor.dispersion(&world)?,
        false => None,
    };
    let survey = surveyor.finish()?;
    stage.finish();
    if context.json {
        output::json(&survey_json(
            &survey,
            dispersion,
            rows.format().to_string(),
            &arguments.against,
        ))?;
    } else {
        print(&arguments.dataset, &survey, dispersion, &arguments.against)?;
    }
    Ok(survey.report.accepted().into())
}

/// The next rows. A dataset that an evaluation takes is one part, and so looked at as it would be.
fn next_part(rows: &mut Rows, rules: &RowRules) -> anyhow::Result<Vec<Vec<u8>>> {
    let (mut part, mut bytes) = (vec![], 0);
    let most = rules.count_max.get().max(PART_ROWS) as usize;
    while bytes < DATASET_BYTES_MAX.0 && part.len() < most {
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

fn compare_with(
    surveyor: &mut Surveyor,
    world: &dyn World,
    path: &Path,
    rules: &RowRules,
) -> anyhow::Result<()> {
    let mut rows = Rows::open(path)?;
    surveyor.begin_earlier();
    loop {
        let part = next_part(&mut rows, rules)?;
        if part.is_empty() {
            return Ok(());
        }
        let lines: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
        surveyor.add_earlier(world, &lines)?;
    }
}

fn print(
    dataset: &Path,
    survey: &Survey,
    dispersion: Option<Dispersion>,
    against: &[PathBuf],
) -> anyhow::Result<()> {
    print_report(dataset, &survey.report)?;
    let Survey { copies, near_copies, .. } = survey;
    output::line(&format!("alike     {copies} copies, {near_copies} near-copies of earlier rows"))?;
    for like in survey.alike.iter().take(LINES) {
        output::line(&format!("  {}", like_line(like, against)))?;
    }
    if survey.copies + survey.near_copies > 0 {
        output::line(
            "  such rows teach a model little beyond the earlier ones: say something else in them",
        )?;
    }
    match survey.known_rows {
        None => output::line("known     not looked for: see --known")?,
        Some(rows) => output::line(&format!("known     {rows} rows with text of known documents"))?,
    }
    for Known { row, share, part } in survey.known.iter().take(LINES) {
        output::line(&format!("  row {row}: {} of it, such as {part:?}", percent(*share)))?;
    }
    if let Some(measures) = &survey.variety {
        output::line(&variety_line(measures, survey.sample))?;
    }
    if let Some(Dispersion { distance, sample }) = dispersion {
        output::line(&format!("meaning   mean cosine distance {distance:.3} (of {sample} rows)"))?;
    }
    Ok(())
}

fn like_line(like: &Like, against: &[PathBuf]) -> String {
    let Place { earlier, row } = like.of;
    let of = match earlier.and_then(|earlier| against.get(earlier as usize)) {
        Some(path) => format!("row {row} of {}", path.display()),
        None => format!("row {row}"),
    };
    if like.exact {
        return format!("row {}: {of} but for case, punctuation or white space", like.row);
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
    for fault in &report.faults {
        output::line(&format!("{}: {fault}", dataset.display()))?;
        if let Some(hint) = hint(&fault.reason) {
            output::line(&format!("  help: {hint}"))?;
        }
    }
    let kept = report.faults.len();
    if report.faults_total as usize > kept {
        output::line(&format!("… and {} more faults", report.faults_total as usize - kept))?;
    }
    let verdict = if report.accepted() { "accepted" } else { "rejected" };
    output::line(&format!("{verdict}: {} rows, {} faults", report.rows, report.faults_total))
}

/// The same for programs.
pub(crate) fn report_json(report: &CheckReport) -> Value {
    let faults = report.faults.iter().map(|RowFault { row, pointer, reason }| {
        json!({"row": row, "pointer": pointer, "reason": reason, "hint": hint(reason)})
    });
    json!({
        "accepted": report.accepted(),
        "rows": report.rows,
        "faults_total": report.faults_total,
        "faults": faults.collect::<Vec<_>>(),
        "fuel": report.fuel,
    })
}

/// What to do about a fault, told by a part of its reason.
const HINTS: &[(&str, &str)] = &[
    ("invalid UTF-8", "save the file as UTF-8"),
    ("repeated member name", "give each member of an object its own name"),
    ("malformed JSON", "write each row as one JSON object on one line, with a JSON library"),
    ("required property", "give every row all members that the schema asks for"),
    ("Additional properties", "leave out members that the schema does not name"),
    ("is not of type", "give the member the type that the schema asks for"),
    ("the text is empty", "give the field a text, or leave the row out"),
    ("the text has", "shorten the text"),
    ("tokens, the spec allows", "shorten the text: `dataforge spec show` says what fits"),
    ("rows, the spec asks for", "add rows, or leave the worst out"),
    ("used up its", "shorten the rows named"),
    ("of the scripts asked for", "write the texts in the scripts that the spec names"),
    ("say what earlier ones said", "say something else in the rows listed under `alike`"),
    ("is known text", "write the row in your own words"),
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
    value["format"] = json!(format);
    value["alike"] = json!({
        "copies": survey.copies,
        "near_copies": survey.near_copies,
        "rows": survey.alike.iter().map(|like| like_json(like, against)).collect::<Vec<_>>(),
    });
    let known = |known: &Known| {
        let share = f64::from(known.share.0) / 1e6;
        json!({"row": known.row, "share": share, "part": known.part})
    };
    value["known"] = json!(survey.known_rows.map(|rows| {
        json!({"rows_total": rows, "rows": survey.known.iter().map(known).collect::<Vec<_>>()})
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
    fn every_hint_is_for_the_reason_that_it_names() {
        for (part, expected) in HINTS {
            assert_eq!(hint(part), Some(*expected));
        }
        assert_eq!(hint("something else"), None);
    }
}
