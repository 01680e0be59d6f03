//! The pinned kernels on real text: `guest-kernels/native` takes the same arguments and writes the
//! same answers, from the same code compiled for this machine.

use anyhow::Context as _;
use clap::Args;
use dataforge_sandbox::{
    Chat, ChatTemplate, ChatTokens, KernelLimits, Overlap, Pair, RowOutcome, Sandbox, SandboxError,
    SchemaRules,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Items of a call. Specs allow fewer, so that a hostile row costs little; what a call costs by
/// itself, such as loading a tokenizer, is part of the measurement all the same.
const CALL_ITEMS: usize = 8192;

/// Words of an n-gram.
const NGRAM: u32 = 8;

#[derive(Args)]
pub(crate) struct Kernels {
    /// Name of the kernel.
    kernel: String,
    /// Rules of `schema`, `tokenizer.json` of `tokenizer`, that and templates of `chats`, documents
    /// of `contamination`.
    setting: PathBuf,
    /// JSON Lines: rows for `schema`, pairs for `metrics`, chats for `chats`, else strings.
    input: PathBuf,
    /// How often everything is answered.
    passes: usize,
    /// Where the answers are written.
    answers: PathBuf,
}

/// Seconds of each pass, and the answers.
type Answered = anyhow::Result<(Vec<f64>, Vec<Value>)>;

/// Answers everything on one thread; gives the seconds of each pass.
pub(crate) fn run(arguments: &Kernels) -> anyhow::Result<Vec<f64>> {
    let Kernels { kernel, setting, input, passes, answers } = arguments;
    let wasm = pinned(if kernel == "chats" { "tokenizer" } else { kernel })?;
    let input = fs::read_to_string(input)?;
    let (seconds, lines) = match kernel.as_str() {
        "chats" => chats(&wasm, setting, &input, *passes)?,
        "contamination" => contamination(&wasm, setting, &input, *passes)?,
        "diversity" => diversity(&wasm, &input, *passes)?,
        "metrics" => metrics(&wasm, &input, *passes)?,
        "schema" => schema(&wasm, setting, &input, *passes)?,
        "similarity" => similarity(&wasm, &input, *passes)?,
        "tokenizer" => tokenizer(&wasm, setting, &input, *passes)?,
        _ => anyhow::bail!("no kernel is called {kernel}"),
    };
    fs::write(answers, lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(seconds)
}

/// A pinned kernel, by its name.
pub(crate) fn pinned(kernel: &str) -> anyhow::Result<Vec<u8>> {
    let version = latest(kernel);
    let file = Path::new("eval-specs/kernels").join(format!("{kernel}-{version}.wasm"));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// The version that new specs name.
pub(crate) fn latest(kernel: &str) -> &'static str {
    match kernel {
        "schema" | "tokenizer" => "2.0.0",
        _ => "1.0.0",
    }
}

fn texts(lines: &str) -> anyhow::Result<Vec<String>> {
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Answers all items in calls of [`CALL_ITEMS`].
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn timed<I, A>(
    passes: usize,
    items: &[I],
    call: impl Fn(&[I]) -> Result<Vec<A>, SandboxError>,
) -> anyhow::Result<(Vec<f64>, Vec<A>)> {
    let (mut seconds, mut answers) = (vec![], vec![]);
    for _ in 0..passes {
        answers.clear();
        let start = std::time::Instant::now();
        for items in items.chunks(CALL_ITEMS) {
            answers.extend(call(items)?);
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok((seconds, answers))
}

fn contamination(wasm: &[u8], documents: &Path, input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.contamination_kernel(wasm, KernelLimits::default())?;
    let (documents, texts) = (texts(&fs::read_to_string(documents)?)?, texts(input)?);
    let index = kernel.index(NGRAM, &strs(&documents))?.value;
    let call = |texts: &[&str]| Ok(kernel.overlap(&index, texts)?.value);
    let (seconds, found) = timed(passes, &strs(&texts), call)?;
    let line = found.iter().map(|of| json!([of.ngrams, of.found, of.part.start, of.part.end]));
    Ok((seconds, line.collect()))
}

/// What `chats` is given.
#[derive(Deserialize)]
struct Chats {
    tokenizer: PathBuf,
    /// A folder of NAME.jinja, and `tokens.json` with the pair of `bos_token` and `eos_token` of
    /// each NAME.
    templates: PathBuf,
}

/// Chats as texts, each answered by every template in the order of their names.
fn chats(wasm: &[u8], setting: &Path, input: &str, passes: usize) -> Answered {
    #[derive(Deserialize)]
    struct Line {
        messages: String,
        reply: String,
    }
    let kernel = Sandbox::new()?.tokenizer_kernel(wasm, KernelLimits::default())?;
    let Chats { tokenizer, templates } = serde_json::from_str(&fs::read_to_string(setting)?)?;
    let tokenizer = fs::read(tokenizer)?;
    let tokens: BTreeMap<String, [String; 2]> =
        serde_json::from_str(&fs::read_to_string(templates.join("tokens.json"))?)?;
    let chats: Vec<Line> = input.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let chats: Vec<Chat<'_>> =
        chats.iter().map(|line| Chat { messages: &line.messages, reply: &line.reply }).collect();
    let (mut seconds, mut lines) = (vec![0.0; passes], vec![]);
    for (name, [bos_token, eos_token]) in &tokens {
        let jinja = &fs::read_to_string(templates.join(name).with_extension("jinja"))?;
        let template = ChatTemplate { jinja, bos_token, eos_token };
        let call =
            |chats: &[Chat<'_>]| Ok(kernel.encode_chats(&tokenizer, &template, chats)?.value);
        let (more, answers) = timed(passes, &chats, call)?;
        seconds.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        lines.extend(answers.into_iter().map(|answer| match answer {
            Ok(ChatTokens { prompt, reply }) => json!({"prompt": prompt, "reply": reply}),
            Err(reason) => json!({"fault": reason}),
        }));
    }
    Ok((seconds, lines))
}

/// All texts in one call, which is what this kernel measures.
fn diversity(wasm: &[u8], input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.diversity_kernel(wasm, KernelLimits::default())?;
    let texts = texts(input)?;
    let texts = [strs(&texts)];
    let call =
        |texts: &[Vec<&str>]| texts.iter().map(|texts| Ok(kernel.measure(texts)?.value)).collect();
    let (seconds, found) = timed(passes, &texts, call)?;
    let line = |of: &dataforge_sandbox::Measures| {
        let distinct = [of.distinct1, of.distinct2, of.distinct3];
        json!([of.words, distinct, of.compression_ratio, of.self_similarity])
    };
    Ok((seconds, found.iter().map(line).collect()))
}

fn metrics(wasm: &[u8], input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.metrics_kernel(wasm, KernelLimits::default())?;
    let pairs: Vec<Value> = input.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let text = |pair: &'_ Value, name: &str| pair[name].as_str().map(str::to_owned);
    let pairs: Vec<[String; 2]> = pairs
        .iter()
        .map(|pair| Some([text(pair, "answer")?, text(pair, "reference")?]))
        .collect::<Option<_>>()
        .context("not a pair")?;
    let pairs: Vec<Pair<'_>> =
        pairs.iter().map(|[answer, reference]| Pair { answer, reference }).collect();
    let (seconds, scores) = timed(passes, &pairs, |pairs| Ok(kernel.measure(pairs)?.value))?;
    let overlap =
        |of: &Overlap| json!({"precision": of.precision, "recall": of.recall, "f1": of.f1});
    let line = |of: &dataforge_sandbox::Scores| {
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

fn schema(wasm: &[u8], schema_json: &Path, input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.schema_kernel(wasm, KernelLimits::default())?;
    let schema_json = &fs::read_to_string(schema_json)?;
    let rules = SchemaRules::pair(schema_json, "input", "output", u32::MAX);
    let lines: Vec<&[u8]> = input.lines().map(str::as_bytes).collect();
    let (seconds, outcomes) = timed(passes, &lines, |lines| Ok(kernel.check(&rules, lines)?.rows))?;
    let line = |outcome: &RowOutcome| match outcome {
        RowOutcome::Row { input, output } => json!([input, output]),
        RowOutcome::Fault { pointer, reason } => json!({"pointer": pointer, "reason": reason}),
    };
    Ok((seconds, outcomes.iter().map(line).collect()))
}

fn similarity(wasm: &[u8], input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.similarity_kernel(wasm, KernelLimits::default())?;
    let texts = texts(input)?;
    let call = |texts: &[&str]| Ok(kernel.sketch(texts)?.value);
    let (seconds, sketches) = timed(passes, &strs(&texts), call)?;
    let line = sketches.iter().map(|of| json!([of.digest, of.signature.as_slice(), of.bands]));
    Ok((seconds, line.collect()))
}

fn tokenizer(wasm: &[u8], json: &Path, input: &str, passes: usize) -> Answered {
    let kernel = Sandbox::new()?.tokenizer_kernel(wasm, KernelLimits::default())?;
    let (json, texts) = (fs::read(json)?, texts(input)?);
    let call = |texts: &[&str]| Ok(kernel.encode(&json, texts)?.value);
    let (seconds, outcomes) = timed(passes, &strs(&texts), call)?;
    let line = |outcome: Result<Vec<u32>, String>| outcome.map_or_else(Value::from, Value::from);
    Ok((seconds, outcomes.into_iter().map(line).collect()))
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
