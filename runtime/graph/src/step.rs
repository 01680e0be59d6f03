//! The two graphs that an engine runs: one training step, and scoring.
//!
//! Both take `ids` `[rows, positions]`, `targets` `[rows · positions, 1]` and the parameters by
//! name, and both give, per position, the two numbers that the host turns into a log-probability:
//! `target`, the target's logit minus the largest, and `normaliser`, the sum of the exponentials of
//! all logits so shifted. The log-probability is `target − ln normaliser`; `ln` is the host's,
//! because engines differ in it.

use crate::composite;
use crate::grad::backward;
use crate::ir::{Element, Graph, Scales, Value};
use crate::llama::{self, Parameter};
use crate::optim::{self, AdamW, ScalarInputs, Slot};
use dataforge_core::plan::BatchShape;
use dataforge_core::spec::LlamaShape;
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

/// Logits turned into what both graphs report, and what the gradient needs.
struct Head {
    exponentials: Value,
    normaliser: Value,
}

fn head(g: &mut Graph, logits: Value, targets: Value, scales: Scales) -> Head {
    let max = g.max_last(logits);
    let shifted = g.sub(logits, max);
    let exponentials = g.exp(shifted);
    let normaliser = g.reduce_sum(exponentials, &[1], scales);
    let target = g.take_last(shifted, targets);
    g.output("target", target);
    g.output("normaliser", normaliser);
    Head { exponentials, normaliser }
}

fn batch_inputs(g: &mut Graph, batch: BatchShape) -> (Value, Value) {
    let ids =
        g.input("ids", &[batch.rows.get() as usize, batch.positions.get() as usize], Element::I64);
    let targets = g.input("targets", &[batch.tokens(), 1], Element::I64);
    (ids, targets)
}

fn weight_inputs(g: &mut Graph, parameters: &[Parameter]) -> BTreeMap<String, Value> {
    let input = |p: &Parameter| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32));
    parameters.iter().map(input).collect()
}

/// Scoring: forward only, with scales per slice, so that a row's results do not depend on its
/// batch.
#[must_use]
pub fn scoring(shape: &LlamaShape, batch: BatchShape) -> Graph {
    let mut g = Graph::new(20);
    let (ids, targets) = batch_inputs(&mut g, batch);
    let weights = weight_inputs(&mut g, &llama::parameters(shape));
    let logits = llama::forward(&mut g, shape, &weights, ids, batch, Scales::Slice);
    head(&mut g, logits, targets, Scales::Slice);
    composite::expand(&g)
}

/// One step: forward, loss on weighted positions, backward, clipping, AdamW.
///
/// Further inputs: `weights` `[rows · positions, 1]`, each position's share of the loss; `rate`,
/// `second`, `keep`
/// `[1]`, see [`optim::StepScalars`]; and each parameter's moments. Further outputs: `clip`, and
/// the next value of every state tensor.
#[must_use]
pub fn training(shape: &LlamaShape, batch: BatchShape, adam: &AdamW) -> Graph {
    let mut g = Graph::new(20);
    let parameters = llama::parameters(shape);
    let gradients = gradients(&mut g, shape, &parameters, batch);
    let factor = optim::clip_factor(&mut g, &gradients, adam.clip_norm);
    g.output("clip", factor);
    let [rate, second, keep] =
        ["rate", "second", "keep"].map(|name| g.input(name, &[1], Element::F32));
    let scalars = ScalarInputs { rate, second, keep };
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        let names = state_names(&parameter.name);
        let [weight, first, second] =
            names.each_ref().map(|n| g.input(n, &parameter.shape, Element::F32));
        let next =
            optim::update(&mut g, adam, Slot { weight, first, second }, gradient, factor, scalars);
        for (name, value) in names.iter().zip([next.weight, next.first, next.second]) {
            g.output(next_name(name), value);
        }
    }
    composite::expand(&g)
}

/// Forward, loss and backward: the gradient of every parameter.
fn gradients(
    g: &mut Graph,
    shape: &LlamaShape,
    parameters: &[Parameter],
    batch: BatchShape,
) -> Vec<Value> {
    let (ids, targets) = batch_inputs(g, batch);
    let weights = weight_inputs(g, parameters);
    let logits = llama::forward(g, shape, &weights, ids, batch, Scales::Tensor);
    let seed = loss_gradient(g, logits, targets, batch);
    let wrt: Vec<Value> = parameters.iter().map(|p| weights[&p.name]).collect();
    backward(g, &[(logits, seed)], &wrt, Scales::Tensor)
}

/// (softmax − one-hot target) · weight: the derivative of the weighted loss by the logits.
fn loss_gradient(g: &mut Graph, logits: Value, targets: Value, batch: BatchShape) -> Value {
    let weights = g.input("weights", &[batch.tokens(), 1], Element::F32);
    let Head { exponentials, normaliser } = head(g, logits, targets, Scales::Tensor);
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
    use crate::interp::{Arithmetic, Tensor, run};
    use dataforge_core::hash::EpochSeed;
    use dataforge_core::random::SeedStream;

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

    /// Random state and a batch with a padded row, by name.
    fn inputs(shape: &LlamaShape, batch: BatchShape) -> BTreeMap<String, Tensor> {
        let mut random = SeedStream::new(&EpochSeed([4; 32]), "gradient test");
        let mut all = BTreeMap::new();
        for parameter in llama::parameters(shape) {
            let count = parameter.shape.iter().product::<usize>();
            let data = (0..count).map(|_| random.below(2000) as f64 / 1000.0 - 1.0).collect();
            all.insert(parameter.name, Tensor { shape: parameter.shape, data });
        }
        let tokens = batch.tokens();
        let mut draw = |n| (0..tokens).map(|_| random.below(n) as f64).collect::<Vec<_>>();
        let grid = vec![batch.rows.get() as usize, batch.positions.get() as usize];
        let column = vec![tokens, 1];
        all.insert("ids".into(), Tensor { shape: grid, data: draw(7) });
        all.insert("targets".into(), Tensor { shape: column.clone(), data: draw(7) });
        let weights = draw(4).into_iter().map(|w| w / 16.0).collect();
        all.insert("weights".into(), Tensor { shape: column, data: weights });
        all
    }

    fn loss(graph: &Graph, inputs: &BTreeMap<String, Tensor>) -> f64 {
        let out = run(graph, inputs, Arithmetic::Real);
        let terms =
            out["target"].data.iter().zip(&out["normaliser"].data).zip(&inputs["weights"].data);
        terms.map(|((target, normaliser), weight)| weight * (libm::log(*normaliser) - target)).sum()
    }

    /// Every parameter's gradient against central differences of the loss, in real arithmetic.
    fn check_gradients(tied_head: bool) {
        let shape = tiny(tied_head);
        let batch = BatchShape { rows: 2.try_into().unwrap(), positions: 5.try_into().unwrap() };
        let parameters = llama::parameters(&shape);
        let mut g = Graph::new(20);
        for (parameter, gradient) in
            parameters.iter().zip(gradients(&mut g, &shape, &parameters, batch))
        {
            g.output(parameter.name.clone(), gradient);
        }
        let graph = composite::expand(&g);
        let inputs = inputs(&shape, batch);
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
        check_gradients(true);
    }

    #[test]
    fn gradients_match_finite_differences_with_a_head_of_its_own() {
        check_gradients(false);
    }
}
