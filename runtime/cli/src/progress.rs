//! Progress of long work: bars on a terminal, a log line every few seconds elsewhere.

use dataforge_evaluate::Progress;
use dataforge_node::artifacts::{FetchEvent, FetchObserver};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::info;

/// Least time between two log lines of one piece of work.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// One bar, or its log lines.
struct Bar {
    bar: ProgressBar,
    logged: Cell<Instant>,
}

impl Bar {
    fn new(template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, logged: Cell::new(Instant::now()) }
    }

    fn show(&self, done: u64, total: u64, message: &str, unit: &str) {
        self.bar.set_length(total);
        self.bar.set_message(message.to_owned());
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.logged.get().elapsed() >= LOG_EVERY {
            self.logged.set(Instant::now());
            let left = self.bar.eta();
            info!("{message}: {done} of {total} {unit}, about {} s left", left.as_secs());
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws work that is counted.
pub(crate) struct Counting {
    bar: Bar,
    unit: &'static str,
}

impl Counting {
    pub(crate) fn new(unit: &'static str) -> Self {
        Self { bar: Bar::new("  {msg} [{bar:30}] {pos}/{len} {eta} left"), unit }
    }

    pub(crate) fn show(&self, done: u64, total: u64, message: &str) {
        self.bar.show(done, total, message, self.unit);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.bar.clear();
    }
}

/// Draws artifact downloads.
pub(crate) struct Fetching {
    bar: RefCell<Option<Bar>>,
    stop: &'static AtomicBool,
}

impl Fetching {
    pub(crate) fn new(stop: &'static AtomicBool) -> Self {
        Self { bar: RefCell::new(None), stop }
    }
}

impl FetchObserver for Fetching {
    fn event(&self, event: FetchEvent<'_>) {
        match event {
            FetchEvent::Started { artifacts, package, total } => {
                info!(
                    "fetching {package} ({:.1} MB) for {}",
                    total.0 as f64 / 1e6,
                    artifacts.join(", ")
                );
                let template = "  {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
                *self.bar.borrow_mut() = Some(Bar::new(template));
            }
            FetchEvent::Progress { package, received, total } => {
                if let Some(bar) = &*self.bar.borrow() {
                    bar.show(received.0, total.0, package, "bytes");
                }
            }
            FetchEvent::Retrying { package, attempt, reason } => {
                tracing::warn!("{package}: attempt {attempt}: {reason}");
            }
            FetchEvent::Done { .. } => {
                if let Some(bar) = self.bar.borrow_mut().take() {
                    bar.clear();
                }
            }
            _ => {}
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Draws the stages of evaluating one thing.
pub(crate) struct Stage {
    label: RefCell<String>,
    bar: RefCell<Option<(&'static str, Bar)>>,
    start: Cell<Instant>,
}

impl Stage {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: RefCell::new(label.into()),
            bar: RefCell::new(None),
            start: Cell::new(Instant::now()),
        }
    }

    /// Goes on to evaluating something else.
    pub(crate) fn rename(&self, label: &str) {
        self.finish();
        *self.label.borrow_mut() = label.into();
    }

    pub(crate) fn finish(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.clear();
        }
    }

    pub(crate) fn event(&self, event: Progress) {
        let (stage, done, total, unit, tokens) = match event {
            Progress::Checked { rows, total } => ("checking", rows, total, "rows", None),
            Progress::Trained { steps, total, tokens } => {
                ("training", steps, total, "steps", Some(tokens))
            }
            Progress::Featured { rows, total } => ("frozen layers", rows, total, "rows", None),
            Progress::Scored { candidates, total } => {
                ("scoring", candidates, total, "candidates", None)
            }
            _ => return,
        };
        let mut bar = self.bar.borrow_mut();
        if bar.as_ref().is_none_or(|(current, _)| *current != stage) {
            if let Some((_, old)) = bar.take() {
                old.clear();
            }
            self.start.set(Instant::now());
            *bar = Some((stage, Bar::new("  {msg} [{bar:30}] {pos}/{len} {eta} left")));
        }
        let Some((_, bar)) = &*bar else { return };
        let mut message = format!("{} {stage}", self.label.borrow());
        let seconds = self.start.get().elapsed().as_secs_f64();
        if let Some(tokens) = tokens.filter(|_| seconds > 0.0) {
            message.push_str(&format!(", {:.0} tokens/s", tokens as f64 / seconds));
        }
        bar.show(done.into(), total.into(), &message, unit);
    }
}
