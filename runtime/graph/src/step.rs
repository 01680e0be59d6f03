//! The graphs that an engine runs: one training step, scoring, and one block of the frozen trunk.
//!
//! Training and scoring take the batch as `ids` `[rows, positions]`, or as `hidden` `[rows ·
//! positions, width]` where there is a trunk; the positions that are looked at, `at` `[slots]`, and
//! what follows each, `targets` `[slots, 1]`; and the parameters by name. Both give, per slot, the
//! two numbers that the host turns into a log-probability:
//! `target`, the target's logit minus the largest, and `normaliser`, the sum of the exponentials of
//! all logits so shifted. The log-probability is `target − ln normaliser`; `ln` is the host's,
//! because engines differ in it.

use crate::grad::backward;
use crate::ir::{Element, Graph, Scales, Value};
use crate::llama::{self, Parameter, Start, Tuning};
use crate::optim::{self, AdamW, ScalarInputs, Slot};
use dataforge_core::plan::BatchShape;
use std::collections::BTreeMap;

/// Names of a parameter's three tensors among a training graph's inputs, in state order.
#[must_use]
pub fn state_names(parameter: &str) -> [String; 3] {
    [parameter.to_owned(), format!("{parameter}.first"), format!("{parameter}.second")]
}

/// The output that carries the next value of a state tensor.
#[must_use]
pub fn next_name(state: &str) -> String {
    format!("next.{state}")
}

/// Names that these graphs give to inputs and outputs of their own.
pub(crate) const NAMES: [&str; 11] = [
    "ids",
    "hidden",
    "at",
    "targets",
    "weights",
    "rate",
    "second",
    "keep",
    "target",
    "normaliser",
    "clip",
];

/// A model's forward pass: what loss and optimiser are put on.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The graph so far, with the batch and the parameters as inputs.
    pub graph: Graph,
    /// Logits `[slots, vocabulary]`.
    pub logits: Value,
    /// The input `targets`.
    pub targets: Value,
    /// What is trained, in the order of state roots.
    pub trained: Vec<(Parameter, Value)>,
}

/// Logits turned into what both graphs report, and what the gradient needs.
struct Head {
    exponentials: Value,
    normaliser: Value,
}

fn head(g: &mut Graph, logits: Value, targets: Value) -> Head {
    let max = g.max_last(logits);
    let shifted = g.sub(logits, max);
    let exponentials = g.exp(shifted);
    let normaliser = g.reduce_sum(exponentials, &[1]);
    let target = g.take_last(shifted, targets);
    g.output("target", target);
    g.output("normaliser", normaliser);
    Head { exponentials, normaliser }
}

/// What the tuned part of a model is given at each run.
struct Inputs {
    start: Start,
    at: Value,
    targets: Value,
}

fn inputs(g: &mut Graph, tuning: &Tuning, batch: BatchShape) -> Inputs {
    let [rows, positions] = [batch.rows, batch.positions].map(|n| n.get() as usize);
    let start = if tuning.trunk().is_some() {
        let width = tuning.shape.width.get() as usize;
        Start::Hidden(g.input("hidden", &[batch.tokens(), width], Element::F32))
    } else {
        Start::Ids(g.input("ids", &[rows, positions], Element::I64))
    };
    let at = g.input("at", &[batch.slots()], Element::I64);
    let targets = g.input("targets", &[batch.slots(), 1], Element::I64);
    Inputs { start, at, targets }
}

fn weight_inputs(g: &mut Graph, parameters: &[Parameter]) -> BTreeMap<String, Value> {
    let input = |p: &Parameter| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32));
    parameters.iter().map(input).collect()
}

/// One frozen block of the trunk: input `hidden`, output `next`, both `[rows · positions, width]`,
/// and the parameters of block 0. Scales are per slice, so that a row's features depend on that row
/// alone.
#[must_use]
pub fn trunk_block(tuning: &Tuning, batch: BatchShape) -> Graph {
    let mut g = Graph::new(tuning.operand_bits);
    let shape = [batch.tokens(), tuning.shape.width.get() as usize];
    let hidden = g.input("hidden", &shape, Element::F32);
    let weights = weight_inputs(&mut g, &llama::block_parameters(&tuning.shape, 0));
    let next = llama::block(&mut g, tuning, &weights, hidden, batch);
    g.output("next", next);
    g
}

/// Scoring: forward only, with scales per slice, so that a row's results do not depend on its
/// batch.
#[must_use]
pub fn scoring(tuning: &Tuning, batch: BatchShape) -> Graph {
    forward(tuning, batch, Scales::Slice).scoring()
}

/// One step: forward, loss on weighted slots, backward, clipping, AdamW; see
/// [`Forward::training`].
#[must_use]
pub fn training(tuning: &Tuning, batch: BatchShape, adam: &AdamW) -> Graph {
    forward(tuning, batch, Scales::Tensor).training(adam)
}

/// The built-in family's forward pass.
#[must_use]
pub fn forward(tuning: &Tuning, batch: BatchShape, scales: Scales) -> Forward {
    let mut graph = Graph::new(tuning.operand_bits);
    let g = &mut graph;
    let Inputs { start, at, targets } = inputs(g, tuning, batch);
    let trained = tuning.trained();
    let weights = weight_inputs(g, &[tuning.frozen(), trained.clone()].concat());
    let logits = llama::forward(g, tuning, &weights, start, at, batch, scales);
    let trained = trained.into_iter().map(|p| (p.clone(), weights[&p.name])).collect();
    Forward { graph, logits, targets, trained }
}

impl Forward {
    /// The scoring graph of a forward pass whose products take scales per slice.
    #[must_use]
    pub fn scoring(mut self) -> Graph {
        head(&mut self.graph, self.logits, self.targets);
        self.graph
    }

    /// The training graph of a forward pass whose products take scales per tensor.
    ///
    /// Further inputs: `weights` `[slots, 1]`, each slot's share of the loss; `rate`, `second`,
    /// `keep` `[1]`, see [`optim::StepScalars`]; and each trained parameter's moments. Further
    /// outputs: `clip`, and the next value of every state tensor.
    ///
    /// # Panics
    /// When a trained parameter does not influence the logits: our bug.
    #[must_use]
    pub fn training(mut self, adam: &AdamW) -> Graph {
        let gradients = self.gradients();
        let g = &mut self.graph;
        let factor = optim::clip_factor(g, &gradients, adam.clip_norm);
        g.output("clip", factor);
        let [rate, second, keep] =
            ["rate", "second", "keep"].map(|name| g.input(name, &[1], Element::F32));
        let scalars = ScalarInputs { rate, second, keep };
        for ((parameter, weight), gradient) in self.trained.iter().zip(gradients) {
            let names = state_names(&parameter.name);
            let [_, first, second] =
                names.each_ref().map(|n| g.input(n, &parameter.shape, Element::F32));
            let slot = Slot { weight: *weight, first, second };
            let next = optim::update(g, adam, slot, gradient, factor, scalars);
            for (name, value) in names.iter().zip([next.weight, next.first, next.second]) {
                g.output(next_name(name), value);
            }
        }
        self.graph
    }

    /// Loss and backward: the gradient of every trained parameter.
    fn gradients(&mut self) -> Vec<Value> {
        let seed = loss_gradient(&mut self.graph, self.logits, self.targets);
        let wrt: Vec<Value> = self.trained.iter().map(|(_, value)| *value).collect();
        backward(&mut self.graph, &[(self.logits, seed)], &wrt, Scales::Tensor)
    }
}

/// (softmax − one-hot target) · weight: the derivative of the weighted loss by the logits.
fn loss_gradient(g: &mut Graph, logits: Value, targets: Value) -> Value {
    let slots = g.shape(logits)[0];
    let weights = g.input("weights", &[slots, 1], Element::F32);
    let Head { exponentials, normaliser } = head(g, logits, targets);
    let vocabulary = g.shape(logits)[1];
    let classes: Vec<i64> = (0i64..).take(vocabulary).collect();
    let classes = g.indices(&[1, vocabulary], &classes);
    let hit = g.equal(classes, targets);
    let probabilities = g.div(exponentials, normaliser);
    let one = g.scalar(1.0);
    let reduced = g.sub(probabilities, one);
    let difference = g.select(hit, reduced, probabilities);
    g.mul(difference, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite;
    use crate::interp::{Arithmetic, Tensor, run};
    use dataforge_core::hash::EpochSeed;
    use dataforge_core::random::SeedStream;
    use dataforge_core::spec::{LlamaShape, Method};
    use dataforge_core::units::Micro;

    fn tiny(tied_head: bool) -> LlamaShape {
        let n = |n: u32| n.try_into().unwrap();
        LlamaShape {
            vocabulary: n(7),
            width: n(8),
            layers: n(2),
            heads: n(4),
            kv_heads: n(2),
            hidden: n(5),
            context: n(8),
            rope_base: n(10_000),
            norm_epsilon_nano: n(1000),
            tied_head,
        }
    }

    /// Random state and a batch, by name.
    fn random_inputs(tuning: &Tuning, batch: BatchShape) -> BTreeMap<String, Tensor> {
        let mut random = SeedStream::new(&EpochSeed([4; 32]), "gradient test");
        let mut draw = |shape: &[usize], below: u64, scale: f64, offset: f64| {
            let mut one = || random.below(below) as f64 * scale + offset;
            let data = (0..shape.iter().product()).map(|_| one()).collect();
            Tensor { shape: shape.to_vec(), data }
        };
        let mut all = BTreeMap::new();
        for parameter in [llama::parameters(&tuning.shape), tuning.trained()].concat() {
            all.insert(parameter.name, draw(&parameter.shape, 2000, 1e-3, -1.0));
        }
        let (tokens, slots) = (batch.tokens(), batch.slots());
        let grid = [batch.rows.get() as usize, batch.positions.get() as usize];
        all.insert("ids".into(), draw(&grid, 7, 1.0, 0.0));
        all.insert("hidden".into(), draw(&[tokens, 8], 2000, 1e-3, -1.0));
        all.insert("at".into(), draw(&[slots], tokens as u64, 1.0, 0.0));
        all.insert("targets".into(), draw(&[slots, 1], 7, 1.0, 0.0));
        all.insert("weights".into(), draw(&[slots, 1], 4, 1.0 / 16.0, 0.0));
        all
    }

    fn loss(graph: &Graph, inputs: &BTreeMap<String, Tensor>) -> f64 {
        let out = run(graph, inputs, Arithmetic::Real);
        let terms =
            out["target"].data.iter().zip(&out["normaliser"].data).zip(&inputs["weights"].data);
        terms.map(|((target, normaliser), weight)| weight * (libm::log(*normaliser) - target)).sum()
    }

    /// Every parameter's gradient against central differences of the loss, in real arithmetic.
    fn check_gradients(tied_head: bool, method: Method) {
        let tuning = Tuning { shape: tiny(tied_head), method, operand_bits: 20 };
        let [rows, positions, output_tokens] = [2, 5, 3].map(|n| n.try_into().unwrap());
        let batch = BatchShape { rows, positions, output_tokens };
        let parameters = tuning.trained();
        let mut forward = forward(&tuning, batch, Scales::Tensor);
        let gradients = forward.gradients();
        for (parameter, gradient) in parameters.iter().zip(gradients) {
            forward.graph.output(parameter.name.clone(), gradient);
        }
        let graph = composite::expand(&forward.graph);
        let inputs = random_inputs(&tuning, batch);
        let analytic = run(&graph, &inputs, Arithmetic::Real);
        for parameter in &parameters {
            let count = inputs[&parameter.name].data.len();
            for at in [0, count / 2, count - 1] {
                let moved = |by: f64| {
                    let mut inputs = inputs.clone();
                    inputs.get_mut(&parameter.name).unwrap().data[at] += by;
                    loss(&graph, &inputs)
                };
                let numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                let exact = analytic[&parameter.name].data[at];
                let error = (numeric - exact).abs();
                assert!(
                    error <= 1e-6 + 1e-4 * exact.abs(),
                    "{}[{at}]: {exact} but {numeric}",
                    parameter.name
                );
            }
        }
    }

    #[test]
    fn gradients_match_finite_differences_with_a_tied_head() {
        check_gradients(true, Method::Full);
    }

    #[test]
    fn gradients_match_finite_differences_with_a_head_of_its_own() {
        check_gradients(false, Method::Full);
    }

    #[test]
    fn gradients_match_finite_differences_over_a_trunk() {
        let layers = 1.try_into().unwrap();
        let (rank, scale_micro) = (2.try_into().unwrap(), Micro(1_500_000));
        check_gradients(true, Method::LastLayers { layers });
        check_gradients(false, Method::Lora { layers, rank, scale_micro });
    }

    #[test]
    fn every_parameter_is_trained_frozen_or_in_the_trunk() {
        let names = |of: Vec<Parameter>| of.into_iter().map(|p| p.name).collect::<Vec<_>>();
        let shape = tiny(true);
        let layers = 1.try_into().unwrap();
        let method = Method::LastLayers { layers };
        let tuning = Tuning { shape, method, operand_bits: 20 };
        assert_eq!(tuning.trunk(), Some(1));
        assert_eq!(names(tuning.frozen()), ["embedding"]);
        let mut last = names(llama::block_parameters(&shape, 1));
        last.push("final_norm".into());
        assert_eq!(names(tuning.trained()), last);

        let (rank, scale_micro) = (2.try_into().unwrap(), Micro(1_500_000));
        let tuning = Tuning { method: Method::Lora { layers, rank, scale_micro }, ..tuning };
        last.insert(0, "embedding".into());
        assert_eq!(names(tuning.frozen()), last);
        assert_eq!(tuning.trained().len(), 14);
        assert_eq!(tuning.trained()[3].name, "layer.1.key.adapter_b");
        assert_eq!(tuning.trained()[3].shape, [2, 4]);
    }
}
