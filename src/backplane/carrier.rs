//! The requests of rooms and connections: get the messages of a canvas, add to it, read it.

use std::sync::Arc;

use super::{
    Answer, Canvas, Entry, Instance, Opened, Post, PresenceTable, Read, Refusal, Sink, Snapshot,
};
use crate::protocol::features::Features;
use crate::protocol::ids::{CanvasId, ConnId, Position};

/// Reads canvases, which may have to be loaded for it.
pub trait Reader: Instance {
    /// Reads the log after a position, up to about `max_bytes`.
    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read>;

    /// As [`Self::read`] after a position, for who understands only those features. Without `set`, in the place of a message with `set`, `unset` or
    /// `append` stands the whole object as it is at the moment of the read, as `object-create`; where it is gone by then, an
    /// `object-update` that changes nothing. So it may be ahead of the messages that follow. They lead to the same state: a merge patch
    /// that is done again changes nothing. Without `log`, such an update also stands for what is about logs.
    fn read_for<'a>(
        &'a self,
        canvas: &'a Canvas,
        asked: (Position, Features),
        max_bytes: usize,
    ) -> Answer<'a, Read>;

    /// Reads the state at some position not before what was delivered here at the time of the call.
    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot>;

    /// Reads who is here.
    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, PresenceTable>;
}

/// Carries messages between rooms of the same canvas on all instances.
pub trait Carrier: Reader {
    /// Starts delivery of a canvas into `sink`, creating the canvas if it is new. One sink per canvas and
    /// instance: a later one replaces an earlier one.
    fn open<'a>(&'a self, canvas: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened>;

    /// Ends delivery of a canvas, if `sink` is still the one that gets it.
    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>);

    /// Takes an entry, without waiting. What was taken is delivered, or answered by an [`super::Outcome`]; but nobody may look at it
    /// before [`Self::wake_writer`]. Only [`Self::append`] and [`Together`] call this.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn put(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal>;

    /// Wakes whoever commits what was put.
    fn wake_writer(&self) {}

    /// Takes an entry, without waiting. What was taken is delivered, or answered by an [`super::Outcome`].
    ///
    /// # Errors
    /// `overloaded` when the queue (or this canvas's share of it) is full or the author's ops are held;
    /// the author's later ops are then held until this one comes again. Held ops are refused with the code of the one they wait for.
    fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let taken = self.put(canvas, entry);
        self.wake_writer();
        taken
    }

    /// Hands a post on to the instance that has the stream of that connection. At most once, like a signal. `false`:
    /// there is no such canvas, or no other instance.
    ///
    /// # Errors
    /// The queue takes nothing now.
    fn forward<'a>(&'a self, canvas: &'a CanvasId, conn: ConnId, post: Post) -> Answer<'a, bool>;
}

/// Entries that are appended as one: what is taken together is committed together, and goes out in one piece. The committing
/// side is woken once, when this is dropped; nothing is to be waited for before.
pub struct Together(Arc<dyn Carrier>);

impl Together {
    /// Nothing so far.
    pub fn on(carrier: Arc<dyn Carrier>) -> Self {
        Self(carrier)
    }

    /// As [`Carrier::append`], and more may follow.
    ///
    /// # Errors
    /// As there.
    pub fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        self.0.put(canvas, entry)
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.0.wake_writer();
    }
}
