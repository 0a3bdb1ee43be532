//! The wire, version 1: the messages of clients and of the server, and the numbers that both use.
//!
//! Nothing here knows about sockets, rooms or storage; everything else depends on this module.

pub mod client_message;
pub mod close_code;
pub mod deflate;
pub mod edit;
pub mod encoding;
pub mod features;
pub mod frame;
pub mod ids;
pub mod merge_patch;
pub mod msgpack;
pub mod server_message;

/// The protocol version that `hello.v` must carry.
pub const VERSION: u64 = 1;
