//! The report of a load: a progress line on stderr, and a summary or one JSON object on stdout.

use std::io::{IsTerminal, Write};

use serde_json::Value;

/// Says where the load is: one line, written over the one before when somebody watches.
pub fn progress(line: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody reads a progress line that can't be written.
    let _ = if err.is_terminal() {
        write!(err, "\r{line}\x1b[K").and_then(|()| err.flush())
    } else {
        writeln!(err, "{line}")
    };
}

/// Ends the progress line, so that what follows begins at the margin.
pub fn progress_end() {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = writeln!(err);
    }
}

/// The result on stdout.
///
/// # Errors
/// When stdout is closed.
pub fn result(as_json: bool, json: &Value, lines: &[(&str, String)]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{json}")?;
    } else {
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in lines {
            writeln!(out, "{name:width$}  {value}")?;
        }
    }
    out.flush()
}

/// `count` over `seconds`, to one digit after the point.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^52"
)]
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        0.0
    } else {
        (count as f64 / seconds * 10.0).round() / 10.0
    }
}

/// Seconds to three digits after the point.
pub fn seconds(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
