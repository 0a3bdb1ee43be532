//! Tables of rows, for the work queue. A commit changes rows together, and the first of two commits wins.

use std::collections::BTreeMap;

use super::Reply;
use crate::protocol::ids::CanvasId;

/// A row's place: its table, and its key.
pub type Place = (usize, Vec<u8>);
/// What is to be written; `None`: deleted.
pub type Changes = BTreeMap<Place, Option<Vec<u8>>>;
/// A key and its row; `None`: there is a key without one.
pub type KeyedRow = (Vec<u8>, Option<Vec<u8>>);
/// What was read; `None`: somebody else has committed since.
pub type AtMoment<T> = Option<T>;

/// The tables of a relay. Every read says which commit it goes by: what goes by one commit is of one moment.
pub trait Tables: Send + Sync {
    /// The last commit, and when it was.
    fn last_commit(&self) -> Reply<'_, (String, i64)>;

    /// A row.
    fn row<'a>(
        &'a self,
        by: &'a str,
        table: usize,
        key: &'a [u8],
    ) -> Reply<'a, AtMoment<Option<Vec<u8>>>>;

    /// The first rows of a range, in its order.
    fn rows<'a>(&'a self, by: &'a str, range: RowRange<'a>) -> Reply<'a, AtMoment<Vec<KeyedRow>>>;

    /// Commits changes, and tells every instance; or does nothing.
    fn commit_rows<'a>(&'a self, commit: RowCommit<'a>) -> Reply<'a, Committed>;

    /// This instance commits next: the others wait so long, or until it has. `false` if another instance has that right.
    fn lock_rows(&self, milliseconds: i64) -> Reply<'_, bool>;

    /// Canvases that no live instance has, and of which hooks may not have been told everything: some of those that come after `from`, and
    /// where the next ones begin; 0 is the beginning, and the end.
    fn undispatched(&self, from: u64) -> Reply<'_, (u64, Vec<String>)>;

    /// Hooks were told of everything on these canvases up to a batch of theirs: those of which it is the last are not undispatched any more.
    fn all_dispatched<'a>(&'a self, canvases: &'a [(CanvasId, u64)]) -> Reply<'a, ()>;

    /// Waits until so many replicas have what this link committed. [`super::Fault::NotNow`]: they are too few for now.
    fn rows_replicated(&self, replicas: u32) -> Reply<'_, ()>;
}

/// Rows of a table with `from <= key < to`.
#[derive(Debug, Clone, Copy)]
pub struct RowRange<'a> {
    /// Which table.
    pub table: usize,
    /// The least key.
    pub from: &'a [u8],
    /// The key after the last.
    pub to: &'a [u8],
    /// From the last to the first.
    pub downwards: bool,
    /// How many.
    pub limit: usize,
}

/// Changes that are committed together.
#[derive(Debug, Clone, Copy)]
pub struct RowCommit<'a> {
    /// The last commit that they go by.
    pub by: &'a str,
    /// When they are.
    pub at_ms: i64,
    /// All of them, at least one.
    pub changes: &'a Changes,
    /// What the instances are told.
    pub message: &'a [u8],
    /// How far hooks are told of canvases with this. Nothing is done if one of them was told up to something else than is said here.
    pub dispatched: &'a [DispatchedUpto],
    /// The version of the hooks from here on; 0: there are none.
    pub hooks: Option<u64>,
}

/// Hooks are told of a canvas's batches after `from`, up to `upto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchedUpto {
    /// Which canvas.
    pub canvas: CanvasId,
    /// The batch up to which they were told before.
    pub from: u64,
    /// The last batch.
    pub upto: u64,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is done, under that name.
    Done(String),
    /// Somebody else has committed since.
    Moved,
    /// Somebody else is to commit first.
    Locked,
    /// That one of the canvases (its place in the list) was told up to this batch.
    DispatchedBefore(usize, u64),
}
