//! Why the tables refused a transaction's request: SQLite's reasons, and ours.

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::backplane::CanvasKey;

/// Why there is no answer of the tables.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite has a reason.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Somebody asked for a canvas that has ended.
    #[error("there is no canvas {} in the file", .0.0)]
    NoCanvas(CanvasKey),
    /// Rooms would be told of rows under ids that are not theirs.
    #[error("rows of message_queue got other ids than the next ones")]
    OtherIds,
    /// Nothing was ever written like that.
    #[error("the object {id:?} can't be parsed: {why}")]
    Object {
        /// Which.
        id: String,
        /// What the parser says.
        why: serde_json::Error,
    },
    /// Hooks that can't be kept.
    #[error("the hooks can't be written as JSON: {0}")]
    Hooks(serde_json::Error),
    /// The seals of wakes can't be made.
    #[error("the key of wakes is of no use")]
    WakeKey,
    /// A new file is not surely on the disk.
    #[error("the file can't be synced: {0}")]
    Sync(std::io::Error),
    /// The lock before the file can't be had.
    #[error("the turnstile: {0}")]
    Turnstile(std::io::Error),
}

/// What a transaction asked for.
pub(in crate::sqlite) type StoreResult<T> = Result<T, StoreError>;

/// An error that may mean that the file can't be trusted any more.
pub(in crate::sqlite) trait MayBeDamage: std::fmt::Display {
    /// Whether it does.
    fn is_damage(&self) -> bool;
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

impl MayBeDamage for rusqlite::Error {
    fn is_damage(&self) -> bool {
        let code = self.sqlite_error_code();
        // All text that is written is UTF-8.
        matches!(self, Self::Utf8Error(..))
            || matches!(
                code,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            )
    }
}

impl MayBeDamage for StoreError {
    fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.is_damage(),
            Self::Object { .. } => true,
            Self::NoCanvas(_)
            | Self::OtherIds
            | Self::Hooks(_)
            | Self::WakeKey
            | Self::Sync(_)
            | Self::Turnstile(_) => false,
        }
    }
}
