//! Splits a lowered model into the part that depends on fixed inputs alone and the rest.
//!
//! Frozen weights are snapped and widened once instead of at every run: the *prologue* computes
//! everything that needs no other input, and the *body* takes its results as further inputs. The
//! two parts have the same nodes as the whole, so the bits are the same.

use super::fused;
use super::proto::{
    GraphProto, ModelProto, NodeProto, TypeProto, TypeProtoTensor, ValueInfoProto, data_type,
};
use std::collections::{BTreeMap, BTreeSet};

/// A model in two parts.
#[derive(Debug, Clone)]
pub struct Split {
    /// From the fixed inputs to what the body takes of them. `None` when it takes them as they are.
    pub prologue: Option<ModelProto>,
    /// From the prologue's outputs, those fixed inputs that it uses itself, and the other inputs,
    /// to the outputs.
    pub body: ModelProto,
}

/// Splits `model` at the inputs named in `fixed`.
#[must_use]
pub fn hoist(model: &ModelProto, fixed: &BTreeSet<String>) -> Split {
    let whole = model.graph.clone().unwrap_or_default();
    let types = if fixed.is_empty() { BTreeMap::new() } else { element_types(&whole, fixed) };
    let is_fixed = |node: &NodeProto| node.output.iter().all(|name| types.contains_key(name));
    let (early, late): (Vec<_>, Vec<_>) = whole.node.into_iter().partition(is_fixed);

    let wanted: BTreeSet<&String> = late.iter().flat_map(|node| &node.input).collect();
    let made = early.iter().flat_map(|node| &node.output);
    let handed: Vec<ValueInfoProto> =
        made.filter(|name| wanted.contains(name)).map(|name| info(name, types[name])).collect();

    let part = |node: Vec<NodeProto>, input: Vec<ValueInfoProto>, output: Vec<ValueInfoProto>| {
        let used: BTreeSet<&String> = node.iter().flat_map(|node| &node.input).collect();
        let initializer = whole.initializer.iter().filter(|t| used.contains(&t.name)).cloned();
        let initializer = initializer.collect();
        let input = input.into_iter().filter(|info| used.contains(&info.name)).collect();
        let graph = GraphProto {
            node,
            name: whole.name.clone(),
            initializer,
            input,
            output,
            ..Default::default()
        };
        ModelProto { graph: Some(graph), ..model.clone() }
    };
    let inputs = [whole.input.clone(), handed.clone()].concat();
    let prologue = (!handed.is_empty()).then(|| part(early.clone(), whole.input.clone(), handed));
    Split { prologue, body: part(late.clone(), inputs, whole.output.clone()) }
}

/// The element type of every result that depends on fixed inputs and constants alone.
pub(super) fn element_types(graph: &GraphProto, fixed: &BTreeSet<String>) -> BTreeMap<String, i32> {
    let mut types: BTreeMap<String, i32> =
        graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.data_type)).collect();
    for input in graph.input.iter().filter(|input| fixed.contains(&input.name)) {
        let tensor = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
        types.insert(input.name.clone(), tensor.map_or(data_type::FLOAT, |of| of.elem_type));
    }
    for node in &graph.node {
        let operands: Option<Vec<i32>> =
            node.input.iter().map(|name| types.get(name).copied()).collect();
        // Outputs of the whole stay in the body.
        let leaves = node.output.iter().any(|name| graph.output.iter().any(|o| o.name == *name));
        let (Some(operands), false) = (operands, leaves) else { continue };
        let to = node.attribute.iter().find(|a| node.op_type == "Cast" && a.name == "to");
        let element = match (to.and_then(|to| to.i), node.op_type.as_str()) {
            (Some(to), _) => i32::try_from(to).unwrap_or(data_type::FLOAT),
            (None, "Pack") => data_type::INT32,
            _ if node.domain == fused::DOMAIN => data_type::FLOAT,
            (None, "Less" | "Equal") => data_type::BOOL,
            (None, "MatMulInteger") => data_type::INT32,
            // The operands that are chosen between, not the condition.
            (None, "Where") => operands[1],
            (None, _) => operands[0],
        };
        types.extend(node.output.iter().map(|name| (name.clone(), element)));
    }
    types
}

/// A value of known element type; its shape is left to the engine.
fn info(name: &str, elem_type: i32) -> ValueInfoProto {
    let tensor_type = Some(TypeProtoTensor { elem_type, shape: None });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Element, Graph, Scales};
    use crate::onnx::{LoweringOptions, lower};

    #[test]
    fn what_depends_on_fixed_inputs_alone_is_computed_once() {
        let mut g = Graph::new(20);
        let x = g.input("x", &[2, 3], Element::F32);
        let w = g.input("w", &[3, 4], Element::F32);
        let y = g.matmul(x, w, false, false, Scales::Tensor);
        let bias = g.input("bias", &[4], Element::F32);
        let y = g.add(y, bias);
        g.output("y", y);
        let fixed = BTreeSet::from(["w".to_owned(), "bias".to_owned()]);
        let Split { prologue, body } = hoist(&lower(&g, LoweringOptions::default()), &fixed);
        let names = |infos: &[ValueInfoProto]| -> Vec<String> {
            infos.iter().map(|info| info.name.clone()).collect()
        };
        let kinds = |part: &ModelProto| -> Vec<String> {
            part.graph.iter().flat_map(|g| &g.node).map(|node| node.op_type.clone()).collect()
        };
        let snap = ["Abs", "ReduceMax", "Mul", "Add", "Sub", "Cast"];
        assert_eq!(kinds(prologue.as_ref().unwrap()), snap);
        assert_eq!(kinds(&body), [&snap[..], &["Gemm", "Cast", "Add", "Identity"]].concat());
        let (prologue, body) = (prologue.unwrap().graph.unwrap(), body.graph.unwrap());
        assert_eq!(names(&prologue.input), ["w"]);
        let [wide] = &names(&prologue.output)[..] else { panic!("{:?}", prologue.output) };
        assert_eq!(names(&body.input), ["x", "bias", wide]);
        assert_eq!(names(&body.output), ["y"]);
    }
}
