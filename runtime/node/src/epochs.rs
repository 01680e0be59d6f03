//! Epochs on disk: what happened in each, and what settling made of it.
//!
//! An epochs folder has the market's `rules.toml` and one folder per epoch, named by its number:
//!
//! | file | what it holds |
//! |---|---|
//! | `events.jsonl` | what happened, one event per line; it is only ever appended to |
//! | `rules.toml` | the epoch's own rules, where they are not those beside the epochs |
//! | `weights.json` | the miners' weights as the chain takes them |
//! | `report.html` | the report as a page |
//! | `report.json` | the report and its digest |
//! | `ledger.json` | the state after the epoch and its digest; written last: with it the epoch is settled |
//!
//! Invariant: all but the first two follow from the events, the rules and the epochs before, so
//! they can be deleted and made again. Nothing that is read here is believed: every digest is
//! computed, and amounts are added up. What an epoch comes to is for `dataforge-settle` to say.

mod error;
pub(crate) mod lines;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use dataforge_core::hash::{HotkeyId, LedgerDigest, SettlementDigest};
use dataforge_core::limits::{LEDGER_BYTES_MAX, RULES_BYTES_MAX};
use dataforge_settle::{Epoch, Event, Ledger, Report, Rules, SettleError, Settled, settle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fs::{FileError, create_folder, read_bounded, write_atomic};

pub use error::EpochsError;

const EVENTS: &str = "events.jsonl";
const RULES: &str = "rules.toml";
const WEIGHTS: &str = "weights.json";
const PAGE: &str = "report.html";
const REPORT: &str = "report.json";
const LEDGER: &str = "ledger.json";

/// One epoch's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochFolder {
    path: PathBuf,
    number: Epoch,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFile<L> {
    digest: LedgerDigest,
    ledger: L,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportFile<R> {
    digest: SettlementDigest,
    report: R,
}

#[derive(Serialize)]
struct WeightsFile<'a> {
    epoch: Epoch,
    digest: SettlementDigest,
    weights: &'a [(HotkeyId, u16)],
}

impl EpochFolder {
    /// The epoch in a folder, which exists and is named by the epoch's number.
    ///
    /// # Errors
    /// [`EpochsError::NotAnEpoch`], or [`EpochsError::File`] where there is no such folder.
    pub fn at(path: &Path) -> Result<Self, EpochsError> {
        // `.` has no name of its own.
        let full = path.canonicalize().map_err(FileError::io("open", path))?;
        let name = full.file_name().unwrap_or_default().to_string_lossy();
        match number_in(&name) {
            Some(number) => Ok(Self { path: path.to_owned(), number }),
            None => Err(EpochsError::NotAnEpoch { path: path.to_owned() }),
        }
    }

    /// All epochs of a folder, from 0.
    ///
    /// # Errors
    /// [`EpochsError::Missing`] where one is not there, or none; [`EpochsError::File`].
    pub fn all(epochs: &Path) -> Result<Vec<Self>, EpochsError> {
        let unreadable = || FileError::io("list", epochs);
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(epochs).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            numbers.extend(number_in(&entry.file_name().to_string_lossy()));
        }
        numbers.sort_unstable();
        let mut found = Vec::with_capacity(numbers.len());
        for (expected, number) in (0..).map(Epoch).zip(numbers) {
            if number != expected {
                return Err(EpochsError::Missing { epochs: epochs.to_owned(), epoch: expected });
            }
            found.push(Self { path: epochs.join(number.to_string()), number });
        }
        match found.is_empty() {
            true => Err(EpochsError::Missing { epochs: epochs.to_owned(), epoch: Epoch(0) }),
            false => Ok(found),
        }
    }

    /// The folder, as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which epoch.
    #[must_use]
    pub fn number(&self) -> Epoch {
        self.number
    }

    /// The folder of all epochs.
    fn epochs(&self) -> PathBuf {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && self.is_named() => parent.to_owned(),
            Some(_) if self.is_named() => PathBuf::from("."),
            _ => self.path.join(".."),
        }
    }

    /// Whether the path ends with the epoch's number, rather than being `.` or the like.
    fn is_named(&self) -> bool {
        self.path.file_name().is_some_and(|name| *name == *self.number.to_string())
    }

    /// The report as a page.
    #[must_use]
    pub fn page(&self) -> PathBuf {
        self.path.join(PAGE)
    }

    /// The epoch's rules: those given, else its own, else those beside the epochs.
    ///
    /// # Errors
    /// [`EpochsError`], naming file and line.
    pub fn rules(&self, given: Option<&Path>) -> Result<Rules, EpochsError> {
        let own = self.path.join(RULES);
        match given {
            Some(path) => read_rules(path),
            None if own.exists() => read_rules(&own),
            None => read_rules(&self.epochs().join(RULES)),
        }
    }

    /// Appends to what happened. The folder is created when missing.
    ///
    /// # Errors
    /// [`EpochsError`], naming the file.
    pub fn append(&self, events: &[Event]) -> Result<(), EpochsError> {
        let path = self.path.join(EVENTS);
        create_folder(&self.path)?;
        lines::expect_whole(&path)?;
        let mut bytes = Vec::new();
        for event in events {
            serde_json::to_writer(&mut bytes, event).map_err(unwritable(&path))?;
            bytes.push(b'\n');
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.map_err(FileError::io("open", &path))?;
        file.write_all(&bytes).map_err(FileError::io("write", &path))?;
        file.sync_all().map_err(FileError::io("sync", &path))?;
        Ok(())
    }

    /// What happened.
    ///
    /// # Errors
    /// [`EpochsError`], naming file and line.
    pub fn events(&self) -> Result<Vec<Event>, EpochsError> {
        lines::read(&self.path.join(EVENTS))
    }

    /// The state before this epoch.
    ///
    /// # Errors
    /// As [`Self::ledger`]; [`EpochsError::NotSettled`] of the epoch before.
    pub fn before(&self) -> Result<Ledger, EpochsError> {
        let Some(number) = self.number.0.checked_sub(1) else { return Ok(Ledger::default()) };
        let path = self.epochs().join(number.to_string());
        let before = Self { path, number: Epoch(number) };
        let ledger = before.ledger()?;
        ledger.ok_or(EpochsError::NotSettled { path: before.path })
    }

    /// The state after this epoch, if it is settled.
    ///
    /// # Errors
    /// [`EpochsError`], where it is cut short, altered, out of balance, or of another epoch.
    pub fn ledger(&self) -> Result<Option<Ledger>, EpochsError> {
        let path = self.path.join(LEDGER);
        let Some(file) = read_json::<LedgerFile<Ledger>>(&path)? else { return Ok(None) };
        let LedgerFile { digest, ledger } = file;
        expect_digest(&path, ledger.digest(), digest)?;
        if let Err(source) = ledger.check() {
            return Err(EpochsError::Unbalanced { path, source });
        }
        let expected = Epoch(self.number.0.saturating_add(1));
        expect_epoch(&path, ledger.epoch, expected)?;
        Ok(Some(ledger))
    }

    /// Whether the epoch looks settled. [`Self::ledger`] says whether it is.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        self.path.join(LEDGER).is_file()
    }

    /// What this epoch came to, if it is settled.
    ///
    /// # Errors
    /// [`EpochsError`], where it is cut short, altered, or of another epoch.
    pub fn report(&self) -> Result<Option<Report>, EpochsError> {
        let path = self.path.join(REPORT);
        let Some(file) = read_json::<ReportFile<Report>>(&path)? else { return Ok(None) };
        let ReportFile { digest, report } = file;
        expect_digest(&path, report.digest(), digest)?;
        expect_epoch(&path, report.epoch, self.number)?;
        Ok(Some(report))
    }

    /// What these events come to after this state. Writes nothing.
    ///
    /// # Errors
    /// [`EpochsError`], naming the events' file and line.
    pub fn settle(
        &self,
        rules: &Rules,
        before: &Ledger,
        events: &[Event],
    ) -> Result<Settled, EpochsError> {
        let path = self.path.join(EVENTS);
        settle(rules, before, events).map_err(|error| match error {
            // Every event has a line of its own.
            SettleError::Event { number: line, fault } => {
                EpochsError::Event { path, line, fault: Box::new(fault) }
            }
            source => EpochsError::Settle { path, source: Box::new(source) },
        })
    }

    /// Whether the epoch is settled, and came to just this.
    ///
    /// # Errors
    /// [`EpochsError::Differs`] where it came to something else; else as [`Self::ledger`].
    pub fn is_settled_as(&self, settled: &Settled) -> Result<bool, EpochsError> {
        let (report, ledger) = (self.report()?, self.ledger()?);
        if let Some(report) = &report {
            expect_same(self.path.join(REPORT), report.digest(), settled.report.digest())?;
        }
        if let Some(ledger) = &ledger {
            expect_same(self.path.join(LEDGER), ledger.digest(), settled.ledger.digest())?;
        }
        Ok(report.is_some() && ledger.is_some())
    }

    /// Writes what the epoch came to. Whatever ends this early, the epoch is settled with all of
    /// its files or not at all.
    ///
    /// # Errors
    /// [`EpochsError::File`].
    pub fn write(&self, settled: &Settled, page: &str) -> Result<(), EpochsError> {
        let Settled { ledger, report } = settled;
        let digest = report.digest();
        let weights = WeightsFile { epoch: report.epoch, digest, weights: &report.weights };
        write_json(&self.path.join(WEIGHTS), &weights)?;
        self.write_page(page)?;
        write_json(&self.path.join(REPORT), &ReportFile { digest, report })?;
        write_json(&self.path.join(LEDGER), &LedgerFile { digest: ledger.digest(), ledger })
    }

    /// Writes the page alone.
    ///
    /// # Errors
    /// [`EpochsError::File`].
    pub fn write_page(&self, page: &str) -> Result<(), EpochsError> {
        Ok(write_atomic(&self.page(), page.as_bytes())?)
    }
}

/// A number as it is printed: `07` and `+7` would name the epoch 7 a second time.
fn number_in(name: &str) -> Option<Epoch> {
    let number = name.parse().ok().map(Epoch)?;
    (number.to_string() == name).then_some(number)
}

/// Reads rules that contradict nothing.
///
/// # Errors
/// [`EpochsError`], naming the file and where it can the line.
pub fn read_rules(path: &Path) -> Result<Rules, EpochsError> {
    let bytes = read_bounded(path, RULES_BYTES_MAX)?;
    let rules: Rules = lines::toml(&bytes).map_err(|(line, reason)| EpochsError::Line {
        path: path.to_owned(),
        line,
        reason,
    })?;
    match rules.check() {
        Ok(()) => Ok(rules),
        Err(source) => Err(EpochsError::Rules { path: path.to_owned(), source }),
    }
}

/// What a file holds; nothing where there is none.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EpochsError> {
    let bytes = match read_bounded(path, LEDGER_BYTES_MAX) {
        Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        bytes => bytes?,
    };
    let line = |error: serde_json::Error| EpochsError::Line {
        path: path.to_owned(),
        line: error.line(),
        reason: lines::reason(&error),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(line)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), EpochsError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(unwritable(path))?;
    bytes.push(b'\n');
    Ok(write_atomic(path, &bytes)?)
}

/// What is written here always has a JSON form.
fn unwritable(path: &Path) -> impl FnOnce(serde_json::Error) -> FileError {
    move |error| FileError::io("write", path)(error.into())
}

fn expect_digest<D: PartialEq + ToString>(
    path: &Path,
    found: D,
    stated: D,
) -> Result<(), EpochsError> {
    if found == stated {
        return Ok(());
    }
    let (found, stated) = (found.to_string(), stated.to_string());
    Err(EpochsError::Altered { path: path.to_owned(), found, stated })
}

fn expect_same<D: PartialEq + ToString>(
    path: PathBuf,
    found: D,
    expected: D,
) -> Result<(), EpochsError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found.to_string(), expected.to_string());
    Err(EpochsError::Differs { path, found, expected })
}

fn expect_epoch(path: &Path, found: Epoch, expected: Epoch) -> Result<(), EpochsError> {
    match found == expected {
        true => Ok(()),
        false => Err(EpochsError::Misplaced { path: path.to_owned(), found, expected }),
    }
}
