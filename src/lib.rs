//! scumble: a WebSocket fan-out relay for canvases that runs as several processes over one SQLite file, or over Redis.
//!
//! A message's way, and the reading order of the modules:
//!
//! ```text
//! socket/inbound -> room -> queue/writer -> SQLite -> queue/poller -> room -> socket/outbound
//! ```
//!
//! `machine` is what a canvas means, pure: `redis` and `memory` run it, and tests compare `queue` with it.
//!
//! Dependencies point one way: `protocol <- backplane <- {room, machine} <- {socket, queue, redis, memory, http} <- relay <- main`.
//! `docs/ARCHITECTURE.md` tells the rest; `tests/tidy.rs` keeps it true.

pub mod config;
pub mod limits;
pub mod protocol;
pub mod tasks;

pub mod auth;

pub mod backplane;
pub mod machine;
pub mod memory;
pub mod queue;
pub mod redis;

pub mod room;
pub mod socket;

pub mod telemetry;

pub mod http;
pub mod relay;

pub mod cli;
pub mod load;
