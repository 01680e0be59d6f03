//! One function per kernel: reads its arguments, answers as often as asked, and gives the last
//! answers, one JSON value per line.
//!
//! The input of `schema` is rows; of `metrics`, objects with `answer` and `reference`; of the
//! others, strings. `SETTING` is a file: the rules of `schema`, the `tokenizer.json` of
//! `tokenizer`, a string per document for `contamination`; the others do not open it.

use dataforge_kernel_contamination::{self as contamination, Guest as _};
use dataforge_kernel_diversity::{self as diversity, Guest as _};
use dataforge_kernel_metrics::{self as metrics, Guest as _, Overlap, Pair};
use dataforge_kernel_schema_2::{self as schema, Guest as _, RowOutcome, Rules, Shape};
use dataforge_kernel_similarity::{self as similarity, Guest as _};
use dataforge_kernel_tokenizer_2::{self as tokenizer, Guest as _};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::time::Instant;

/// Seconds of each pass, and the answers.
type Answered = Result<(Vec<f64>, Vec<Value>), Box<dyn Error>>;

/// Items of a call: as many as `dataforge-bench kernels` hands to one, so that both sides load
/// schemas and tokenizers as often.
const CALL_ITEMS: usize = 8192;

/// Words of an n-gram.
const NGRAM: u32 = 8;

pub(crate) fn run(
    kernel: &str,
    setting: &str,
    input: &str,
    passes: usize,
    answers: &str,
) -> Result<Value, Box<dyn Error>> {
    let input = fs::read_to_string(input)?;
    let (seconds, lines) = match kernel {
        "contamination" => contamination(texts(&fs::read_to_string(setting)?)?, &input, passes)?,
        "diversity" => diversity(&input, passes)?,
        "metrics" => metrics(&input, passes)?,
        "schema" => schema(&fs::read_to_string(setting)?, &input, passes)?,
        "similarity" => similarity(&input, passes)?,
        "tokenizer" => tokenizer(fs::read(setting)?, &input, passes)?,
        _ => return Err(format!("no kernel is called {kernel}").into()),
    };
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(answers, lines)?;
    Ok(json!(seconds))
}

fn texts(lines: &str) -> Result<Vec<String>, serde_json::Error> {
    lines.lines().map(serde_json::from_str).collect()
}

/// Answers all items in calls of [`CALL_ITEMS`], as the sandbox does. Copies of the input are made
/// outside the time measured.
fn timed<I: Clone, A>(
    passes: usize,
    items: &[I],
    call: impl Fn(Vec<I>) -> Result<Vec<A>, String>,
) -> Result<(Vec<f64>, Vec<A>), String> {
    let (mut seconds, mut answers) = (vec![], vec![]);
    for _ in 0..passes {
        answers.clear();
        let calls: Vec<Vec<I>> = items.chunks(CALL_ITEMS).map(<[I]>::to_vec).collect();
        let start = Instant::now();
        for items in calls {
            answers.extend(call(items)?);
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok((seconds, answers))
}

fn contamination(documents: Vec<String>, input: &str, passes: usize) -> Answered {
    let index = contamination::Kernel::index(NGRAM, documents)?;
    let call = |texts| contamination::Kernel::overlap(index.clone(), texts);
    let (seconds, found) = timed(passes, &texts(input)?, call)?;
    let line = |one: &contamination::Evidence| json!([one.ngrams, one.found, one.start, one.end]);
    Ok((seconds, found.iter().map(line).collect()))
}

fn diversity(input: &str, passes: usize) -> Answered {
    // All texts in one call, which is what this kernel measures.
    let call = |sets: Vec<_>| sets.into_iter().map(diversity::Kernel::measure).collect();
    let (seconds, measures) = timed(passes, &[texts(input)?], call)?;
    let line = |of: &diversity::Measures| {
        let distinct = [of.distinct1, of.distinct2, of.distinct3];
        json!([of.words, distinct, of.compression_ratio, of.self_similarity])
    };
    Ok((seconds, measures.iter().map(line).collect()))
}

fn metrics(input: &str, passes: usize) -> Answered {
    let pair = |line: &str| -> Result<Pair, Box<dyn Error>> {
        let pair: Value = serde_json::from_str(line)?;
        let text = |name: &str| pair[name].as_str().map(str::to_owned).ok_or("not a pair");
        Ok(Pair { answer: text("answer")?, reference: text("reference")? })
    };
    let pairs: Vec<Pair> = input.lines().map(pair).collect::<Result<_, _>>()?;
    let (seconds, scores) = timed(passes, &pairs, metrics::Kernel::measure)?;
    let overlap =
        |of: &Overlap| json!({"precision": of.precision, "recall": of.recall, "f1": of.f1});
    let line = |of: &metrics::Scores| {
        json!({
            "exact_match": of.exact_match,
            "token_f1": of.token_f1,
            "rouge1": overlap(&of.rouge1),
            "rouge2": overlap(&of.rouge2),
            "rougeL": overlap(&of.rouge_l),
            "chrf": of.chrf,
        })
    };
    Ok((seconds, scores.iter().map(line).collect()))
}

fn schema(schema_json: &str, input: &str, passes: usize) -> Answered {
    let rules = Rules {
        schema_json: schema_json.to_owned(),
        shape: Shape::Pair,
        input: "input".to_owned(),
        output: "output".to_owned(),
        text_bytes_max: u32::MAX,
        scripts: vec![],
        script_ppm_min: 0,
    };
    let lines: Vec<Vec<u8>> = input.lines().map(|line| line.as_bytes().to_vec()).collect();
    let call = |lines| schema::Kernel::check(rules.clone(), lines);
    let (seconds, outcomes) = timed(passes, &lines, call)?;
    let line = |outcome: &RowOutcome| match outcome {
        RowOutcome::Ok(row) => json!([row.input, row.output]),
        RowOutcome::Fault(fault) => json!({"pointer": fault.pointer, "reason": fault.reason}),
    };
    Ok((seconds, outcomes.iter().map(line).collect()))
}

fn similarity(input: &str, passes: usize) -> Answered {
    let (seconds, sketches) = timed(passes, &texts(input)?, similarity::Kernel::make)?;
    let line = |of: &similarity::Sketch| json!([of.digest, of.signature, of.bands]);
    Ok((seconds, sketches.iter().map(line).collect()))
}

fn tokenizer(json: Vec<u8>, input: &str, passes: usize) -> Answered {
    let call = |texts| tokenizer::Kernel::encode(json.clone(), texts);
    let (seconds, outcomes) = timed(passes, &texts(input)?, call)?;
    let line = |outcome: &tokenizer::TextOutcome| match outcome {
        tokenizer::TextOutcome::Ok(ids) => json!(ids),
        tokenizer::TextOutcome::Fault(reason) => json!(reason),
    };
    Ok((seconds, outcomes.iter().map(line).collect()))
}
