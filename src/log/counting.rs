//! How much canvases take of what all share, as an engine counts it.

use std::sync::Arc;

use super::Reply;
use crate::protocol::ids::CanvasId;

/// What is asked of a canvas's quotas with a piece. Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// What its messages are charged with while they are kept.
    pub charge: u64,
    /// Of that, the last message's.
    pub last: u64,
    /// What objects and chat grow by through them, at most.
    pub growth: u64,
    /// Whether there has to be room for them in the logs.
    pub within_logs: bool,
    /// Whether there has to be room for all that they may grow by.
    pub within_total: bool,
    /// Somebody writes, comes or goes.
    pub uses: bool,
    /// The canvas is emptied: it is remembered for a while.
    pub empties: bool,
    /// Only if this is the canvas's last batch, and nobody has used it for as long as the quota says.
    pub idle_at: Option<u64>,
    /// What the canvas took before, as far as its author knows.
    pub counts: Option<Counts>,
    /// The epoch that the canvas began with, as far as its author knows: another one of that name takes nothing.
    pub epoch: Option<Arc<str>>,
}

/// What a canvas takes, by a copy at some batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The batch.
    pub n: u64,
    /// What its log is charged with.
    pub log: u64,
    /// Bytes of its objects and chat.
    pub stored: u64,
    /// The sum of all charges up to that batch; what was asked for since comes on top of `log`.
    pub charged: u64,
    /// The same of growth.
    pub grown: u64,
}

/// What is on a canvas, for those who list canvases.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Of which.
    pub canvas: CanvasId,
    /// At which batch.
    pub n: u64,
    /// In words of those who wrote it.
    pub text: String,
    /// What it takes.
    pub counts: Counts,
}

/// A copy that is given up.
#[derive(Debug, Clone, Copy)]
pub struct Parting {
    /// Its last batch.
    pub n: u64,
    /// What is left there.
    pub left: super::Left,
    /// When the grace of those who are away ends.
    pub away_until_ms: Option<i64>,
    /// When its youngest message expires.
    pub log_ends_ms: Option<i64>,
    /// What it takes.
    pub counts: Counts,
}

/// What all canvases take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What their logs are charged with.
    pub log: u64,
    /// Bytes of their objects and chat.
    pub stored: u64,
    /// How many there are.
    pub canvases: u64,
}

/// What one canvas takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The epoch that it began with.
    pub epoch: String,
    /// What its log is charged with.
    pub log: u64,
    /// Bytes of its objects and chat.
    pub stored: u64,
    /// When somebody last wrote, came or went, ms since the epoch.
    pub used_at_ms: i64,
}

/// Where a recount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recount {
    /// Which it is.
    pub walk: u64,
    /// Where the engine goes on.
    pub cursor: u64,
    /// The names are being compared, all canvases are counted.
    pub names: bool,
}

/// How a step of a recount ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recounted {
    /// Nothing is to be done, or somebody else does it.
    Nothing,
    /// There is more to be counted.
    More(Recount),
    /// All is counted. By so much the sums of logs and of objects were wrong.
    Done(i64, i64),
}

/// The running sums, and the canvases whose time is over.
pub trait Counting: Send + Sync {
    /// What all canvases take.
    fn totals(&self) -> Reply<'_, Totals>;

    /// The names of canvases after `after`, in order.
    fn names_after<'a>(&'a self, after: &'a str, limit: usize) -> Reply<'a, Vec<String>>;

    /// What each canvas takes; `None` where there is no canvas.
    fn taken<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<Taken>>>;

    /// Looks after canvases that no instance has: what has expired there is charged no more, those that nobody wrote to go, and so do
    /// those that were deleted long ago. Gives those that nobody has used for too long: this instance is to empty them.
    fn end_due(&self) -> Reply<'_, Vec<String>>;

    /// Counts some of the canvases again, as they are: the sums may have drifted where keys were changed by hand. `None` begins, if it
    /// is time.
    fn recount(&self, at: Option<Recount>) -> Reply<'_, Recounted>;
}
