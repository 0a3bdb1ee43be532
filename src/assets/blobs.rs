//! The bytes of assets: each blob has a name that is never given twice, and is never changed.

use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;
use uuid::Uuid;

use super::named::{HASH_CHARS, is_hash};
use crate::protocol::ids::CanvasId;

/// Why bytes were not written or read.
#[derive(Debug, Error)]
pub enum BlobError {
    /// There is no room.
    #[error("no space is left for assets: {0}")]
    Full(String),
    /// They are not there.
    #[error("the bytes of the asset are gone")]
    Gone,
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

/// Bytes as they come.
pub type Chunks = BoxStream<'static, Result<Bytes, BlobError>>;

/// Blobs are on so many shelves, by the first byte of their hash, so that a look at one has a bound.
pub const SHELVES: std::ops::RangeInclusive<u8> = 0..=255;

/// A blob's name: whose asset it is, and what makes it unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobName {
    /// The canvas.
    pub canvas: String,
    /// The hash of its bytes.
    pub sha256: String,
    /// `{sha256}.{canvas}.{id}`
    pub file: String,
}

/// A blob that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: BlobName,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

impl BlobName {
    /// A new one.
    #[must_use]
    pub fn new(canvas: &CanvasId, sha256: &str) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self {
            canvas: canvas.to_string(),
            sha256: sha256.to_owned(),
            file: format!("{sha256}.{canvas}.{}", &id[..16]),
        }
    }

    /// Reads one; `None` for a file that is none of ours.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let (sha256, rest) = file.split_at_checked(HASH_CHARS)?;
        let (canvas, id) = rest.strip_prefix('.')?.rsplit_once('.')?;
        let right = is_hash(sha256) && CanvasId::parse(canvas).is_ok() && !id.is_empty();
        right.then(|| Self {
            canvas: canvas.to_owned(),
            sha256: sha256.to_owned(),
            file: file.to_owned(),
        })
    }

    /// The first two digits of the hash.
    #[must_use]
    pub fn shelf(&self) -> &str {
        &self.sha256[..2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is_and_is_never_given_twice() {
        let canvas = CanvasId::parse("team.a:b-c_1").unwrap();
        let sha = "0f".repeat(32);
        let (one, two) = (BlobName::new(&canvas, &sha), BlobName::new(&canvas, &sha));
        assert_ne!(one.file, two.file);
        assert_eq!(BlobName::parse(&one.file), Some(one.clone()));
        assert_eq!((one.canvas.as_str(), one.shelf()), ("team.a:b-c_1", "0f"));
        let longest = CanvasId::parse(&"x".repeat(128)).unwrap();
        assert!(BlobName::new(&longest, &sha).file.len() <= 255);
        for bad in [
            "",
            "x",
            &sha,
            &format!("{sha}.c"),
            &format!("{sha}..1"),
            "../../etc/passwd",
        ] {
            assert_eq!(BlobName::parse(bad), None, "{bad}");
        }
    }
}
