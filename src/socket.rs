//! One connection: a task that reads, and an outbox. Every part that has a message for the client writes from that
//! outbox.
//!
//! tungstenite parses and checks incoming frames ([`inbound`]). Outgoing frames are shared between sockets and written
//! directly ([`outbound`]), so that a fan-out wakes no task per receiver. Frames that the socket does not take at once
//! wait in [`outbox`], which is bounded.
//!
//! Where no WebSocket gets through, a [`stream`] of events takes its place, with the same task, the same outbox and the
//! same limits. Only two things differ: the frames leave as [`events`] in an answer of HTTP, and messages come as posts
//! ([`mailbox`]), from whatever process got them. A client that waits for it gets a post's acks as the [`answers`] to it.

pub mod answers;
mod clock;
pub mod connection;
pub mod events;
pub mod frames;
pub mod inbound;
pub mod io;
pub mod limiter;
pub mod mailbox;
pub mod op_window;
pub mod outbound;
pub mod outbox;
pub mod places;
mod session;
pub mod stream;
pub mod ticket;
