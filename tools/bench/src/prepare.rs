//! `prepare`: writes a workload's folder.

use crate::decoder::{Sizes, decoder};
use crate::demonstration::{date, icd_chapter, smollm2};
use crate::workload::Workload;
use clap::{Args, ValueEnum};
use dataforge_core::hash::EpochSeed;
use dataforge_engine::Weights;
use dataforge_node::Home;
use dataforge_node::artifacts::{ArtifactLock, Artifacts};
use dataforge_node::specs::Specs;
use std::path::PathBuf;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The demonstration: glassllm with the recipe of `date@1`.
    Date,
    /// glassllm on diagnoses and their chapters.
    IcdChapter,
    /// A decoder of 1.3 million parameters from random weights.
    Decoder,
    /// SmolLM2 with the recipe of its spec.
    Smollm2,
}

#[derive(Args)]
pub(crate) struct Prepare {
    /// What is trained.
    pub(crate) workload: Kind,
    /// Folder to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// The epoch's seed: batch order and random weights.
    #[arg(long, default_value_t = EpochSeed([1; 32]))]
    pub(crate) seed: EpochSeed,
    /// Train on the first rows only.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    pub(crate) rows_max: usize,
    #[command(flatten)]
    pub(crate) sizes: Sizes,
}

/// A workload with the model's weights.
pub(crate) struct Prepared {
    pub(crate) workload: Workload,
    pub(crate) weights: Weights,
}

/// What this build cannot measure, and why: not a failure.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

impl Prepare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Prepared { workload, weights } = self.build()?;
        workload.write(&self.out, &weights)
    }

    fn build(&self) -> anyhow::Result<Prepared> {
        let artifacts = Artifacts::new(&Home::discover()?, ArtifactLock::embedded()?);
        let specs = Specs::discover()?;
        let build = match self.workload {
            Kind::Date => date,
            Kind::IcdChapter => icd_chapter,
            Kind::Smollm2 => smollm2,
            Kind::Decoder => return decoder(&artifacts, self.sizes, &self.seed, self.rows_max),
        };
        build(&specs, &artifacts, &self.seed, self.rows_max)
    }
}
