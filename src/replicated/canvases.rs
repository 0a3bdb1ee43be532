//! The canvases that this instance has copies of.
//!
//! *Subscribe, then read*: a copy gets new batches before it is read, so nothing falls in between. Its number tells a
//! repeated batch, which is dropped. A missing batch is read. So a message that did not get through costs one read, no
//! more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::Shared;
use super::replica::{Inner, Replica, Taken};
use crate::backplane::{Canvas, CanvasKey, Unavailable};
use crate::canvas::CanvasState;
use crate::limits::{MAX_QUEUE_WAIT, READ_RETRY, UNUSED_CANVAS};
use crate::log::{Fault, Published};
use crate::protocol::ids::CanvasId;
use crate::time;

/// A canvas that is being read, part by part, is waited for so long.
const LONGEST_READ: Duration = Duration::from_secs(120);
/// A copy that nobody uses is kept for so long: whoever looks in comes back soon.
const KEEP: Duration = Duration::from_secs(10);

/// All copies.
pub(super) struct Canvases {
    map: RwLock<Map>,
    /// What is passed on to canvases of which no copy is here waits its turn under this key, all of it together.
    pub(super) elsewhere: CanvasKey,
    /// The era of what is received.
    era: RwLock<Arc<str>>,
    /// Copies that time, or a snapshot, has something to do with.
    pub(super) active: Mutex<HashSet<CanvasKey>>,
    /// Copies that have missed something.
    behind: Mutex<VecDeque<Arc<Replica>>>,
    /// Copies that could not get it. They try again when the upkeep looks.
    pub(super) stuck: Mutex<Vec<Arc<Replica>>>,
    pub(super) wakeup: Notify,
    /// Rung when somebody wants to know what is on canvases that are here.
    pub(super) notes_wanted: Notify,
}

#[derive(Default)]
struct Map {
    by_name: HashMap<String, Arc<Replica>>,
    by_key: HashMap<CanvasKey, Arc<Replica>>,
    last_key: CanvasKey,
}

impl Map {
    fn draw_key(&mut self) -> CanvasKey {
        self.last_key = self.last_key.next();
        self.last_key
    }
}

impl Default for Canvases {
    fn default() -> Self {
        let mut map = Map::default();
        let elsewhere = map.draw_key();
        Self {
            map: RwLock::new(map),
            elsewhere,
            era: RwLock::default(),
            active: Mutex::default(),
            behind: Mutex::default(),
            stuck: Mutex::default(),
            wakeup: Notify::default(),
            notes_wanted: Notify::default(),
        }
    }
}

impl Canvases {
    /// A canvas of which no copy is needed here: it has a key of its own all the same.
    pub(super) fn without_copy(&self, id: &CanvasId) -> Canvas {
        Canvas {
            id: id.clone(),
            key: self.map.write().draw_key(),
        }
    }

    pub(super) fn era(&self) -> Arc<str> {
        self.era.read().clone()
    }

    pub(super) fn set_era(&self, era: Arc<str>) {
        *self.era.write() = era;
    }

    pub(super) fn get(&self, key: CanvasKey) -> Option<Arc<Replica>> {
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
        let key = map.draw_key();
        let made = || Arc::new(Replica::new(id.clone(), key));
        let replica = map
            .by_name
            .entry(id.to_string())
            .or_insert_with(made)
            .clone();
        map.by_key.insert(replica.key, replica.clone());
        replica
    }

    pub(super) fn forget(&self, replica: &Replica) {
        let mut map = self.map.write();
        map.by_name.remove(replica.id.as_str());
        map.by_key.remove(&replica.key);
    }

    /// The upkeep is to look at it.
    pub(super) fn watch(&self, replica: &Replica) {
        self.active.lock().insert(replica.key);
    }

    pub(super) fn fell_behind(&self, replica: Arc<Replica>) {
        self.behind.lock().push_back(replica);
        self.wakeup.notify_one();
    }

    /// The next that has missed something.
    pub(super) fn next_behind(&self) -> Option<Arc<Replica>> {
        self.behind.lock().pop_front()
    }

    /// What could not be read is tried again.
    pub(super) fn try_again(&self) {
        let stuck = std::mem::take(&mut *self.stuck.lock());
        if !stuck.is_empty() {
            self.behind.lock().extend(stuck);
            self.wakeup.notify_one();
        }
    }
}

impl Shared {
    /// A message from the log.
    pub(super) fn receive(&self, canvas: &str, published: Published) {
        let Some(replica) = self.canvases.named(canvas) else {
            return;
        };
        match published {
            Published::Batch(batch) => {
                let era = self.canvases.era.read().clone();
                self.canvases.watch(&replica);
                if replica.receive(batch, &era, self) == Taken::Behind {
                    self.canvases.fell_behind(replica);
                }
            }
            Published::Ephemeral(bytes) => replica.receive_ephemeral(&bytes),
            Published::Saved(n) => {
                let mut inner = replica.inner.lock();
                // Hardly anything has come since, but that is not nothing.
                inner.unsaved = usize::from(n < inner.n);
                // Another one is as good.
                inner.held = None;
            }
            Published::SummaryWanted => self.canvases.notes_wanted.notify_one(),
            Published::Unreadable(name) => self.put_back_snapshot(&replica, name),
            Published::Gone(word) => self.receive_gone(replica, &word),
        }
    }

    /// The copy of a canvas, read if need be. It is kept for a while, and as long as it has a sink.
    ///
    /// # Errors
    /// [`Unavailable`] says what the engine said.
    pub(super) async fn ensure(&self, id: &CanvasId) -> Result<Arc<Replica>, Unavailable> {
        self.find_or_read(id)
            .await
            .map_err(|fault| self.without_canvas(&fault))
    }

    /// The same.
    ///
    /// # Errors
    /// [`Fault::Canvas`] if the engine has something of it that can't be read, others if it does not answer in time.
    pub(super) async fn find_or_read(&self, id: &CanvasId) -> Result<Arc<Replica>, Fault> {
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
                    Ok(()) if !self.link.is_current(session.id) => {
                        replica.inner.lock().state = None;
                        continue;
                    }
                    Ok(()) => {
                        drop(loading);
                        return Ok(replica);
                    }
                    Err(fault @ Fault::Canvas(_)) => return Err(fault),
                    Err(fault @ Fault::Many(..)) => {
                        // Whoever asks for many of them leaves nothing here.
                        let _ = session.log.unsubscribe(&replica.id).await;
                        if !replica.is_in_use() {
                            self.canvases.forget(&replica);
                        }
                        return Err(fault);
                    }
                    Err(fault) => self.link.failed(session.id, &fault),
                }
                time::sleep(READ_RETRY).await;
            }
        };
        self.while_it_goes_on(id, read).await
    }

    /// Waits as long as the reading of that canvas goes on: a large one may take long.
    async fn while_it_goes_on<T>(
        &self,
        id: &CanvasId,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let began = time::now();
        let parts = || {
            let replica = self.canvases.named(id.as_str());
            replica.map_or(0, |replica| replica.parts_read.load(Ordering::Relaxed))
        };
        let mut read = std::pin::pin!(read);
        loop {
            let before = parts();
            match time::timeout(MAX_QUEUE_WAIT, &mut read).await {
                Ok(read) => return read,
                Err(_) if parts() != before && time::since(began) < LONGEST_READ => {}
                Err(_) => return Err(Fault::NotNow(self.link.unavailable().to_string())),
            }
        }
    }
}

impl Replica {
    /// Whether it is loaded; it is in use then.
    pub(super) fn touch(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.used = time::now();
        inner.has_good_copy()
    }

    /// See [`Inner::has_copy`].
    pub(super) fn has_copy(&self) -> bool {
        self.inner.lock().has_copy()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.inner.lock().is_unused()
    }

    fn is_in_use(&self) -> bool {
        let inner = self.inner.lock();
        inner.has_copy() || inner.sink.is_some()
    }
}

impl Inner {
    /// Whether it has something of the canvas, current or not. Without it the canvas counts as one that is not here.
    pub(super) fn has_copy(&self) -> bool {
        self.state.is_some()
    }

    /// Whether that is what the log has, as far as it is known here.
    pub(super) fn has_good_copy(&self) -> bool {
        self.has_copy() && !self.stale
    }

    /// Whether nobody has used it for a while.
    pub(super) fn is_unused(&self) -> bool {
        let untouched = self.state.as_ref().is_some_and(CanvasState::is_untouched);
        let kept = if untouched { UNUSED_CANVAS } else { KEEP };
        self.sink.is_none() && self.damage.is_none() && time::since(self.used) > kept
    }
}
