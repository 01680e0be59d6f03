//! Every exact lowering in the real engine against the interpreter, and what the engine says of a
//! model that its library cannot run.

use dataforge_core::hash::EpochSeed;
use dataforge_core::limits::OPERAND_BITS;
use dataforge_core::random::SeedStream;
use dataforge_engine::{EngineError, Model, Optimisation, Options, Runtime};
use dataforge_graph::interp::{Arithmetic, Tensor, run as interpret};
use dataforge_graph::onnx::proto::ModelProto;
use dataforge_graph::onnx::{Lowering, LoweringOptions, lower};
use dataforge_graph::{Element, Graph, Scales};
use dataforge_matrix::tensors;
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts, Silent};
use prost::Message as _;

fn runtime() -> Runtime {
    let artifacts = Artifacts::new(&Home::discover().unwrap(), ArtifactLock::embedded().unwrap());
    let library = artifacts.fetch(&["onnxruntime"], &Silent).unwrap().remove(0);
    // With our operators registered, every lowering runs.
    let options = Options { lowering: Some(Lowering::Fused), ..Options::default() };
    Runtime::load(&library, options).unwrap()
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

/// One product, batched or not, of operands of one of [`KINDS`] kinds, and sums along its sides.
struct Sums {
    graph: Graph,
    shapes: [Vec<usize>; 2],
    inputs: [Vec<f32>; 2],
}

/// Kinds of operands: see [`operand`].
const KINDS: u64 = 9;

fn operand(random: &mut SeedStream, size: usize) -> Vec<f32> {
    let kind = random.below(KINDS);
    let special = random.index(size);
    let mut element = |at: usize| {
        let word = random.next_u64();
        let unit = f32::from_bits((word as u32 & 0x807f_ffff) | 0x3f80_0000);
        let scaled = |exponent: f64| (f64::from(unit) * exponent.exp2()) as f32;
        match kind {
            0 => unit,
            1 => scaled((word >> 32) as f64 % 80.0 - 40.0),
            // Subnormal and near it; almost too large to snap.
            2 => scaled(-135.0 - (word >> 32) as f64 % 12.0),
            3 => scaled(118.0),
            // Sparse, with whole lines of zeros.
            4 => {
                if at < size / 3 || word >> 40 & 3 > 0 {
                    0.0
                } else {
                    unit
                }
            }
            5 => -0.0,
            // The largest and the smallest integers that a width allows.
            6 => {
                if word >> 40 & 1 == 0 {
                    -1.000_000_1
                } else {
                    1.000_000_1
                }
            }
            7 => f32::from_bits(1),
            _ if at == special => [f32::NAN, f32::INFINITY, -f32::MAX][(word >> 40) as usize % 3],
            _ => unit,
        }
    };
    (0..size).map(&mut element).collect()
}

impl Sums {
    fn draw(random: &mut SeedStream) -> Self {
        let mut one = |most: usize| 1 + random.index(most);
        let (m, k, n) = (one(12), [1, 2, 7, 33, 600][one(5) - 1], one(40));
        let pages = [1, 1, 3][one(3) - 1];
        let (ta, tb) = (one(2) == 1, one(2) == 1);
        let scales = [Scales::Tensor, Scales::Slice][one(2) - 1];
        let bits = OPERAND_BITS.start() + one(OPERAND_BITS.count()) as u32 - 1;
        let mut graph = Graph::new(bits);
        let page = |rows: usize, columns: usize, flip: bool| {
            let sides = if flip { [columns, rows] } else { [rows, columns] };
            if pages == 1 { sides.to_vec() } else { [&[pages][..], &sides].concat() }
        };
        let shapes = [page(m, k, ta), page(k, n, tb)];
        let a = graph.input("a", &shapes[0], Element::F32);
        let b = graph.input("b", &shapes[1], Element::F32);
        let product = graph.matmul(a, b, ta, tb, scales);
        graph.output("product", product);
        // Shares an operand, and its snapped copy where the scale is the same.
        let square = graph.matmul(a, a, ta, !ta, scales);
        graph.output("square", square);
        for axis in 0..graph.shape(a).len() {
            let sum = graph.reduce_sum(a, &[axis]);
            graph.output(format!("sum{axis}"), sum);
        }
        let inputs = [pages * m * k, pages * k * n].map(|size| operand(random, size));
        Self { graph, shapes, inputs }
    }

    fn check(&self, runtime: &Runtime) {
        let named = ["a", "b"].into_iter().zip(&self.shapes).zip(&self.inputs);
        let tensor = |((name, shape), data): ((&str, &Vec<usize>), &Vec<f32>)| {
            (name.to_owned(), Tensor::from_f32(shape, data))
        };
        let held = named.clone().map(tensor).collect();
        let expected = interpret(&self.graph, &held, Arithmetic::Exact);
        let given: Vec<_> =
            named.map(|((name, shape), data)| tensors::floats(name, shape, data)).collect();
        for lowering in Lowering::ALL.into_iter().filter(|lowering| lowering.is_exact()) {
            for signed_slices in [false, true] {
                let options =
                    LoweringOptions { lowering, signed_slices, ..LoweringOptions::default() };
                let model = lower(&self.graph, options).encode_to_vec();
                let mut model = Model::load(runtime, &model, Optimisation::None).unwrap();
                for output in model.run(&given).unwrap() {
                    let words = output.raw_data.as_chunks::<4>().0;
                    let found: Vec<f32> = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
                    let right: Vec<f32> =
                        expected[&output.name].data.iter().map(|x| *x as f32).collect();
                    let same = if right.iter().all(|x| x.is_finite()) {
                        found.iter().map(|x| x.to_bits()).eq(right.iter().map(|x| x.to_bits()))
                    } else {
                        // Which elements are not finite is the engine's affair; that some are not
                        // is what ends a run.
                        found.iter().any(|x| !x.is_finite())
                    };
                    assert!(same, "{} by {options:?}: {:?}", output.name, self.graph);
                }
            }
        }
    }
}

#[test]
fn every_lowering_of_a_sum_is_the_interpreter_bit_for_bit() {
    let runtime = runtime();
    for seed in 0..200u8 {
        let mut random = SeedStream::new(&EpochSeed([seed; 32]), "sums");
        Sums::draw(&mut random).check(&runtime);
    }
}
