//! The cases of the matrix: the known-answer graph, and real models on real rows.
//!
//! A case is one entry of [`CASES`]; a decoder that a spec trains needs nothing else here.

mod decoder;
mod encoder;
mod imported;

use crate::case::Case;
use dataforge_core::spec::Method;
use dataforge_core::units::Micro;
use dataforge_graph::llama::Parameter;
use dataforge_graph::onnx::proto::TensorProto;
use dataforge_graph::onnx::{Lowering, LoweringOptions, lower};
use dataforge_graph::optim::{AdamW, StepScalars};
use dataforge_graph::step::{next_name, state_names};
use dataforge_graph::{Graph, known_answer};
use dataforge_matrix::tensors::{floats, indices};
use dataforge_node::artifacts::Artifacts;
use decoder::{Part, Run};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

/// Ways to lower a graph exactly; each gives one model file of a case.
pub(crate) const LOWERINGS: &[(&str, LoweringOptions)] = &[
    ("stock", STOCK),
    ("wide-sqrt", LoweringOptions { wide_sqrt: true, ..STOCK }),
    ("fused", LoweringOptions { lowering: Lowering::Fused, ..STOCK }),
    ("slices", LoweringOptions { lowering: Lowering::Slices, ..STOCK }),
    ("signed-slices", LoweringOptions { lowering: Lowering::Slices, signed_slices: true, ..STOCK }),
];

const STOCK: LoweringOptions =
    LoweringOptions { lowering: Lowering::Stock, wide_sqrt: false, signed_slices: false };

/// A column of the table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Whether `--quick` runs it.
    pub(crate) quick: bool,
    make: Make,
}

enum Make {
    /// The graph of the known-answer test: whoever differs here is refused.
    KnownAnswer,
    /// A decoder on a spec's public rows.
    Decoder(Run),
    /// all-MiniLM-L6-v2: the embeddings of a batch, or so many training steps of a classifier.
    Encoder(encoder::Part),
    /// A model that PyTorch exported, trained for so many steps.
    Imported(u32),
}

const STEPS: u32 = 5;
const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const ADAPTERS: Method = Method::Lora { layers: TWO, rank: TWO, scale_micro: Micro(2_000_000) };

const DATE: Run =
    Run { spec: "date@1", method: None, rows: None, seed: 1, part: Part::Train(STEPS) };
const SMOLLM2: Run = Run {
    spec: "diagnosis@1",
    method: None,
    rows: Some(NonZeroU32::MIN),
    seed: 1,
    part: Part::Train(2),
};

const fn quick(name: &'static str, make: Make) -> Entry {
    Entry { name, quick: true, make }
}

const fn slow(name: &'static str, make: Make) -> Entry {
    Entry { name, quick: false, make }
}

/// The known answer comes first, and the small cases before the large ones.
pub(crate) const CASES: &[Entry] = &[
    quick("known-answer", Make::KnownAnswer),
    quick("train-1", Make::Decoder(DATE)),
    quick("train-2", Make::Decoder(Run { seed: 2, ..DATE })),
    quick("train-lora", Make::Decoder(Run { method: Some(ADAPTERS), seed: 3, ..DATE })),
    quick("score", Make::Decoder(Run { part: Part::Score(0), ..DATE })),
    quick("score-trained", Make::Decoder(Run { part: Part::Score(STEPS), ..DATE })),
    quick(
        "score-lora",
        Make::Decoder(Run { method: Some(ADAPTERS), seed: 3, part: Part::Score(STEPS), ..DATE }),
    ),
    quick("trunk", Make::Decoder(Run { part: Part::Trunk, ..DATE })),
    quick("imported", Make::Imported(STEPS)),
    slow("smollm2-trunk", Make::Decoder(Run { part: Part::Trunk, ..SMOLLM2 })),
    slow("smollm2-train", Make::Decoder(SMOLLM2)),
    slow("smollm2-score", Make::Decoder(Run { part: Part::Score(2), seed: 2, ..SMOLLM2 })),
    slow("minilm-embed", Make::Encoder(encoder::Part::Embed)),
    slow("minilm-train", Make::Encoder(encoder::Part::Train(2))),
];

/// A case, ready to run.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) case: Case,
}

/// A case that was built.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// Whether it is one that every setting runs.
    pub(crate) quick: bool,
    pub(crate) built: Built,
}

impl Built {
    /// Training from moments of 0, with the same batch at every step.
    fn trained(
        graph: Graph,
        mut first: Vec<TensorProto>,
        trained: &[Parameter],
        adam: &AdamW,
        steps: u32,
    ) -> Self {
        let mut carry = BTreeMap::new();
        for Parameter { name, shape } in trained {
            let names = state_names(name);
            let zeros = vec![0.0; shape.iter().product()];
            first.extend(names[1..].iter().map(|moment| floats(moment, shape, &zeros)));
            carry.extend(names.map(|name| (name.clone(), next_name(&name))));
        }
        let scalars = |step: u32| {
            let StepScalars { rate, second, keep } = adam.scalars(step, steps);
            [("rate", rate), ("second", second), ("keep", keep)]
                .map(|(name, x)| floats(name, &[1], &[x]))
        };
        first.extend(scalars(0));
        let later = (1..steps).map(|step| scalars(step).to_vec());
        let steps = std::iter::once(first).chain(later).collect();
        Self { graph, case: Case { steps, carry } }
    }

    /// Writes the case with a model for each lowering.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let model = |(name, options): &(&str, _)| (model_file(name), lower(&self.graph, *options));
        self.case.write(folder, &LOWERINGS.iter().map(model).collect::<Vec<_>>())
    }
}

/// The options of a lowering of this name.
pub(crate) fn lowering(name: &str) -> LoweringOptions {
    LOWERINGS.iter().find(|(known, _)| *known == name).map_or(STOCK, |(_, options)| *options)
}

/// The file that holds a case's model under a lowering.
pub(crate) fn model_file(lowering: &str) -> String {
    if lowering == "stock" { "model.onnx".into() } else { format!("model.{lowering}.onnx") }
}

impl Entry {
    pub(crate) fn build(&self, artifacts: &Artifacts) -> anyhow::Result<Named> {
        let built = match &self.make {
            Make::KnownAnswer => known_answer(),
            Make::Decoder(run) => run.build(artifacts)?,
            Make::Encoder(part) => encoder::build(artifacts, part)?,
            Make::Imported(steps) => imported::build(*steps)?,
        };
        Ok(Named { name: self.name, quick: self.quick, built })
    }
}

fn known_answer() -> Built {
    let tensor = |(name, tensor): (String, dataforge_graph::interp::Tensor)| {
        if known_answer::INDICES.contains(&name.as_str()) {
            let data: Vec<i64> = tensor.data.iter().map(|x| *x as i64).collect();
            indices(&name, &tensor.shape, &data)
        } else {
            let data: Vec<f32> = tensor.data.iter().map(|x| *x as f32).collect();
            floats(&name, &tensor.shape, &data)
        }
    };
    let steps = vec![known_answer::inputs().into_iter().map(tensor).collect()];
    Built { graph: known_answer::graph(), case: Case { steps, carry: BTreeMap::new() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answer_comes_first_and_large_cases_last() {
        assert!(matches!(CASES[0].make, Make::KnownAnswer));
        assert!(CASES.is_sorted_by_key(|case| !case.quick));
    }
}
