//! Every node that a lowering emits has a kernel in ONNX Runtime's CUDA provider.
//!
//! A node without one would run on the processor, unseen but for its slowness. `cuda_kernels.txt`
//! lists the signatures that the lowerings emit, each compared by hand with ONNX Runtime's own
//! table of kernels. No `Shape` or `Size` is among them: ONNX Runtime keeps what follows from
//! those on the processor, and from nothing else. The fused operators are our own, have no such
//! kernels, and are refused there.

use super::hoist::element_types;
use super::proto::{ModelProto, data_type};
use super::{Lowering, LoweringOptions, lower};
use crate::ir::{Element, Graph};
use crate::llama::Tuning;
use crate::optim::AdamW;
use crate::{bert, known_answer, step};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::{BertShape, LlamaShape, Method};
use dataforge_core::units::Micro;
use std::collections::BTreeSet;

const KERNELS: &str = include_str!("cuda_kernels.txt");

fn graphs() -> Vec<Graph> {
    let n = |n: u32| n.try_into().unwrap();
    let shape = LlamaShape {
        vocabulary: n(7),
        width: n(8),
        layers: n(2),
        heads: n(4),
        kv_heads: n(2),
        hidden: n(5),
        context: n(8),
        rope_base: n(10_000),
        norm_epsilon_nano: n(1000),
        tied_head: true,
    };
    let [rows, positions, output_tokens] = [2, 5, 3].map(|n| n.try_into().unwrap());
    let batch = BatchShape { rows, positions, output_tokens };
    let adam = AdamW {
        learning_rate: 1e-3,
        warmup: 0.1,
        final_rate: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip_norm: 1.0,
    };
    let lora = Method::Lora { layers: n(1), rank: n(2), scale_micro: Micro(2_000_000) };
    let methods = [Method::Full, Method::LastLayers { layers: n(1) }, lora];
    let mut graphs = vec![known_answer::graph()];
    for method in methods {
        let tuning = Tuning { shape, method, operand_bits: 20 };
        graphs.push(step::training(&tuning, batch, &adam));
        graphs.push(step::scoring(&tuning, batch));
        graphs.push(step::trunk_block(&tuning, batch));
    }
    let encoder = BertShape {
        vocabulary: n(7),
        width: n(8),
        layers: n(1),
        heads: n(2),
        hidden: n(5),
        context: n(5),
        types: n(2),
        norm_epsilon_pico: n(1),
    };
    graphs.push(bert::embedding(&encoder, 2, 5, 20));
    // What only imported models use.
    let mut g = Graph::new(20);
    let x = g.input("x", &[4], Element::F32);
    let y = g.tanh(x);
    g.output("y", y);
    graphs.push(g);
    graphs
}

/// Each node as `Operator(operand types) -> result type`.
fn signatures(model: &ModelProto) -> BTreeSet<String> {
    let graph = model.graph.as_ref().unwrap();
    let inputs = graph.input.iter().map(|input| input.name.clone()).collect();
    let types = element_types(graph, &inputs);
    let word = |name: &String| match types[name] {
        data_type::FLOAT => "float",
        data_type::DOUBLE => "double",
        data_type::INT64 => "int64",
        data_type::INT32 => "int32",
        data_type::INT8 => "int8",
        data_type::UINT8 => "uint8",
        data_type::BOOL => "bool",
        other => panic!("{name} has element type {other}"),
    };
    let signature = |node: &super::proto::NodeProto| {
        let operands: BTreeSet<&str> = node.input.iter().map(word).collect();
        let operands = match node.op_type.as_str() {
            "Concat" => operands.into_iter().collect(),
            _ => node.input.iter().map(word).collect::<Vec<_>>(),
        };
        // A graph's outputs are copies of what is computed.
        let result = if node.op_type == "Identity" { &node.input[0] } else { &node.output[0] };
        format!("{}({}) -> {}", node.op_type, operands.join(", "), word(result))
    };
    graph.node.iter().map(signature).collect()
}

#[test]
fn every_emitted_node_has_a_cuda_kernel() {
    let mut emitted = BTreeSet::new();
    for graph in graphs() {
        for lowering in [Lowering::Stock, Lowering::Slices, Lowering::Fast] {
            for wide_sqrt in [false, true] {
                let options = LoweringOptions { lowering, wide_sqrt, signed_slices: true };
                emitted.extend(signatures(&lower(&graph, options)));
            }
        }
    }
    let listed = KERNELS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(emitted, listed, "left: emitted; right: listed in cuda_kernels.txt");
}

#[test]
fn a_node_without_a_kernel_is_noticed() {
    let graph = known_answer::graph();
    let options = LoweringOptions { lowering: Lowering::Slices, ..Default::default() };
    let unsigned = "MatMulInteger(uint8, int8, uint8) -> int32".to_owned();
    assert!(signatures(&lower(&graph, options)).contains(&unsigned));
    assert!(!KERNELS.contains(&unsigned));
}
