//! The inbox of a room: deliveries of the backplane, messages of its members, answers to its reads.
//!
//! One lock, one wake-up for many events. It is bounded. When it is full, events are dropped that can be read again
//! (the log) or give way to newer ones (cursors, signals). The number of connections and their ops in flight bounds all
//! others.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Link;
use super::parts::Parts;
use crate::backplane::{Delivery, End, LogBatch, Opened, PresenceTable, Read, Sink, Unavailable};
use crate::limits::{ROOM_INBOX_BYTES, ROOM_INBOX_ITEMS};
use crate::protocol::ids::{ConnId, Epoch, Position};

/// Events with which a room is woken for a cursor, though a tick will come.
const CURSORS_UNTIL_TICK: usize = 256;

/// What happens to a room.
pub enum Event<L> {
    /// The backplane opened the canvas.
    Opened(Result<Opened, Unavailable>),
    /// The backplane delivered.
    Delivery(Delivery),
    /// Log batches were dropped because the inbox was full; the last one ended there.
    Lagged(Epoch, u64),
    /// A connection said `hello`.
    Join {
        /// The connection.
        link: Arc<L>,
        /// What it holds already.
        since: Option<Position>,
    },
    /// A connection ended.
    Leave {
        /// Which.
        conn: ConnId,
        /// After `bye` or close 1000/1001.
        end: End,
    },
    /// A connection that was full has room again.
    Drained(ConnId),
    /// The client moved its cursor to these fields.
    Cursor(ConnId, String),
    /// The client changed its presence state by this merge patch, a JSON object.
    Presence(ConnId, String),
    /// The client's ephemeral events.
    Signals {
        /// Through which connection.
        conn: ConnId,
        /// Framed, back to back.
        frames: bytes::Bytes,
        /// Where each stands in the frames, for other instances.
        bodies: Vec<Range<usize>>,
    },
    /// The flusher's tick.
    CursorTick,
    /// A read for a member (or, without one, for the room) came back.
    ReadDone(Option<ConnId>, Result<Read, Unavailable>),
    /// A snapshot came back.
    SnapshotDone(Result<Arc<Parts>, Unavailable>),
    /// The presence table came back.
    MembersDone(Result<PresenceTable, Unavailable>),
    /// A pause after a failure is over.
    Retry(Retry),
    /// A snapshot that was read is not young any more.
    Forget,
}

/// What is tried again after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The member's catch-up.
    Member(ConnId),
    /// The room's own gap.
    Room,
    /// A snapshot that somebody waits for.
    Snapshot,
    /// The presence table.
    Members,
    /// Entries about leaving that the queue did not take.
    Leaves,
}

impl<L> Event<L> {
    /// Bytes of what may be lost.
    fn size(&self) -> usize {
        64 + match self {
            Self::Cursor(_, text) | Self::Presence(_, text) => text.len(),
            // The buffer behind them grew by doubling.
            Self::Signals { frames, .. } => 2 * frames.len(),
            Self::Delivery(Delivery::Signal { body, .. }) => body.len(),
            Self::Delivery(Delivery::Post { post, .. }) => post.messages.len(),
            Self::Delivery(Delivery::Cursors { cursors, .. }) => {
                cursors.iter().map(|(_, fields)| fields.len() + 64).sum()
            }
            _ => 0,
        }
    }
}

struct Waiting<L> {
    events: Vec<Event<L>>,
    log_bytes: usize,
    offered_bytes: usize,
    lagged: Option<(Epoch, u64)>,
    /// A cursor tick is on its way.
    ticking: bool,
}

/// A room's inbox; the room's [`Sink`].
pub struct Inbox<L> {
    waiting: Mutex<Waiting<L>>,
    notify: Notify,
}

impl<L> Default for Inbox<L> {
    fn default() -> Self {
        let waiting = Waiting {
            events: Vec::new(),
            log_bytes: 0,
            offered_bytes: 0,
            lagged: None,
            ticking: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            notify: Notify::new(),
        }
    }
}

impl<L> Inbox<L> {
    /// Puts an event that must not be lost.
    pub fn put(&self, event: Event<L>) {
        self.waiting.lock().events.push(event);
        self.notify.notify_one();
    }

    /// A [`Event::CursorTick`] will come: until then cursors alone don't wake the room.
    pub fn expect_tick(&self) {
        self.waiting.lock().ticking = true;
    }

    /// The tick.
    pub fn tick(&self) {
        self.waiting.lock().ticking = false;
        self.put(Event::CursorTick);
    }

    /// Puts an event that may be lost when too much waits.
    pub fn offer(&self, event: Event<L>) {
        let mut waiting = self.waiting.lock();
        if waiting.events.len() < ROOM_INBOX_ITEMS && waiting.offered_bytes < ROOM_INBOX_BYTES {
            // The tick sends them out. Some wake it anyway, so that they can't fill the inbox.
            let can_wait = waiting.ticking
                && waiting.events.len() < CURSORS_UNTIL_TICK
                && matches!(event, Event::Cursor(..));
            waiting.offered_bytes += event.size();
            waiting.events.push(event);
            drop(waiting);
            if !can_wait {
                self.notify.notify_one();
            }
        }
    }

    fn log(&self, batch: LogBatch) {
        let mut waiting = self.waiting.lock();
        let full =
            waiting.events.len() >= ROOM_INBOX_ITEMS || waiting.log_bytes >= ROOM_INBOX_BYTES;
        if full || waiting.lagged.is_some() {
            waiting.lagged = Some((batch.epoch, batch.last_seq()));
        } else {
            waiting.log_bytes += batch.frames.len();
            waiting.events.push(Event::Delivery(Delivery::Log(batch)));
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// Waits until something is there.
    pub async fn ready(&self) {
        self.notify.notified().await;
    }

    /// Takes all that waits, in order, with its allocation: an idle room holds none.
    pub fn take(&self) -> Vec<Event<L>> {
        let mut waiting = self.waiting.lock();
        let mut events = std::mem::take(&mut waiting.events);
        waiting.log_bytes = 0;
        waiting.offered_bytes = 0;
        if let Some((epoch, seq)) = waiting.lagged.take() {
            events.push(Event::Lagged(epoch, seq));
        }
        events
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.events.is_empty() && waiting.lagged.is_none()
    }
}

impl<L: Link> Sink for Inbox<L> {
    fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::Log(batch) => self.log(batch),
            ephemeral @ (Delivery::Signal { .. }
            | Delivery::Cursors { .. }
            | Delivery::Post { .. }) => {
                self.offer(Event::Delivery(ephemeral));
            }
            kept => self.put(Event::Delivery(kept)),
        }
    }
}
