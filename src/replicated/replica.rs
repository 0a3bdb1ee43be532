//! This instance's copy of one canvas, and the destination of its events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::agreement::Marks;
use super::dispatch::Interest;
use super::dispatch::outbox::{Happened, Outbox, collected};
use super::keeping::Held;
use super::link::Session;
use super::loading::Parts;
use super::mending::Parked;
use super::quotas::asks_of;
use super::{Shared, rules};
use crate::backplane::{CanvasKey, Delivery, Sink};
use crate::canvas::codec::{Batch, decode_batch, decode_ephemeral};
use crate::canvas::{CanvasState, Command, Rules};
use crate::log::{CanvasHead, LoggedBatch};
use crate::protocol::ids::{CanvasId, Epoch};
use crate::time;

/// Batches that are kept while earlier ones are being read, and their bytes. More are read, too.
const MOST_AHEAD: (usize, usize) = (256, 4 * 1024 * 1024);

/// One canvas here.
pub(super) struct Replica {
    pub(super) id: CanvasId,
    pub(super) key: CanvasKey,
    /// Held by whoever reads the canvas from the log, or gives it up.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Parts that were read of it: while there are more, it is waited for.
    pub(super) parts_read: AtomicU64,
    /// Rung when something was applied.
    pub(super) moved: Notify,
    pub(super) inner: Mutex<Inner>,
}

/// What a canvas's lock is about.
pub(super) struct Inner {
    /// `None` until it is loaded, and after it was given up.
    pub(super) state: Option<CanvasState>,
    /// Batches applied, and what the last is chained to.
    pub(super) n: u64,
    /// The last of this instance's own batches that was run here, by its number among those: its clients have their answers. It holds
    /// whatever becomes of the copy.
    pub(super) own_serial: u64,
    /// The last batch that the log is known to have.
    pub(super) last_known: u64,
    pub(super) chain: String,
    pub(super) marks: Marks,
    /// The sum of all that was asked for up to there: see [`crate::log::Counts`].
    pub(super) charged: u64,
    pub(super) grown: u64,
    /// When somebody last wrote, came or went.
    pub(super) used_at_ms: i64,
    /// It is not what the log has, and is not to be used: it is read anew.
    pub(super) stale: bool,
    /// The era that they are of.
    pub(super) era: Option<Arc<str>>,
    pub(super) sink: Option<Arc<dyn Sink>>,
    /// Batches that came before those that they follow.
    ahead: BTreeMap<u64, LoggedBatch>,
    /// There were more of them than are kept.
    dropped: bool,
    /// Bytes applied since the last snapshot that is kept, and the size of that.
    pub(super) unsaved: usize,
    pub(super) snapshot_bytes: usize,
    pub(super) used: Instant,
    /// The epoch that the canvas began with; empty where that is not known.
    pub(super) origin: Arc<str>,
    /// The snapshot that was in force when it was read.
    pub(super) snapshot_id: String,
    /// Where the messages end that are kept beside the snapshot: epoch and `seq`.
    pub(super) messages_end: String,
    /// The batch at which it was last noted what is on it.
    pub(super) noted: u64,
    /// Why the engine takes nothing for it, or a snapshot there that can't be read; it is being put back.
    pub(super) damage: Option<String>,
    pub(super) bad_snapshot: Option<String>,
    /// Since when it has left it to others to put theirs back, since it lacks something itself.
    pub(super) yields_since: Option<Instant>,
    /// What this instance said when it did not find the canvas, until it has received that itself.
    pub(super) gone_word: Option<String>,
    /// Somebody did not find the canvas, of which nothing is here.
    pub(super) asked_in_vain: bool,
    /// What waits for that.
    pub(super) parked: Parked,
    /// Why it could not be read, as it was logged last.
    pub(super) logged: Option<String>,
    /// What hooks are to be told of it.
    pub(super) outbox: Outbox,
    /// A snapshot that waits for hooks to be told of what is in it.
    pub(super) held: Option<Held>,
}

/// What came of a message.
#[derive(PartialEq, Eq)]
pub(super) enum Taken {
    Done,
    /// Something before it was missed.
    Behind,
}

impl Replica {
    pub(super) fn new(id: CanvasId, key: CanvasKey) -> Self {
        let outbox = Outbox::new(id.as_str());
        Self {
            id,
            key,
            loading: tokio::sync::Mutex::new(()),
            parts_read: AtomicU64::new(0),
            moved: Notify::new(),
            inner: Mutex::new(Inner {
                state: None,
                n: 0,
                own_serial: 0,
                last_known: 0,
                chain: String::new(),
                marks: Marks::default(),
                charged: 0,
                grown: 0,
                used_at_ms: 0,
                stale: false,
                origin: Arc::default(),
                snapshot_id: String::new(),
                messages_end: String::new(),
                noted: 0,
                bad_snapshot: None,
                era: None,
                sink: None,
                ahead: BTreeMap::new(),
                dropped: false,
                unsaved: 0,
                snapshot_bytes: 0,
                used: time::now(),
                damage: None,
                yields_since: None,
                gone_word: None,
                asked_in_vain: false,
                parked: Parked::default(),
                logged: None,
                outbox,
                held: None,
            }),
        }
    }

    /// A batch was told in that era. It waits while the copy is of another one: where the engine lost something it may not be what follows.
    pub(super) fn receive(&self, kept: LoggedBatch, era: &Arc<str>, shared: &Shared) -> Taken {
        let mut inner = self.inner.lock();
        let ready = inner.has_good_copy() && inner.era.as_ref() == Some(era);
        if ready && kept.n <= inner.n {
            return Taken::Done;
        }
        if ready {
            inner.last_known = inner.last_known.max(kept.n);
        }
        if ready && kept.n == inner.n + 1 {
            inner.step(self, kept, shared);
            inner.catch_up(self, shared);
        } else if inner.has_room_ahead(&kept) {
            inner.ahead.insert(kept.n, kept);
        } else {
            inner.dropped = true;
        }
        let behind = ready && inner.wants_reading();
        drop(inner);
        self.moved.notify_waiters();
        if behind { Taken::Behind } else { Taken::Done }
    }

    /// Something was told that is kept nowhere.
    pub(super) fn receive_ephemeral(&self, bytes: &[u8]) {
        let inner = self.inner.lock();
        let Some(sink) = &inner.sink else { return };
        match decode_ephemeral(bytes) {
            Ok((from, entries)) => {
                for entry in entries {
                    if let Ok(delivery) = entry.told(from) {
                        sink.deliver(delivery);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(canvas = %self.id, %error, "an ephemeral message can't be read")
            }
        }
    }

    /// Batches that were read; `false` if the first does not follow, or the copy differs from another one.
    pub(super) fn replay(
        &self,
        session: &Session,
        batches: Vec<LoggedBatch>,
        shared: &Shared,
    ) -> bool {
        let mut inner = self.inner.lock();
        if inner.era.as_ref() != Some(session.log.era()) {
            return false;
        }
        for kept in batches {
            if kept.n > inner.n + 1 || !inner.has_copy() {
                return false;
            }
            if kept.n == inner.n + 1 {
                inner.step(self, kept, shared);
            }
        }
        inner.catch_up(self, shared);
        let follows = !inner.stale;
        drop(inner);
        self.moved.notify_waiters();
        follows
    }

    /// Takes the place of whatever was here, unless another link is current since: whoever made that reads for itself.
    /// `true` if other rules held until now.
    pub(super) fn install(&self, session: &Session, built: Built, shared: &Shared) -> bool {
        let mut inner = self.inner.lock();
        if !shared.link.is_current(session.id) {
            return false;
        }
        let head = built.head;
        let before = inner.state.replace(built.state);
        inner.n = head.n;
        inner.last_known = head.n;
        inner.chain = head.chain;
        inner.origin = head.epoch.into();
        inner.charged = head.charged;
        inner.grown = head.grown;
        inner.used_at_ms = head.used_at_ms;
        inner.stale = false;
        inner.era = Some(session.log.era().clone());
        inner.unsaved = built.unsaved;
        inner.snapshot_bytes = built.snapshot_bytes;
        inner.messages_end = head.messages_end;
        inner.noted = 0;
        inner.held = None;
        let ends = (head.dispatched, head.saved);
        inner.outbox.restart(ends, built.events, &shared.dispatcher);
        if inner.outbox.since().is_some() {
            shared.dispatcher.wake(self.key);
        }
        if before.is_some() && !inner.begin_anew() {
            // Nobody is here: who was, and left, may be there again.
            let instance = shared.number();
            let died = false;
            let gone = Command::InstanceGone { instance, died };
            shared.ask(self.id.clone(), gone);
        }
        inner.logged = None;
        if !inner.parked.commands.is_empty() {
            // What waits goes before this.
            shared.ask(self.id.clone(), Command::Tick);
        }
        if inner.mark_anew() {
            // The others hear with it what this copy is now.
            shared.ask(self.id.clone(), Command::Tick);
        }
        inner.turn_ghosts_away(&self.id, &head.instances, shared);
        inner.catch_up(self, shared);
        drop(inner);
        self.moved.notify_waiters();
        head.rules != rules::text(&shared.rules)
    }
}

/// A canvas that was put together.
pub(super) struct Built {
    head: CanvasHead,
    state: CanvasState,
    /// What hooks are to be told of it.
    pub(super) events: Vec<Happened>,
    unsaved: usize,
    snapshot_bytes: usize,
}

/// Puts a canvas together of its parts. Takes as long as the canvas is large.
///
/// # Errors
/// What can't be read.
pub(super) fn rebuilt(parts: Parts, rules: Rules, interest: &Interest) -> Result<Built, String> {
    let head = parts.head;
    let by = rules::parse(&head.rules).ok_or("its rules can't be read")?;
    let mut state = if head.saved == 0 {
        let epoch = Epoch::parse(&head.epoch).ok_or("its epoch can't be read")?;
        CanvasState::new(epoch, by)
    } else {
        parts.snapshot.done(by).map_err(|e| e.to_string())?
    };
    // Without them, who comes back gets a snapshot.
    state.adopt_rows(&parts.messages);
    let mut events = Vec::new();
    for kept in &parts.since {
        if let Ok(batch) = decode_batch(&kept.bytes) {
            let run = |state: &mut CanvasState| _ = state.apply_batch(batch, kept.at_ms);
            events.extend(interest.collect(kept, head.dispatched, &mut state, run));
        }
    }
    state.set_rules(rules);
    Ok(Built {
        state,
        events,
        unsaved: parts.since.iter().map(|kept| kept.bytes.len()).sum(),
        snapshot_bytes: parts.snapshot_bytes,
        head,
    })
}

impl Inner {
    /// The log has batches up to that one. What is not here was missed.
    pub(super) fn compared(&mut self, upto: u64) {
        self.last_known = upto;
        self.dropped |= upto != self.n;
    }

    /// Whether something was missed that has to be read.
    pub(super) fn is_behind(&self) -> bool {
        self.has_copy() && (self.dropped || !self.ahead.is_empty())
    }

    /// Whether there was more than is here, also where reading that began and failed.
    pub(super) fn lacks_something(&self) -> bool {
        self.is_behind() || self.has_copy() && self.last_known > self.n
    }

    /// Whether it has to be read, whole or in part.
    pub(super) fn wants_reading(&self) -> bool {
        self.is_behind() || self.has_copy() && self.stale
    }

    fn has_room_ahead(&self, kept: &LoggedBatch) -> bool {
        let bytes: usize = self.ahead.values().map(|kept| kept.bytes.len()).sum();
        self.ahead.len() < MOST_AHEAD.0 && bytes + kept.bytes.len() <= MOST_AHEAD.1
    }

    /// What is read from now on has all that was told before.
    pub(super) fn about_to_read(&mut self) {
        self.dropped = false;
        self.ahead.clear();
    }

    /// Applies the next batch, unless it says that this copy is not what others are: it is stale then.
    fn step(&mut self, of: &Replica, kept: LoggedBatch, shared: &Shared) {
        let batch = decode_batch(&kept.bytes);
        if let Ok(batch) = &batch
            && self.doubts(&of.id, batch, shared)
        {
            return;
        }
        self.n = kept.n;
        self.chain = kept.chained(&self.chain);
        self.unsaved += kept.bytes.len();
        match batch {
            Ok(batch) => self.apply(of.key, batch, &kept, shared),
            // Every instance leaves it out.
            Err(error) => tracing::error!(%error, "a batch can't be read, and is left out"),
        }
        self.mark();
    }

    fn apply(&mut self, key: CanvasKey, batch: Batch, kept: &LoggedBatch, shared: &Shared) {
        let asks = asks_of(&batch.commands);
        self.charged += asks.charge;
        self.grown += asks.growth;
        if asks.uses {
            self.used_at_ms = kept.at_ms;
        }
        let Some(state) = &mut self.state else { return };
        let own = batch.from == Some(shared.number());
        if own {
            self.own_serial = self.own_serial.max(batch.serial);
        }
        if kept.hooks > 0 {
            shared.dispatcher.note(key);
            self.outbox.listen(kept, state, &shared.dispatcher);
        }
        let deliveries = state.apply_batch(batch, kept.at_ms);
        if let Some(happened) = collected(state, kept.n, kept.at_ms, kept.hooks) {
            self.outbox.add(happened, &shared.dispatcher);
            shared.dispatcher.wake(key);
        }
        for delivery in deliveries {
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
                if let Delivery::Log(run) = &delivery {
                    let took_ms = u64::try_from(shared.now_ms() - kept.at_ms).unwrap_or(0);
                    let took = Duration::from_millis(took_ms);
                    let delivered = &shared.counters.delivery;
                    run.marks.iter().for_each(|_| delivered.record(took));
                }
                sink.deliver(delivery);
            }
        }
    }

    /// Applies what was kept for later and follows now.
    fn catch_up(&mut self, of: &Replica, shared: &Shared) {
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.n + 1 {
                break;
            }
            let kept = entry.remove();
            if kept.n == self.n + 1 {
                self.step(of, kept, shared);
            }
        }
    }

    /// The room begins anew: what was between the state before and this one can't be told.
    /// `false` if there is none.
    fn begin_anew(&self) -> bool {
        let (Some(sink), Some(state)) = (&self.sink, &self.state) else {
            return false;
        };
        sink.deliver(Delivery::PlaceLost {
            at: state.head(),
            presence: state.members(),
        });
        true
    }
}
