//! One engine in a process of its own, which takes and times steps when told to.
//!
//! The protocol is one line each way: we write `steps N`, it answers `{"ms": […], "peak_mib": …}`,
//! and ours the root of its state. Before the first, it says what it is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::peers::Peers;

/// Which engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The exact profile, with sums computed by this lowering.
    Exact(String),
    /// The same graphs in plain f32.
    Fast,
    /// PyTorch f32, eager or compiled.
    Torch {
        /// With `torch.compile`.
        compiled: bool,
    },
}

impl Kind {
    /// What `dataforge-bench` calls it; empty for PyTorch.
    pub(super) fn lowering(&self) -> &str {
        match self {
            Self::Exact(name) => name,
            Self::Fast => "fast",
            Self::Torch { .. } => "",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "exact, {name}"),
            Self::Fast => f.write_str("fast"),
            Self::Torch { compiled: false } => f.write_str("torch"),
            Self::Torch { compiled: true } => f.write_str("torch.compile"),
        }
    }
}

/// What a party says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ready {
    pub(super) engine: String,
    pub(super) tokens_per_step: usize,
    /// Elements that training moves.
    pub(super) parameters: usize,
}

#[derive(Deserialize)]
struct Turn {
    ms: Vec<f64>,
    peak_mib: Option<f64>,
    state_root: Option<String>,
}

/// A party with what it has measured.
pub(super) struct Party {
    pub(super) kind: Kind,
    pub(super) ready: Ready,
    /// Of every step that counts.
    pub(super) ms: Vec<f64>,
    /// Of its process so far, loading included.
    pub(super) peak_mib: Option<f64>,
    /// After its last step: of lowerings of the exact profile it must be the same.
    pub(super) state_root: Option<String>,
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Party {
    pub(super) fn start(
        peers: &Peers,
        kind: Kind,
        folder: &Path,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let mut command = match &kind {
            Kind::Torch { .. } => peers.torch(),
            Kind::Exact(_) | Kind::Fast => peers.ours(),
        };
        command.arg("serve").arg(folder).args(["--threads", &threads.to_string()]);
        match &kind {
            Kind::Torch { compiled: false } => {}
            Kind::Torch { compiled: true } => {
                command.arg("--compile");
            }
            Kind::Exact(_) | Kind::Fast => {
                command.args(["--lowering", kind.lowering()]);
            }
        }
        let shown = format!("{command:?}");
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.with_context(|| format!("cannot start {shown}"))?;
        let to = process.stdin.take();
        let from = process.stdout.take().context("a child without output: this is our bug")?;
        let mut from = BufReader::new(from);
        let ready = read(&mut from).with_context(|| format!("{shown} did not start"))?;
        Ok(Self { kind, ready, ms: vec![], peak_mib: None, state_root: None, process, to, from })
    }

    /// Steps that do not count.
    pub(super) fn warm(&mut self, steps: usize) -> anyhow::Result<()> {
        self.take(steps).map(|_| ())
    }

    /// Steps that count.
    pub(super) fn turn(&mut self, steps: usize) -> anyhow::Result<()> {
        let turn = self.take(steps)?;
        self.ms.extend(turn.ms);
        self.peak_mib = turn.peak_mib;
        self.state_root = turn.state_root;
        Ok(())
    }

    fn take(&mut self, steps: usize) -> anyhow::Result<Turn> {
        let to = self.to.as_mut().context("a party was told to end: this is our bug")?;
        writeln!(to, "steps {steps}").and_then(|()| to.flush()).context("the party has ended")?;
        let turn: Turn = read(&mut self.from)?;
        if turn.ms.len() != steps {
            bail!("{} steps were asked for, {} were timed", steps, turn.ms.len());
        }
        Ok(turn)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        // The end of its input ends the process.
        drop(self.to.take());
        if let Err(error) = self.process.wait() {
            eprintln!("{}: {error}", self.kind);
        }
    }
}

fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> anyhow::Result<T> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        bail!("it ended without an answer; what it said is above");
    }
    serde_json::from_str(&line).with_context(|| format!("not an answer: {line:.200}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_line_by_line() {
        let mut from = "{\"ms\": [1.5, 2.0], \"peak_mib\": null}\nTraceback\n".as_bytes();
        let turn: Turn = read(&mut from).unwrap();
        assert_eq!((turn.ms, turn.peak_mib), (vec![1.5, 2.0], None));
        let error = read::<Turn>(&mut from).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("Traceback"), "{error}");
        let error = read::<Turn>(&mut from).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
    }
}
