//! `dataforge doctor`: can this machine evaluate?

use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::Context as _;
use dataforge_evaluate::{Options, Runtime};
use serde_json::json;

pub(crate) fn run(context: &Context) -> anyhow::Result<Answer> {
    let library =
        context.provision(&["onnxruntime"])?.into_iter().next().context("one path per name")?;
    let runtime = Runtime::load_untested(&library, Options { threads: context.threads() })?;
    let answer = runtime.known_answer()?;
    let ok = answer.found == answer.expected;
    if context.json {
        output::json(&json!({
            "ok": ok,
            "onnxruntime": runtime.version(),
            "provider": runtime.provider(),
            "known_answer": answer.found,
            "expected": answer.expected,
            "library": library,
            "build": runtime.build_info(),
            "threads": context.threads(),
            "dataforge": env!("CARGO_PKG_VERSION"),
        }))?;
    } else {
        output::line(&format!("dataforge     {}", env!("CARGO_PKG_VERSION")))?;
        output::line(&format!("onnxruntime   {} at {}", runtime.version(), library.display()))?;
        output::line(&format!(
            "provider      {}, {} threads",
            runtime.provider(),
            context.threads()
        ))?;
        output::line(&format!("known answer  {}", answer.found))?;
        output::line(&format!("expected      {}", answer.expected))?;
        let verdict = if ok {
            "ok: this machine evaluates exactly"
        } else {
            "NOT OK: this engine is not exact"
        };
        output::line(verdict)?;
    }
    if ok {
        return Ok(Answer::Yes);
    }
    // Not an answer but a broken environment: say so with its exit code.
    Err(runtime.refuse(answer).into())
}
