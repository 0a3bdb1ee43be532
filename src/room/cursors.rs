//! Cursors: the latest of each client since the last batch ([`Pointers`], pure), and the flusher. The flusher is one
//! task for all rooms. It ticks those whose cursors moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Link;
use super::inbox::Inbox;
use crate::limits::CURSOR_AGE;
use crate::protocol::ids::{ClientId, ConnId};
use crate::time;

/// Where a client points.
#[derive(Debug)]
struct Pointer {
    client: ClientId,
    fields: Arc<str>,
    at: Instant,
    /// Since the last batch.
    moved: bool,
}

/// A room's own clients' cursors.
#[derive(Debug, Default)]
pub struct Pointers {
    known: BTreeMap<ConnId, Pointer>,
    last_batch: Option<Instant>,
    tick_wanted: bool,
    quiet: Duration,
}

impl Pointers {
    /// Nobody points yet. After `quiet` without a batch the next cursor is a leading edge.
    pub fn new(quiet: Duration) -> Self {
        Self {
            quiet,
            ..Self::default()
        }
    }

    /// A client points there.
    pub fn moved(&mut self, conn: ConnId, client: ClientId, fields: Arc<str>, now: Instant) {
        let pointer = Pointer {
            client,
            fields,
            at: now,
            moved: true,
        };
        self.known.insert(conn, pointer);
    }

    /// Whether the next cursor is a leading edge.
    pub fn is_quiet(&self, now: Instant) -> bool {
        !self.tick_wanted
            && self
                .last_batch
                .is_none_or(|at| now.duration_since(at) >= self.quiet)
    }

    /// Whether a tick must be asked for; it is, by asking.
    pub fn wants_tick(&mut self) -> bool {
        !std::mem::replace(&mut self.tick_wanted, true)
    }

    /// Everybody's cursor counts as moved, but for those that are too old to be told of.
    pub fn mark_all(&mut self, now: Instant) {
        let known = self.known.values_mut();
        known
            .filter(|pointer| now.duration_since(pointer.at) < CURSOR_AGE)
            .for_each(|pointer| pointer.moved = true);
    }

    /// The connection ended.
    pub fn forget(&mut self, conn: ConnId) {
        self.known.remove(&conn);
    }

    /// What moved since the last batch.
    pub fn take(&mut self, now: Instant) -> Vec<(ClientId, Arc<str>)> {
        self.tick_wanted = false;
        let moved = self.known.values_mut().filter(|pointer| pointer.moved);
        let batch: Vec<_> = moved
            .map(|pointer| {
                pointer.moved = false;
                (pointer.client.clone(), pointer.fields.clone())
            })
            .collect();
        if !batch.is_empty() {
            self.last_batch = Some(now);
        }
        batch
    }
}

/// Ticks the rooms that asked for it, all at once, at the shortest interval that can be afforded.
pub struct Flusher<L> {
    rooms: Mutex<Vec<Arc<Inbox<L>>>>,
    wanted: tokio::sync::Notify,
    min: Duration,
    max: Duration,
}

impl<L: Link> Flusher<L> {
    /// A flusher between those intervals.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self {
            rooms: Mutex::default(),
            wanted: tokio::sync::Notify::new(),
            min,
            max,
        }
    }

    /// Ticks that room next time.
    pub fn tick(&self, room: Arc<Inbox<L>>) {
        room.expect_tick();
        self.rooms.lock().push(room);
        self.wanted.notify_one();
    }

    /// Runs for ever. Costs nothing while no room asks.
    pub async fn run(&self, last_flush: impl Fn() -> Duration + Send) {
        loop {
            self.wanted.notified().await;
            let interval = (last_flush() * 10).clamp(self.min, self.max);
            time::sleep(interval).await;
            for room in std::mem::take(&mut *self.rooms.lock()) {
                room.tick();
            }
        }
    }
}
