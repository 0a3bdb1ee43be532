//! Hooks: the events of batches are put into the queues of back ends.
//!
//! The log itself is the record of what hooks must be told. Each copy collects the events of its batches ([`outbox`]).
//! One of the instances that have the canvas pushes them into the queue, in one commit with the mark of how far the
//! canvas was told ([`pass`]). Another one that tries finds the mark moved, and does nothing. If no instance with the
//! events is left, another one reads the canvas. A snapshot is never ahead of the mark. So all batches after it are
//! there, and yield the same events again.

pub(super) mod outbox;
mod pass;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::link::Session;
use super::replica::Replica;
use super::{Shared, jobs};
use crate::backplane::CanvasKey;
use crate::canvas::{CanvasState, EventCollector, HookFilter};
use crate::hooks::Stored;
use crate::jobs::dispatch::follower::Follower;
use crate::jobs::look::Query;
use crate::jobs::op::Answer;
use crate::log::{Fault, LoggedBatch};
use crate::protocol::ids::CanvasId;
use crate::time;

pub(super) use pass::run;

/// Versions of the hooks that are remembered.
const VERSIONS: usize = 32;
/// How often it is looked whether a canvas has not been told that is told enough, while one waits for that.
const LOOK: Duration = Duration::from_millis(5);

/// What the process knows of hooks.
#[derive(Default)]
pub(super) struct Dispatcher {
    versions: Mutex<BTreeMap<u64, Arc<Stored>>>,
    /// Copies with something to tell.
    waiting: Mutex<HashSet<CanvasKey>>,
    /// Copies of canvases that the engine may have among those that are undispatched.
    noted: Mutex<HashSet<CanvasKey>>,
    /// Rung when there is something to tell.
    work: Notify,
    /// Rung when somebody stored hooks.
    pub(super) changed: Arc<Notify>,
    /// Bytes of what waits to be told.
    bytes: AtomicUsize,
    follower: OnceLock<Arc<Follower>>,
}

impl Dispatcher {
    /// Counts, and is asked for nothing else.
    pub(super) fn follow(&self, follower: &Arc<Follower>) {
        self.follower.get_or_init(|| follower.clone());
    }

    /// What a copy has to listen for in a batch of that version.
    pub(super) fn filter(&self, version: u64) -> HookFilter {
        let known = self.versions.lock().get(&version).cloned();
        let followed = || {
            let current = self.follower.get()?.current();
            (current.version.cast_unsigned() == version).then_some(current)
        };
        known
            .or_else(followed)
            .map_or(HookFilter::All, HookFilter::Some)
    }

    fn learn(&self, version: u64, stored: Arc<Stored>) {
        let mut versions = self.versions.lock();
        versions.insert(version, stored);
        while versions.len() > VERSIONS {
            versions.pop_first();
        }
    }

    /// There is something to tell.
    pub(super) fn wake(&self, key: CanvasKey) {
        self.waiting.lock().insert(key);
        self.work.notify_one();
    }

    /// The engine may have the canvas among those that are undispatched.
    pub(super) fn note(&self, key: CanvasKey) {
        self.noted.lock().insert(key);
    }

    fn add_bytes(&self, more: usize) {
        self.bytes.fetch_add(more, Ordering::Relaxed);
    }

    fn take_bytes(&self, less: usize) {
        self.bytes.fetch_sub(less, Ordering::Relaxed);
    }

    fn count_dropped(&self, dropped: u64) {
        if let Some(follower) = self.follower.get() {
            follower.count_dropped(dropped);
        }
    }
}

/// What a canvas that is put together has to listen for.
pub(super) struct Interest {
    canvas: Arc<str>,
    versions: BTreeMap<u64, Arc<Stored>>,
}

impl Interest {
    /// Runs a batch that was read; what it does is collected, if that is to be dispatched.
    pub(super) fn collect(
        &self,
        kept: &LoggedBatch,
        dispatched: u64,
        state: &mut CanvasState,
        run: impl FnOnce(&mut CanvasState),
    ) -> Option<outbox::Happened> {
        if kept.hooks > 0 && kept.n > dispatched {
            let known = self.versions.get(&kept.hooks).cloned();
            let filter = known.map_or(HookFilter::All, HookFilter::Some);
            state.listen(EventCollector::new(self.canvas.clone(), filter));
        }
        run(state);
        outbox::collected(state, kept.n, kept.at_ms, kept.hooks)
    }
}

impl Shared {
    /// For a copy that is put together.
    pub(super) fn interest(&self, replica: &Replica) -> Interest {
        Interest {
            canvas: replica.id.as_str().into(),
            versions: self.dispatcher.versions.lock().clone(),
        }
    }

    /// The hooks of a version, asked for if they are not known.
    async fn hooks_of(self: &Arc<Self>, session: &Session, version: u64) -> Option<Arc<Stored>> {
        if let HookFilter::Some(stored) = self.dispatcher.filter(version) {
            return Some(stored);
        }
        let query = Query::Hooks(Some(version.cast_signed()));
        let shared = self.clone();
        let session = session.clone();
        let handle = tokio::runtime::Handle::current();
        let looked =
            tokio::task::spawn_blocking(move || jobs::looked(&shared, session, handle, &query));
        let Ok(Ok(Answer::Hooks(stored))) = looked.await else {
            return None;
        };
        self.dispatcher.learn(version, stored.clone());
        Some(stored)
    }

    /// Another process told hooks of a canvas.
    pub(super) fn dispatched_elsewhere(&self, canvas: &str, upto: u64) {
        if let Some(replica) = self.canvases.named(canvas) {
            let mut inner = replica.inner.lock();
            // A copy that is not so far may be of a canvas that has begun anew since.
            if upto <= inner.n {
                let freed = inner.outbox.dispatched_upto(upto);
                self.dispatcher.take_bytes(freed);
            }
        }
    }

    /// Waits until hooks were told of everything up to a batch of a copy; not for ever.
    pub(super) async fn until_dispatched(&self, replica: &Replica, n: u64, most: Duration) -> bool {
        let until = time::now() + most;
        loop {
            if replica.inner.lock().outbox.is_dispatched(n) {
                return true;
            }
            if time::now() >= until {
                return false;
            }
            time::sleep(LOOK).await;
        }
    }

    /// Waits until hooks were told of everything that is here; not for ever.
    pub(super) async fn until_all_dispatched(&self, most: Duration) {
        let until = time::now() + most;
        for replica in self.canvases.all() {
            let left = until.saturating_duration_since(time::now());
            self.until_dispatched(&replica, u64::MAX, left).await;
        }
    }

    /// A canvas that is given up is not to be looked for.
    pub(super) async fn note_dispatched(
        &self,
        session: &Session,
        replica: &Replica,
    ) -> Result<(), Fault> {
        if !self.dispatcher.noted.lock().remove(&replica.key) {
            return Ok(());
        }
        let n = replica.inner.lock().n;
        self.all_dispatched(session, &[(replica.id.clone(), n)])
            .await
    }

    /// What came meanwhile is noted again.
    async fn all_dispatched(
        &self,
        session: &Session,
        told: &[(CanvasId, u64)],
    ) -> Result<(), Fault> {
        session.log.all_dispatched(told).await
    }
}
