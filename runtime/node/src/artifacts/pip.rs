//! Downloads one wheel with `python3 -m pip download`, so that the user's index settings hold.
//!
//! Nothing is installed and no code of the package runs: only wheels are accepted, by digest,
//! without their dependencies. The wheel asked for depends on the lock alone, not on the version of
//! Python that runs pip.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use dataforge_core::units::Bytes;

use super::lock::Wheel;
use super::{ArtifactError, FetchEvent, FetchObserver};
use crate::fs::{FileError, create_folder, write_atomic};

/// How often one download is tried when the network fails.
const ATTEMPTS: u32 = 3;

/// How long to wait before the second attempt; doubled before each further one.
const BACKOFF: Duration = Duration::from_secs(1);

/// How often pip is looked at: short enough for a smooth bar and a prompt Ctrl-C.
const POLL: Duration = Duration::from_millis(100);

/// The end of pip's messages that is kept, in bytes and in lines: its verdict comes last.
const MESSAGE_BYTES_MAX: u64 = 16 * 1024;
const MESSAGE_LINES_MAX: usize = 8;

/// Folders inside folders that are counted for progress. pip uses three.
const DEPTH_MAX: u32 = 8;

/// How to start pip.
#[derive(Debug, Clone)]
pub struct Pip {
    python: OsString,
    variables: Vec<(OsString, OsString)>,
    backoff: Duration,
}

impl Default for Pip {
    /// `python3` from the search path, or the program that `DATAFORGE_PYTHON` names.
    fn default() -> Self {
        let python = std::env::var_os("DATAFORGE_PYTHON").filter(|value| !value.is_empty());
        Self::new(python.unwrap_or_else(|| "python3".into()))
    }
}

/// Why one attempt failed.
enum Failure {
    /// Another attempt may work.
    Network(String),
    /// Another attempt would end the same way.
    Final(ArtifactError),
}

/// One download: what, for whom, and where its files go.
struct Job<'a> {
    wheel: &'a Wheel,
    names: String,
    scratch: &'a Path,
    observer: &'a dyn FetchObserver,
}

impl Pip {
    /// pip of the given Python.
    pub fn new(python: impl Into<OsString>) -> Self {
        Self { python: python.into(), variables: Vec::new(), backoff: BACKOFF }
    }

    /// Sets an environment variable for pip alone, such as `PIP_INDEX_URL`.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Waits this long before the second attempt instead of a second.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Downloads `wheel` into `scratch` (an empty folder of the caller's) and returns its path.
    /// `artifacts` are the names it is fetched for.
    pub(super) fn download(
        &self,
        wheel: &Wheel,
        artifacts: &[String],
        scratch: &Path,
        observer: &dyn FetchObserver,
    ) -> Result<PathBuf, ArtifactError> {
        let job = Job { wheel, names: artifacts.join(" "), scratch, observer };
        let package = wheel.requirement.as_str();
        observer.event(FetchEvent::Started { artifacts, package, total: wheel.size });
        let mut wait = self.backoff;
        let mut attempt = 1;
        loop {
            let tail = match self.attempt(&job, attempt) {
                Ok(path) => return Ok(path),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Network(tail)) => tail,
            };
            if attempt == ATTEMPTS {
                return Err(ArtifactError::NoNetwork {
                    names: job.names,
                    package: package.to_owned(),
                    attempts: ATTEMPTS,
                    tail,
                });
            }
            attempt += 1;
            let reason = tail.lines().last().unwrap_or_default();
            observer.event(FetchEvent::Retrying { package, attempt, reason });
            job.pause(wait)?;
            wait = wait.saturating_mul(2);
        }
    }

    fn attempt(&self, job: &Job<'_>, attempt: u32) -> Result<PathBuf, Failure> {
        // A folder per attempt: what a failed one left behind is never mistaken for a result.
        let folder = job.scratch.join(attempt.to_string());
        let target = folder.join("wheel");
        let log = folder.join("log");
        let child = self.start(job, &folder, &target, &log)?;
        let status = job.wait(child, &folder)?;
        if status.success() {
            return only_file(&target).map_err(|error| Failure::Final(error.into()));
        }
        let tail = last_lines(&log);
        Err(self.judge(job, &tail))
    }

    /// Starts pip with both its outputs in `log`: a file cannot fill up and block it like a pipe.
    fn start(
        &self,
        job: &Job<'_>,
        folder: &Path,
        target: &Path,
        log: &Path,
    ) -> Result<Child, Failure> {
        let requirements = folder.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", job.wheel.requirement, job.wheel.digest);
        let temporary = folder.join("tmp");
        create_folder(&temporary)?;
        write_atomic(&requirements, line.as_bytes())?;
        let output = File::create(log).map_err(FileError::io("create", log))?;
        let copy = output.try_clone().map_err(FileError::io("share", log))?;
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pip", "download", "--no-input", "--disable-pip-version-check"])
            .args(["--progress-bar", "off", "--retries", "1"])
            .args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
            .args(["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"])
            .args(["--platform", job.wheel.pip_platform.as_deref().unwrap_or("any")])
            .arg("--requirement")
            .arg(&requirements)
            .arg("--dest")
            .arg(target)
            // Where pip keeps a file while it downloads it, so that its growth can be watched.
            .env("TMPDIR", &temporary)
            // `judge` reads pip's messages.
            .env("LC_ALL", "C.UTF-8")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(copy);
        command.spawn().map_err(|source| {
            Failure::Final(ArtifactError::NoPython {
                names: job.names.clone(),
                python: self.python.to_string_lossy().into_owned(),
                source,
            })
        })
    }

    /// What pip's last words mean. pip has one exit code for everything, so its text has to do.
    fn judge(&self, job: &Job<'_>, tail: &str) -> Failure {
        const NETWORK: [&str; 8] = [
            "Retrying (",
            "Connection",
            "timed out",
            "Temporary failure",
            "IncompleteRead",
            "ProtocolError",
            "SSLError",
            "HTTP error 5",
        ];
        let says = |text: &str| tail.contains(text);
        let names = job.names.clone();
        if says("No module named pip") {
            let python = self.python.to_string_lossy().into_owned();
            return Failure::Final(ArtifactError::NoPip { names, python });
        }
        if says("DO NOT MATCH THE HASHES") {
            let found = tail.lines().find_map(|line| line.trim().strip_prefix("Got"));
            return Failure::Final(ArtifactError::HashMismatch {
                names,
                file: format!("the wheel of {}", job.wheel.requirement),
                expected: job.wheel.digest,
                found: found.unwrap_or("another").trim().to_owned(),
            });
        }
        if NETWORK.iter().any(|text| says(text)) {
            return Failure::Network(tail.to_owned());
        }
        let package = job.wheel.requirement.clone();
        Failure::Final(ArtifactError::FetchFailed { names, package, tail: tail.to_owned() })
    }
}

impl Job<'_> {
    /// Waits for pip, reporting progress, and kills it when the observer cancels.
    fn wait(&self, child: Child, folder: &Path) -> Result<ExitStatus, Failure> {
        let mut child = KillOnDrop(child);
        let mut reported = 0;
        loop {
            let status = child.0.try_wait().map_err(FileError::io("wait for pip in", folder))?;
            if let Some(status) = status {
                // Ctrl-C reaches pip too: its failure is then no verdict about the network.
                self.check_cancelled()?;
                return Ok(status);
            }
            self.check_cancelled()?;
            let received = folder_bytes(folder, DEPTH_MAX).min(self.wheel.size.0);
            if received > reported {
                reported = received;
                self.observer.event(FetchEvent::Progress {
                    package: &self.wheel.requirement,
                    received: Bytes(received),
                    total: self.wheel.size,
                });
            }
            std::thread::sleep(POLL);
        }
    }

    fn pause(&self, length: Duration) -> Result<(), ArtifactError> {
        let mut left = length;
        while !left.is_zero() {
            self.check_cancelled()?;
            let step = left.min(POLL);
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), ArtifactError> {
        if self.observer.cancelled() {
            return Err(ArtifactError::Cancelled { names: self.names.clone() });
        }
        Ok(())
    }
}

impl From<ArtifactError> for Failure {
    fn from(error: ArtifactError) -> Self {
        Self::Final(error)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Final(error.into())
    }
}

/// Ends the process on every way out, panics of the observer included.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only when the process has ended and been waited for, which is the aim.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// pip was asked for one package without dependencies, so one file is there.
fn only_file(folder: &Path) -> Result<PathBuf, FileError> {
    let mut entries = fs::read_dir(folder).map_err(FileError::io("list", folder))?;
    let none = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let entry = entries.next().unwrap_or_else(|| Err(none()));
    Ok(entry.map_err(FileError::io("find the wheel in", folder))?.path())
}

/// Bytes of all files under `folder`. Unreadable parts count as empty: this is for a progress bar,
/// and pip removes files while it runs.
fn folder_bytes(folder: &Path, depth: u32) -> u64 {
    let Some(deeper) = depth.checked_sub(1) else { return 0 };
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => folder_bytes(&entry.path(), deeper),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The last lines of pip's messages, without colours and control characters.
fn last_lines(log: &Path) -> String {
    let mut bytes = Vec::new();
    // A log that cannot be read leaves the message empty: the fetch has failed already, and that
    // is what is reported.
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |data| data.len());
        let start = SeekFrom::Start(length.saturating_sub(MESSAGE_BYTES_MAX));
        let _ = file.seek(start).and_then(|_| file.take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(MESSAGE_LINES_MAX)..].join("\n")
}
