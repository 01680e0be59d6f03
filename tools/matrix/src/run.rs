//! One process of the matrix: written cases in one ONNX Runtime library.

use crate::Run;
use crate::case::Folder;
use crate::runner::Report;
use crate::setting::Level;
use anyhow::Context as _;
use dataforge_core::hash::FileDigest;
use dataforge_engine::{Model, Optimisation, Options, Runtime};
use std::io::Write as _;
use std::path::Path;

/// Prints each report as soon as it is there: a crash then loses only what comes after.
pub(crate) fn run(arguments: &Run) -> anyhow::Result<()> {
    let options = Options {
        threads: arguments.threads,
        lowering: Some(arguments.lowering),
        ..Options::default()
    };
    // An engine that is not exact runs too: what it gives is for the table to judge.
    let (runtime, _) = Runtime::examine(&arguments.library, options)?;
    let optimisation = match arguments.optimisation {
        Level::None => Optimisation::None,
        Level::Basic => Optimisation::Basic,
        Level::All => Optimisation::All,
    };
    for folder in &arguments.folders {
        let case = folder.file_name().and_then(|name| name.to_str());
        let case = case.context("a case's folder has a name")?.to_owned();
        let report = match digest(&runtime, folder, &arguments.model, optimisation) {
            Ok(digest) => Report { case, digest: Some(digest), error: None },
            Err(error) => Report { case, digest: None, error: Some(format!("{error:#}")) },
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        out.flush()?;
    }
    Ok(())
}

fn digest(
    runtime: &Runtime,
    folder: &Path,
    model: &str,
    optimisation: Optimisation,
) -> anyhow::Result<FileDigest> {
    let folder = Folder::open(folder)?;
    let mut model = Model::load(runtime, &folder.model(model)?, optimisation)?;
    folder.digest(|inputs| Ok(model.run(inputs.values())?))
}
