//! Why a file of secrets, keys, tokens or revoked names can't be used.

use std::io;

use thiserror::Error;

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum FileError {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is in it, or who may read it, is not as it must be.
    #[error("{0}")]
    Wrong(String),
}

/// What a file gives.
pub type FileResult<T> = Result<T, FileError>;

/// The file is read, and of no use.
pub(super) fn wrong(why: impl Into<String>) -> FileError {
    FileError::Wrong(why.into())
}
