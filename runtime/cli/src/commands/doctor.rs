//! `dataforge doctor`: can this machine evaluate?

use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use dataforge_evaluate::Runtime;
use serde_json::json;

pub(crate) fn run(context: &Context) -> anyhow::Result<Answer> {
    context.provision(context.engine_parts())?;
    let options = context.options();
    let library = context.artifacts.engine_library(options.provider)?;
    let (runtime, answer) = Runtime::examine(&library, options)?;
    let ok = answer.is_exact();
    let (lowering, wide_sqrt) = (runtime.lowering().lowering, runtime.lowering().wide_sqrt);
    if context.json {
        output::json(&json!({
            "ok": ok,
            "onnxruntime": runtime.version(),
            "provider": runtime.provider(),
            "square_roots": if wide_sqrt { "f64" } else { "f32" },
            "known_answer": answer.found,
            "expected": answer.expected,
            "library": library,
            "build": runtime.build_info(),
            "threads": options.threads,
            "lowering": lowering.to_string(),
            "dataforge": env!("CARGO_PKG_VERSION"),
        }))?;
    } else {
        output::line(&format!("dataforge     {}", env!("CARGO_PKG_VERSION")))?;
        output::line(&format!("onnxruntime   {} at {}", runtime.version(), library.display()))?;
        output::line(&format!(
            "provider      {}, {} threads, {} lowering",
            runtime.provider(),
            options.threads,
            lowering
        ))?;
        if wide_sqrt {
            output::line("square roots  in f64: this library's own in f32 are not exact")?;
        }
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
