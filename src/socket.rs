//! One WebSocket: a task that reads, and an outbox. Every part that has a message for the client writes from that
//! outbox.
//!
//! tungstenite parses and checks incoming frames ([`inbound`]). Outgoing frames are shared between sockets and written
//! directly ([`outbound`]), so that a fan-out wakes no task per receiver. Frames that the socket does not take at once
//! wait in [`outbox`], which is bounded.

mod clock;
pub mod connection;
pub mod frames;
pub mod inbound;
pub mod io;
pub mod limiter;
pub mod op_window;
pub mod outbound;
pub mod outbox;
pub mod places;
mod session;
