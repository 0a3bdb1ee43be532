//! The same messages in MessagePack: JSON in, MessagePack out, and the other way round. Pure.
//!
//! Everything behind the sockets is JSON. Outgoing messages are written in MessagePack here, once for all receivers
//! ([`message`], [`cursor_batch`]). Incoming ones become the JSON that the client could have sent ([`to_json()`]), and
//! go through the same parser.

mod entries;
mod from_json;
mod people;
mod read;
mod server;
mod to_json;

pub use from_json::value;
pub use people::{Nobody, People};
pub use read::{Head, Source};
pub use server::{ack, cursor_batch, frame, frames, message};
pub use to_json::to_json;

#[cfg(test)]
mod tests;
