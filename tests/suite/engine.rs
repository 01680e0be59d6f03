//! What the engine says of a model that its library cannot run.

use dataforge_engine::{EngineError, Model, Optimisation, Options, Runtime};
use dataforge_graph::onnx::proto::ModelProto;
use dataforge_graph::onnx::{LoweringOptions, lower};
use dataforge_graph::{Element, Graph, Scales};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use prost::Message as _;

fn runtime() -> Runtime {
    let artifacts = Artifacts::new(&Home::discover().unwrap(), ArtifactLock::embedded().unwrap());
    let library = artifacts.fetch(&["onnxruntime"], &Silent).unwrap().remove(0);
    Runtime::load(&library, Options::default()).unwrap()
}

fn product() -> ModelProto {
    let mut g = Graph::new(20);
    let [a, b] = ["a", "b"].map(|name| g.input(name, &[4, 4], Element::F32));
    let c = g.matmul(a, b, false, false, Scales::Tensor);
    g.output("c", c);
    lower(&g, LoweringOptions::default())
}

/// ONNX Runtime has no Erf over f64. Put in the place of Gemm, it makes an engine without f64 Gemm.
#[test]
fn an_engine_that_lacks_a_kernel_names_the_node() {
    let mut model = product();
    let nodes = &mut model.graph.as_mut().unwrap().node;
    let gemm = nodes.iter_mut().find(|node| node.op_type == "Gemm").unwrap();
    gemm.op_type = "Erf".into();
    gemm.input.truncate(1);
    gemm.attribute.clear();
    let name = gemm.name.clone();
    let error = Model::load(&runtime(), &model.encode_to_vec(), Optimisation::None).err().unwrap();
    assert!(matches!(&error, EngineError::NoKernel { node, .. } if *node == name), "{error}");
    let said = error.to_string();
    assert!(said.contains(&format!("cannot run node {name:?}")) && said.contains("Erf"), "{said}");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let runtime = runtime();
    for bytes in [&b""[..], b"not a model", &product().encode_to_vec()[..100]] {
        let error = Model::load(&runtime, bytes, Optimisation::None).err().unwrap();
        assert!(matches!(error, EngineError::Onnx(_)), "{error}");
    }
}
