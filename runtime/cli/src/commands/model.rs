//! `dataforge model`: what an ONNX file holds, before anyone trains it.

use crate::arguments::ModelAction;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use anyhow::{Context as _, bail};
use dataforge_evaluate::model::{Dimension, Element, Input, Inspection, MODEL_BYTES_MAX, Model};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Size of a named dimension that is not given.
const SIZE: usize = 8;

pub(crate) fn run(context: &Context, action: &ModelAction) -> anyhow::Result<Answer> {
    let ModelAction::Inspect { model, sizes } = action;
    let name = model.display().to_string();
    let bytes = read(model).with_context(|| name.clone())?;
    let given: BTreeMap<String, usize> = sizes.iter().cloned().collect();
    let (found, sizes) = inspect(&bytes, given).with_context(|| name.clone())?;
    if context.json {
        output::json(&as_json(&found, &sizes))?;
    } else {
        print(&found, &sizes)?;
    }
    Ok(found.refusals.is_empty().into())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MODEL_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The inspection, and the size of every named dimension that it was tried with.
fn inspect(
    bytes: &[u8],
    given: BTreeMap<String, usize>,
) -> anyhow::Result<(Inspection, BTreeMap<String, usize>)> {
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    let dimensions = Inspection::named_dimensions(bytes)?;
    if let Some(unknown) = given.keys().find(|name| !dimensions.contains(name.as_str())) {
        bail!("no input has a dimension named {unknown:?}");
    }
    sizes.extend(dimensions.into_iter().map(|name| (name, SIZE)));
    sizes.extend(given);
    Ok((Inspection::new(bytes, &sizes)?, sizes))
}

fn element(input: &Input) -> &'static str {
    match input.element {
        Element::F32 => "float",
        Element::I64 => "integer",
        Element::Bool => "truth",
    }
}

fn dimensions(input: &Input) -> Vec<String> {
    let text = |dimension: &Dimension| match dimension {
        Dimension::Size(size) => size.to_string(),
        Dimension::Named(name) => name.clone(),
    };
    input.dimensions.iter().map(text).collect()
}

fn elements(model: &Model) -> usize {
    model.parameters().iter().map(|(_, data)| data.len()).sum()
}

fn print(found: &Inspection, sizes: &BTreeMap<String, usize>) -> anyhow::Result<()> {
    let line = |name: &str, text: &str| output::line(&format!("{name:10} {text}"));
    line("opset", &found.opset.to_string())?;
    let counts = found.operators.iter().map(|(name, count)| format!("{name} {count}"));
    line("operators", &counts.collect::<Vec<_>>().join(", "))?;
    if let Some(model) = &found.model {
        for input in model.inputs() {
            let dims = dimensions(input).join(", ");
            line("input", &format!("{:?}: {} [{dims}]", input.name, element(input)))?;
        }
        for output in model.outputs() {
            line("output", &format!("{output:?}"))?;
        }
        let (tensors, elements) = (model.parameters().len(), elements(model));
        line("parameters", &format!("{tensors} tensors, {elements} elements"))?;
    }
    if !sizes.is_empty() {
        let sizes = sizes.iter().map(|(name, size)| format!("{name}={size}"));
        line("tried with", &sizes.collect::<Vec<_>>().join(" "))?;
    }
    for refusal in &found.refusals {
        line("REFUSED", &refusal.to_string())?;
    }
    if found.refusals.is_empty() { line("ok", "can be imported") } else { Ok(()) }
}

fn as_json(found: &Inspection, sizes: &BTreeMap<String, usize>) -> serde_json::Value {
    let refusals: Vec<String> = found.refusals.iter().map(ToString::to_string).collect();
    let model = found.model.as_ref().map(|model| {
        let inputs = model.inputs().iter().map(|input| {
            let (element, dimensions) = (element(input), dimensions(input));
            json!({ "name": input.name, "element": element, "dimensions": dimensions })
        });
        let parameters = model.parameters().iter();
        let parameters = parameters.map(|(p, _)| json!({ "name": p.name, "shape": p.shape }));
        json!({
            "inputs": inputs.collect::<Vec<_>>(),
            "outputs": model.outputs().collect::<Vec<_>>(),
            "parameters": parameters.collect::<Vec<_>>(),
        })
    });
    json!({
        "ok": refusals.is_empty(),
        "opset": found.opset,
        "operators": found.operators,
        "model": model,
        "sizes": sizes,
        "refusals": refusals,
    })
}
