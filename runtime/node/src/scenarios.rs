//! Scenarios on disk: what a simulation is of, with the rules that it names.

use std::path::{Path, PathBuf};

use dataforge_core::units::Bytes;
use dataforge_settle::Rules;
use dataforge_settle::simulate::{Scenario, ScenarioError};

use crate::epochs::{EpochsError, lines, read_rules};
use crate::fs::{FileError, read_bounded};

/// A scenario. A larger file is refused before it is parsed.
pub const SCENARIO_BYTES_MAX: Bytes = Bytes(256 * 1024);

/// Why there is no scenario. Each variant names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenariosError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its rules could not be read.
    #[error(transparent)]
    Rules(#[from] EpochsError),
    /// It is no TOML, or has keys that a scenario has not.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What it says cannot be run.
    #[error("{}: {source}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ScenarioError,
    },
    /// A folder without a scenario.
    #[error("{} has no scenario: no file that ends in .toml", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// A scenario and the rules that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub scenario: Scenario,
    /// The market's rules.
    pub rules: Rules,
}

/// Reads a scenario, or every `.toml` of a folder by name.
///
/// # Errors
/// [`ScenariosError`], naming the file and where it can the line.
pub fn load(path: &Path) -> Result<Vec<Loaded>, ScenariosError> {
    if !path.is_dir() {
        return Ok(vec![load_file(path)?]);
    }
    let io = || FileError::io("list", path);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io())? {
        let file = entry.map_err(io())?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(ScenariosError::Empty { path: path.to_owned() }),
        false => files.iter().map(|file| load_file(file)).collect(),
    }
}

fn load_file(path: &Path) -> Result<Loaded, ScenariosError> {
    let bytes = read_bounded(path, SCENARIO_BYTES_MAX)?;
    let scenario: Scenario = lines::toml(&bytes)
        .map_err(|(line, reason)| ScenariosError::Line { path: path.to_owned(), line, reason })?;
    let refused = |source| ScenariosError::Scenario { path: path.to_owned(), source };
    scenario.check().map_err(refused)?;
    let rules = path.parent().unwrap_or(Path::new(".")).join(&scenario.rules);
    let rules = read_rules(&rules)?;
    Ok(Loaded { path: path.to_owned(), scenario, rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../eval-specs/markets/scenarios")
    }

    fn trained() -> PathBuf {
        folder().join("../trained")
    }

    #[test]
    fn every_scenario_here_can_be_run() {
        let (assumed, trained) = (load(&folder()).unwrap(), load(&trained()).unwrap());
        assert!(assumed.len() >= 30 && assumed.iter().all(|of| of.scenario.training.is_none()));
        assert!(trained.len() >= 2 && trained.iter().all(|of| of.scenario.training.is_some()));
        for Loaded { path, scenario, .. } in assumed.into_iter().chain(trained) {
            assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
        }
    }

    /// What a scenario that was changed like that is refused with, behind the file's name.
    fn refusal(from: &str, to: &str) -> String {
        let text = std::fs::read_to_string(folder().join("boost-always.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("scenario.toml");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = load(&path).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&error).to_owned()
    }

    #[test]
    fn hostile_scenarios_are_refused_with_file_and_reason() {
        let check = |from, to, reason: &str| {
            let found = refusal(from, to);
            assert!(found.starts_with(reason), "{found}");
        };
        check("[costs]", "[costs]\nbribe = 1", "line 20: unknown field `bribe`");
        check("withhold = false", "withhold = false\nmaybe = 1", "line 47: unknown field `maybe`");
        check("\"always", "\"sometimes", "line 43: unknown variant `sometimes`");
        check("disputed = 1_000_000", "disputed = -1", "line 28: invalid value");
        check("disputed = 1_000_000", "disputed = 0.5", "line 28: invalid type");
        check("disputed = 1_000_000", "disputed = 1_000_001", "replays.disputed is 1000001 ppm");
        check("epochs = 24", "epochs = 0", "line 5: invalid value");
        check("epochs = 24", "epochs = 4_000_000_000", "epochs · replications · stakes");
        check(", 600_000]", ", 1_000_001]", "attack.stakes is 1000001 ppm");
        check("seed = \"05", "seed = \"5", "line 4: expected 64 hexadecimal digits");
    }

    #[test]
    fn a_folder_without_scenarios_is_refused() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(load(home.path()), Err(ScenariosError::Empty { .. })));
        assert!(matches!(load(&home.path().join("none.toml")), Err(ScenariosError::File(_))));
    }
}
