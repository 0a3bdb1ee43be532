//! `scumble doctor`: examines a file, or a relay in Redis, from outside, and says what to do about each finding.

mod assets;
mod checks;
mod jobs;
mod owners;
mod redis;

use std::io::Write;
use std::process::ExitCode;

use rusqlite::Connection;

use super::{complain, file, redis_of};
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
    ("assets", assets::files),
];

/// Examines; the exit code is 0 without findings, 1 with some, 2 if the file can't be read at all.
///
/// # Errors
/// When standard output is closed.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    if let Some(settings) = redis_of(&args.source) {
        return redis::run(&settings, args);
    }
    let conn = match file::open(&args.source.db) {
        Ok(conn) => conn,
        Err(error) => {
            complain(&error);
            return Ok(ExitCode::from(2));
        }
    };
    // A file without a clock is not a relay's: the schema check says so.
    let now_ms = file::now_ms(&conn).unwrap_or_default();
    let patient = Patient { args, conn, now_ms };
    let mut told = Told::default();
    for (name, check) in CHECKS {
        let todo = "if the file is another scumble's, use that one's doctor; else restore a backup";
        told.all(name, check(&patient), todo)?;
    }
    told.end()
}

/// What was found so far.
#[derive(Default)]
struct Told {
    findings: usize,
}

impl Told {
    /// Prints what a check came to; `todo` is for one that could not be done.
    fn all(
        &mut self,
        name: &str,
        verdicts: anyhow::Result<Vec<Verdict>>,
        todo: &'static str,
    ) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let verdicts = verdicts.unwrap_or_else(|error| {
            vec![Verdict::finding(
                format!("can't be checked: {error:#}"),
                todo,
            )]
        });
        for verdict in verdicts {
            match verdict {
                Verdict::Fine(what) => writeln!(out, "ok       {name}: {what}")?,
                Verdict::Finding { what, todo } => {
                    self.findings += 1;
                    writeln!(out, "finding  {name}: {what}\n         -> {todo}")?;
                }
            }
        }
        Ok(())
    }

    /// Prints how many there were; the exit code.
    fn end(&self) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        match self.findings {
            0 => writeln!(out, "no findings")?,
            1 => writeln!(out, "1 finding")?,
            n => writeln!(out, "{n} findings")?,
        }
        Ok(ExitCode::from(u8::from(self.findings > 0)))
    }
}
