//! Imported models against the outputs that another engine gave, and files that are refused.

use super::*;
use crate::composite;
use crate::interp::{Arithmetic, Tensor, run};
use crate::llama::{self, Tuning};
use crate::onnx::proto::{AttributeProto, ModelProto, TensorProto, attribute_type};
use crate::optim::AdamW;
use crate::step::{Forward, scoring, state_names, training};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::{LlamaShape, Method};
use prost::Message as _;
use std::num::NonZeroU32;

/// A file that `tools/onnx-fixtures.py` wrote.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Inputs and expected outputs of a fixture, by name.
fn data(name: &str) -> BTreeMap<String, Known> {
    let model = ModelProto::decode(fixture(&format!("{name}.data")).as_slice()).unwrap();
    let tensors = model.graph.unwrap().initializer;
    tensors.into_iter().map(|t| (t.name.clone(), tensor::known(&t).unwrap())).collect()
}

/// The graph of all outputs of a fixture, with its inputs and parameters as inputs.
fn build(model: &Model, data: &BTreeMap<String, Known>, outputs: &[&str]) -> Graph {
    let mut g = Graph::new(20);
    let mut inputs = BTreeMap::new();
    for input in model.inputs() {
        let known = &data[&input.name];
        let value = g.input(&input.name, &known.tensor.shape, known.element);
        inputs.insert(input.name.clone(), Given::Live(value));
    }
    let mut parameters = BTreeMap::new();
    for (parameter, _) in model.parameters() {
        let value = g.input(&parameter.name, &parameter.shape, Element::F32);
        parameters.insert(parameter.name.clone(), value);
    }
    for output in outputs {
        let value = model.build(&mut g, &inputs, &parameters, output, Scales::Tensor);
        let value = value.unwrap_or_else(|error| panic!("{output}: {error}"));
        g.output(*output, value);
    }
    composite::expand(&g)
}

fn feed(model: &Model, data: &BTreeMap<String, Known>) -> BTreeMap<String, Tensor> {
    let parameters = model.parameters().iter();
    let parameters = parameters.map(|(p, x)| (p.name.clone(), Tensor::from_f32(&p.shape, x)));
    let given = model.inputs().iter().map(|i| (i.name.clone(), data[&i.name].tensor.clone()));
    parameters.chain(given).collect()
}

/// Every output is as expected: in real arithmetic within `real`, a few roundings of the engine
/// that gave the expected outputs, and in exact arithmetic within `exact`, which the width of the
/// operands decides. Both relative to the larger of 1 and the value.
#[track_caller]
fn agrees(name: &str, outputs: &[&str], real: f64, exact: f64) {
    let model = Model::decode(&fixture(name)).unwrap();
    let data = data(name);
    let graph = build(&model, &data, outputs);
    for (arithmetic, tolerance) in [(Arithmetic::Real, real), (Arithmetic::Exact, exact)] {
        let found = run(&graph, &feed(&model, &data), arithmetic);
        for output in outputs {
            let (found, expected) = (&found[*output], &data[*output].tensor);
            assert_eq!(found.shape, expected.shape, "{output}");
            for (at, (x, y)) in found.data.iter().zip(&expected.data).enumerate() {
                let error = (x - y).abs() / y.abs().max(1.0);
                assert!(error <= tolerance, "{arithmetic:?}: {output}[{at}]: {x}, expected {y}");
            }
        }
    }
}

#[test]
fn every_operator_agrees_with_the_reference_evaluator() {
    let model = Model::decode(&fixture("operators")).unwrap();
    let outputs: Vec<&str> = model.outputs().collect();
    agrees("operators", &outputs, 5e-7, 2e-6);
}

#[test]
fn decoders_that_pytorch_exported_agree() {
    for name in ["decoder-torchscript-17", "decoder-dynamo-23", "llama-dynamo-18"] {
        agrees(name, &["logits"], 5e-6, 1e-4);
    }
}

#[test]
fn encoders_that_pytorch_exported_agree() {
    for name in ["encoder-torchscript-17", "encoder-dynamo-23"] {
        agrees(name, &["pooled", "logits"], 2e-6, 5e-5);
    }
}

#[test]
fn the_built_in_family_agrees() {
    agrees("llama", &["logits"], 2e-6, 1e-4);
}

#[test]
fn parameters_are_told_from_constants() {
    let model = Model::decode(&fixture("llama-dynamo-18")).unwrap();
    let mut shapes: Vec<&Shape> = model.parameters().iter().map(|(p, _)| &p.shape).collect();
    let family = llama::parameters(&TUNING.shape);
    let mut expected: Vec<&Shape> = family.iter().map(|p| &p.shape).collect();
    shapes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shapes, expected, "neither frequencies nor a copy of the tied head");
}

/// The built-in family that the fixtures `llama` and `llama-dynamo-18` are.
const TUNING: Tuning = Tuning {
    shape: LlamaShape {
        vocabulary: size(32),
        width: size(16),
        layers: size(2),
        heads: size(4),
        kv_heads: size(2),
        hidden: size(24),
        context: size(6),
        rope_base: size(10_000),
        norm_epsilon_nano: size(1000),
        tied_head: true,
    },
    method: Method::Full,
    operand_bits: 20,
};

const BATCH: BatchShape = BatchShape { rows: size(2), positions: size(6), output_tokens: size(4) };

const ADAM: AdamW = AdamW {
    learning_rate: 1e-2,
    warmup: 0.1,
    final_rate: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weight_decay: 0.01,
    clip_norm: 1.0,
};

const fn size(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// A fixture with every parameter of its logits trained.
fn language_model(model: &Model) -> LanguageModel<'_> {
    let role = |name: &str| if name == "at" { Role::At } else { Role::Ids };
    let used = model.used_parameters("logits").unwrap_or_default();
    LanguageModel {
        model,
        inputs: model.inputs().iter().map(|i| (i.name.clone(), role(&i.name))).collect(),
        logits: "logits".into(),
        trained: used.into_iter().map(|p| p.name).collect(),
    }
}

fn forward(model: &Model, scales: Scales) -> Forward {
    language_model(model).forward(BATCH, 20, scales).unwrap()
}

/// The state after `steps` steps of a training graph on one batch, by name, and each step's loss.
fn train(graph: &Graph, model: &Model, steps: u32) -> (BTreeMap<String, Tensor>, Vec<f64>) {
    let (slots, tokens) = (BATCH.slots(), BATCH.tokens());
    let mut inputs = BTreeMap::new();
    for (parameter, data) in model.parameters() {
        let [weight, first, second] = state_names(&parameter.name);
        inputs.insert(weight, Tensor::from_f32(&parameter.shape, data));
        for moment in [first, second] {
            inputs.insert(moment, Tensor::from_f32(&parameter.shape, &vec![0.0; data.len()]));
        }
    }
    let integers = |shape: &[usize], factor: i64, below: i64| {
        let data: Vec<i64> =
            (0i64..).take(shape.iter().product()).map(|i| i * factor % below).collect();
        Tensor::from_indices(shape, &data)
    };
    inputs.insert("ids".into(), integers(&[2, 6], 13, 32));
    inputs.insert("at".into(), integers(&[slots], 3, tokens as i64));
    inputs.insert("targets".into(), integers(&[slots, 1], 7, 32));
    inputs
        .insert("weights".into(), Tensor::from_f32(&[slots, 1], &vec![1.0 / slots as f32; slots]));
    let graph = composite::expand(graph);
    let mut losses = Vec::new();
    for step in 0..steps {
        let scalars = ADAM.scalars(step, steps);
        for (name, x) in
            [("rate", scalars.rate), ("second", scalars.second), ("keep", scalars.keep)]
        {
            inputs.insert(name.into(), Tensor::from_f32(&[1], &[x]));
        }
        let out = run(&graph, &inputs, Arithmetic::Exact);
        let terms = out["target"].data.iter().zip(&out["normaliser"].data);
        let loss: f64 = terms.map(|(target, normaliser)| libm::log(*normaliser) - target).sum();
        losses.push(loss / slots as f64);
        for (name, tensor) in &out {
            if let Some(state) = name.strip_prefix("next.") {
                inputs.insert(state.into(), tensor.clone());
            }
        }
    }
    inputs.retain(|name, _| out_of_state(model, name));
    (inputs, losses)
}

fn out_of_state(model: &Model, name: &str) -> bool {
    model.parameters().iter().any(|(p, _)| state_names(&p.name).iter().any(|state| state == name))
}

#[test]
fn a_file_in_the_family_s_order_of_operations_trains_to_the_same_bits() {
    let model = Model::decode(&fixture("llama")).unwrap();
    let (imported, losses) = train(&forward(&model, Scales::Tensor).training(&ADAM), &model, 4);
    let (built_in, expected) = train(&training(&TUNING, BATCH, &ADAM), &model, 4);
    assert_eq!(losses, expected);
    assert_eq!(imported.keys().collect::<Vec<_>>(), built_in.keys().collect::<Vec<_>>());
    for (name, tensor) in &imported {
        let bits = |t: &Tensor| t.data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(tensor), bits(&built_in[name]), "{name}");
    }
    assert!(losses[3] < losses[0] - 0.1, "{losses:?}");
}

#[test]
fn a_file_that_pytorch_exported_trains_to_a_close_loss() {
    let steps = 12;
    let family = Model::decode(&fixture("llama")).unwrap();
    let exported = Model::decode(&fixture("llama-dynamo-18")).unwrap();
    let graph = forward(&exported, Scales::Tensor).training(&ADAM);
    let (_, losses) = train(&graph, &exported, steps);
    let (_, expected) = train(&training(&TUNING, BATCH, &ADAM), &family, steps);
    for (loss, expected) in losses.iter().zip(&expected) {
        assert!((loss - expected).abs() <= 1e-3 * expected, "{losses:?} {expected:?}");
    }
    assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
}

#[test]
fn scoring_gives_the_family_s_bits() {
    let model = Model::decode(&fixture("llama")).unwrap();
    let (_, losses) = train(&forward(&model, Scales::Slice).scoring(), &model, 1);
    let (_, expected) = train(&scoring(&TUNING, BATCH), &model, 1);
    assert_eq!(losses, expected);
}

#[test]
fn only_parameters_of_the_logits_are_trained() {
    let model = Model::decode(&fixture("decoder-dynamo-23")).unwrap();
    let mut language_model = LanguageModel {
        model: &model,
        inputs: BTreeMap::from([("ids".into(), Role::Ids)]),
        logits: "logits".into(),
        trained: BTreeSet::from(["norm.weight".into()]),
    };
    let forward = language_model.forward(BATCH, 20, Scales::Tensor).unwrap();
    assert_eq!(forward.trained.len(), 1);
    language_model.trained.insert("nowhere".into());
    let refusal = language_model.forward(BATCH, 20, Scales::Tensor).unwrap_err().to_string();
    assert!(refusal.contains("nowhere") && refusal.contains("cannot be trained"), "{refusal}");
    language_model.logits = "ids".into();
    assert!(language_model.forward(BATCH, 20, Scales::Tensor).is_err());
}

/// The model `operators` with a change.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(fixture("operators").as_slice()).unwrap();
    change(&mut model);
    model.encode_to_vec()
}

/// A model of one node on `x` `[2, 3]` and the stored tensor `w`.
fn one_node(op_type: &str, w: TensorProto, attribute: Vec<AttributeProto>) -> Vec<u8> {
    changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        graph.node = vec![NodeProto {
            name: "the node".into(),
            op_type: op_type.into(),
            input: vec!["x".into(), "w".into()],
            output: vec!["y".into()],
            attribute,
            ..Default::default()
        }];
        graph.initializer = vec![TensorProto { name: "w".into(), ..w }];
        graph.input.truncate(1);
        graph.output.truncate(1);
        graph.output[0].name = "y".into();
    })
}

fn stored(dims: &[i64], float_data: Vec<f32>) -> TensorProto {
    let data_type = crate::onnx::proto::data_type::FLOAT;
    TensorProto { dims: dims.to_vec(), float_data, data_type, ..Default::default() }
}

/// The file is refused for a reason that says all of `mentions`.
#[track_caller]
fn refused_bytes(bytes: &[u8], mentions: &[&str]) {
    let sizes = BTreeMap::new();
    let refusal = Inspection::new(bytes, &sizes).map_or_else(
        |error| error.to_string(),
        |inspection| {
            let all: Vec<String> = inspection.refusals.iter().map(ToString::to_string).collect();
            all.join("; ")
        },
    );
    for mention in mentions {
        assert!(refusal.contains(mention), "{refusal:?} does not say {mention:?}");
    }
}

#[track_caller]
fn refused_change(change: impl FnOnce(&mut ModelProto), mentions: &[&str]) {
    refused_bytes(&changed(change), mentions);
}

#[test]
fn broken_files_are_refused() {
    refused_bytes(b"not a model", &["not an ONNX model"]);
    refused_bytes(b"", &["opset 0"]);
    refused_bytes(&fixture("operators")[..5000], &["not an ONNX model"]);
    refused_change(|m| m.graph = None, &["no graph"]);
    refused_change(|m| m.opset_import[0].version = 16, &["opset 16", "17"]);
    refused_change(|m| m.opset_import[0].version = 99, &["opset 99"]);
    refused_change(|m| m.opset_import.clear(), &["opset 0"]);
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    refused_change(|m| m.graph.as_mut().unwrap().node[0].name = long.clone(), &["is too long"]);
    refused_change(
        |m| m.graph.as_mut().unwrap().node = vec![NodeProto::default(); NODES_MAX + 1],
        &["65537 nodes", "65536"],
    );
}

#[test]
fn graphs_that_do_not_hang_together_are_refused() {
    let node = |m: &mut ModelProto, i: usize, change: fn(&mut NodeProto)| {
        change(&mut m.graph.as_mut().unwrap().node[i]);
    };
    refused_change(
        |m| node(m, 0, |n| *n = NodeProto { input: vec!["nowhere".into()], ..n.clone() }),
        &["nowhere", "nothing gives"],
    );
    refused_change(|m| m.graph.as_mut().unwrap().node.reverse(), &["before it is computed"]);
    refused_change(
        |m| {
            let graph = m.graph.as_mut().unwrap();
            let twice = graph.node[0].clone();
            graph.node.push(twice);
        },
        &["two values are named"],
    );
    refused_change(
        |m| m.graph.as_mut().unwrap().output[0].name = "nowhere".into(),
        &["no output", "nowhere"],
    );
    refused_change(|m| m.graph.as_mut().unwrap().node[3].op_type = "Loop".into(), &["(Loop)"]);
    refused_change(
        |m| m.graph.as_mut().unwrap().node[3].domain = "com.example".into(),
        &["(com.example.", "not supported"],
    );
}

#[test]
fn broken_tensors_are_refused_by_name() {
    let w = |w: TensorProto, mentions: &[&str]| {
        refused_bytes(&one_node("Add", w, vec![]), &[&["\"w\""], mentions].concat());
    };
    w(stored(&[3], vec![1.0, f32::NAN, 2.0]), &["not finite"]);
    w(stored(&[3], vec![1.0, f32::INFINITY, 2.0]), &["not finite"]);
    w(stored(&[3], vec![1.0, 2.0]), &["another number of elements"]);
    w(stored(&[-3], vec![]), &["size -3"]);
    w(stored(&[0, 3], vec![]), &["empty"]);
    w(stored(&[1 << 14, 1 << 14], vec![]), &["too many elements"]);
    w(stored(&[i64::MAX, i64::MAX], vec![]), &["too many elements"]);
    w(stored(&[1; 9], vec![1.0]), &["9 dimensions"]);
    w(TensorProto { raw_data: vec![0; 5], ..stored(&[1], vec![]) }, &["whole number"]);
    w(TensorProto { data_location: 1, ..stored(&[1], vec![]) }, &["another file"]);
    w(TensorProto { data_type: 10, ..stored(&[1], vec![]) }, &["FLOAT16"]);
    w(TensorProto { data_type: 99, ..stored(&[1], vec![]) }, &["number 99"]);
}

#[test]
fn nodes_that_do_not_fit_are_refused_by_name() {
    let node = |op: &str, w: TensorProto, mentions: &[&str]| {
        refused_bytes(&one_node(op, w, vec![]), &[&["the node", op], mentions].concat());
    };
    let ones = |dims: &[i64]| stored(dims, vec![1.0; dims.iter().product::<i64>() as usize]);
    node("Add", ones(&[7]), &["[2, 3, 8]", "[7]", "broadcast"]);
    node("MatMul", ones(&[3, 3]), &["no product"]);
    node("Reshape", ones(&[2]), &["operand 1"]);
    node("Cos", ones(&[2]), &["operand 1"]);
    node("Pow", stored(&[], vec![2.7]), &["exponent 2.7"]);
    node("Conv", ones(&[2]), &["not supported"]);
    node("Split", ones(&[2]), &["operand 1"]);
    let attribute = AttributeProto {
        name: "broadcast".into(),
        i: Some(1),
        r#type: attribute_type::INT,
        ..Default::default()
    };
    refused_bytes(&one_node("Add", ones(&[8]), vec![attribute]), &["the node", "\"broadcast\""]);
}

#[test]
fn parameters_with_names_of_ours_are_refused() {
    for name in ["weights", "ids", "v12", "c0", "next.w", "w.first"] {
        let bytes = changed(|m| {
            let graph = m.graph.as_mut().unwrap();
            graph.initializer[0].name = name.into();
            for node in &mut graph.node {
                for input in node.input.iter_mut().filter(|input| *input == "w") {
                    *input = name.into();
                }
            }
            graph.input.truncate(usize::from(name != "ids") + 1);
        });
        refused_bytes(&bytes, &[name]);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = Inspection::new(&bytes, &BTreeMap::new());
    }
}

/// Any few bytes of a model changed: refused or built, but no panic.
fn mutated(name: &str, edits: &[(usize, u8)]) {
    let mut bytes = fixture(name);
    for (at, byte) in edits {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    let sizes = ["rows", "positions"].map(|name| (name.to_owned(), 3)).into_iter().collect();
    let _ = Inspection::new(&bytes, &sizes);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_mutation_of_a_model_panics(
        which in 0..4usize,
        edits in proptest::collection::vec(
            (proptest::prelude::any::<usize>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let fixtures = ["operators", "llama", "decoder-dynamo-23", "decoder-torchscript-17"];
        mutated(fixtures[which], &edits);
    }

    /// One field of one node, operand or attribute changed: deeper than bytes reach.
    #[test]
    fn no_mutation_of_a_graph_panics(
        at in proptest::prelude::any::<usize>(),
        other in proptest::prelude::any::<usize>(),
        integer in proptest::prelude::any::<i8>(),
        kind in 0..6,
    ) {
        let name = ["operators", "llama", "llama-dynamo-18"][other % 3];
        let mut model = ModelProto::decode(fixture(name).as_slice()).unwrap();
        {
            let graph = model.graph.as_mut().unwrap();
            let count = graph.node.len();
            let (inputs, op) = (graph.node[other % count].input.clone(),
                graph.node[other % count].op_type.clone());
            let node = &mut graph.node[at % count];
            match kind {
                0 => node.input = inputs,
                1 => node.op_type = op,
                2 => { node.input.pop(); }
                3 => node.input.reverse(),
                4 => for a in &mut node.attribute {
                    a.i = a.i.map(|_| i64::from(integer));
                    if let Some(first) = a.ints.first_mut() { *first = i64::from(integer) }
                    let mut bytes = a.t.iter_mut().flat_map(|t| &mut t.raw_data);
                    if let Some(byte) = bytes.nth(other % 16) {
                        *byte = integer as u8;
                    }
                },
                _ => {
                    let input = &mut graph.input[0];
                    let tensor = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
                    let dims = &mut tensor.shape.as_mut().unwrap().dim;
                    let dim = other % dims.len();
                    dims[dim].dim_value = Some(i64::from(integer));
                }
            }
        }
        let bytes = model.encode_to_vec();
        let sizes = ["rows", "positions", "slots"].map(|name| (name.to_owned(), 3));
        let _ = Inspection::new(&bytes, &sizes.into_iter().collect());
        // What is not refused has a way back and a lowering.
        if let Ok(model) = Model::decode(&bytes)
            && let Ok(forward) = language_model(&model).forward(BATCH, 20, Scales::Tensor)
        {
            let graph = forward.training(&ADAM);
            let _ = crate::onnx::lower(&graph, crate::onnx::LoweringOptions::default());
        }
    }
}
