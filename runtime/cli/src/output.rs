//! How results are printed.

use dataforge_core::units::MicroNats;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// Logs to stderr: warnings by default, `-v` for progress in words, `RUST_LOG` for anything else.
pub(crate) fn start_logging(verbose: u8) {
    let default = match verbose {
        0 if std::io::stderr().is_terminal() => "warn",
        0 => "warn,dataforge=info",
        1 => "info,ort=warn",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 1)
        .init();
}

/// Prints one JSON object.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    line(&text)
}

/// Prints a line to stdout; a reader that went away is no error of ours.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// A table without vertical lines.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header).add_rows(rows);
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Nats as a JSON number.
pub(crate) fn nats(value: MicroNats) -> f64 {
    value.0 as f64 / 1e6
}
