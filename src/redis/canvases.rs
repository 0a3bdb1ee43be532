//! The canvases that this instance has copies of.
//!
//! *Subscribe, then read*: a copy hears what is told before it is read, so nothing falls in between; what comes twice is
//! dropped by its number, what is missing is read. So a message that Redis did not get through to us costs one read, no more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use parking_lot::{Mutex, RwLock};
use redis::RedisResult;
use tokio::sync::Notify;

use super::link::Session;
use super::replica::{Heard, Inner, Replica};
use super::scripts::{self, Kept};
use super::{Shared, keys};
use crate::backplane::Unavailable;
use crate::limits::{MAX_QUEUE_WAIT, READ_RETRY};
use crate::protocol::ids::CanvasId;

/// Batches of one read.
const READ: usize = 1_000;
/// Canvases that are asked about in one request after a break.
const CHUNK: usize = 256;
/// Reads that are under way at a time after a break.
const READS: usize = 16;
/// A copy that nobody uses is kept for so long: whoever looks in comes back soon.
const KEEP: Duration = Duration::from_secs(10);

/// All copies.
#[derive(Default)]
pub(super) struct Canvases {
    map: RwLock<Map>,
    /// What is heard: what the channels' names begin with, and of which era it is.
    heard: RwLock<(String, Arc<str>)>,
    /// Copies that time, or a snapshot, has something to do with.
    pub(super) active: Mutex<HashSet<i64>>,
    /// Copies that have missed something.
    behind: Mutex<Vec<Arc<Replica>>>,
    bell: Notify,
}

#[derive(Default)]
struct Map {
    by_name: HashMap<String, Arc<Replica>>,
    by_key: HashMap<i64, Arc<Replica>>,
    last_key: i64,
}

impl Canvases {
    pub(super) fn set_heard(&self, session: &Session) {
        *self.heard.write() = (keys::channels(&session.relay), session.era.clone());
    }

    pub(super) fn get(&self, key: i64) -> Option<Arc<Replica>> {
        self.map.read().by_key.get(&key).cloned()
    }

    pub(super) fn named(&self, name: &str) -> Option<Arc<Replica>> {
        self.map.read().by_name.get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Replica>> {
        self.map.read().by_key.values().cloned().collect()
    }

    fn get_or_make(&self, id: &CanvasId) -> Arc<Replica> {
        if let Some(replica) = self.named(id.as_str()) {
            return replica;
        }
        let mut map = self.map.write();
        map.last_key += 1;
        let key = map.last_key;
        let made = || Arc::new(Replica::new(id.clone(), key));
        let replica = map
            .by_name
            .entry(id.to_string())
            .or_insert_with(made)
            .clone();
        map.by_key.insert(replica.key, replica.clone());
        replica
    }

    fn forget(&self, replica: &Replica) {
        let mut map = self.map.write();
        map.by_name.remove(replica.id.as_str());
        map.by_key.remove(&replica.key);
    }

    /// The house is to look at it.
    pub(super) fn watch(&self, replica: &Replica) {
        self.active.lock().insert(replica.key);
    }

    fn fell_behind(&self, replica: Arc<Replica>) {
        self.behind.lock().push(replica);
        self.bell.notify_one();
    }
}

impl Shared {
    /// A message from Redis.
    pub(super) fn hear(&self, channel: &[u8], message: &[u8]) {
        let heard = self.canvases.heard.read();
        let (prefix, era) = &*heard;
        let name = channel
            .strip_prefix(prefix.as_bytes())
            .and_then(|name| std::str::from_utf8(name).ok());
        let Some(replica) = name.and_then(|name| self.canvases.named(name)) else {
            return;
        };
        let era = era.clone();
        drop(heard);
        match message.split_first() {
            Some((b'b', rest)) => {
                let Some(kept) = Kept::told(rest) else { return };
                self.canvases.watch(&replica);
                if replica.hear(kept, &era, self) == Heard::Behind {
                    self.canvases.fell_behind(replica);
                }
            }
            Some((b'e', rest)) => replica.hear_ephemeral(rest),
            Some((b's', n)) => {
                let mut inner = replica.inner.lock();
                let n = std::str::from_utf8(n).ok().and_then(|n| n.parse().ok());
                // Hardly anything has come since, but that is not nothing.
                inner.unsaved = usize::from(n.is_none_or(|n: u64| n < inner.n));
            }
            _ => {}
        }
    }

    /// The copy of a canvas, read if need be. It is kept for a while, and as long as it has a sink.
    ///
    /// # Errors
    /// [`Unavailable`] says what Redis said.
    pub(super) async fn ensure(&self, id: &CanvasId) -> Result<Arc<Replica>, Unavailable> {
        let read = async {
            loop {
                let replica = self.canvases.get_or_make(id);
                if replica.touch() {
                    return Ok(replica);
                }
                let loading = replica.loading.lock().await;
                // It may have been given up, or been read, in the meantime.
                let ours = self
                    .canvases
                    .get(replica.key)
                    .is_some_and(|now| Arc::ptr_eq(&now, &replica));
                if !ours {
                    continue;
                }
                if replica.touch() {
                    drop(loading);
                    return Ok(replica);
                }
                let session = self.link.session().await;
                match self.read(&session, &replica).await {
                    // Where the connection was made anew meanwhile, nobody knows what was told before this was read.
                    Ok(()) if !self.link.hears(session.id) => {
                        replica.inner.lock().state = None;
                        continue;
                    }
                    Ok(()) => {
                        drop(loading);
                        return Ok(replica);
                    }
                    Err(error) if error.kind() == redis::ErrorKind::Client => {
                        return Err(Unavailable(error.to_string()));
                    }
                    Err(error) => self.link.broke(session.id, &error.to_string()),
                }
                tokio::time::sleep(READ_RETRY).await;
            }
        };
        let read = tokio::time::timeout(MAX_QUEUE_WAIT, read).await;
        read.map_err(|_| self.link.unavailable())?
    }

    /// Subscribes, then reads. The caller holds `loading`.
    async fn read(&self, session: &Session, replica: &Arc<Replica>) -> RedisResult<()> {
        let channel = keys::channel(&session.relay, &replica.id);
        session.conn.clone().subscribe(channel).await?;
        self.reload(session, replica).await
    }

    async fn reload(&self, session: &Session, replica: &Arc<Replica>) -> RedisResult<()> {
        replica.inner.lock().about_to_read();
        let loaded = scripts::load(session, self, &replica.id).await?;
        match replica.install(session, loaded, self) {
            Ok(false) => {}
            // What was done by the old rules must not be done again by the new ones.
            Ok(true) => self.keep(session, replica).await?,
            Err(error) => {
                tracing::error!(canvas = %replica.id, error, "a canvas can't be read from Redis");
                return Err((redis::ErrorKind::Client, "a canvas can't be read", error).into());
            }
        }
        self.canvases.watch(replica);
        if replica.inner.lock().is_behind() {
            self.canvases.fell_behind(replica.clone());
        }
        Ok(())
    }

    /// After a break, before anybody uses the new connection: all copies hear again, and get what they missed. Where the relay
    /// began anew they are read anew.
    pub(super) async fn resume(&self, session: &Session) -> RedisResult<()> {
        let all = self.canvases.all();
        for chunk in all.chunks(CHUNK) {
            let channels: Vec<String> = chunk
                .iter()
                .map(|r| keys::channel(&session.relay, &r.id))
                .collect();
            session.conn.clone().subscribe(channels).await?;
            let mut ask = redis::pipe();
            // The others may have taken this instance for dead, and have forgotten what it had.
            let names: Vec<&str> = chunk.iter().map(|r| r.id.as_str()).collect();
            ask.cmd("SADD")
                .arg(keys::canvases_of(self.number()))
                .arg(names)
                .ignore();
            for replica in chunk {
                ask.cmd("HGET").arg(keys::canvas(&replica.id)).arg("n");
            }
            let found: Vec<Option<u64>> = ask.query_async(&mut session.conn.clone()).await?;
            let chunk: Vec<_> = chunk.iter().cloned().zip(found).collect();
            let reads = chunk
                .into_iter()
                .map(|(replica, found)| self.resume_one(session, replica, found));
            let mut reads = stream::iter(reads).buffer_unordered(READS);
            while let Some(read) = reads.next().await {
                // One that can't be read has been told of, and holds the others up no more than itself.
                read.or_else(|error| match error.kind() {
                    redis::ErrorKind::Client => Ok(()),
                    _ => Err(error),
                })?;
            }
        }
        Ok(())
    }

    /// `n` is how many batches Redis has. That says nothing in another era, where others may have gone on from an earlier place:
    /// more batches than here need not be those that follow.
    async fn resume_one(
        &self,
        session: &Session,
        replica: Arc<Replica>,
        n: Option<u64>,
    ) -> RedisResult<()> {
        let (here, same) = {
            let inner = replica.inner.lock();
            if inner.state.is_none() {
                // Whoever is about to read it does so.
                return Ok(());
            }
            let same = inner.era.as_ref() == Some(&session.era);
            (inner.n, same)
        };
        match n {
            // More may have been told here since Redis said that.
            Some(n) if same && n <= here => Ok(()),
            Some(_) if same => self.fill(session, &replica).await,
            _ => self.reload(session, &replica).await,
        }
    }

    /// Reads what was missed.
    async fn fill(&self, session: &Session, replica: &Arc<Replica>) -> RedisResult<()> {
        loop {
            let n = {
                let mut inner = replica.inner.lock();
                inner.about_to_read();
                inner.n
            };
            let since = scripts::since(session, &replica.id, n, READ).await?;
            let more = since.len() == READ;
            if !replica.replay(session, since, self) {
                return self.reload(session, replica).await;
            }
            if !more && !replica.inner.lock().is_behind() {
                return Ok(());
            }
        }
    }

    /// Reads what copies missed, as long as the instance lives.
    pub(super) async fn fill_all(self: Arc<Self>) -> String {
        loop {
            self.canvases.bell.notified().await;
            loop {
                let next = self.canvases.behind.lock().pop();
                let Some(replica) = next else { break };
                let _loading = replica.loading.lock().await;
                if !replica.inner.lock().is_behind() {
                    continue;
                }
                let session = self.link.session().await;
                if let Err(error) = self.fill(&session, &replica).await {
                    self.link.broke(session.id, &error.to_string());
                }
            }
        }
    }

    /// Gives a copy up that nobody uses, if it has not been used for a while. What changed is kept first.
    pub(super) async fn give_up_unused(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> RedisResult<()> {
        let Ok(_loading) = replica.loading.try_lock() else {
            return Ok(());
        };
        if !replica.is_unused(KEEP) {
            return Ok(());
        }
        self.save(session, replica).await?;
        let mut conn = session.conn.clone();
        conn.unsubscribe(keys::channel(&session.relay, &replica.id))
            .await?;
        let set = keys::canvases_of(self.number());
        let _: () = redis::cmd("SREM")
            .arg(set)
            .arg(replica.id.as_str())
            .query_async(&mut conn)
            .await?;
        let unused = {
            let mut inner = replica.inner.lock();
            let unused = inner.is_unused(KEEP);
            if unused {
                inner.state = None;
            }
            unused
        };
        if !unused {
            // Whoever came meanwhile found it loaded.
            return self.read(session, replica).await;
        }
        self.canvases.forget(replica);
        Ok(())
    }

    /// Keeps a snapshot if there is something new.
    pub(super) async fn save(&self, session: &Session, replica: &Replica) -> RedisResult<()> {
        if replica.inner.lock().unsaved == 0 {
            return Ok(());
        }
        self.keep(session, replica).await
    }

    async fn keep(&self, session: &Session, replica: &Replica) -> RedisResult<()> {
        let (snapshot, unsaved) = {
            let mut inner = replica.inner.lock();
            let Some(state) = &inner.state else {
                return Ok(());
            };
            let snapshot = (inner.n, state.encode());
            inner.snapshot_bytes = snapshot.1.len();
            (snapshot, std::mem::take(&mut inner.unsaved))
        };
        let kept = scripts::save(session, self, &replica.id, snapshot).await;
        if kept.is_err() {
            replica.inner.lock().unsaved += unsaved;
        }
        kept
    }
}

impl Replica {
    /// Whether it is loaded; it is in use then.
    pub(super) fn touch(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.used = Instant::now();
        inner.state.is_some()
    }

    fn is_unused(&self, for_so_long: Duration) -> bool {
        self.inner.lock().is_unused(for_so_long)
    }
}

impl Inner {
    fn is_unused(&self, for_so_long: Duration) -> bool {
        let settled = self
            .state
            .as_ref()
            .is_none_or(crate::machine::CanvasState::is_settled);
        self.sink.is_none() && settled && self.used.elapsed() > for_so_long
    }
}
