//! Checks of a file as a whole: its bytes, names, and order.

use super::error::ImportError;
use super::{
    ATTRIBUTES_MAX, MODEL_BYTES_MAX, NAME_BYTES_MAX, NODES_MAX, OPSETS, STRUCTURE_BYTES_MAX,
    TENSORS_MAX, label, refused,
};
use crate::onnx::proto::{GraphProto, ModelProto};
use crate::step::NAMES;
use prost::Message as _;
use prost::encoding::{self, DecodeContext, WireType};
use std::collections::{BTreeMap, BTreeSet};

/// The graph and the opset of a file within limits.
pub(super) fn decode(bytes: &[u8]) -> Result<(GraphProto, i64), ImportError> {
    at_most("bytes", bytes.len(), MODEL_BYTES_MAX)?;
    let raw = scan(bytes)?;
    at_most("bytes besides raw tensors", bytes.len() - raw, STRUCTURE_BYTES_MAX)?;
    let model =
        ModelProto::decode(bytes).map_err(|error| ImportError::Malformed(error.to_string()))?;
    let opset = opset(&model)?;
    let graph =
        model.graph.ok_or_else(|| ImportError::Malformed("it holds no graph".to_owned()))?;
    Ok((graph, opset))
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), ImportError> {
    if found > max { Err(ImportError::TooLarge { what, found, max }) } else { Ok(()) }
}

fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    let standard = |domain: &str| matches!(domain, "" | "ai.onnx");
    let mut versions = model.opset_import.iter().filter(|set| standard(&set.domain));
    match (versions.next(), versions.next()) {
        (Some(set), None) if OPSETS.contains(&set.version) => Ok(set.version),
        (Some(set), _) => Err(ImportError::Opset(set.version)),
        (None, _) => Err(ImportError::Opset(0)),
    }
}

/// Counts what decoding would allocate, without decoding: refuses too many nodes, attributes or
/// tensors, and gives the bytes of the raw data of stored tensors.
fn scan(model: &[u8]) -> Result<usize, ImportError> {
    const GRAPH: u32 = 7;
    const NODE: u32 = 1;
    const ATTRIBUTE: u32 = 5;
    const INITIALIZER: u32 = 5;
    const RAW_DATA: u32 = 9;
    let mut raw = 0;
    for graph in messages(model, GRAPH)? {
        let nodes = messages(graph, NODE)?;
        at_most("nodes", nodes.len(), NODES_MAX)?;
        for node in nodes {
            at_most("attributes of a node", messages(node, ATTRIBUTE)?.len(), ATTRIBUTES_MAX)?;
        }
        let tensors = messages(graph, INITIALIZER)?;
        at_most("stored tensors", tensors.len(), TENSORS_MAX)?;
        for tensor in tensors {
            raw += messages(tensor, RAW_DATA)?.iter().map(|data| data.len()).sum::<usize>();
        }
    }
    Ok(raw)
}

/// The contents of a message's length-delimited fields with one tag.
fn messages(mut message: &[u8], tag: u32) -> Result<Vec<&[u8]>, ImportError> {
    let malformed = |error: prost::DecodeError| ImportError::Malformed(error.to_string());
    let mut found = Vec::new();
    while !message.is_empty() {
        let (field, wire) = encoding::decode_key(&mut message).map_err(malformed)?;
        if wire == WireType::LengthDelimited {
            let len = encoding::decode_varint(&mut message).map_err(malformed)?;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let short = || ImportError::Malformed("it ends inside a field".to_owned());
            let (content, rest) = message.split_at_checked(len).ok_or_else(short)?;
            message = rest;
            if field == tag {
                found.push(content);
            }
        } else {
            encoding::skip_field(wire, field, &mut message, DecodeContext::default())
                .map_err(malformed)?;
        }
    }
    Ok(found)
}

/// Refuses too many nodes or tensors, bad names, values of one name, and values read that nothing
/// gives or that come later.
pub(super) fn structure(graph: &GraphProto) -> Result<(), ImportError> {
    at_most("inputs", graph.input.len(), TENSORS_MAX)?;
    at_most("outputs", graph.output.len(), TENSORS_MAX)?;
    if !graph.sparse_initializer.is_empty() {
        return Err(ImportError::Malformed("it stores sparse tensors".to_owned()));
    }
    names(graph)?;
    let mut defined: BTreeSet<&str> = BTreeSet::new();
    for tensor in &graph.initializer {
        unique(&mut defined, &tensor.name)?;
    }
    let mut inputs = BTreeSet::new();
    for input in &graph.input {
        unique(&mut inputs, &input.name)?;
    }
    defined.extend(inputs);
    order(graph, defined)
}

fn unique<'n>(seen: &mut BTreeSet<&'n str>, name: &'n str) -> Result<(), ImportError> {
    if seen.insert(name) { Ok(()) } else { Err(ImportError::Duplicate(name.to_owned())) }
}

fn order<'n>(graph: &'n GraphProto, mut defined: BTreeSet<&'n str>) -> Result<(), ImportError> {
    let later: BTreeMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(i, node)| node.output.iter().map(move |name| (name.as_str(), i)))
        .collect();
    for node in &graph.node {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if defined.contains(name.as_str()) {
                continue;
            }
            let (node, tensor) = (label(node), name.clone());
            return Err(if later.contains_key(name.as_str()) {
                ImportError::Order { node, tensor }
            } else {
                ImportError::Dangling { node, tensor }
            });
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            unique(&mut defined, name)?;
        }
    }
    match graph.output.iter().find(|output| !defined.contains(output.name.as_str())) {
        Some(output) => Err(ImportError::Output(output.name.clone())),
        None => Ok(()),
    }
}

fn names(graph: &GraphProto) -> Result<(), ImportError> {
    for tensor in &graph.initializer {
        present("stored tensor", &tensor.name)?;
    }
    for value in graph.input.iter().chain(&graph.output) {
        present("input or output", &value.name)?;
        let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        for dim in tensor.and_then(|t| t.shape.as_ref()).iter().flat_map(|shape| &shape.dim) {
            short("dimension", dim.dim_param.as_deref().unwrap_or_default())?;
        }
    }
    for node in &graph.node {
        for text in [&node.name, &node.op_type, &node.domain] {
            short("node", text)?;
        }
        for name in node.input.iter().chain(&node.output) {
            short("value", name)?;
        }
        for attribute in &node.attribute {
            short("attribute", &attribute.name)?;
        }
        if node.output.is_empty() {
            return Err(refused(node, super::Problem::Output(0)));
        }
    }
    Ok(())
}

fn present(what: &'static str, name: &str) -> Result<(), ImportError> {
    if name.is_empty() {
        return Err(ImportError::Name { what, name: String::new(), why: "is empty" });
    }
    short(what, name)
}

fn short(what: &'static str, name: &str) -> Result<(), ImportError> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let name = name.chars().take(32).collect();
    Err(ImportError::Name { what, name, why: "is too long" })
}

/// Refuses a parameter whose name the graphs around the model, or their lowering, give to values of
/// their own.
pub(super) fn parameter_name(name: &str) -> Result<(), ImportError> {
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.starts_with(|first: char| first.is_ascii_digit()))
    };
    let moment = name.ends_with(".first") || name.ends_with(".second");
    if NAMES.contains(&name)
        || numbered("v")
        || numbered("c")
        || name.starts_with("next.")
        || moment
    {
        let why = "is a name of the training graph's own; rename it";
        return Err(ImportError::Name { what: "parameter", name: name.to_owned(), why });
    }
    Ok(())
}
