//! One WebSocket: a task that reads, and an outbox that whoever has something to say writes from.
//!
//! tungstenite parses and checks what comes in ([`inbound`]); frames that go out are shared between
//! sockets and written directly ([`outbound`]), so that a fan-out wakes no task per receiver. What the socket doesn't
//! take waits in [`outbox`], which is bounded.

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
