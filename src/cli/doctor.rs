//! `scumble doctor`: examines a file from outside and says what to do about what it found.

mod checks;
mod jobs;
mod owners;

use std::io::Write;
use std::process::ExitCode;

use rusqlite::Connection;

use super::{complain, file};
use crate::config::DoctorArgs;

/// What one check came to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing to do.
    Fine(String),
    /// Something to do.
    Finding {
        /// What is wrong.
        what: String,
        /// What would help.
        todo: &'static str,
    },
}

impl Verdict {
    fn finding(what: impl Into<String>, todo: &'static str) -> Self {
        Self::Finding {
            what: what.into(),
            todo,
        }
    }
}

/// A file under examination.
struct Patient<'a> {
    args: &'a DoctorArgs,
    conn: Connection,
    /// By the relay's clock, ms since the epoch.
    now_ms: i64,
}

type Check = fn(&Patient<'_>) -> anyhow::Result<Vec<Verdict>>;

/// Those of the file as such come first: the others trust what they read.
const CHECKS: &[(&str, Check)] = &[
    ("sqlite", checks::sqlite),
    ("files", owners::files),
    ("schema", checks::schema),
    ("integrity", checks::integrity),
    ("journal", checks::journal),
    ("disk", checks::disk),
    ("instances", checks::instances),
    ("rules", checks::rules),
    ("presence", checks::presence),
    ("lag", checks::lag),
    ("cleanup", checks::cleanup),
    ("jobs", jobs::queues),
];

/// Examines; the exit code is 0 without findings, 1 with some, 2 if the file can't be read at all.
///
/// # Errors
/// When standard output is closed.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let conn = match file::open(&args.db) {
        Ok(conn) => conn,
        Err(error) => {
            complain(&error);
            return Ok(ExitCode::from(2));
        }
    };
    // A file without a clock is not a relay's: the schema check says so.
    let now_ms = file::now_ms(&conn).unwrap_or_default();
    let patient = Patient { args, conn, now_ms };
    let mut out = std::io::stdout().lock();
    let mut findings = 0;
    for (name, check) in CHECKS {
        let verdicts = check(&patient).unwrap_or_else(|error| {
            vec![Verdict::finding(
                format!("can't be checked: {error:#}"),
                "if the file is another scumble's, use that one's doctor; else restore a backup",
            )]
        });
        for verdict in verdicts {
            match verdict {
                Verdict::Fine(what) => writeln!(out, "ok       {name}: {what}")?,
                Verdict::Finding { what, todo } => {
                    findings += 1;
                    writeln!(out, "finding  {name}: {what}\n         -> {todo}")?;
                }
            }
        }
    }
    match findings {
        0 => writeln!(out, "no findings")?,
        1 => writeln!(out, "1 finding")?,
        n => writeln!(out, "{n} findings")?,
    }
    Ok(ExitCode::from(u8::from(findings > 0)))
}
