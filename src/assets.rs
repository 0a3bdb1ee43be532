//! Assets: the images and files of canvases, each named by the SHA-256 of its bytes.
//!
//! The index (`crate::jobs::assets`) lists the assets and counts them for the quotas, in one transaction. Their bytes
//! are in a folder ([`folder`]) or in a bucket ([`bucket`]). An upload writes its bytes first, under a name of its own.
//! The asset exists once the index has it. A deletion first removes the asset from the index. So every asset in the
//! index has its bytes. A process that is killed in between leaves bytes without an entry; [`sweep`] deletes those once
//! they are old. An asset is kept as long as an object of its canvas names it ([`named`]), and for a day after.

mod blobs;
mod bucket;
mod folder;
pub mod kinds;
pub mod link;
pub mod named;
mod places;
pub mod sweep;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

pub use blobs::{BlobError, BlobName, Chunks, SHELVES};
pub use folder::Folder;
use kinds::Kind;
use link::Links;
pub use places::Blobs;
pub use upload::Upload;

use crate::config::{AssetPlace, AssetSettings};
use crate::jobs::Jobs;
use crate::jobs::assets::{AssetAnswer, AssetOp, AssetQuery};
use crate::jobs::look::Query;
use crate::jobs::op::{Answer, Op, Refusal};
use crate::jobs::rows::Asset as Row;
use crate::limits::ASSET_TOTALS_AGE;
use crate::protocol::ids::CanvasId;

/// The assets of a relay, as one process has them.
pub struct Assets {
    index: Arc<Jobs>,
    settings: AssetSettings,
    /// The folder of a process that keeps everything in memory.
    own: Option<PathBuf>,
    begun: OnceCell<Begun>,
    totals: Mutex<Option<(Instant, Totals)>>,
    /// Whether where the bytes are could not be used when it was last tried.
    failing: AtomicBool,
    pub(crate) counts: Counts,
}

/// What is known once the index has answered.
struct Begun {
    blobs: Blobs,
    links: Links,
}

/// What all assets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// How many there are.
    pub assets: u64,
    /// Their bytes, as quotas count them.
    pub bytes: u64,
}

/// What this process did.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) uploads: AtomicU64,
    pub(crate) removed: AtomicU64,
}

/// An asset that is there.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Where its bytes are.
    pub blob: BlobName,
    /// Its type.
    pub kind: Kind,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Why an asset was not taken, or not given.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// The index refused it, or does not answer.
    #[error("{}", .0.message)]
    Index(Refused),
    /// Where the bytes are.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The body is not what the address says.
    #[error("the body's SHA-256 is {got}, and the address says {wanted}")]
    OtherHash {
        /// Of the body.
        got: String,
        /// Of the address.
        wanted: String,
    },
    /// The body is too large.
    #[error("an asset has at most {0} bytes (--max-asset-bytes)")]
    TooLarge(u64),
}

/// A refusal of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// An HTTP status.
    pub status: u16,
    /// In a word.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

impl From<Refusal> for AssetError {
    fn from(refusal: Refusal) -> Self {
        Self::Index(Refused {
            status: refusal.status,
            code: refusal.code,
            message: refusal.message.into_owned(),
        })
    }
}

impl From<Row> for Asset {
    fn from(row: Row) -> Self {
        let octets = Kind::of("application/octet-stream");
        Self {
            kind: Kind::of(&row.kind).or(octets).unwrap_or(kinds::KINDS[0]),
            bytes: row.bytes.cast_unsigned(),
            blob: BlobName {
                canvas: row.canvas,
                sha256: row.sha256,
                file: row.blob,
            },
        }
    }
}

impl std::fmt::Debug for Assets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assets").finish_non_exhaustive()
    }
}

impl Assets {
    /// `None` where assets are off. Nothing is read or made before somebody asks for an asset.
    #[must_use]
    pub fn new(index: Arc<Jobs>, settings: &AssetSettings) -> Option<Arc<Self>> {
        let own = match &settings.place {
            AssetPlace::Off | AssetPlace::Nowhere => return None,
            AssetPlace::Temporary => {
                let name = format!("scumble-assets-{}", uuid::Uuid::new_v4().simple());
                Some(std::env::temp_dir().join(name))
            }
            AssetPlace::Folder(_) | AssetPlace::Bucket(_) => None,
        };
        Some(Arc::new(Self {
            index,
            settings: settings.clone(),
            own,
            begun: OnceCell::new(),
            totals: Mutex::default(),
            failing: AtomicBool::new(false),
            counts: Counts::default(),
        }))
    }

    /// Bytes of one asset.
    pub fn max_bytes(&self) -> u64 {
        self.settings.max_bytes
    }

    async fn begun(&self) -> Result<&Begun, AssetError> {
        let begin = async {
            match self.change(AssetOp::Begin).await? {
                AssetAnswer::Begun { relay, link_key } => Ok(Begun {
                    blobs: self.blobs_of(&relay)?,
                    links: Links::new(link_key),
                }),
                _ => Err(AssetError::from(unexpected())),
            }
        };
        self.begun.get_or_try_init(|| begin).await
    }

    fn blobs_of(&self, relay: &str) -> Result<Blobs, BlobError> {
        if let Some(own) = &self.own {
            return Ok(Blobs::Folder(Folder::new(own, relay)));
        }
        let off = || BlobError::Failed("assets are off".to_owned());
        Blobs::of(&self.settings.place, relay)?.ok_or_else(off)
    }

    /// Asks a bucket for something at the start: wrong keys are to be heard of before the first upload.
    ///
    /// # Errors
    /// [`AssetError`]
    async fn look(&self) -> Result<(), AssetError> {
        if matches!(self.settings.place, AssetPlace::Bucket(_)) {
            let blobs = &self.begun().await?.blobs;
            self.noted(blobs.shelf(*SHELVES.start()).await)?;
        }
        Ok(())
    }

    /// Whether bytes could not be kept or read when it was last tried.
    pub fn are_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// An answer of where the bytes are, good or bad.
    fn noted<T>(&self, answer: Result<T, BlobError>) -> Result<T, BlobError> {
        if answer.is_ok() {
            self.failing.store(false, Ordering::Relaxed);
        }
        self.noted_if_bad(answer)
    }

    /// What may be good without having been asked there.
    fn noted_if_bad<T>(&self, answer: Result<T, BlobError>) -> Result<T, BlobError> {
        if matches!(answer, Err(BlobError::Failed(_) | BlobError::Full(_))) {
            self.failing.store(true, Ordering::Relaxed);
        }
        answer
    }

    pub(crate) async fn change(&self, op: AssetOp) -> Result<AssetAnswer, AssetError> {
        match self.index.run(Op::Assets(op)).await? {
            Answer::Assets(told) => Ok(told),
            _ => Err(unexpected().into()),
        }
    }

    pub(crate) async fn ask(&self, query: AssetQuery) -> Result<AssetAnswer, AssetError> {
        match self.index.look(Query::Assets(query)).await? {
            Answer::Assets(told) => Ok(told),
            _ => Err(unexpected().into()),
        }
    }

    /// An asset, if it is there.
    ///
    /// # Errors
    /// [`AssetError`]
    pub async fn find(&self, canvas: &CanvasId, sha256: &str) -> Result<Option<Asset>, AssetError> {
        let canvas = canvas.to_string();
        let sha256 = sha256.to_owned();
        match self.ask(AssetQuery::Find { canvas, sha256 }).await? {
            AssetAnswer::Found(row) => Ok(row.map(Asset::from)),
            _ => Err(unexpected().into()),
        }
    }

    /// Its bytes from `from` to before `to`, which must be in it.
    ///
    /// # Errors
    /// [`AssetError`]; an error of reading may come in the stream, too.
    pub async fn read(&self, asset: &Asset, from: u64, to: u64) -> Result<Chunks, AssetError> {
        let blobs = &self.begun().await?.blobs;
        Ok(self.noted(blobs.read(&asset.blob, from, to).await)?)
    }

    /// What signs links.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn links(&self) -> Result<&Links, AssetError> {
        Ok(&self.begun().await?.links)
    }

    /// What all assets of the relay take: as it was within the last seconds.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn totals(&self) -> Result<Totals, AssetError> {
        if let Some((at, totals)) = *self.totals.lock()
            && at.elapsed() < ASSET_TOTALS_AGE
        {
            return Ok(totals);
        }
        let AssetAnswer::Totals { assets, bytes } = self.ask(AssetQuery::Totals).await? else {
            return Err(unexpected().into());
        };
        let totals = Totals {
            assets: assets.cast_unsigned(),
            bytes: bytes.cast_unsigned(),
        };
        *self.totals.lock() = Some((Instant::now(), totals));
        Ok(totals)
    }

    /// What was kept for this process alone goes with it.
    pub async fn end(&self) {
        let Some(own) = self.own.clone() else { return };
        let removed = folder::aside(move || match std::fs::remove_dir_all(&own) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "the assets of this process could not be removed");
        }
    }
}

fn unexpected() -> Refusal {
    Refusal::new(500, "internal", "the index of assets gave another answer")
}
