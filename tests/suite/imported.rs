//! Models from ONNX files: trained by ONNX Runtime to the built-in family's state, and inspected.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use dataforge_core::hash::{EpochSeed, StateRoot};
use dataforge_core::plan::Batch;
use dataforge_core::spec::{LlamaShape, Method, Recipe, Spec};
use dataforge_core::units::StepIndex;
use dataforge_engine::{Options, Runtime, StepResult, Trainer, Weights};
use dataforge_graph::Scales;
use dataforge_graph::llama::{self, Tuning};
use dataforge_graph::onnx::import::{LanguageModel, Model, Role};
use dataforge_tests::{Answer, Scratch, dataforge, root};

const STEPS: u32 = 6;

fn fixture(name: &str) -> PathBuf {
    root().join("runtime/graph/fixtures").join(name)
}

fn runtime() -> Runtime {
    let answer = Answer::of(dataforge().args(["artifacts", "path", "onnxruntime"]));
    Runtime::load(answer.out.trim().as_ref(), Options::default()).unwrap()
}

/// The recipe of `short@1` for batches as small as the fixtures.
fn recipe() -> Recipe {
    let text = fs::read_to_string(root().join("tests/golden/short/spec.toml")).unwrap();
    let [batch_rows, positions, output_tokens] = [2, 6, 4].map(|n| n.try_into().unwrap());
    Recipe { batch_rows, positions, output_tokens, ..Spec::parse(&text).unwrap().training }
}

fn batch(recipe: &Recipe) -> Batch {
    let shape = recipe.batch_shape();
    let numbers = |n: u32, factor: u32, below: u32| (0..n).map(|i| i * factor % below).collect();
    Batch {
        shape,
        members: vec![0, 1],
        ids: numbers(12, 13, 32),
        at: numbers(8, 3, 12),
        targets: numbers(8, 7, 32),
        learned: vec![true; 8],
    }
}

/// The state after a few steps, and each step's loss in micronats.
fn train(mut trainer: Trainer, recipe: &Recipe) -> (StateRoot, Vec<i64>) {
    let batch = batch(recipe);
    let losses =
        (0..STEPS).map(|step| match trainer.step(StepIndex(step), &batch, None).unwrap() {
            StepResult::Stepped(loss) => loss.0,
            StepResult::Diverged => panic!("step {step} diverged"),
        });
    let losses = losses.collect();
    (trainer.root().unwrap(), losses)
}

fn train_file(runtime: &Runtime, name: &str) -> (StateRoot, Vec<i64>) {
    let recipe = recipe();
    let model = Model::decode(&fs::read(fixture(name)).unwrap()).unwrap();
    let role = |name: &str| if name == "at" { Role::At } else { Role::Ids };
    let language_model = LanguageModel {
        model: &model,
        inputs: model.inputs().iter().map(|i| (i.name.clone(), role(&i.name))).collect(),
        logits: "logits".into(),
        trained: model.parameters().iter().map(|(p, _)| p.name.clone()).collect::<BTreeSet<_>>(),
    };
    let forward = language_model.forward(recipe.batch_shape(), 20, Scales::Tensor).unwrap();
    let trainer = Trainer::imported(runtime, &model, forward, &recipe, STEPS).unwrap();
    train(trainer, &recipe)
}

/// The built-in family with the weights of the fixture `llama`.
fn train_built_in(runtime: &Runtime) -> (StateRoot, Vec<i64>) {
    let [vocabulary, width, layers, heads, kv_heads, hidden, context, rope_base, norm] =
        [32, 16, 2, 4, 2, 24, 6, 10_000, 1000].map(|n| n.try_into().unwrap());
    let shape = LlamaShape {
        vocabulary,
        width,
        layers,
        heads,
        kv_heads,
        hidden,
        context,
        rope_base,
        norm_epsilon_nano: norm,
        tied_head: true,
    };
    let tuning = Tuning { shape, method: Method::Full, operand_bits: 20 };
    let model = Model::decode(&fs::read(fixture("llama.onnx")).unwrap()).unwrap();
    let tensors: BTreeMap<String, Vec<f32>> =
        model.parameters().iter().map(|(p, data)| (p.name.clone(), data.clone())).collect();
    let weights = Weights::new(llama::parameters(&shape), tensors).unwrap();
    let (recipe, seed) = (recipe(), EpochSeed([0; 32]));
    let trainer = Trainer::new(runtime, tuning, &recipe, &weights, &seed, STEPS).unwrap();
    train(trainer, &recipe)
}

#[test]
fn a_file_trains_to_the_built_in_family_s_state_or_close() {
    let runtime = runtime();
    let built_in = train_built_in(&runtime);
    assert_eq!(train_file(&runtime, "llama.onnx"), built_in);
    let (_, losses) = train_file(&runtime, "llama-dynamo-18.onnx");
    for (loss, expected) in losses.iter().zip(&built_in.1) {
        assert!((loss - expected).abs() <= expected / 1000, "{losses:?} {:?}", built_in.1);
    }
}

fn inspect(file: &std::path::Path, more: &[&str]) -> Answer {
    Answer::of(dataforge().args(["model", "inspect"]).arg(file).args(more))
}

#[test]
fn a_model_is_inspected() {
    let file = fixture("llama-dynamo-18.onnx");
    let mentions = ["opset", "18", "MatMul 19", "\"ids\": integer [rows, positions]"];
    inspect(&file, &[])
        .expect(0, &mentions)
        .expect(0, &["20 tensors", "tried with positions=8 rows=8", "can be imported"]);
    inspect(&file, &["--size", "rows=3", "--json"]).expect(0, &["\"rows\": 3", "\"ok\": true"]);
    inspect(&file, &["--size", "nosuch=3"]).expect(2, &["nosuch"]);
}

#[test]
fn what_would_be_refused_is_named() {
    let scratch = Scratch::new();
    let bytes = fs::read(fixture("llama-dynamo-18.onnx")).unwrap();
    // An operator becomes an unknown one of the same length.
    let mut changed = bytes.clone();
    for at in 0..bytes.len() - 7 {
        if changed[at..].starts_with(b"Sigmoid") {
            changed[at..at + 7].copy_from_slice(b"Sigmund");
        }
    }
    let file = scratch.file("changed.onnx", changed);
    inspect(&file, &[]).expect(1, &["REFUSED", "Sigmund", "not supported"]);
    inspect(&file, &["--json"]).expect(1, &["\"ok\": false", "Sigmund"]);
    let file = scratch.file("cut.onnx", &bytes[..bytes.len() / 2]);
    inspect(&file, &[]).expect(2, &["cut.onnx", "not an ONNX model"]);
    inspect(&scratch.path("nowhere.onnx"), &[]).expect(2, &["nowhere.onnx"]);
}
