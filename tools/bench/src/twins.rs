//! Near-duplicates found among labelled texts: how many of the edited copies, and how many others.

use clap::Args;
use dataforge_core::similarity::{Sketches, Twin};
use dataforge_core::units::Ppm;
use dataforge_sandbox::{KernelLimits, Sandbox};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

use crate::kernels;

#[derive(Args)]
pub(crate) struct Twins {
    /// JSON Lines: objects with a `text`, and in `of` the place of what it is a copy of, or null.
    input: PathBuf,
    /// Similarity from which texts are twins, in parts per million.
    least: u32,
}

#[derive(Deserialize)]
struct Labelled {
    text: String,
    of: Option<u32>,
}

/// What was found, with what was to be found.
#[derive(Default, Serialize)]
pub(crate) struct Found {
    /// Texts that are copies.
    copies: u32,
    /// Of them, those whose twin is what they are a copy of.
    right: u32,
    /// Texts with another twin than the label says, or with one when they are no copy.
    wrong: u32,
    precision: f64,
    recall: f64,
    f1: f64,
}

pub(crate) fn run(Twins { input, least }: &Twins) -> anyhow::Result<Found> {
    let wasm = kernels::pinned("similarity")?;
    let kernel = Sandbox::new()?.similarity_kernel(&wasm, KernelLimits::default())?;
    let lines = fs::read_to_string(input)?;
    let labelled: Vec<Labelled> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = labelled.iter().map(|one| one.text.as_str()).collect();
    let mut sketches = Sketches::default();
    kernel.sketch(&texts)?.value.into_iter().for_each(|sketch| sketches.push(sketch));
    let mut found = Found::default();
    for (label, twin) in labelled.iter().zip(sketches.twins(0, Ppm(*least))) {
        let of = twin.map(|Twin { of, .. }| of);
        found.copies += u32::from(label.of.is_some());
        found.right += u32::from(of.is_some() && of == label.of);
        found.wrong += u32::from(of.is_some() && of != label.of);
    }
    let [copies, right, wrong] = [found.copies, found.right, found.wrong].map(f64::from);
    found.precision = right / (right + wrong);
    found.recall = right / copies;
    found.f1 = 2.0 * right / (copies + right + wrong);
    Ok(found)
}
