//! The steps of the write path at which tests make it fail, wait, or die.

use std::io;

use rusqlite::ffi;

use crate::config::{self, FailPoint, Step};

/// The fail points of a file.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct FailPoints(config::FailPoints);

impl FailPoints {
    /// Arms those points.
    pub(in crate::sqlite) fn new(points: &[FailPoint]) -> Self {
        Self(config::FailPoints::new(points))
    }

    /// Passes a step.
    ///
    /// # Errors
    /// `SQLITE_IOERR` where a test wants it.
    pub(in crate::sqlite) fn pass(&self, step: Step) -> rusqlite::Result<()> {
        self.0.pass(step).map_err(|_| {
            let code = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
            let text = "disk I/O error (a fail point)".to_owned();
            rusqlite::Error::SqliteFailure(code, Some(text))
        })
    }

    /// Passes a step of a file that is none of SQLite's.
    ///
    /// # Errors
    /// The same.
    pub(in crate::sqlite) fn pass_file(&self, step: Step) -> io::Result<()> {
        let failed = |_| io::Error::other("disk I/O error (a fail point)");
        self.0.pass(step).map_err(failed)
    }

    /// Passes a step that cannot fail.
    pub(in crate::sqlite) fn note(&self, step: Step) {
        self.0.note(step);
    }
}
