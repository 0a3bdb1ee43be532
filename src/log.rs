//! The interface between a relay of several hosts and the engine below it: one log of batches for each canvas,
//! snapshots beside it, and a registry of the instances. The copies above ([`crate::replicated`]) don't know which
//! engine it is. An engine doesn't know what a batch means.
//!
//! # The contract
//!
//! **Batches.** The batches of a canvas have one order for all instances. [`Batches::append`] gives each batch the next
//! number of its canvas, and a time that is never before that of the batch before. What one call appends is committed
//! together, piece by piece: a piece that is refused harms no other. An append whose answer is lost may have happened.
//! Its caller repeats it as it was: a batch carries its author's number and serial, so copies apply it once however
//! often it is in the log.
//!
//! **Publishing.** A batch is published after it is committed, to every instance that subscribed to its canvas. It may
//! come twice, late or out of order: each batch carries its number, and the subscriber reads those that are missing. If
//! a batch does not come at all, the link breaks soon. So a subscriber that reads after it subscribed misses nothing.
//! Ephemeral pieces have no number: they come once, in the order in which they were published, or are lost with the
//! link.
//!
//! **Reads** are bounded in bytes, and give at least one item if there is one.
//!
//! **Snapshots.** The parts of a large snapshot are stored first. It is in force once [`Snapshots::save`] says so; an
//! older one never takes its place. The engine may then delete batches that are older than the snapshot before it.
//! Instances that are reading that earlier snapshot have time to finish.
//!
//! **Eras.** An engine that may have lost something (a crash between two syncs, a failover) draws a new era. A link
//! belongs to one era: every call fails with [`Fault::Link`] once the engine has another. In a new era nothing is done
//! until [`Registry::prove`] has said whether something was lost. If so, every canvas gets a new epoch when it is
//! opened. Each batch has a hash of all batches before it (see [`LoggedBatch::chained`]): the same hash means the same
//! batches.
//!
//! **Tables** are for the work queue. A commit of rows is done only if nobody else has committed since the reads that
//! it is based on. An instance that is overtaken too often may lock the tables for a moment.
//!
//! **Hooks.** A batch is given the version of the hooks under which it was taken, in the same step
//! ([`RowCommit::hooks`] sets it for all canvases). Its canvas is noted as undispatched in that step, if there are hooks. How
//! far hooks were told of a canvas is kept beside the canvas. It is moved in the commit of rows that has the events
//! ([`RowCommit::dispatched`]). That commit is not done if somebody else has moved it.
//!
//! **Samples** say how the instances are and what they did lately. They are bounded, end by themselves, and may be lost.
//!
//! **Leases.** An instance counts as alive as long as it sends heartbeats. [`Registry::lease`] gives a dead instance to
//! one of the others at a time, which marks the dead one's clients as away. The lease ends by itself.
//!
//! **Counts.** The engine keeps what each canvas takes, and the sums, and changes both in one step. A piece says what its messages are
//! charged with; it is refused as a whole where there is no room ([`Asks`]). What is charged with an append is too much: a message may be
//! a duplicate, and messages expire. So copies say what it is really, each at a batch, and what was asked for since comes on top
//! ([`Counts`]). An older count never takes the place of a newer one.
//!
//! **Faults** are sorted by what their caller does about them: see [`Fault`].
//!
//! [`memory`] is an engine for tests, which loses, doubles and delays what it publishes, breaks links and fails over.
//! One suite (`tests/conformance/log.rs`) holds every engine to this page.

mod clock;
mod counting;
mod entering;
mod fault;
pub mod memory;
mod samples;
mod tables;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::protocol::ids::{CanvasId, InstanceNumber};
pub use clock::Clock;
pub use counting::{Asks, Counting, Counts, Parting, Recount, Recounted, Summary, Taken, Totals};
pub use entering::{ConnectError, Introduction, differing};
pub use fault::Fault;
pub use samples::{Sampled, SampledSpan, Samples};
pub use tables::{
    AtMoment, Changes, Committed, DispatchedUpto, KeyedRow, Place, RowCommit, RowRange, Tables,
};
pub use values::{
    ANOTHER_CANVAS, Appended, CanvasHead, Heartbeat, How, Left, LogEnd, LoggedBatch, Looked,
    MessageChunk, Opening, OtherInstance, Piece, Proof, Published, Registered, StoredSnapshot, Why,
    parse_when, when,
};

/// The format of everything that is kept and published. Instances of another one do not share a relay.
pub const FORMAT: u32 = 8;

/// The answer of an engine.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// How to come to a log.
pub trait Engine: Send + Sync {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// Where it is, for messages.
    fn place(&self) -> String;

    /// What an operator does where it is not to be had.
    fn remedy(&self) -> &'static str;

    /// Connects, and enters the registry: under that number, or under a new one. What is published to this connection
    /// goes to the listener under the link's id.
    fn connect<'a>(
        &'a self,
        link: u64,
        number: Option<InstanceNumber>,
        listener: Arc<dyn Listener>,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, ConnectError>>;

    /// Waits until that log is to be left though it still answers, and says why. For ever, where that can't be.
    fn moved<'a>(&'a self, log: &'a Arc<dyn Log>) -> BoxFuture<'a, String>;
}

/// Receives what is published. Must not block.
pub trait Listener: Send + Sync {
    /// It came through that link.
    fn received(&self, link: u64, canvas: &str, published: Published);

    /// An instance committed rows, and tells this.
    fn received_rows(&self, link: u64, message: &[u8]);

    /// The link is gone.
    fn broke(&self, link: u64, why: &str);
}

/// A link to an engine, in one era.
pub trait Log: Batches + Snapshots + Summaries + Counting + Registry + Tables + Samples {
    /// The number of the instance whose link this is.
    fn number(&self) -> InstanceNumber;

    /// Names the era, and the relay.
    fn era(&self) -> &Arc<str>;

    /// Where the engine is that it leads to.
    fn place(&self) -> &str;

    /// Whether the engine answers.
    fn ping(&self) -> Reply<'_, ()>;
}

/// A canvas's batches.
pub trait Batches: Send + Sync {
    /// Commits, and publishes if it is asked to. Gives the relay's count of commits, and for each piece how it went.
    fn append<'a>(&'a self, pieces: &'a [&'a Piece], how: How) -> Reply<'a, (u64, Vec<Appended>)>;

    /// Waits until so many replicas of the engine have what this link appended. [`Fault::NotNow`]: they are too few for now.
    fn replicated(&self, replicas: u32) -> Reply<'_, ()>;

    /// Publishes what was appended without being published, in the step that sees that it is still there. Gives for
    /// each piece whether nothing is missing: a canvas that was lost and put back meanwhile has not got the batch.
    fn publish<'a>(&'a self, pieces: &'a [&'a Piece], ends: &'a [Appended])
    -> Reply<'a, Vec<bool>>;

    /// Receives what is published on those canvases from now on.
    fn subscribe<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()>;

    /// Receives no more of it.
    fn unsubscribe<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()>;

    /// Finds out where a canvas is, creating it if it is new; with a small snapshot, if `whole`. The canvas counts as one that this instance
    /// has. Where something was lost since it was opened last, it begins anew. A canvas that is gone and that another instance has is not
    /// new: those who have it are told, and until it is put back there is [`Fault::NotNow`]. An instance that was not heard for
    /// [`HEARTBEAT_STALE`](crate::limits::HEARTBEAT_STALE) is dead, and nobody waits for it. Whoever has the canvas and looks for its head
    /// only is told with [`Fault::Canvas`].
    fn open<'a>(
        &'a self,
        canvas: &'a CanvasId,
        opening: Opening,
        whole: bool,
    ) -> Reply<'a, CanvasHead>;

    /// The same as it is, with a small snapshot; nothing is changed. `None` where there is no canvas.
    fn look<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, Option<Looked>>;

    /// Where each canvas's log ends.
    fn ends<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<LogEnd>>;

    /// The batches after `n`.
    fn batches_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        n: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<LoggedBatch>>;

    /// Removes a canvas that can't be read.
    fn remove<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()>;
}

/// What is kept of a canvas beside its batches.
pub trait Snapshots: Send + Sync {
    /// A part of a snapshot; `None` if another one is in force since.
    fn part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
    ) -> Reply<'a, Option<Vec<u8>>>;

    /// Keeps a part of a snapshot that is not in force yet. It goes by itself if it never is.
    fn put_part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
        bytes: &'a [u8],
    ) -> Reply<'a, ()>;

    /// Says that a snapshot is in force, with what is on the canvas. `all`: nobody needs what is older any more.
    fn save<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a StoredSnapshot,
        summary: &'a str,
        all: bool,
    ) -> Reply<'a, ()>;

    /// Messages that may be resumed from, those after a `seq`, in chunks, each with its last one's.
    fn messages_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        seq: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<(u64, Vec<u8>)>>;

    /// Keeps messages behind those that are kept, if those end where the chunk begins. Gives where they end now.
    fn put_messages<'a>(
        &'a self,
        canvas: &'a CanvasId,
        chunk: &'a MessageChunk,
    ) -> Reply<'a, String>;

    /// Puts a canvas back that began with that epoch (empty where that is not known), if it is as its caller says, or another canvas is
    /// in its place. Gives the number that it goes on from, far from where it was; `None` if somebody else was faster.
    fn restore<'a>(
        &'a self,
        canvas: &'a CanvasId,
        copy: &'a StoredSnapshot,
        epoch: &'a str,
        why: Why<'a>,
    ) -> Reply<'a, Option<u64>>;

    /// Gives up a canvas that is kept at its batch `n`.
    fn release<'a>(&'a self, canvas: &'a CanvasId, parting: Parting) -> Reply<'a, ()>;

    /// Tells those who have the canvas that its snapshot of that name can't be read here.
    fn report_unreadable<'a>(&'a self, canvas: &'a CanvasId, snapshot: &'a str) -> Reply<'a, ()>;

    /// Tells those who have the canvas that it is not here, with a word by which its sender knows it again.
    fn report_gone<'a>(&'a self, canvas: &'a CanvasId, word: &'a str) -> Reply<'a, ()>;
}

/// What is on canvases, for those who list canvases without having them.
pub trait Summaries: Send + Sync {
    /// Keeps summaries, each at a batch of its canvas. An older one never takes the place of a newer one.
    fn put_summaries<'a>(&'a self, summaries: &'a [Summary]) -> Reply<'a, ()>;

    /// The last batch and the summary of each canvas; `None` where there is no canvas.
    fn summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<(u64, String)>>>;

    /// Asks those who have these canvases for their summaries.
    fn ask_for_summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()>;

    /// The canvases that some live instance has a copy of, or that somebody is away on.
    fn names_in_use(&self) -> Reply<'_, BTreeSet<String>>;
}

/// The instances of the relay.
pub trait Registry: Send + Sync {
    /// Says whether all that this instance knows is there.
    fn prove(&self, whole: bool, commits: u64) -> Reply<'_, Proof>;

    /// Says that this instance lives, and looks whether the others do.
    fn beat(&self) -> Reply<'_, Heartbeat>;

    /// Corrects the engine's clock, if it is still corrected by `before_ms`.
    fn correct_clock(&self, before_ms: i64, now_ms: i64) -> Reply<'_, ()>;

    /// Appends that batch to canvases that nobody has, and on which a grace is over.
    fn pass_time<'a>(&'a self, batch: &'a [u8]) -> Reply<'a, ()>;

    /// Says that this instance has those canvases.
    fn holds<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()>;

    /// Says that this instance does not have that canvas.
    fn holds_not<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()>;

    /// Gives a dead instance to this one for a while; `false` if another one has it.
    fn lease(&self, dead: InstanceNumber) -> Reply<'_, bool>;

    /// The names of the canvases that an instance has.
    fn canvases_of(&self, number: InstanceNumber) -> Reply<'_, Vec<String>>;

    /// Appends that batch, which turns a dead instance's clients away, to some of its canvases, and takes those off its list. Gives the
    /// canvases that did not take it.
    fn reap<'a>(
        &'a self,
        dead: InstanceNumber,
        names: &'a [String],
        batch: &'a [u8],
    ) -> Reply<'a, Vec<String>>;

    /// Takes an instance out of the registry; not if it was heard since `beat`.
    fn leave(&self, number: InstanceNumber, beat: Option<i64>) -> Reply<'_, ()>;

    /// All instances in the registry.
    fn members(&self) -> Reply<'_, Vec<Registered>>;
}
