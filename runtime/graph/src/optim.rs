//! AdamW with linear warm-up and decay: the part done on the host in f64, and the part done in the
//! graph.
//!
//! The host computes the step's scalars from the recipe and the step number alone, by IEEE +, −, ·,
//! / and √. The graph does the rest elementwise in f32 (Loshchilov & Hutter 2019, algorithm 2, with
//! the bias corrections moved into the scalars).

use crate::ir::{Graph, Value};
use dataforge_core::spec::Recipe;

/// The optimiser's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the steps that warm up, in 0..=1.
    pub warmup: f64,
    /// Learning rate of the last step as a share of the peak.
    pub final_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    pub clip_norm: f64,
}

/// What the host gives the graph at each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScalars {
    /// Learning rate over the first moment's bias correction.
    pub rate: f32,
    /// 1 / √(second moment's bias correction).
    pub second: f32,
    /// 1 − learning rate · weight decay.
    pub keep: f32,
}

impl From<&Recipe> for AdamW {
    fn from(recipe: &Recipe) -> Self {
        Self {
            learning_rate: recipe.learning_rate_micro.to_f64(),
            warmup: recipe.warmup_micro.to_f64(),
            final_rate: recipe.final_rate_micro.to_f64(),
            beta1: recipe.beta1_micro.to_f64(),
            beta2: recipe.beta2_micro.to_f64(),
            epsilon: f64::from(recipe.epsilon_nano.get()) / 1e9,
            weight_decay: recipe.weight_decay_micro.to_f64(),
            clip_norm: recipe.clip_norm_micro.to_f64(),
        }
    }
}

impl AdamW {
    /// The scalars of `step` (from 0) out of `steps`.
    ///
    /// The rate climbs linearly over the first ⌈warmup · steps⌉ steps, then falls linearly to
    /// `final_rate` at the last step.
    #[must_use]
    pub fn scalars(&self, step: u32, steps: u32) -> StepScalars {
        let rate = self.learning_rate * self.schedule(step, steps);
        let (mut power1, mut power2) = (1.0, 1.0);
        for _ in 0..=step {
            power1 *= self.beta1;
            power2 *= self.beta2;
        }
        StepScalars {
            rate: (rate / (1.0 - power1)) as f32,
            second: (1.0 / (1.0 - power2).sqrt()) as f32,
            keep: (1.0 - rate * self.weight_decay) as f32,
        }
    }

    fn schedule(&self, step: u32, steps: u32) -> f64 {
        let (step, steps) = (f64::from(step), f64::from(steps));
        let warm = (self.warmup * steps).ceil();
        if step < warm {
            return (step + 1.0) / warm;
        }
        let span = steps - warm;
        let left = if span > 1.0 { (steps - 1.0 - step) / (span - 1.0) } else { 0.0 };
        self.final_rate + (1.0 - self.final_rate) * left
    }
}

/// A parameter with its two moments: as inputs, or as results of an update.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Parameter.
    pub weight: Value,
    /// First moment.
    pub first: Value,
    /// Second moment.
    pub second: Value,
}

/// The scalars of [`StepScalars`] as graph inputs of shape `[1]`.
#[derive(Debug, Clone, Copy)]
pub struct ScalarInputs {
    /// [`StepScalars::rate`].
    pub rate: Value,
    /// [`StepScalars::second`].
    pub second: Value,
    /// [`StepScalars::keep`].
    pub keep: Value,
}

/// `clip / max(‖g‖, clip)`, the factor that scales all gradients, of shape `[1]`.
pub fn clip_factor(g: &mut Graph, gradients: &[Value], clip_norm: f64) -> Value {
    let parts: Vec<Value> = gradients
        .iter()
        .map(|gradient| {
            let axes: Vec<usize> = (0..g.shape(*gradient).len()).collect();
            let square = g.mul(*gradient, *gradient);
            let sum = g.reduce_sum(square, &axes);
            g.reshape(sum, &[1])
        })
        .collect();
    let all = g.concat(&parts, 0);
    let total = g.reduce_sum(all, &[0]);
    let norm = g.sqrt(total);
    let clip = g.scalar(clip_norm as f32);
    let bounded = g.max(norm, clip);
    g.div(clip, bounded)
}

/// One AdamW update of one parameter.
pub fn update(
    g: &mut Graph,
    adam: &AdamW,
    slot: Slot,
    gradient: Value,
    factor: Value,
    scalars: ScalarInputs,
) -> Slot {
    let gradient = g.mul(gradient, factor);
    let first = blend(g, slot.first, gradient, adam.beta1);
    let square = g.mul(gradient, gradient);
    let second = blend(g, slot.second, square, adam.beta2);

    let root = g.sqrt(second);
    let corrected = g.mul(root, scalars.second);
    let epsilon = g.scalar(adam.epsilon as f32);
    let bottom = g.add(corrected, epsilon);
    let top = g.mul(first, scalars.rate);
    let change = g.div(top, bottom);
    let kept = g.mul(slot.weight, scalars.keep);
    let weight = g.sub(kept, change);
    Slot { weight, first, second }
}

/// β · old + (1 − β) · new.
fn blend(g: &mut Graph, old: Value, new: Value, beta: f64) -> Value {
    let (stay, come) = (g.scalar(beta as f32), g.scalar((1.0 - beta) as f32));
    let old = g.mul(old, stay);
    let new = g.mul(new, come);
    g.add(old, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAM: AdamW = AdamW {
        learning_rate: 1e-3,
        warmup: 0.1,
        final_rate: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip_norm: 1.0,
    };

    #[test]
    fn warms_up_peaks_and_decays() {
        let rates: Vec<f64> = (0..20).map(|step| ADAM.schedule(step, 20)).collect();
        assert_eq!(rates[..3], [0.5, 1.0, 1.0]);
        assert!((rates[19] - 0.1).abs() < 1e-12);
        assert!(rates[2..].is_sorted_by(|a, b| a > b));
        assert_eq!(ADAM.schedule(0, 1), 1.0);
    }

    #[test]
    fn golden_scalars() {
        let s = ADAM.scalars(4, 126);
        assert_eq!(
            [s.rate, s.second, s.keep].map(f32::to_bits),
            [980_825_404, 1_074_171_728, 1_065_353_151]
        );
    }
}
