//! The values that an engine is given, and those that it answers.

use super::Asks;
use crate::limits::Logs;
use crate::protocol::ids::{CanvasId, Epoch, InstanceNumber};

/// A message to those who subscribed to a canvas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// A batch was committed.
    Batch(LoggedBatch),
    /// Something that is kept nowhere.
    Ephemeral(Vec<u8>),
    /// A snapshot at that batch is in force.
    Saved(u64),
    /// Somebody wants to know what is on the canvas.
    SummaryWanted,
    /// Somebody can't read the snapshot of that name.
    Unreadable(String),
    /// Somebody does not find the canvas; with what that one said, or nothing.
    Gone(String),
}

/// One canvas's part of what is appended at once.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Where to.
    pub canvas: CanvasId,
    /// Whether it is to be kept; otherwise it is published only.
    pub kept: bool,
    /// A batch, or what is kept nowhere.
    pub bytes: Vec<u8>,
    /// What it takes.
    pub asks: Asks,
}

/// How it went with a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is committed, as that batch at that time, under that version of the hooks.
    At(u64, i64, u64),
    /// It was published only.
    Published,
    /// Nothing of it was done.
    Refused(String),
    /// Nothing of it was done: there is no room for its messages in the logs, which are so full.
    LogFull(Logs),
    /// Nothing of it was done: what is kept may grow by so many bytes only.
    Tight(i64),
    /// Nothing of it was done: the canvas is in use.
    InUse,
}

/// Why nothing is done for a canvas that is not the one of which the author has a copy.
pub const ANOTHER_CANVAS: &str = "it is another canvas";

/// How an append is to be done.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Also where memory is full.
    pub even_if_full: bool,
    /// Published at once; otherwise the caller does that.
    pub publish: bool,
}

/// A batch as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedBatch {
    /// Its number in its canvas, from 1.
    pub n: u64,
    /// When it was committed, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The version of the hooks that are told of it; 0: none is.
    pub hooks: u64,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl LoggedBatch {
    /// What a chain is after this batch.
    #[must_use]
    pub fn chained(&self, before: &str) -> String {
        use sha1::Digest as _;
        let head = format!("{before} {} {} ", self.n, when(self.at_ms, self.hooks));
        let hash = sha1::Sha1::new()
            .chain_update(head)
            .chain_update(&self.bytes);
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The time of a batch, and under which hooks it was taken, as it is kept and published.
#[must_use]
pub fn when(at_ms: i64, hooks: u64) -> String {
    match hooks {
        0 => at_ms.to_string(),
        hooks => format!("{at_ms}/{hooks}"),
    }
}

/// The same, read.
#[must_use]
pub fn parse_when(text: &str) -> Option<(i64, u64)> {
    match text.split_once('/') {
        None => Some((text.parse().ok()?, 0)),
        Some((at_ms, hooks)) => Some((at_ms.parse().ok()?, hooks.parse().ok()?)),
    }
}

/// What a canvas that is opened begins with, if it begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The epoch of a new canvas.
    pub epoch: Epoch,
    /// The batch that begins a new epoch, where something was lost.
    pub anew: Vec<u8>,
}

/// Where a canvas's log ends, and which canvas it is. Nothing, where there is no canvas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The last batch.
    pub n: Option<u64>,
    /// What that is chained to.
    pub chain: Option<String>,
    /// The epoch that the canvas began with. Another canvas of the same name began with another.
    pub epoch: Option<String>,
    /// The same of the canvas in whose place this one was put back.
    pub replaced: Option<String>,
}

impl LogEnd {
    /// Whether it may be the canvas that began with that epoch. It may be where one of the two is not known.
    #[must_use]
    pub fn is_of(&self, epoch: &str) -> bool {
        let known = self.epoch.as_deref();
        epoch.is_empty() || known.is_none_or(|known| known == epoch)
    }
}

/// Why a canvas is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// Some of what is kept of it is gone.
    Lost,
    /// The same, or there are fewer batches than the copy has had in this era: somebody put an earlier state in its
    /// place.
    Behind,
    /// The snapshot of that name can't be read.
    Unreadable(&'a str),
}

/// Where a canvas is.
#[derive(Debug, Clone)]
pub struct CanvasHead {
    /// Its last batch; 0 if it has none.
    pub n: u64,
    /// What batch `n` is chained to.
    pub chain: String,
    /// The epoch that it began with.
    pub epoch: String,
    /// The batch that the snapshot is at; 0 if there is none.
    pub saved: u64,
    /// How many parts the snapshot has, if they are under a name of their own.
    pub parts: usize,
    /// That name; empty if the snapshot is whole.
    pub snapshot: String,
    /// All of the snapshot, otherwise.
    pub whole: Vec<u8>,
    /// By which rules the batches since were done.
    pub rules: String,
    /// Where the messages end that are kept beside the snapshot: epoch and `seq`.
    pub messages_end: String,
    /// The batch up to which hooks were told of it, the last time that there was something to tell.
    pub dispatched: u64,
    /// The numbers of the instances in the registry.
    pub instances: Vec<InstanceNumber>,
    /// The sum of all charges up to batch `n`, and the same of growth: see [`super::Counts`].
    pub charged: u64,
    /// See `charged`.
    pub grown: u64,
    /// When somebody last wrote, came or went, ms since the epoch.
    pub used_at_ms: i64,
}

impl CanvasHead {
    /// Names the snapshot.
    #[must_use]
    pub fn snapshot_id(&self) -> String {
        format!("{} {}", self.saved, self.snapshot)
    }
}

/// A canvas as those see it who only look.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Where it is. The instances are not told.
    pub head: CanvasHead,
    /// Something was lost since it was opened last: it begins a new epoch when it is opened.
    pub lost: bool,
}

/// A snapshot as the engine is told of it.
#[derive(Debug, Clone)]
pub struct StoredSnapshot {
    /// The batch that it is at.
    pub n: u64,
    /// The name of its parts; empty if it is whole.
    pub name: String,
    /// How many parts there are.
    pub parts: usize,
    /// All of it, where there is no name.
    pub whole: Vec<u8>,
}

/// Messages that may be resumed from.
#[derive(Debug, Clone)]
pub struct MessageChunk {
    /// Where those end that are kept: epoch and `seq`, or nothing.
    pub after: String,
    /// The epoch of these.
    pub epoch: Epoch,
    /// The `seq` of the last of these.
    pub last_seq: u64,
    /// The messages.
    pub bytes: Vec<u8>,
    /// The oldest `seq` that is of use.
    pub first_seq: u64,
}

impl MessageChunk {
    /// Where they end.
    #[must_use]
    pub fn end(&self) -> String {
        format!("{} {}", self.epoch, self.last_seq)
    }
}

/// What is left on a canvas that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was never used: nothing of it stays.
    Nothing,
    /// All that was is gone: it is remembered for a while.
    Deleted,
    /// Something.
    Much,
}

/// Whether anything was lost in an era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// All that the instances know is there.
    Kept,
    /// Something is not.
    Lost,
    /// Others have not said yet.
    Pending,
}

/// What a heartbeat tells.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The engine's time.
    pub now_ms: i64,
    /// By how much its clock is corrected.
    pub skew_ms: i64,
    /// Nobody has taken this instance for dead.
    pub known: bool,
    /// The relay's count of commits.
    pub commits: u64,
    /// How many canvases it is known that this instance has.
    pub held: usize,
    /// The other instances.
    pub others: Vec<OtherInstance>,
}

/// Another instance, as a heartbeat tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherInstance {
    /// Its number.
    pub number: InstanceNumber,
    /// Its last heartbeat.
    pub beat: i64,
    /// Whether its link is open.
    pub connected: bool,
}

/// An instance in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its number.
    pub number: InstanceNumber,
    /// Its name, if that is known.
    pub name: Option<String>,
    /// Its process, if that is known.
    pub pid: Option<u32>,
    /// Its last heartbeat.
    pub beat: i64,
}
