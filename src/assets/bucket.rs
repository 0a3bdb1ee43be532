//! Blobs in a bucket, under `{prefix}/{relay}/{first byte of the hash}/{name}`.
//!
//! A bucket has an object whole or not at all, and a blob has a name that nobody knows before the index has it. So nothing needs a temporary
//! name: what is small is put at once, what is large in parts that the bucket makes one of at the end. Whatever is asked of a bucket ends
//! within [`BUCKET_ANSWER`].

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartId, ObjectStore as _, ObjectStoreExt as _, PutPayload,
};

use super::blobs::{BlobError, BlobName, Chunks, Found};
use crate::config::BucketSettings;
use crate::limits::{BUCKET_ANSWER, BUCKET_PART};

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    root: Path,
}

/// A blob that is being written. Dropped before its end, nothing of it stays, unless the bucket does not hear that.
#[derive(Debug)]
pub struct Writing {
    store: Arc<AmazonS3>,
    to: Path,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// Of the bucket, once it has a part.
    begun: Option<MultipartId>,
    parts: Vec<PartId>,
}

impl Bucket {
    /// The blobs of that relay in the bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When what is in the variables is wrong.
    pub fn new(settings: &BucketSettings, relay: &str) -> Result<Self, BlobError> {
        let store = settings.open().map_err(BlobError::Failed)?;
        let prefix = Path::from(settings.url.prefix.as_str());
        Ok(Self {
            store: Arc::new(store),
            root: prefix.join(relay),
        })
    }

    fn key(&self, name: &BlobName) -> Path {
        self.root
            .clone()
            .join(name.shelf())
            .join(name.file.as_str())
    }

    /// Begins a blob.
    #[must_use]
    pub fn write(&self, name: &BlobName) -> Writing {
        Writing {
            store: self.store.clone(),
            to: self.key(name),
            waiting: Vec::new(),
            waiting_bytes: 0,
            begun: None,
            parts: Vec::new(),
        }
    }

    /// The bytes from `from` to before `to`, which must be in it.
    ///
    /// # Errors
    /// [`BlobError`], also in the stream.
    pub async fn read(&self, name: &BlobName, from: u64, to: u64) -> Result<Chunks, BlobError> {
        if from >= to {
            return match self.has(name).await? {
                true => Ok(stream::empty().boxed()),
                false => Err(BlobError::Gone),
            };
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(from..to)),
            ..Default::default()
        };
        let key = self.key(name);
        let got = bounded(self.store.get_opts(&key, options)).await?;
        if got.range != (from..to) {
            let what = "the object of an asset is shorter than it was";
            return Err(BlobError::Failed(what.to_owned()));
        }
        Ok(got.into_stream().map_err(BlobError::from).boxed())
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn has(&self, name: &BlobName) -> Result<bool, BlobError> {
        match bounded(self.store.head(&self.key(name))).await {
            Ok(_) => Ok(true),
            Err(BlobError::Gone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes it; it may be gone already.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn remove(&self, name: &BlobName) -> Result<(), BlobError> {
        match bounded(self.store.delete(&self.key(name))).await {
            Err(error) if !matches!(error, BlobError::Gone) => Err(error),
            _ => Ok(()),
        }
    }

    /// What is on one of the [`SHELVES`](super::blobs::SHELVES).
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn shelf(&self, shelf: u8) -> Result<Vec<Found>, BlobError> {
        let prefix = self.root.clone().join(format!("{shelf:02x}"));
        let mut listed = self.store.list(Some(&prefix));
        let mut found = Vec::new();
        while let Some(object) = bounded(listed.try_next()).await? {
            if let Some(name) = object.location.filename().and_then(BlobName::parse) {
                found.push(Found {
                    name,
                    bytes: object.size,
                    written: object.last_modified.into(),
                });
            }
        }
        Ok(found)
    }
}

impl Writing {
    /// Writes some more.
    ///
    /// # Errors
    /// [`BlobError`]; then it is gone.
    pub async fn push(mut self, bytes: Vec<u8>) -> Result<Self, BlobError> {
        let mut bytes = Bytes::from(bytes);
        // Some stores want all parts but the last of the same size.
        while self.waiting_bytes + bytes.len() > BUCKET_PART {
            let fits = bytes.split_to(BUCKET_PART - self.waiting_bytes);
            self.waiting.push(fits);
            self.part().await?;
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
        Ok(self)
    }

    fn payload(&mut self) -> PutPayload {
        self.waiting_bytes = 0;
        PutPayload::from_iter(std::mem::take(&mut self.waiting))
    }

    async fn part(&mut self) -> Result<(), BlobError> {
        let store = self.store.clone();
        let to = self.to.clone();
        let payload = self.payload();
        let id = match &self.begun {
            Some(id) => id.clone(),
            None => {
                let id = bounded(store.create_multipart(&to)).await;
                self.begun.insert(id.map_err(written)?).clone()
            }
        };
        let number = self.parts.len();
        let part = aside(async move { store.put_part(&to, &id, number, payload).await });
        self.parts.push(part.await.map_err(written)?);
        Ok(())
    }

    /// It is whole: from here on it can be read.
    ///
    /// # Errors
    /// [`BlobError`]; then nothing of it stays.
    pub async fn finish(mut self) -> Result<(), BlobError> {
        let store = self.store.clone();
        let to = self.to.clone();
        if self.begun.is_none() {
            let payload = self.payload();
            let put = aside(async move { store.put(&to, payload).await });
            return put.await.map(drop).map_err(written);
        }
        self.part().await?;
        let parts = std::mem::take(&mut self.parts);
        if let Some(id) = &self.begun {
            let complete = store.complete_multipart(&to, id, parts);
            bounded(complete).await.map_err(written)?;
        }
        self.begun = None;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let Some(id) = self.begun.take() else { return };
        let store = self.store.clone();
        let to = self.to.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = bounded(store.abort_multipart(&to, &id)).await {
                tracing::debug!(%error, "parts of an upload could not be removed; a rule of the bucket does that");
            }
        });
    }
}

/// Whatever happens to the bucket, it ends.
async fn bounded<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, BlobError> {
    match tokio::time::timeout(BUCKET_ANSWER, asked).await {
        Ok(answer) => answer.map_err(BlobError::from),
        Err(_) => {
            let s = BUCKET_ANSWER.as_secs();
            Err(BlobError::Failed(format!(
                "the bucket gave no answer within {s} s"
            )))
        }
    }
}

/// The same on a thread that may wait: what is sent is hashed for its signature.
async fn aside<T: Send + 'static>(
    asked: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, BlobError> {
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(bounded(asked))).await;
    done.map_err(|error| BlobError::Failed(error.to_string()))?
}

/// What is written can't be gone: then the bucket is, or the parts that it had.
fn written(error: BlobError) -> BlobError {
    match error {
        BlobError::Gone => {
            BlobError::Failed("there is no such bucket, or no such upload".to_owned())
        }
        error => error,
    }
}

impl From<Error> for BlobError {
    fn from(error: Error) -> Self {
        match &error {
            // Without a bucket nothing is known of the object.
            Error::NotFound { source, .. } if !source.to_string().contains("NoSuchBucket") => {
                Self::Gone
            }
            _ => Self::Failed(told(&error.to_string())),
        }
    }
}

/// What the bucket's answer says, without its keys and other ballast, and what to do about it.
fn told(error: &str) -> String {
    let within = |tag: &str| {
        let (_, rest) = error.split_once(&format!("<{tag}>"))?;
        rest.split_once("</").map(|(word, _)| word)
    };
    let Some(code) = within("Code") else {
        return error.to_owned();
    };
    let message = within("Message").unwrap_or("without a reason");
    let message = message.trim_end_matches('.');
    let hint = match code {
        "SignatureDoesNotMatch" => "; see whether AWS_SECRET_ACCESS_KEY is right",
        "InvalidAccessKeyId" => "; see whether AWS_ACCESS_KEY_ID is right",
        "InvalidToken" | "ExpiredToken" => "; see whether AWS_SESSION_TOKEN is right",
        "AccessDenied" => "; see whether the keys have the rights that docs/OPERATIONS.md lists",
        "NoSuchBucket" => "; see whether --assets-url is right",
        "AuthorizationHeaderMalformed" | "PermanentRedirect" => {
            "; see whether --assets-region is right"
        }
        "RequestTimeTooSkewed" => "; see whether this host's clock is right",
        _ => "",
    };
    format!("the bucket says {code}: {message}{hint}")
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn what_a_bucket_refuses_is_told_with_what_to_look_at() {
        let answer = "Error performing PUT http://s3/b/k in 20ms - status code: 403 Forbidden: <?xml?>\n\
                      <Error><Code>SignatureDoesNotMatch</Code><Message>It is not the one.</Message>\
                      <AWSAccessKeyId>AKIA</AWSAccessKeyId>";
        let expected = "the bucket says SignatureDoesNotMatch: It is not the one; \
                        see whether AWS_SECRET_ACCESS_KEY is right";
        assert_eq!(told(answer), expected);
        assert_eq!(
            told("<Code>SlowDown</Code>"),
            "the bucket says SlowDown: without a reason"
        );
        // A HEAD has no words, and a proxy has others.
        for other in ["403 Forbidden", "<Code>cut"] {
            assert_eq!(told(other), other);
        }
    }
}
