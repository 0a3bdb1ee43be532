//! Rooms: one per canvas with members on this instance. Knows neither WebSockets nor SQLite.
//!
//! [`registry`] finds or opens the room of a canvas; [`actor`] is its task; [`state`] decides what happens
//! (pure: events in, pushes to links and effects out); [`catch_up`] is the one mechanism behind resume, late join
//! and slow readers; [`cursors`] paces cursor batches; [`presence`] is who is here.

pub mod actor;
pub mod catch_up;
pub mod cursors;
pub mod inbox;
pub mod parts;
pub mod presence;
pub mod registry;
pub mod state;

use std::sync::Arc;

use bytes::Bytes;

use crate::backplane::{Author, Post};
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Form;
use crate::protocol::features::{Feature, Features};
use crate::protocol::ids::{ClientId, ConnId, InstanceId};
use crate::protocol::server_message::Limits;

/// A member's connection as its room sees it. Nothing here waits: what the socket can't take stays in its outbox, which is bounded.
pub trait Link: Send + Sync + 'static {
    /// Who this is.
    fn author(&self) -> &Arc<Author>;

    /// What the client may do: `"write"` or `"read"`.
    fn role(&self) -> &'static str;

    /// Whom a canvas counts for that is made for this member.
    fn maker(&self) -> String {
        self.author().subject.clone()
    }

    /// What the client understands beyond what all of them do.
    fn features(&self) -> Features {
        Features::default()
    }

    /// How its messages are written. [`Link::reply`] takes JSON all the same.
    fn form(&self) -> Form {
        Form {
            logs: self.features().has(Feature::Log),
            ..Form::default()
        }
    }

    /// Whether all that was said with [`Link::latest`] about who comes and goes is on the ordered lane, before what is put there next.
    fn has_sent_roster(&self) -> bool {
        true
    }

    /// Puts frames on the ordered lane. `false`: the lane is full, nothing was taken, and
    /// [`inbox::Event::Drained`] follows once there is room.
    fn push(&self, frames: Bytes) -> bool;

    /// Puts an answer to the client's own message on the ordered lane, full or not: their number is
    /// bounded by what is read from the client.
    fn reply(&self, frame: Bytes);

    /// The same for a frame whose bytes are not in one place, written as the client reads it.
    fn reply_in_pieces(&self, pieces: Vec<Bytes>);

    /// Puts frames about several clients, back to back, on the ordered lane. `false`: it is not moving, nothing was taken, and each is
    /// to be said with [`Link::latest`].
    fn latest_of_many(&self, _frames: Bytes) -> bool {
        false
    }

    /// Puts a frame about `client` on the ordered lane, or in its place on the latest-wins lane.
    fn latest(&self, lane: Latest, client: &ClientId, frame: &Bytes);

    /// Puts a cursor batch on the ordered lane, or its cursors on the latest-wins lane.
    fn cursors(&self, frame: &Bytes, cursors: &[(ClientId, Arc<str>)]);

    /// Puts frames that may be lost on the ordered lane if it has room.
    fn droppable(&self, frames: &Bytes);

    /// The member is welcome; its highest committed op is this.
    fn welcomed(&self, acked_op: u64);

    /// So many of the connection's ops were answered, at most. `u32::MAX`: a snapshot stands for those that were not.
    fn answered(&self, ops: u32);

    /// The member was told to start over from a snapshot: its ops that are in it get no ack any more. It sends what it
    /// has no answer for again.
    fn started_over(&self) {}

    /// The client posted messages to another instance, if its connection is a stream of events.
    fn posted(&self, _post: Post) {}

    /// Writes what the socket takes now.
    fn flush(&self);

    /// Ends the connection after what was pushed.
    fn close(&self, code: CloseCode, reason: &'static str);
}

/// The latest-wins slots that a client has in another's outbox.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Latest {
    /// `user-connected`, `user-disconnected`
    Roster,
    /// `presence` with a state
    State,
    /// `presence` with an away mark
    Away,
}

/// What rooms are told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This process.
    pub instance: InstanceId,
    /// Own ephemeral messages are heard without a round through the queue.
    pub local_broadcast: bool,
    /// After this long without a cursor batch the next cursor goes out at once.
    pub cursor_quiet: std::time::Duration,
    /// With snapshots off, who can't resume starts empty.
    pub snapshots: bool,
    /// Told in `welcome`.
    pub limits: Limits,
    /// Told in `welcome`, milliseconds.
    pub heartbeat_ms: u64,
}

/// The connection of a link.
fn conn_of<L: Link + ?Sized>(link: &L) -> ConnId {
    link.author().conn
}
