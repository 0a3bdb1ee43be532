//! Why a transaction of the writer was not committed, sorted by what the writer does about it.

use thiserror::Error;

use super::store_error::StoreError;

/// Why a thread cannot go on; the process must end.
#[derive(Debug)]
pub(in crate::sqlite) struct Fatal(pub(in crate::sqlite) String);

/// Why there was no commit.
#[derive(Debug, Error)]
pub(in crate::sqlite) enum Stopped {
    /// SQLite or the disk: it is tried again, unless the file turns out to be damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the process has around the database failed, and may be in order later: it is tried again.
    #[error("{0}")]
    Around(String),
    /// This process must not go on with the file. Its messages are put aside like others.
    #[error("{}", .0.0)]
    Fatal(Fatal),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
