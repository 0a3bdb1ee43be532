//! What the fuzz targets do with their input. `tests/hostile/corpus.rs` does the same with `fuzz/seeds`, on stable.

pub mod client_message;
pub mod connection;
pub mod frames;
pub mod input;
pub mod msgpack;
pub mod outbox;
pub mod room;
