//! This instance's copy of one canvas, and where what happens to it goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::link::Session;
use super::scripts::{Kept, Loaded};
use super::{Shared, rules};
use crate::backplane::{Delivery, Sink};
use crate::machine::codec::{decode_batch, decode_ephemeral};
use crate::machine::{CanvasState, Command};
use crate::protocol::ids::{CanvasId, Epoch};

/// Batches that are kept while earlier ones are being read, and their bytes. More are read, too.
const MOST_AHEAD: (usize, usize) = (256, 4 * 1024 * 1024);

/// One canvas here.
pub(super) struct Replica {
    pub(super) id: CanvasId,
    pub(super) key: i64,
    /// Held by whoever reads the canvas from Redis, or gives it up.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Rung when something was applied.
    pub(super) moved: Notify,
    pub(super) inner: Mutex<Inner>,
}

/// What a canvas's lock is about.
pub(super) struct Inner {
    /// `None` until it is loaded, and after it was given up.
    pub(super) state: Option<CanvasState>,
    /// Batches applied.
    pub(super) n: u64,
    /// The era that they are of.
    pub(super) era: Option<Arc<str>>,
    pub(super) sink: Option<Arc<dyn Sink>>,
    /// Batches that came before those that they follow.
    ahead: BTreeMap<u64, Kept>,
    /// There were more of them than are kept.
    dropped: bool,
    /// Bytes applied since the last snapshot that is kept, and the size of that.
    pub(super) unsaved: usize,
    pub(super) snapshot_bytes: usize,
    pub(super) used: Instant,
}

/// What came of a message.
#[derive(PartialEq, Eq)]
pub(super) enum Heard {
    Done,
    /// Something before it was missed.
    Behind,
}

impl Replica {
    pub(super) fn new(id: CanvasId, key: i64) -> Self {
        Self {
            id,
            key,
            loading: tokio::sync::Mutex::new(()),
            moved: Notify::new(),
            inner: Mutex::new(Inner {
                state: None,
                n: 0,
                era: None,
                sink: None,
                ahead: BTreeMap::new(),
                dropped: false,
                unsaved: 0,
                snapshot_bytes: 0,
                used: Instant::now(),
            }),
        }
    }

    /// A batch was told in that era. It waits while the copy is of another one: where Redis lost something it may not be what follows.
    pub(super) fn hear(&self, kept: Kept, era: &Arc<str>, shared: &Shared) -> Heard {
        let mut inner = self.inner.lock();
        let ready = inner.state.is_some() && inner.era.as_ref() == Some(era);
        if ready && kept.n <= inner.n {
            return Heard::Done;
        }
        if ready && kept.n == inner.n + 1 {
            inner.step(kept, shared);
            inner.catch_up(shared);
        } else if inner.has_room_ahead(&kept) {
            inner.ahead.insert(kept.n, kept);
        } else {
            inner.dropped = true;
        }
        let behind = ready && inner.is_behind();
        drop(inner);
        self.moved.notify_waiters();
        if behind { Heard::Behind } else { Heard::Done }
    }

    /// Something was told that is kept nowhere.
    pub(super) fn hear_ephemeral(&self, bytes: &[u8]) {
        let inner = self.inner.lock();
        let Some(sink) = &inner.sink else { return };
        match decode_ephemeral(bytes) {
            Ok((from, entries)) => {
                for entry in entries {
                    if let Some(delivery) = entry.told(from) {
                        sink.deliver(delivery);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(canvas = %self.id, %error, "an ephemeral message can't be read")
            }
        }
    }

    /// Batches that were read; `false` if the first does not follow.
    pub(super) fn replay(&self, session: &Session, batches: Vec<Kept>, shared: &Shared) -> bool {
        let mut inner = self.inner.lock();
        if inner.era.as_ref() != Some(&session.era) {
            return false;
        }
        for kept in batches {
            if kept.n > inner.n + 1 || inner.state.is_none() {
                return false;
            }
            if kept.n == inner.n + 1 {
                inner.step(kept, shared);
            }
        }
        inner.catch_up(shared);
        drop(inner);
        self.moved.notify_waiters();
        true
    }

    /// Takes the place of whatever was here, unless another connection is heard since: whoever made that reads for itself. `true` if
    /// other rules held until now.
    ///
    /// # Errors
    /// What can't be read.
    pub(super) fn install(
        &self,
        session: &Session,
        loaded: Loaded,
        shared: &Shared,
    ) -> Result<bool, String> {
        let rules = rules::parse(&loaded.rules).ok_or("its rules can't be read")?;
        let mut state = if loaded.saved == 0 {
            let epoch = Epoch::parse(&loaded.epoch).ok_or("its epoch can't be read")?;
            CanvasState::new(epoch, rules)
        } else {
            CanvasState::decode(&loaded.snapshot, rules).map_err(|e| e.to_string())?
        };
        let mut n = loaded.saved;
        for kept in &loaded.since {
            if kept.n != n + 1 {
                return Err(format!("batch {} is missing", n + 1));
            }
            n = kept.n;
            if let Ok(batch) = decode_batch(&kept.bytes) {
                state.apply_batch(batch, kept.at_ms);
            }
        }
        if n != loaded.n {
            return Err(format!("batch {} is missing", n + 1));
        }
        state.set_rules(shared.rules);
        let mut inner = self.inner.lock();
        if !shared.link.hears(session.id) {
            return Ok(false);
        }
        let before = inner.state.replace(state);
        inner.n = n;
        inner.era = Some(session.era.clone());
        inner.unsaved = loaded.since.iter().map(|kept| kept.bytes.len()).sum();
        inner.snapshot_bytes = loaded.snapshot.len();
        if before.is_some() && !inner.begin_anew() {
            // Nobody is here: who was, and left, may be there again.
            let (instance, died) = (shared.number(), false);
            let gone = Command::InstanceGone { instance, died };
            shared.ask(self.id.clone(), gone);
        }
        inner.catch_up(shared);
        drop(inner);
        self.moved.notify_waiters();
        Ok(loaded.rules != rules::text(&shared.rules))
    }
}

impl Inner {
    /// Whether something was missed that has to be read.
    pub(super) fn is_behind(&self) -> bool {
        self.state.is_some() && (self.dropped || !self.ahead.is_empty())
    }

    fn has_room_ahead(&self, kept: &Kept) -> bool {
        let bytes: usize = self.ahead.values().map(|kept| kept.bytes.len()).sum();
        self.ahead.len() < MOST_AHEAD.0 && bytes + kept.bytes.len() <= MOST_AHEAD.1
    }

    /// What is read from now on has all that was told before.
    pub(super) fn about_to_read(&mut self) {
        self.dropped = false;
        self.ahead.clear();
    }

    /// Applies the next batch.
    fn step(&mut self, kept: Kept, shared: &Shared) {
        self.n = kept.n;
        self.unsaved += kept.bytes.len();
        let Some(state) = &mut self.state else { return };
        let batch = match decode_batch(&kept.bytes) {
            Ok(batch) => batch,
            // Every instance leaves it out.
            Err(error) => return tracing::error!(%error, "a batch can't be read, and is left out"),
        };
        let own = batch.from == shared.number();
        for delivery in state.apply_batch(batch, kept.at_ms) {
            match &delivery {
                Delivery::Log(run) if own => {
                    let count = run.marks.len() as u64;
                    shared
                        .counters
                        .committed
                        .fetch_add(count, Ordering::Relaxed);
                    for (mark, seq) in run.marks.iter().zip(run.first_seq..) {
                        shared.waiters.logged(mark.origin, seq);
                    }
                }
                Delivery::Outcome { conn, .. } | Delivery::Joined { conn, .. } => {
                    if conn.instance() != shared.number() {
                        continue;
                    }
                    shared.waiters.answered(&delivery);
                }
                _ => {}
            }
            if let Some(sink) = &self.sink {
                sink.deliver(delivery);
            }
        }
    }

    /// Applies what was kept for later and follows now.
    fn catch_up(&mut self, shared: &Shared) {
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.n + 1 {
                break;
            }
            let kept = entry.remove();
            if kept.n == self.n + 1 {
                self.step(kept, shared);
            }
        }
    }

    /// The room begins anew: what was between the state before and this one can't be told.
    /// `false` if there is none.
    fn begin_anew(&self) -> bool {
        let (Some(sink), Some(state)) = (&self.sink, &self.state) else {
            return false;
        };
        let (presence_version, members) = state.members();
        sink.deliver(Delivery::Astray {
            at: state.head(),
            presence_version,
            members,
        });
        true
    }
}
