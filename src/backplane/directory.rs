//! The requests of the server API, which is on no canvas.

use std::sync::Arc;

use super::{Answer, Author, Canvas, Outcome, Reader, Refusal};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, Position};

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
    /// What it takes; `None` where that is not known.
    pub usage: Option<Usage>,
}

/// What a canvas takes of what all share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its objects and chat.
    pub stored_bytes: u64,
    /// Bytes of its retained messages, as quotas count.
    pub log_bytes: u64,
    /// When somebody last wrote, came or went, ms since the epoch.
    pub used_at_ms: i64,
}

/// Finds canvases, and acts on them from outside.
pub trait Directory: Reader {
    /// Looks a canvas up without opening it; `None` if there never was one of that name.
    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>>;

    /// Gives the handle of a canvas without opening it, creating the canvas if it is new.
    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas>;

    /// The canvases with members whose names come after `after`, at most `limit`, by name. None is loaded for it.
    fn active<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>>;

    /// The same of all canvases, used or not.
    fn all<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>>;

    /// Appends a message of an author without a seat, which needs no [`super::Carrier::open`], and says how it ended: here an `ok` is
    /// an [`Outcome::Ack`] like the others. The message is appended when this is called, the future waits for its end; the author's connection
    /// must have no other message under way.
    ///
    /// # Errors
    /// [`super::Unavailable`] when its end is not known in time. It may be committed later: sent again under the same client and op
    /// it is a duplicate.
    fn publish<'a>(
        &'a self,
        canvas: &'a Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Answer<'a, Outcome>;

    /// Has a connection closed, on whatever instance it is. At most once, like a signal.
    ///
    /// # Errors
    /// The queue takes nothing any more.
    fn kick(&self, canvas: &Canvas, conn: ConnId) -> Result<(), Refusal>;

    /// Removes a canvas's objects and chat and begins a new epoch, in which the numbers go on. What was said before can't be read any
    /// more; members stay, and clients' highest ops are kept. All sinks get a [`super::Delivery::Reset`]. Gives the new head.
    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position>;
}
