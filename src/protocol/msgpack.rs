//! The same messages in MessagePack: JSON in, MessagePack out, and the other way round. Pure.
//!
//! Everything behind the sockets is JSON. What goes out is written anew here, once for all who hear it
//! ([`message`], [`cursor_batch`]); what comes in becomes the JSON that the client could have sent ([`to_json()`]), and
//! goes through the same parser.

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
