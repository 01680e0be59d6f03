//! Fused graphs in ONNX Runtime against the interpreter and the stock lowering, bit for bit.

use super::*;
use dataforge_graph::interp::{Arithmetic, Tensor, run as interpret};
use dataforge_graph::known_answer;
use dataforge_graph::onnx::fused::DOMAIN;
use dataforge_graph::onnx::proto::{ModelProto, NodeProto, TensorProto, data_type};
use dataforge_graph::onnx::{Lowering, LoweringOptions, lower};
use dataforge_graph::{Element, Graph, Scales, Value, composite};
use std::collections::BTreeMap;

/// What a model's names hold.
#[derive(Debug, Clone)]
struct Held {
    shape: Vec<usize>,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    Floats(Vec<f32>),
    Indices(Vec<i64>),
    Packed(Vec<i32>),
}

impl Held {
    fn floats(&self) -> &[f32] {
        match &self.data {
            Data::Floats(data) => data,
            _ => panic!("no numbers"),
        }
    }

    fn indices(&self) -> &[i64] {
        match &self.data {
            Data::Indices(data) => data,
            _ => panic!("no indices"),
        }
    }

    fn input(&self) -> Input<'_> {
        match &self.data {
            Data::Floats(data) => Input::Floats(data),
            Data::Indices(data) => Input::Indices(data),
            Data::Packed(data) => Input::Packed(data),
        }
    }

    /// Elements of one index of `axis`.
    fn inner(&self, axis: usize) -> usize {
        self.shape[axis + 1..].iter().product()
    }
}

fn of(tensor: &TensorProto) -> Held {
    let shape = tensor.dims.iter().map(|d| *d as usize).collect();
    let data = if tensor.data_type == data_type::INT64 {
        let words = tensor.raw_data.as_chunks::<8>().0;
        Data::Indices(words.iter().map(|w| i64::from_le_bytes(*w)).collect())
    } else {
        let words = tensor.raw_data.as_chunks::<4>().0;
        Data::Floats(words.iter().map(|w| f32::from_le_bytes(*w)).collect())
    };
    Held { shape, data }
}

/// Several threads, to show that they change nothing.
fn threads(tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        for first in 0..3 {
            scope.spawn(move || (first..tasks).step_by(3).for_each(task));
        }
    });
}

/// Runs a fused model node by node, without an engine: our operators by their kernels, the few
/// stock ones that stay by hand.
fn execute(
    model: &ModelProto,
    inputs: &BTreeMap<String, Held>,
    level: Level,
) -> BTreeMap<String, Vec<f32>> {
    let graph = model.graph.as_ref().unwrap();
    let mut held = inputs.clone();
    held.extend(graph.initializer.iter().map(|tensor| (tensor.name.clone(), of(tensor))));
    for node in &graph.node {
        let results = if node.domain == DOMAIN {
            ours(node, &held, level)
        } else {
            let operands: Vec<&Held> = node.input.iter().map(|name| &held[name]).collect();
            vec![stock(node, &operands)]
        };
        assert_eq!(results.len(), node.output.len(), "{}", node.op_type);
        held.extend(node.output.iter().cloned().zip(results));
    }
    let outputs = graph.output.iter().map(|output| &output.name);
    outputs.map(|name| (name.clone(), held[name].floats().to_vec())).collect()
}

fn ours(node: &NodeProto, held: &BTreeMap<String, Held>, level: Level) -> Vec<Held> {
    let attributes = |name: &str| {
        let found = node.attribute.iter().find(|attribute| attribute.name == name)?;
        Some(found.ints.clone())
    };
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == node.op_type).unwrap();
    let inputs: Vec<Input<'_>> = node.input.iter().map(|name| held[name].input()).collect();
    let work = Work::new(kind, &attributes).unwrap();
    if let Some(length) = work.packs() {
        let mut packed = vec![0; length];
        work.pack(level, &inputs, &mut packed, &threads).unwrap();
        return vec![Held { shape: vec![length], data: Data::Packed(packed) }];
    }
    let shapes = shapes(kind, &attributes).unwrap();
    let shapes: Vec<Vec<usize>> =
        shapes.into_iter().map(|shape| shape.into_iter().map(|d| d as usize).collect()).collect();
    let mut results: Vec<Vec<f32>> =
        shapes.iter().map(|shape| vec![0.0; shape.iter().product()]).collect();
    let outputs = results.iter_mut().map(Vec::as_mut_slice).collect();
    let maxima = work.run(level, &inputs, outputs, &threads).unwrap();
    let held = |(shape, data)| Held { shape, data: Data::Floats(data) };
    let maxima = maxima.into_iter().map(|max| (vec![1], vec![f32::from_bits(max)]));
    shapes.into_iter().zip(results).chain(maxima).map(held).collect()
}

fn stock(node: &NodeProto, operands: &[&Held]) -> Held {
    let axis = node.attribute.iter().find(|a| a.name == "axis").and_then(|a| a.i);
    let axis = axis.unwrap_or(0) as usize;
    let floats = |shape: Vec<usize>, data: Vec<f32>| Held { shape, data: Data::Floats(data) };
    match (node.op_type.as_str(), operands) {
        ("Identity", [x]) => (*x).clone(),
        ("Reshape", [x, shape]) => {
            let shape = shape.indices().iter().map(|d| *d as usize).collect();
            Held { shape, data: x.data.clone() }
        }
        ("Cast", [x]) => {
            let data = match &x.data {
                Data::Floats(data) => Data::Indices(data.iter().map(|x| *x as i64).collect()),
                Data::Indices(data) => Data::Floats(data.iter().map(|x| *x as f32).collect()),
                Data::Packed(_) => panic!("a cast of a packed operand"),
            };
            Held { shape: x.shape.clone(), data }
        }
        ("Concat", parts) => {
            let mut shape = parts[0].shape.clone();
            shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
            let pages: usize = shape[..axis].iter().product();
            let row = |part: &Held| part.shape[axis] * part.inner(axis);
            let data = (0..pages).flat_map(|page| {
                parts
                    .iter()
                    .flat_map(move |part| part.floats()[page * row(part)..][..row(part)].to_vec())
            });
            floats(shape, data.collect())
        }
        ("Slice", [x, start, end, axis, step]) => {
            let [start, end, axis, step] =
                [start, end, axis, step].map(|words| words.indices()[0] as usize);
            let end = end.min(x.shape[axis]);
            let (inner, page) = (x.inner(axis), x.shape[axis] * x.inner(axis));
            let rows = x.floats().chunks_exact(page).flat_map(|page| {
                (start..end).step_by(step).flat_map(move |i| page[i * inner..][..inner].to_vec())
            });
            let mut shape = x.shape.clone();
            shape[axis] = (start..end).step_by(step).count();
            floats(shape, rows.collect())
        }
        ("Gather", [table, ids]) => {
            let row = table.inner(0);
            let rows = ids.indices().iter().map(|id| &table.floats()[*id as usize * row..][..row]);
            let shape = [&ids.shape[..], &table.shape[1..]].concat();
            floats(shape, rows.flatten().copied().collect())
        }
        ("GatherElements", [x, ids]) => {
            let rows = x.floats().chunks_exact(x.floats().len() / ids.indices().len());
            let taken = rows.zip(ids.indices()).map(|(row, id)| row[*id as usize]);
            floats(ids.shape.clone(), taken.collect())
        }
        (other, _) => panic!("{other} is not expected"),
    }
}

fn fused(graph: &Graph) -> ModelProto {
    lower(graph, LoweringOptions { lowering: Lowering::Fused, ..LoweringOptions::default() })
}

fn hold(inputs: &BTreeMap<String, Tensor>, indices: &[&str]) -> BTreeMap<String, Held> {
    let hold = |(name, tensor): (&String, &Tensor)| {
        let data = if indices.contains(&name.as_str()) {
            Data::Indices(tensor.data.iter().map(|x| *x as i64).collect())
        } else {
            Data::Floats(tensor.data.iter().map(|x| *x as f32).collect())
        };
        (name.clone(), Held { shape: tensor.shape.clone(), data })
    };
    inputs.iter().map(hold).collect()
}

#[test]
fn the_known_answer_at_every_level() {
    let graph = known_answer::graph();
    let model = fused(&graph);
    let inputs = hold(&known_answer::inputs(), &["ids", "column"]);
    for level in Level::available() {
        let found = execute(&model, &inputs, level);
        let named = graph.outputs().iter().map(|(name, _)| (name.as_str(), found[name].clone()));
        assert_eq!(
            known_answer::digest(named).to_string(),
            known_answer::DIGEST.trim(),
            "{level:?}"
        );
    }
}

/// A linear congruential generator: tests replay from their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Mostly ordinary; sometimes zero, subnormal, or far from 1.
    fn number(&mut self) -> f32 {
        let bits = (self.below(1 << 16) << 16 | self.below(1 << 16)) as u32;
        let exponent = match self.below(12) {
            0 => return self.pick(&[0.0, 1.0, -1.0]),
            1 => 0,
            2 => 100 + self.below(50) as u32,
            _ => 120 + self.below(9) as u32,
        };
        f32::from_bits(bits & 0x807f_ffff | exponent << 23)
    }
}

const ROWS: usize = 6;
const WIDTH: usize = 20;

/// A graph of random operators over matrices, columns, rows and scalars that share dimensions.
fn graph(random: &mut Random) -> Graph {
    let mut g = Graph::new(8 + random.below(15) as u32);
    let mut pool: Vec<Value> = [[ROWS, WIDTH], [ROWS, WIDTH], [ROWS, 1], [1, WIDTH], [1, 1]]
        .iter()
        .enumerate()
        .map(|(i, shape)| g.input(format!("x{i}"), shape, Element::F32))
        .collect();
    pool.push(g.scalar(0.75));
    let ids = g.input("ids", &[ROWS, 1], Element::I64);
    for _ in 0..4 + random.below(30) {
        let (a, b) = (random.pick(&pool), random.pick(&pool));
        let scales = random.pick(&[Scales::Tensor, Scales::Slice]);
        let shape = g.shape(a).to_vec();
        let matrix = shape == [ROWS, WIDTH];
        let value = match random.below(24) {
            0 => g.add(a, b),
            1 => g.sub(a, b),
            2 | 3 => g.mul(a, b),
            4 => {
                let (size, one) = (g.abs(b), g.scalar(1.0));
                let bottom = g.add(size, one);
                g.div(a, bottom)
            }
            5 => g.neg(a),
            6 => {
                let size = g.abs(a);
                g.sqrt(size)
            }
            7 => g.floor(a),
            8 => {
                let less = g.less(a, b);
                g.select(less, b, a)
            }
            9 => g.exp(a),
            10 => g.sigmoid(a),
            11 if matrix => g.softmax(a),
            12 if matrix => g.max_last(a),
            13 if matrix => g.take_last(a, ids),
            14 if matrix => {
                let turned = g.transpose(a, &[1, 0]);
                let back = g.reshape(turned, &[4, WIDTH / 4 * ROWS]);
                g.reshape(back, &[ROWS, WIDTH])
            }
            15 if matrix => {
                let parts = g.reshape(a, &[ROWS, 2, WIDTH / 4, 2]);
                let order = random.pick(&[[0, 2, 1, 3], [2, 1, 0, 3], [1, 0, 2, 3], [3, 2, 1, 0]]);
                let moved = g.transpose(parts, &order);
                g.reshape(moved, &[ROWS, WIDTH])
            }
            16 if matrix => {
                let order: Vec<usize> = (0..WIDTH).map(|i| i ^ 1).collect();
                g.permute_last(a, &order)
            }
            17 if matrix => g.reduce_sum(a, random.pick(&[&[0][..], &[1], &[0, 1]])),
            18 if matrix => {
                let turned = g.matmul(a, a, false, true, scales);
                g.matmul(turned, a, random.below(2) == 0, false, scales)
            }
            19 if matrix => {
                let table = g.scatter_add(a, ids, 9);
                let sum = g.reduce_sum(table, &[0]);
                g.expand(sum, &[ROWS, WIDTH])
            }
            20 if matrix => {
                let classes: Vec<i64> = (0..WIDTH as i64).collect();
                let classes = g.indices(&[1, WIDTH], &classes);
                let (hit, zero) = (g.equal(ids, classes), g.scalar(0.0));
                g.select(hit, a, zero)
            }
            21 if matrix => {
                let half = g.slice(a, 1, random.below(2), 2, WIDTH / 2);
                g.concat(&[half, half], 1)
            }
            22 if matrix => {
                let less = g.less(a, b);
                let turned = g.transpose(less, &[1, 0]);
                let x = g.transpose(a, &[1, 0]);
                let zero = g.scalar(0.0);
                let kept = g.select(turned, x, zero);
                g.transpose(kept, &[1, 0])
            }
            _ => g.expand(a, &[ROWS, WIDTH]),
        };
        if g.shape(value).len() == 2 {
            pool.push(value);
        }
    }
    for i in 0..1 + random.below(4) {
        let value = random.pick(&pool[5..]);
        g.output(format!("y{i}"), value);
    }
    g
}

#[test]
fn random_graphs_are_the_reference_engine_bit_for_bit() {
    let mut compared = 0;
    for seed in 0..400 {
        let mut random = Random(seed * 7919 + 1);
        let graph = graph(&mut random);
        let mut inputs: BTreeMap<String, Tensor> =
            [[ROWS, WIDTH], [ROWS, WIDTH], [ROWS, 1], [1, WIDTH], [1, 1]]
                .iter()
                .enumerate()
                .map(|(i, shape)| {
                    let data: Vec<f32> =
                        (0..shape[0] * shape[1]).map(|_| random.number()).collect();
                    (format!("x{i}"), Tensor::from_f32(shape, &data))
                })
                .collect();
        let ids: Vec<i64> = (0..ROWS).map(|_| random.below(9) as i64).collect();
        inputs.insert("ids".into(), Tensor::from_indices(&[ROWS, 1], &ids));
        let expected = interpret(&composite::expand(&graph), &inputs, Arithmetic::Exact);
        let model = fused(&graph);
        for level in Level::available() {
            let found = execute(&model, &hold(&inputs, &["ids"]), level);
            for (name, tensor) in &expected {
                for (found, expected) in found[name].iter().zip(&tensor.data) {
                    let expected = *expected as f32;
                    let same = found.to_bits() == expected.to_bits()
                        || found.is_nan() && expected.is_nan();
                    assert!(same, "seed {seed}, {name}, {level:?}: {found:e}, not {expected:e}");
                    compared += usize::from(found.is_finite());
                }
            }
        }
    }
    assert!(compared > 10_000, "{compared} finite numbers");
}

#[test]
fn hostile_nodes_are_refused() {
    let none: Attributes<'_> = &|_| None;
    for kind in Kind::ALL {
        // A scalar summed over nothing has only empty lists.
        let complete = [Kind::MaxAbs, Kind::ReduceSum].contains(&kind);
        assert_eq!(Work::new(kind, none).is_ok(), complete, "{kind:?}");
    }
    let wide: Attributes<'_> = &|name| match name {
        "sizes" | "flags" => Some(vec![1, 1, 1, 1]),
        "bits" => Some(vec![23]),
        _ => None,
    };
    assert!(matches!(Work::new(Kind::MatMul, wide), Err(WorkError::Attribute("bits"))));
    let negative: Attributes<'_> = &|_| Some(vec![-1, 4]);
    assert!(Work::new(Kind::MaxLast, negative).is_err());
    assert!(shapes(Kind::MatMul, &|_| Some(vec![3, 1])).is_err());

    let scatter: Attributes<'_> = &|_| Some(vec![2, 1, 2]);
    let work = Work::new(Kind::ScatterAdd, scatter).unwrap();
    let rows = [1.0, 2.0];
    for ids in [[0, 2], [-1, 0], [i64::MAX, 0]] {
        let inputs = [Input::Floats(&rows), Input::Indices(&ids), Input::Floats(&[2.0])];
        let found = work.run(Level::fastest(), &inputs, vec![&mut [0.0; 2]], &threads);
        assert_eq!(found, Err(WorkError::Operands("an index past the table".into())));
    }
    let sum: Attributes<'_> = &|name| match name {
        "sizes" => Some(vec![2, 3, 2]),
        "axes" => Some(vec![0, 2]),
        _ => None,
    };
    let work = Work::new(Kind::ReduceSum, sum).unwrap();
    for (elements, results) in [(12, 2), (11, 3), (0, 3)] {
        let x = vec![1.0; elements];
        let mut out = vec![0.0; results];
        let found = work.run(Level::fastest(), &[Input::Floats(&x)], vec![&mut out], &threads);
        assert!(matches!(found, Err(WorkError::Operands(_))), "{elements} to {results}");
    }
    // A load past the end of its operand.
    let program: Attributes<'_> = &|name| match name {
        "program" => Some(vec![4, 1, 0, 0, 0, 0, 1, 4, 1, 0, 4, 0, 0]),
        _ => None,
    };
    let work = Work::new(Kind::Elementwise, program).unwrap();
    let inputs = [Input::Floats(&[1.0, 2.0, 3.0])];
    assert!(work.run(Level::fastest(), &inputs, vec![&mut [0.0; 4]], &threads).is_err());
    let inputs = [Input::Floats(&[1.0, 2.0, 3.0, 4.0])];
    let mut out = [0.0; 4];
    assert!(work.run(Level::fastest(), &inputs, vec![&mut out], &threads).is_ok());
    assert_eq!(out, [1.0, 2.0, 3.0, 4.0]);
}
