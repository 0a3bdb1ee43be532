//! Reads a copy from the log: its snapshot part by part, the messages beside it, and the batches since. Each read is
//! bounded in bytes. Another thread puts them together: a part becomes
//! objects as it comes, and is not kept. A large canvas delays no other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::Shared;
use super::link::Session;
use super::mending::Needs;
use super::replica::{Inner, Replica, rebuilt};
use crate::canvas::Command;
use crate::canvas::codec::{Reading, decode_batch, encode_batch};
use crate::limits::READ_RETRY;
use crate::log::{CanvasHead, Fault, Log, LoggedBatch, Opening, StoredSnapshot};
use crate::protocol::ids::{CanvasId, Epoch};
use crate::time;

/// Bytes of one part of a snapshot, and of one read of batches. At 80 Mbit/s one takes 7 ms.
pub(super) const PART: usize = 64 * 1024;
/// Parts that are under way at a time, for all canvases: what is short does not wait long behind them.
pub(super) const PARTS: usize = 4;
/// Copies that are read at a time.
const READS: usize = 16;
/// Times that a canvas is read again because it was kept anew meanwhile.
const TRIES: usize = 16;

/// The turns of those who read or write parts.
pub(super) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(PARTS))
    }
}

impl Turns {
    /// Runs it when there is room for another part.
    pub(super) async fn take<T>(&self, part: impl Future<Output = T>) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await.ok();
        part.await
    }

    /// Stores the parts of a snapshot that is at batch `n`, each while the next one is made; one of a single part stays
    /// whole. It is not in force yet. Gives its bytes, too.
    pub(super) async fn store(
        &self,
        log: &dyn Log,
        id: &CanvasId,
        n: u64,
        parts: impl Stream<Item = Result<Vec<u8>, Fault>> + Send,
    ) -> Result<(StoredSnapshot, usize), Fault> {
        let mut parts = std::pin::pin!(parts);
        let whole = parts.try_next().await?.unwrap_or_default();
        let Some(second) = parts.try_next().await? else {
            let bytes = whole.len();
            let snapshot = StoredSnapshot {
                n,
                name: String::new(),
                parts: 0,
                whole,
            };
            return Ok((snapshot, bytes));
        };
        let name = uuid::Uuid::new_v4().simple().to_string();
        let first = stream::iter([whole, second]).map(Ok);
        let puts = first.chain(parts).enumerate().map(|(which, part)| {
            let name = &name;
            async move {
                let part = part?;
                let put = log.put_part(id, name, which, &part);
                self.take(put).await.map(|()| part.len())
            }
            .boxed()
        });
        let sizes: Vec<usize> = puts.buffer_unordered(PARTS).try_collect().await?;
        let snapshot = StoredSnapshot {
            n,
            name,
            parts: sizes.len(),
            whole: Vec::new(),
        };
        Ok((snapshot, sizes.iter().sum()))
    }
}

/// What a canvas is put together of.
pub(super) struct Parts {
    pub(super) head: CanvasHead,
    pub(super) snapshot: Reading,
    pub(super) snapshot_bytes: usize,
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) since: Vec<LoggedBatch>,
}

/// What a canvas that is opened begins with.
pub(super) fn opening() -> Opening {
    let renumber = [Command::Renumber {
        epoch: Epoch::random(),
    }];
    Opening {
        epoch: Epoch::random(),
        anew: encode_batch(None, 0, None, &renumber),
    }
}

impl Shared {
    /// Subscribes, then reads. The caller holds `loading`.
    pub(super) async fn read(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        let canvas = std::slice::from_ref(&replica.id);
        session.log.subscribe(canvas).await?;
        self.reload(session, replica).await
    }

    /// Reads the canvas whole.
    pub(super) async fn reload(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        let fault = match self.try_to_read(session, replica).await {
            Err(Fault::Canvas(why)) => why,
            other => return other,
        };
        let (copy, snapshot) = {
            let mut inner = replica.inner.lock();
            inner.unreadable(&replica.id, &fault);
            (inner.has_copy(), inner.snapshot_id.clone())
        };
        if copy {
            // What was here before is better than nothing.
            self.put_back_snapshot(replica, snapshot);
        } else {
            session
                .log
                .report_unreadable(&replica.id, &snapshot)
                .await?;
        }
        Err(Fault::Canvas(format!("the canvas can't be read: {fault}")))
    }

    async fn try_to_read(&self, session: &Session, replica: &Arc<Replica>) -> Result<(), Fault> {
        let parts = self.read_parts(session, replica, true).await?;
        self.put_together(session, replica, parts).await
    }

    /// Reads what the canvas consists of. `anew`: in the place of the copy that is here.
    pub(super) async fn read_parts(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
        anew: bool,
    ) -> Result<Parts, Fault> {
        let mut missing = None;
        for _ in 0..TRIES {
            if anew {
                replica.inner.lock().about_to_read();
            }
            let head = session.log.open(&replica.id, opening(), true).await?;
            let id = head.snapshot_id();
            if anew {
                replica.inner.lock().snapshot_id.clone_from(&id);
            }
            match self.parts(session, replica, head).await? {
                Ok(parts) => return Ok(parts),
                // The same snapshot again: it is not that another one took its place.
                Err(what) if missing.as_ref() == Some(&id) => return Err(Fault::Canvas(what)),
                Err(_) => missing = Some(id),
            }
        }
        Err(Fault::NotNow(
            "it changes faster than it can be read".to_owned(),
        ))
    }

    /// What the canvas consists of; or what was not there.
    async fn parts(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
        mut head: CanvasHead,
    ) -> Result<Result<Parts, String>, Fault> {
        let whole = std::mem::take(&mut head.whole);
        let (mut snapshot, mut snapshot_bytes) = (Reading::default(), whole.len());
        snapshot.feed(&whole);
        if !head.snapshot.is_empty() {
            let mut reads = Vec::with_capacity(head.parts);
            for which in 0..head.parts {
                let part = self.part(session, replica, &head.snapshot, which);
                reads.push(part.boxed());
            }
            let mut reads = stream::iter(reads).buffered(PARTS);
            while let Some(part) = reads.try_next().await? {
                let Some(part) = part else {
                    return Ok(Err("a part of its snapshot is missing".to_owned()));
                };
                snapshot_bytes += part.len();
                let fed = time::aside(move || {
                    snapshot.feed(&part);
                    snapshot
                });
                snapshot = fed.await.map_err(|e| Fault::NotNow(e.to_string()))?;
            }
        }
        let mut messages = Vec::new();
        if !head.messages_end.is_empty() {
            let mut seq = 0;
            loop {
                let more = session.log.messages_after(&replica.id, seq, PART);
                let more = self.turns.take(more).await?;
                let Some((last_seq, _)) = more.last() else {
                    break;
                };
                seq = *last_seq;
                messages.extend(more.into_iter().map(|(_, chunk)| chunk));
                replica.parts_read.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut since = Vec::new();
        let mut n = head.saved;
        while n < head.n {
            let more = self.batches_after(session, replica, n).await?;
            let before = n;
            for kept in more.into_iter().take_while(|kept| kept.n <= head.n) {
                if kept.n != n + 1 {
                    break;
                }
                n = kept.n;
                since.push(kept);
            }
            if n == before {
                return Ok(Err(format!("batch {} is missing", n + 1)));
            }
        }
        Ok(Ok(Parts {
            head,
            snapshot,
            snapshot_bytes,
            messages,
            since,
        }))
    }

    async fn part(
        &self,
        session: &Session,
        replica: &Replica,
        snapshot: &str,
        which: usize,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let part = session.log.part(&replica.id, snapshot, which);
        let part = self.turns.take(part).await;
        replica.parts_read.fetch_add(1, Ordering::Relaxed);
        part
    }

    /// Some of the batches after `n`.
    async fn batches_after(
        &self,
        session: &Session,
        replica: &Replica,
        n: u64,
    ) -> Result<Vec<LoggedBatch>, Fault> {
        let some = session.log.batches_after(&replica.id, n, PART);
        let some = self.turns.take(some).await?;
        replica.parts_read.fetch_add(1, Ordering::Relaxed);
        Ok(some)
    }

    async fn put_together(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
        parts: Parts,
    ) -> Result<(), Fault> {
        let rules = self.rules;
        let interest = self.interest(replica);
        let building = time::aside(move || rebuilt(parts, rules, &interest));
        let built = building.await.map_err(|e| Fault::NotNow(e.to_string()))?;
        if replica.install(session, built.map_err(Fault::Canvas)?, self) {
            // What was done by the old rules must not be done again by the new ones.
            self.keep_now(session, replica, false).await?;
        }
        self.canvases.watch(replica);
        if replica.inner.lock().wants_reading() {
            self.canvases.fell_behind(replica.clone());
        }
        Ok(())
    }

    /// Reads what was missed.
    pub(super) async fn fill(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        if self.is_another(session, replica).await? {
            replica.inner.lock().was_replaced();
            return self.mend(session, replica).await;
        }
        loop {
            let (n, last_known) = {
                let mut inner = replica.inner.lock();
                inner.about_to_read();
                (inner.n, inner.last_known)
            };
            let since = self.batches_after(session, replica, n).await?;
            self.until_replicated(session, replica, &since).await?;
            let done = since.is_empty();
            if !replica.replay(session, since, self) {
                return self.reload(session, replica).await;
            }
            let (here, behind) = {
                let inner = replica.inner.lock();
                (inner.n, inner.is_behind())
            };
            if done && here < last_known {
                // What is missing is in a snapshot only.
                return self.reload(session, replica).await;
            }
            if done && !behind {
                return Ok(());
            }
        }
    }

    /// Batches of this instance that were read and not heard may be such that are not published yet, since no replica
    /// has them. They are not run before, because that answers their authors.
    async fn until_replicated(
        &self,
        session: &Session,
        replica: &Replica,
        since: &[LoggedBatch],
    ) -> Result<(), Fault> {
        let heard = replica.inner.lock().own_serial;
        let own = |kept: &LoggedBatch| {
            let batch = decode_batch(&kept.bytes);
            batch.is_ok_and(|batch| batch.from == Some(self.number()) && batch.serial > heard)
        };
        let replicas = self.config.wait_replicas;
        if replicas == 0 || !since.iter().any(own) {
            return Ok(());
        }
        loop {
            match session.log.replicated(replicas).await {
                Err(Fault::NotNow(_)) => {}
                done => return done,
            }
        }
    }

    /// Reads what copies missed, as long as the instance lives: several at a time, the small ones first.
    pub(super) async fn fill_all(&self) -> String {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < READS {
                let Some(next) = self.canvases.next_behind() else {
                    break;
                };
                under_way.push(self.catch_up(next).boxed());
            }
            if under_way.is_empty() {
                self.canvases.wakeup.notified().await;
                continue;
            }
            tokio::select! {
                biased;
                _ = under_way.next() => {}
                () = self.canvases.wakeup.notified(), if under_way.len() < READS => {}
            }
        }
    }

    async fn catch_up(&self, replica: Arc<Replica>) {
        let _loading = replica.loading.lock().await;
        let session = self.link.session().await;
        let needs = replica.inner.lock().needs();
        let done = match needs {
            Needs::Nothing => Ok(()),
            Needs::Leaving => session.log.holds_not(&replica.id).await,
            Needs::Mending => self.mend(&session, &replica).await,
            Needs::Batches => self.fill(&session, &replica).await,
            Needs::Everything => self.reload(&session, &replica).await,
        };
        if let Err(fault) = done {
            self.link.failed(session.id, &fault);
            self.canvases.stuck.lock().push(replica.clone());
            time::sleep(READ_RETRY).await;
        }
    }
}

impl Inner {
    /// It could not be read. Logged when that is news.
    pub(super) fn unreadable(&mut self, canvas: &CanvasId, error: &str) {
        if self.logged.as_deref() != Some(error) {
            tracing::error!(canvas = %canvas, error, "a canvas can't be read from the log");
            self.logged = Some(error.to_owned());
        }
    }
}
