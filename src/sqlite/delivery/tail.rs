//! The tail delivers committed rows to the rooms of this process, in one order.
//!
//! Ids are given in the order of commits and have no holes. So one number says how far this process is: `position`. The
//! writer moves it when its own batch follows directly; otherwise it reads the gap first. The poller moves it by
//! reading. Both go on from where the other stopped, under one lock. So nothing is delivered twice, and all rooms share
//! one read.

mod dispatch;
mod publish;
mod realign;
mod receive;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension};

use super::carried::Carried;
use crate::backplane::histogram::Histogram;
use crate::backplane::intake::Answers;
use crate::backplane::{CanvasKey, Delivery, LogBuilder, Sink, Waiters};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};
use crate::sqlite::storage::sql;

/// A log message on its way.
#[derive(Debug)]
pub(in crate::sqlite) struct Logged {
    pub(in crate::sqlite) key: CanvasKey,
    pub(in crate::sqlite) seq: u64,
    pub(in crate::sqlite) kind: Kind,
    pub(in crate::sqlite) origin: ConnId,
    pub(in crate::sqlite) op: u64,
    pub(in crate::sqlite) client: ClientId,
    pub(in crate::sqlite) body: Bytes,
}

/// What a transaction has for the rooms, in its order.
#[derive(Debug)]
pub(in crate::sqlite) enum Step {
    /// A row of the log.
    Log(Logged),
    /// Another row.
    Row { key: CanvasKey, delivery: Delivery },
    /// Something that has no row: an answer, or what nobody else needs to hear.
    Answer { key: CanvasKey, delivery: Delivery },
}

/// What the writer committed.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Committed {
    /// The ids of its rows; `None` if it has none.
    pub(in crate::sqlite) ids: Option<Ids>,
    /// The relay's clock in it.
    pub(in crate::sqlite) now_ms: i64,
    pub(in crate::sqlite) steps: Vec<Step>,
    /// The rows, if they are few.
    pub(in crate::sqlite) carried: Carried,
}

/// The ids of rows that follow each other.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Ids {
    pub(in crate::sqlite) first: i64,
    pub(in crate::sqlite) last: i64,
}

impl Committed {
    /// Messages that took a place in a log.
    pub(in crate::sqlite) fn logged(&self) -> usize {
        let logged = |step: &&Step| matches!(step, Step::Log(_));
        self.steps.iter().filter(logged).count()
    }
}

struct Room {
    sink: Arc<dyn Sink>,
    epoch: Epoch,
    last_seq: u64,
    presence_version: u64,
    /// Its opener has read the tables: from then on it can be compared with them.
    opened: bool,
    /// The epoch is that of a row, which is younger than what the opener has read.
    reset: bool,
    /// The log messages of this pass that are not delivered yet.
    run: Option<LogBuilder>,
    /// It stands among those whose watermark has to be written.
    moved: bool,
}

#[derive(Default)]
struct State {
    /// The last row that was dispatched. Means nothing while there are no rooms.
    position: i64,
    rooms: HashMap<CanvasKey, Room>,
    /// Rooms that have a run.
    running: Vec<CanvasKey>,
    /// Rows were skipped or are missing: rooms must be compared with the tables.
    missed: bool,
    /// The first row of the writer's open transaction: from there on the writer tells itself.
    held_back: Option<i64>,
    /// The poller has found rows held back, so it has to look again.
    turned_away: bool,
    /// The last row of the writer's last commit.
    written: i64,
    /// Rooms whose watermark has to be written. Kept, so that rooms that rest need not be looked at.
    moved: Vec<CanvasKey>,
    /// Rooms that went, for the watermarks.
    closed: Vec<CanvasKey>,
    delivery: Arc<Histogram>,
}

/// The end of the log as this process has delivered it.
pub(in crate::sqlite) struct Tail {
    state: Mutex<State>,
    /// The keys of rooms, for the poller to look at without waiting for the writer.
    open: RwLock<HashSet<CanvasKey>>,
    /// From a message's transaction to the rooms here.
    pub(in crate::sqlite) delivery: Arc<Histogram>,
    /// Authors without a seat.
    pub(in crate::sqlite) waiters: Waiters,
    rooms: AtomicUsize,
    position: AtomicI64,
}

/// A room to be opened, as the tables had it a moment ago.
pub(in crate::sqlite) struct Opening {
    pub(in crate::sqlite) key: CanvasKey,
    pub(in crate::sqlite) sink: Arc<dyn Sink>,
    pub(in crate::sqlite) epoch: Epoch,
}

impl Tail {
    pub(in crate::sqlite) fn new() -> Self {
        let delivery = Arc::<Histogram>::default();
        Self {
            state: Mutex::new(State {
                delivery: delivery.clone(),
                ..State::default()
            }),
            delivery,
            open: RwLock::default(),
            waiters: Waiters::default(),
            rooms: AtomicUsize::new(0),
            position: AtomicI64::new(0),
        }
    }

    /// Rooms that are delivered to.
    pub(in crate::sqlite) fn rooms(&self) -> usize {
        self.rooms.load(Ordering::Acquire)
    }

    /// The last row that was dispatched.
    pub(in crate::sqlite) fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// Whether there is a room for one of the canvases.
    pub(in crate::sqlite) fn wants(&self, keys: impl IntoIterator<Item = CanvasKey>) -> bool {
        let open = self.open.read();
        keys.into_iter().any(|key| open.contains(&key))
    }

    /// Delivers to the room from here on. The first room sets the position: what was committed before is
    /// for its caller to read.
    pub(in crate::sqlite) fn open(
        &self,
        conn: &Connection,
        opening: Opening,
    ) -> rusqlite::Result<()> {
        let mut state = self.state.lock();
        if state.rooms.is_empty() {
            state.position = last_id(conn)?;
            state.missed = false;
            self.position.store(state.position, Ordering::Release);
        }
        let Opening { key, sink, epoch } = opening;
        let mut room = Room {
            sink,
            epoch,
            last_seq: 0,
            presence_version: 0,
            opened: false,
            reset: false,
            run: None,
            moved: false,
        };
        room.moves(key, &mut state.moved);
        state.closed.retain(|closed| *closed != key);
        state.rooms.insert(key, room);
        self.open.write().insert(key);
        self.rooms.store(state.rooms.len(), Ordering::Release);
        Ok(())
    }

    /// What the opened room was told: rows beyond are still to come, and if they never do, this room has missed rows.
    pub(in crate::sqlite) fn opened(&self, key: CanvasKey, head: Position, presence_version: u64) {
        if let Some(room) = self.state.lock().rooms.get_mut(&key) {
            room.opened = true;
            if !room.reset {
                room.epoch = head.epoch;
            }
            room.last_seq = room.last_seq.max(head.seq);
            room.presence_version = room.presence_version.max(presence_version);
        }
    }

    /// Ends delivery, if the sink is still the one.
    pub(in crate::sqlite) fn close(&self, key: CanvasKey, sink: &Arc<dyn Sink>) {
        let mut state = self.state.lock();
        let same = |room: &Room| std::ptr::addr_eq(Arc::as_ptr(&room.sink), Arc::as_ptr(sink));
        if state.rooms.get(&key).is_some_and(same) {
            state.rooms.remove(&key);
            state.closed.push(key);
            self.open.write().remove(&key);
            self.rooms.store(state.rooms.len(), Ordering::Release);
        }
    }

    /// Reads and dispatches up to `limit` rows; gives how many there were.
    pub(in crate::sqlite) fn catch_up(
        &self,
        conn: &Connection,
        now_ms: i64,
        limit: u32,
    ) -> rusqlite::Result<usize> {
        let mut state = self.state.lock();
        if state.rooms.is_empty() {
            return Ok(0);
        }
        let upto = state.held_back.map(|first_id| first_id - 1);
        state.turned_away |= upto.is_some();
        if upto.is_some_and(|upto| state.position >= upto) {
            return Ok(0);
        }
        let read = state.read_on(conn, now_ms, limit, upto);
        state.flush();
        self.position.store(state.position, Ordering::Release);
        let read = read?;
        if read == 0 && state.missed {
            state.realign(conn)?;
            self.position.store(state.position, Ordering::Release);
        }
        Ok(read)
    }

    /// This process was stopped for so long that rows may have come and gone unseen.
    pub(in crate::sqlite) fn suspect(&self) {
        self.state.lock().missed = true;
    }

    /// Delivers what has no place in the log.
    pub(in crate::sqlite) fn answer(&self, answers: Answers) {
        let mut state = self.state.lock();
        for (key, delivery) in answers {
            self.waiters.answered(&delivery);
            state.deliver(key, delivery);
        }
    }

    /// The watermarks that changed since the last call: `(canvas, row)`, `None` for rooms that went.
    pub(in crate::sqlite) fn take_watermarks(&self) -> Vec<(CanvasKey, Option<i64>)> {
        let mut state = self.state.lock();
        let State {
            position,
            rooms,
            moved,
            closed,
            ..
        } = &mut *state;
        let mut changed: Vec<_> = closed.drain(..).map(|key| (key, None)).collect();
        for key in moved.drain(..) {
            // It may have gone since, and come again.
            let room = rooms.get_mut(&key);
            if room.is_some_and(|room| std::mem::take(&mut room.moved)) {
                changed.push((key, Some(*position)));
            }
        }
        changed
    }

    /// All watermarks are to be written again.
    pub(in crate::sqlite) fn forget_watermarks(&self) {
        let mut state = self.state.lock();
        let State { rooms, moved, .. } = &mut *state;
        for (key, room) in rooms {
            room.moves(*key, moved);
        }
    }
}

/// Whether another connection has committed since this was asked; `version` is what SQLite said then.
pub(in crate::sqlite) fn has_changed(
    conn: &Connection,
    version: &mut Option<i64>,
) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached("PRAGMA data_version")?;
    let now = statement.query_row([], |row| row.get(0))?;
    Ok(version.replace(now) != Some(now))
}

/// The id of the last row ever written.
pub(in crate::sqlite) fn last_id(conn: &Connection) -> rusqlite::Result<i64> {
    let mut statement = conn.prepare_cached(sql::LAST_ID)?;
    Ok(statement
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}
