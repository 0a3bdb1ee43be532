//! What rooms need from whatever carries messages between processes, and the contract in words.
//!
//! Three implementations are meant: [`crate::queue`] (a SQLite file shared by processes of one host),
//! [`crate::memory`] (one process, nothing stored) and, later, Redis. Rooms know only this file. One
//! conformance suite (`tests/conformance`) runs against all of them.
//!
//! # The contract
//!
//! 1. **Committed before delivered.** What a sink is given has been committed. What [`Backplane::append`]
//!    took is committed and delivered, or answered with an [`Outcome`]; never both, never neither.
//! 2. **One order.** On every instance a canvas's log messages arrive as `seq` 1, 2, 3, … of one epoch, and an author's
//!    entries in the order it appended them.
//! 3. **Open, then read.** From the moment [`Backplane::open`] returns, everything after `Opened::head`
//!    is delivered. A sink may also see entries at or below that head: it drops them by their `seq` (presence: `version`).
//! 4. **A sink may lose log batches** when it is full (it says so itself): [`Backplane::read`] fills the gap.
//! 5. **Positions are `(epoch, seq)`.** Ids of rows, stream entries or offsets never cross this interface.
//! 6. **Ephemeral means ephemeral.** Signals and cursors are delivered at most once, in the order of their sender, and may be lost in a crash.
//!    The sender's own instance gets them back too and tells them by [`ConnId::instance`].
//! 7. **Presence is a table, not a rumour.** Each change is committed to it, and numbered per canvas (`version`, contiguous).
//!    The backplane itself turns the clients of a dead instance `away`, and removes whoever stayed away longer than the grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;

use crate::protocol::client_message::{Durable, Kind};
use crate::protocol::ids::{CanvasId, ClientId, ConnId, Epoch, InstanceId, Position};
use crate::protocol::server_message::{AckStatus, ErrorCode, LeaveReason};

/// A canvas as the backplane knows it: its name, and the key that stands for it in tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Canvas {
    /// The name clients use.
    pub id: CanvasId,
    /// The backplane's own key.
    pub key: i64,
}

/// One connection as an author of entries.
#[derive(Debug)]
pub struct Author {
    /// The connection.
    pub conn: ConnId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Name and colour as a JSON object.
    pub user: String,
    /// The `sub` of its token; empty without auth.
    pub subject: String,
    mark: u64,
    /// The op after whose retryable refusal all later ones wait, twice, and 1 more if that was `rate-limited`; 0 for none.
    held: AtomicU64,
    /// The highest op that was taken and not refused since.
    taken: AtomicU64,
    /// The highest op that was answered for good.
    settled: AtomicU64,
}

/// Names are compared once a member and message: numbers are faster. That two clients of a canvas share one is as likely
/// as that two UUIDs are the same, and would only let an op pass that waits for an earlier one.
fn client_mark(name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(name, &mut hasher);
    std::hash::Hasher::finish(&hasher)
}

impl Author {
    /// An author whose ops are not held.
    pub fn new(conn: ConnId, client: ClientId, user: String, subject: String) -> Self {
        Self {
            mark: client_mark(client.as_str()),
            conn,
            client,
            user,
            subject,
            held: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        }
    }

    /// Holds all ops from `op` on, after a retryable refusal of it: if `op + 1` were committed, a resent `op` would look like a duplicate.
    /// `code` is `rate-limited` or `overloaded`; later ops are refused with the same.
    /// Nothing is held for a second copy of an op that was answered for good: its author will not send it again.
    pub fn hold(&self, op: u64, code: ErrorCode) {
        if op <= self.settled.load(Ordering::Acquire) {
            return;
        }
        self.taken.fetch_min(op - 1, Ordering::AcqRel);
        let new = op << 1 | u64::from(code == ErrorCode::RateLimited);
        let lower = |held: u64| (held == 0 || op <= held >> 1).then_some(new);
        // `Err` only says that a lower op is held already.
        let _ = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, lower);
        // It may have been settled in the meantime.
        self.settle(self.settled.load(Ordering::Acquire));
    }

    /// The code that `op` is refused with because a lower one waits to be sent again; `None` if it is not.
    pub fn held(&self, op: u64) -> Option<ErrorCode> {
        let held = self.held.load(Ordering::Acquire);
        let code = match held & 1 {
            0 => ErrorCode::Overloaded,
            _ => ErrorCode::RateLimited,
        };
        (held != 0 && op > held >> 1).then_some(code)
    }

    /// Whether `op` is the one that all later ones wait for.
    pub fn awaits(&self, op: u64) -> bool {
        self.held.load(Ordering::Acquire) >> 1 == op
    }

    /// Whether `op` may be taken: nothing is held, or it is the held op itself, which ends the hold, or a lower one: a resend of
    /// what was answered before, which changes nothing for what waits.
    /// Must be called under the same lock as [`Self::hold`] of the same backplane, or where no other can append for this author.
    ///
    /// # Errors
    /// The refusal with the code of the held op's.
    pub fn admits(&self, op: u64) -> Result<(), Refusal> {
        if let Some(code) = self.held(op) {
            return Err(Refusal {
                code,
                message: "an earlier op was refused: send that first".to_owned(),
                retry_after_ms: Some(crate::limits::RETRY_AFTER_MS),
            });
        }
        if self.awaits(op) {
            self.held.store(0, Ordering::Release);
        }
        Ok(())
    }

    /// `op` was taken: until it is refused, another copy of it that is refused holds nothing.
    pub fn take(&self, op: u64) {
        self.taken.fetch_max(op, Ordering::AcqRel);
    }

    /// Whether a copy of `op` was taken and is not refused.
    pub fn has_taken(&self, op: u64) -> bool {
        op <= self.taken.load(Ordering::Acquire)
    }

    /// `op` was answered for good: whatever waits for it, or for an earlier one, waits no more.
    pub fn settle(&self, op: u64) {
        self.settled.fetch_max(op, Ordering::AcqRel);
        let release = |held: u64| (held != 0 && held >> 1 <= op).then_some(0);
        // `Err` only says that nothing of it is held.
        let _ = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, release);
    }

    /// A number that stands for the client's name in [`Mark::client`].
    pub fn mark(&self) -> u64 {
        self.mark
    }
}

/// What a room hands over for everybody.
#[derive(Debug)]
pub enum Entry {
    /// A message of the durable lane.
    Durable {
        /// Who sent it.
        author: Arc<Author>,
        /// The message.
        message: Durable,
    },
    /// The connection takes its client's place in the presence table. Answered by [`Delivery::Joined`].
    Join {
        /// Who joins.
        author: Arc<Author>,
    },
    /// The client's merged presence state, a JSON object. Nothing if the connection no longer holds the client's place.
    State {
        /// Whose.
        author: Arc<Author>,
        /// The whole state after the merge.
        state: String,
    },
    /// The connection ended: cleanly (gone at once) or not (away until the grace ends). Nothing if the
    /// connection no longer holds the client's place.
    Leave {
        /// Whose.
        author: Arc<Author>,
        /// `true` after `bye` or close 1000/1001.
        clean: bool,
    },
    /// An ephemeral application event.
    Signal {
        /// Who sent it.
        author: Arc<Author>,
        /// `"event":…,"data":…`
        body: String,
    },
    /// The latest cursors of this instance's clients since the last batch.
    Cursors {
        /// The client, and the inside of its cursor object: `"x":…,"y":…`.
        cursors: Vec<(ClientId, Arc<str>)>,
    },
    /// A connection is to be closed, on whatever instance it is. Delivered at most once, like a signal.
    Kick {
        /// Which.
        conn: ConnId,
    },
}

impl Entry {
    /// Bytes to count against bounds.
    pub fn size(&self) -> usize {
        64 + match self {
            Self::Durable { message, .. } => message.body.len(),
            Self::Join { author } => author.user.len(),
            Self::State { state, .. } => state.len(),
            Self::Leave { .. } | Self::Kick { .. } => 0,
            Self::Signal { body, .. } => body.len(),
            Self::Cursors { cursors } => cursors.iter().map(|(_, fields)| fields.len() + 64).sum(),
        }
    }
}

/// Why an entry was not taken, or not committed. Nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `overloaded` and `rate-limited` are the retryable ones.
    pub code: ErrorCode,
    /// What would be right.
    pub message: String,
    /// When to try again, for retryable codes.
    pub retry_after_ms: Option<u64>,
}

/// How one durable entry ended when it did not take a place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was committed before, or had nothing to change. Never [`AckStatus::Ok`]: that is the log's word.
    Ack {
        /// The place it has had, 0 if no longer known or never given.
        seq: u64,
        /// `dup` or `ignored`.
        status: AckStatus,
    },
    /// It was refused after it had been taken. A refusal that is not retryable uses its `op` up: sent again, it is a `dup`.
    Refused(Refusal),
}

/// One message's place in a [`LogBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The author's own number.
    pub op: u64,
    /// The connection that sent it; it gets an ack instead of the frame.
    pub origin: ConnId,
    /// Its client: see [`Author::mark`].
    pub client: u64,
    /// Where its frame ends in the batch's bytes. It begins where the one before ends.
    pub end: usize,
}

/// A contiguous run of committed messages of one canvas, framed once for everybody.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// The epoch that the numbers belong to.
    pub epoch: Epoch,
    /// The `seq` of the first message; the others follow without a gap.
    pub first_seq: u64,
    /// The frames, back to back.
    pub frames: Bytes,
    /// One mark a message.
    pub marks: Arc<[Mark]>,
    /// When the youngest of them was committed, server clock, ms since the epoch.
    pub at_ms: i64,
}

impl LogBatch {
    /// The `seq` of the last message.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.marks.len() as u64 - 1
    }
}

/// A client in the presence table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub client: ClientId,
    /// The connection that holds its place.
    pub conn: ConnId,
    /// Name and colour, a JSON object.
    pub user: Arc<str>,
    /// Its presence state, a JSON object.
    pub state: Option<Arc<str>>,
    /// Lost, within the grace.
    pub away: bool,
}

/// One committed change of the presence table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceEvent {
    /// Contiguous per canvas.
    pub version: u64,
    /// What changed.
    pub change: PresenceChange,
}

/// What changed in the presence table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceChange {
    /// The client's row as it is now: new, back, taken over by another connection, away, or with a new state.
    /// What others are told follows from comparing it with the row before.
    Set(Member),
    /// The client is gone.
    Gone {
        /// Who.
        client: ClientId,
        /// Why.
        reason: LeaveReason,
    },
}

/// What a sink is given, in the order of commits.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// Messages of the log.
    Log(LogBatch),
    /// A change of the presence table.
    Presence(PresenceEvent),
    /// Changes of the presence table up to this version were missed, and nobody knows which: it must be read again.
    PresenceMissed {
        /// The table's version.
        version: u64,
    },
    /// The answer to [`Entry::Join`] of that connection; its presence event comes before it.
    Joined {
        /// Whose.
        conn: ConnId,
        /// The client's highest op that was committed, ignored or refused for good; or why the join was refused.
        acked_op: Result<u64, Refusal>,
    },
    /// How an appended entry ended that did not take a place in the log.
    Outcome {
        /// Whose.
        conn: ConnId,
        /// Which.
        op: u64,
        /// How.
        outcome: Outcome,
    },
    /// An ephemeral application event.
    Signal {
        /// Who sent it.
        client: ClientId,
        /// Through which connection.
        origin: ConnId,
        /// `"event":…,"data":…`
        body: Arc<str>,
    },
    /// Cursors of another instance's clients (or of this one's, come round).
    Cursors {
        /// The number of the instance that wrote them.
        instance: u32,
        /// The client, and the inside of its cursor object.
        cursors: Vec<(ClientId, Arc<str>)>,
    },
    /// A connection is to be closed, if it is one of this instance's.
    Kick {
        /// Which.
        conn: ConnId,
    },
    /// The canvas's numbering began anew (it was deleted, or the file was restored): what clients hold can't be continued.
    Reset {
        /// The new epoch.
        epoch: Epoch,
        /// The head in it.
        seq: u64,
    },
}

/// Where a backplane puts what it delivers. Called with the backplane's locks held: must not block and must not call back.
pub trait Sink: Send + Sync + 'static {
    /// Takes one delivery. A full sink drops `Log`, `Signal` and `Cursors` and reads the log later; it never drops the others.
    fn deliver(&self, delivery: Delivery);
}

/// The answer to [`Backplane::open`].
#[derive(Debug)]
pub struct Opened {
    /// The handle for everything else.
    pub canvas: Canvas,
    /// The position that deliveries go on from.
    pub head: Position,
    /// The presence table's version that `members` is at.
    pub presence_version: u64,
    /// Who is here, over all instances.
    pub members: Vec<Member>,
}

/// A canvas as those see it who are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The handle for everything else.
    pub canvas: Canvas,
    /// Its youngest message.
    pub head: Position,
    /// How many objects it has.
    pub objects: u64,
    /// How many clients are in its presence table, those who are away included.
    pub members: u64,
}

/// The answer to [`Backplane::read`].
#[derive(Debug, Clone)]
pub enum Read {
    /// The messages after the position, as many as the byte budget allows, at least one if there is one. `None`: the position is the head.
    Batch(Option<LogBatch>),
    /// The position is no longer, or not yet, or never was in the log.
    Gone,
}

/// A canvas's state at one position, read in one transaction.
#[derive(Debug)]
pub struct Snapshot {
    /// Exactly where.
    pub at: Position,
    /// The objects in the order of their creation, each a JSON object. One that was replaced keeps its place.
    pub objects: Vec<String>,
    /// The latest chat messages in `seq` order, each a JSON object.
    pub chat: Vec<String>,
}

/// A backplane that cannot answer now. The caller tries again, or tells its client to.
#[derive(Debug, Clone, Error)]
#[error("the queue is not available: {0}")]
pub struct Unavailable(pub String);

/// A future of the backplane's. Each has a bound on its wait.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Unavailable>>;

/// Carries messages between rooms of the same canvas on all instances. The contract is in the module's head.
pub trait Backplane: Send + Sync + 'static {
    /// This instance's name.
    fn instance_id(&self) -> &InstanceId;

    /// A connection number of this instance's that was never used before.
    fn new_conn(&self) -> ConnId;

    /// Starts delivery of a canvas into `sink`, creating the canvas if it is new. One sink per canvas and
    /// instance: a later one replaces an earlier one.
    fn open<'a>(&'a self, canvas: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened>;

    /// Ends delivery of a canvas, if `sink` is still the one that gets it.
    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>);

    /// Takes an entry, without waiting. What was taken is delivered, or answered by an [`Outcome`].
    ///
    /// # Errors
    /// `overloaded` when the queue (or this canvas's share of it) is full or the author's ops are held;
    /// the author's later ops are then held until this one comes again. Held ops are refused with the code of the one they wait for.
    fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal>;

    /// Reads the log after a position, up to about `max_bytes`.
    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read>;

    /// Reads the state at some position not before the head at the time of the call.
    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot>;

    /// Reads who is here, with the version that it is at.
    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, (u64, Vec<Member>)>;

    /// Looks a canvas up without opening it; `None` if there never was one of that name.
    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>>;

    /// Gives the handle of a canvas without opening it, creating the canvas if it is new.
    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas>;

    /// The canvases with members whose names come after `after`, at most `limit`, by name.
    fn active<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>>;

    /// Appends a message of an author without a seat, which needs no [`Backplane::open`], and says how it ended: here an `ok` is
    /// an [`Outcome::Ack`] like the others. The message is appended when this is called, the future waits for its end; the author's connection
    /// must have no other message under way.
    ///
    /// # Errors
    /// [`Unavailable`] when its end is not known in time. It may be committed later: sent again under the same client and op
    /// it is a duplicate.
    fn publish<'a>(
        &'a self,
        canvas: &'a Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Answer<'a, Outcome>;

    /// Removes a canvas's objects and chat and begins a new epoch, in which the numbers go on. What was said before can't be read any
    /// more; members stay, and clients' highest ops are kept. All sinks get a [`Delivery::Reset`]. Gives the new head.
    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position>;

    /// How long the last commit took. The cursor flusher paces itself by it.
    fn last_commit(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Whether entries can be committed now; the reason if not.
    fn ready<'a>(&'a self) -> Answer<'a, ()>;

    /// Numbers for `/api/v1/stats` and `/metrics`.
    fn stats<'a>(&'a self) -> Answer<'a, Stats>;

    /// Commits what was taken, removes this instance and what it had in the presence table, and stops.
    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()>;
}

/// A backplane in numbers. Fields that a backplane has no meaning for are 0.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Stats {
    /// Rows that are not expired and that some live instance with members has not processed.
    pub queue_size: u64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_unprocessed_ms: u64,
    /// `healthy`, `warning` or `critical`.
    pub queue_health: &'static str,
    /// Rows in the queue, those kept only for their TTL included.
    pub rows: u64,
    /// Entries waiting for this process's writer.
    pub writer_depth: u64,
    /// Messages in this process's spill file.
    pub spilled: u64,
    /// Messages committed by this process since it started.
    pub committed: u64,
    /// Commits since it started; messages per commit is the batch.
    pub commits: u64,
    /// Entries refused as `overloaded` since it started.
    pub overloaded: u64,
    /// Queries of polls since the start.
    pub polls: u64,
    /// Median, 95th, 99th percentile and maximum of a poll's query, in milliseconds.
    pub poll_p50_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_p95_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_p99_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_max_ms: f64,
    /// Median and 99th percentile from taking an entry to its commit, in milliseconds.
    pub write_p50_ms: f64,
    /// See `write_p50_ms`.
    pub write_p99_ms: f64,
    /// Canvases that are polled.
    pub active_poll_tasks: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of the database file.
    pub db_bytes: u64,
    /// The live instances.
    pub instances: Vec<InstanceStats>,
}

/// One instance as the registry has it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct InstanceStats {
    /// Its name.
    pub instance_id: String,
    /// Its process.
    pub pid: u32,
    /// Milliseconds since its last heartbeat.
    pub heartbeat_age_ms: u64,
    /// Rows it has not processed, over the canvases it has members on.
    pub lag: u64,
}

/// How a durable row is framed for everyone: one place, whatever the backplane.
pub struct LogBuilder {
    epoch: Epoch,
    first_seq: u64,
    frames: Vec<u8>,
    marks: Vec<Mark>,
    at_ms: i64,
}

impl LogBuilder {
    /// An empty run that begins at `first_seq`.
    pub fn new(epoch: Epoch, first_seq: u64) -> Self {
        Self {
            epoch,
            first_seq,
            frames: Vec::new(),
            marks: Vec::new(),
            at_ms: 0,
        }
    }

    /// The `seq` that the next message must have.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.marks.len() as u64
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Appends the message numbered [`Self::next_seq`].
    pub fn push(
        &mut self,
        kind: Kind,
        origin: ConnId,
        op: u64,
        client: &str,
        at_ms: i64,
        body: &[u8],
    ) {
        let seq = self.next_seq();
        crate::protocol::server_message::durable(&mut self.frames, kind, seq, client, at_ms, body);
        self.marks.push(Mark {
            op,
            origin,
            client: client_mark(client),
            end: self.frames.len(),
        });
        self.at_ms = at_ms;
    }

    /// The run, or `None` if it is empty.
    pub fn finish(self) -> Option<LogBatch> {
        if self.marks.is_empty() {
            return None;
        }
        Some(LogBatch {
            epoch: self.epoch,
            first_seq: self.first_seq,
            frames: Bytes::from(self.frames),
            marks: self.marks.into(),
            at_ms: self.at_ms,
        })
    }
}
