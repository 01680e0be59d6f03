//! A row's result is a pure function of model and row: whatever shares its batch, its bits are the
//! same.
//!
//! Real rows and real weights; alone, in pairs, in eights, in batches with empty rows, and
//! shuffled.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use dataforge_core::hash::EpochSeed;
use dataforge_core::plan::{Batch, BatchShape, TokenRow};
use dataforge_core::random::SeedStream;
use dataforge_core::spec::Method;
use dataforge_engine::{Features, Model, Optimisation, Options, Runtime, Weights, trunk};
use dataforge_evaluate::World;
use dataforge_graph::llama::Tuning;
use dataforge_graph::onnx::lower;
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::step::scoring;
use dataforge_matrix::{material, tensors};
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use dataforge_node::specs::Specs;
use dataforge_node::world::NodeWorld;
use prost::Message as _;

/// Rows that are scored in every arrangement.
const ROWS: usize = 16;

/// The bits of `target` and `normaliser` of each of a row's slots.
type Bits = Vec<u8>;

/// A spec's untrained model and some of its hidden rows.
struct Scene {
    runtime: Runtime,
    tuning: Tuning,
    shape: BatchShape,
    weights: Weights,
    rows: Vec<TokenRow>,
}

impl Scene {
    fn open(reference: &str) -> Self {
        let artifacts =
            Artifacts::new(&Home::discover().unwrap(), ArtifactLock::embedded().unwrap());
        let specs = Specs::discover().unwrap();
        let spec = specs.load(reference).unwrap();
        material::fetch(&artifacts, &spec).unwrap();
        let stop = AtomicBool::new(false);
        let options = Options { threads: 2, ..Options::default() };
        let world = NodeWorld::new(&specs, reference, &artifacts, options, &stop, Box::new(|_| ()));
        let seed = EpochSeed([1; 32]);
        let material =
            material::Material::load(&world, &spec, &artifacts, "honest", &seed).unwrap();
        Self {
            runtime: Runtime::load(&world.engine_library().unwrap(), options).unwrap(),
            tuning: Tuning::from(spec.spec()),
            shape: spec.spec().training.batch_shape(),
            weights: material.weights,
            rows: material.candidates.into_iter().take(ROWS).collect(),
        }
    }

    fn shape(&self, rows: u32) -> BatchShape {
        BatchShape { rows: rows.try_into().unwrap(), ..self.shape }
    }

    /// The bits of every row, by its index, when `order` is cut into batches of `rows`.
    fn score(&self, order: &[u32], rows: u32, features: Option<&Features>) -> BTreeMap<u32, Bits> {
        let shape = self.shape(rows);
        let model = lower(&scoring(&self.tuning, shape), self.runtime.lowering()).encode_to_vec();
        let mut model = Model::load(&self.runtime, &model, Optimisation::None).unwrap();
        let mut found = BTreeMap::new();
        for members in order.chunks(rows as usize) {
            let batch = Batch::pack(&self.rows, members, shape);
            let width = self.tuning.shape.width.get() as usize;
            let mut inputs = tensors::batch(&batch, features, width);
            inputs.extend(self.parameters());
            let outputs = model.run(&inputs).unwrap();
            let slots = 4 * shape.output_tokens.get() as usize;
            for (place, member) in members.iter().enumerate() {
                let row = |tensor: &TensorProto| tensor.raw_data[place * slots..][..slots].to_vec();
                found.insert(*member, outputs.iter().flat_map(row).collect());
            }
        }
        found
    }

    fn parameters(&self) -> Vec<TensorProto> {
        let named = [self.tuning.frozen(), self.tuning.trained()].concat();
        let initial = self.weights.initial(&self.tuning, &EpochSeed([1; 32])).unwrap();
        named
            .into_iter()
            .map(|parameter| {
                let data = match initial.iter().find(|(known, _)| known.name == parameter.name) {
                    Some((_, data)) => data,
                    None => self.weights.get(&parameter.name).unwrap(),
                };
                tensors::floats(&parameter.name, &parameter.shape, data)
            })
            .collect()
    }

    /// Every arrangement gives every row the bits that it has alone.
    #[track_caller]
    fn check(&self, features: Option<&Features>) {
        let order: Vec<u32> = (0..ROWS as u32).collect();
        let alone = self.score(&order, 1, features);
        assert_eq!(alone.len(), ROWS);
        let distinct: std::collections::BTreeSet<_> = alone.values().collect();
        assert!(distinct.len() > ROWS / 2, "the rows are alike, and would show nothing");
        let mut shuffled = order.clone();
        SeedStream::new(&EpochSeed([7; 32]), "batches").shuffle(&mut shuffled);
        assert_ne!(shuffled, order);
        // 5 does not divide the rows: the last batch is filled up with empty ones.
        for (order, rows) in
            [(&order, 2), (&order, 8), (&order, 5), (&shuffled, 1), (&shuffled, 4), (&shuffled, 8)]
        {
            let together = self.score(order, rows, features);
            for (row, bits) in &alone {
                assert_eq!(&together[row], bits, "row {row} in batches of {rows}: {order:?}");
            }
        }
    }
}

#[test]
fn a_row_scores_alike_alone_and_in_any_batch() {
    Scene::open("date@1").check(None);
}

#[test]
fn a_row_has_the_same_features_and_scores_alike_over_a_trunk() {
    let mut scene = Scene::open("date@1");
    scene.tuning.method = Method::LastLayers { layers: 1.try_into().unwrap() };
    let features = |rows: &[TokenRow], batch: u32| {
        let (tuning, weights) = (&scene.tuning, &scene.weights);
        let made = trunk(&scene.runtime, tuning, weights, rows, scene.shape(batch), &mut |_| true);
        made.unwrap().unwrap()
    };
    let all = features(&scene.rows, 8);
    assert_eq!(all, features(&scene.rows, 5));
    for (row, bytes) in scene.rows.iter().zip(all.to_bytes().chunks(all.to_bytes().len() / ROWS)) {
        assert_eq!(features(std::slice::from_ref(row), 1).to_bytes(), bytes);
    }
    scene.check(Some(&all));
}
