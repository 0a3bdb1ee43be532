//! The interface between rooms and the part that carries messages between processes, with its contract in words.
//!
//! There are three implementations: [`crate::sqlite`] (a SQLite file that processes of one host share),
//! [`crate::replicated`] (a log that processes of several hosts share, such as Redis) and [`crate::memory`] (one
//! process, nothing stored). Rooms know only this file. One conformance suite (`tests/conformance`) runs against all of
//! them.
//!
//! # The contract
//!
//! 1. **Committed before delivered.** Everything that a sink is given has been committed. An entry that
//!    [`Carrier::append`] accepted is either committed and delivered, or answered with an [`Outcome`]. Rule 7 is the
//!    only exception.
//! 2. **One order.** On every instance a canvas's log messages arrive as `seq` 1, 2, 3, … of one epoch, and an author's
//!    entries in the order it appended them.
//! 3. **Open, then read.** From the moment [`Carrier::open`] returns, everything after `Opened::head` is delivered. A
//!    sink may also see entries at or below that head: it drops them by their `seq` (presence: `version`).
//! 4. **A sink may lose log batches** when it is full (it says so itself): [`Reader::read`] fills the gap. Reads see at
//!    least what was delivered on their instance. A join is committed, too; so a client that has joined can read
//!    everything that was delivered on any instance before.
//! 5. **Positions are `(epoch, seq)`.** Ids of rows, stream entries or offsets never cross this interface.
//! 6. **Ephemeral means ephemeral.** Signals and cursors are delivered at most once, in the order of their sender, and
//!    may be lost in a crash. The sender's own instance gets them back too, and recognises them by
//!    [`ConnId::instance`].
//! 7. **A lost place is reported.** [`Delivery::PlaceLost`] stands for everything that is missing. An entry may then
//!    get neither its delivery nor its answer, and its author appends it again.
//! 8. **Presence is a table, not a rumour.** Each change is committed to it, and numbered per canvas (`version`,
//!    contiguous). The backplane itself marks the clients of a dead instance as `away`, and removes clients that stay
//!    away longer than the grace.

pub mod histogram;
pub(crate) mod intake;
pub(crate) mod latency;

use std::num::NonZeroU64;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ClientId, ConnId, Epoch, InstanceNumber, Position};
use crate::protocol::server_message::{AckStatus, ErrorCode, LeaveReason};

mod author;
mod beginnings;
mod carrier;
mod directory;
mod instance;
mod lately;
mod log;
mod seal;
mod shared_text;
mod stats;
mod waiters;

pub use author::Author;
pub use beginnings::Beginnings;
pub use carrier::{Carrier, Reader, Together};
pub use directory::{Directory, Found, Usage};
pub use instance::{Instance, Lifecycle};
pub use intake::{OpEnd, OpGate};
pub use lately::{Lately, LogEntry, Since};
pub use log::{LogBatch, LogBuilder, Mark};
pub use seal::{SEAL_BYTES, seal};
pub use shared_text::SharedText;
pub(crate) use shared_text::{Packing, Whole};
pub use stats::{InstanceStats, Stats};
pub(crate) use waiters::Waiters;

/// A canvas as the backplane knows it: its name, and the key that stands for it in tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Canvas {
    /// The name clients use.
    pub id: CanvasId,
    /// Its key in the store.
    pub key: CanvasKey,
}

/// The key of a canvas in a backplane's store: no place, no id of a row, no count. The first has 1.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
pub struct CanvasKey(pub i64);

impl CanvasKey {
    /// Before that of every canvas.
    pub const BEFORE_ALL: Self = Self(0);

    /// The key of the canvas that is made after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
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
    /// The connection ended. Nothing if it no longer holds the client's place.
    Leave {
        /// Whose.
        author: Arc<Author>,
        /// How.
        end: End,
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
    /// The client of a stream of events posted messages to another instance than the one that has its stream. Delivered
    /// at most once, like a signal: the client posts again if its stream does not confirm the post.
    Post {
        /// The connection of the stream.
        conn: ConnId,
        /// What was posted.
        post: Post,
    },
}

/// Messages of a client whose stream may be on another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Which post of the stream it is: 1, 2, 3, …. `None` if its client counts none: it is the next one, whichever that is. Where it is
    /// written, 0 stands for that.
    pub number: Option<NonZeroU64>,
    /// The messages, as a JSON array.
    pub messages: Arc<str>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client said so: `bye`, or close 1000, 1001 or without a code. It is gone at once.
    Clean,
    /// Anything else. It is away until the grace ends.
    Lost,
}

impl Entry {
    /// What an ephemeral entry of that instance is to those who hear it; the entry itself if it is one that is committed.
    pub(crate) fn told(self, from: InstanceNumber) -> Result<Delivery, Self> {
        Ok(match self {
            Self::Signal { author, body } => Delivery::Signal {
                client: author.client.clone(),
                origin: author.conn,
                body: Arc::from(body),
            },
            Self::Cursors { cursors } => Delivery::Cursors {
                instance: from,
                cursors,
            },
            Self::Kick { conn } => Delivery::Kick { conn },
            Self::Post { conn, post } => Delivery::Post { conn, post },
            Self::Durable { .. } | Self::Join { .. } | Self::State { .. } | Self::Leave { .. } => {
                return Err(self);
            }
        })
    }

    /// Bytes to count against bounds.
    pub fn size(&self) -> usize {
        64 + match self {
            Self::Durable { message, .. } => message.body.len(),
            Self::Join { author } => author.user.len(),
            Self::State { state, .. } => state.len(),
            Self::Leave { .. } | Self::Kick { .. } => 0,
            Self::Signal { body, .. } => body.len(),
            Self::Cursors { cursors } => cursors.iter().map(|(_, fields)| fields.len() + 64).sum(),
            Self::Post { post, .. } => post.messages.len(),
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

impl Outcome {
    /// How several messages ended that were committed as one: as the first that was refused, or as the one with the highest place.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ack { seq, .. }, Self::Ack { seq: later, status }) if later >= seq => {
                Self::Ack { seq: later, status }
            }
            (Self::Ack { .. }, refused @ Self::Refused(_)) => refused,
            (first, _) => first,
        }
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

/// Who is on a canvas, over all instances, as of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceTable {
    /// How many changes it has seen.
    pub version: u64,
    /// Those who are here or away.
    pub members: Vec<Member>,
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
        instance: InstanceNumber,
        /// The client, and the inside of its cursor object.
        cursors: Vec<(ClientId, Arc<str>)>,
    },
    /// A connection is to be closed, if it is one of this instance's.
    Kick {
        /// Which.
        conn: ConnId,
    },
    /// A client posted messages, if its stream is one of this instance's.
    Post {
        /// The connection of the stream.
        conn: ConnId,
        /// What was posted.
        post: Post,
    },
    /// The canvas's numbering began anew (it was deleted, or the file was restored): what clients hold can't be continued.
    Reset {
        /// The new epoch.
        epoch: Epoch,
        /// The head in it.
        seq: u64,
    },
    /// The backplane lost its place: what it keeps was lost in part, or it missed what can't be told any more. What was delivered before
    /// may not be so, and answers may be missing. Everything goes on from here.
    PlaceLost {
        /// The canvas's head.
        at: Position,
        /// Who is here. The version may be lower than before.
        presence: PresenceTable,
    },
}

/// Where a backplane puts what it delivers. Called with the backplane's locks held: must not block and must not call back.
pub trait Sink: Send + Sync + 'static {
    /// Takes one delivery. A full sink drops `Log`, `Signal` and `Cursors` and reads the log later; it never drops the others.
    fn deliver(&self, delivery: Delivery);
}

/// The answer to [`Carrier::open`].
#[derive(Debug)]
pub struct Opened {
    /// The handle for everything else.
    pub canvas: Canvas,
    /// The position that deliveries go on from.
    pub head: Position,
    /// Who is here, over all instances.
    pub presence: PresenceTable,
}

/// The answer to [`Reader::read`].
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
    pub objects: Vec<SharedText>,
    /// The logs of those that have one, by their ids.
    pub logs: Vec<EntriesOf>,
    /// The latest chat messages in `seq` order, each a JSON object.
    pub chat: Vec<String>,
    /// What is known of how it came to be.
    pub lately: Lately,
}

/// The log of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntriesOf {
    /// The object's.
    pub id: Arc<str>,
    /// The `seq` of the message that compacted it last; 0 if none did.
    pub compacted_seq: u64,
    /// The `seq` of each entry, and its bytes in base64, in order.
    pub entries: Vec<(u64, Arc<str>)>,
}

/// A backplane that cannot answer now. The caller tries again, or tells its client to.
#[derive(Debug, Clone, Error)]
pub enum Unavailable {
    /// For the moment.
    #[error("the queue is not available: {0}")]
    NotNow(String),
    /// There is no room for another canvas, or not yet.
    #[error("{}", .0.message)]
    Full(Refusal),
}

/// A future of the backplane's. Each has a bound on its wait.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Unavailable>>;

/// All that a relay needs of what carries its messages, each part of it for those who ask for no more. The contract is in the
/// module's head.
pub trait Backplane: Carrier + Directory + Lifecycle {}

impl<T: Carrier + Directory + Lifecycle> Backplane for T {}
