//! scumble: a WebSocket fan-out relay for canvases that runs as several processes over one SQLite file, or over Redis.
//!
//! A message's way, and the reading order of the modules:
//!
//! ```text
//! socket/inbound -> backplane/intake -> sqlite/writer -> SQLite -> sqlite/tail -> room -> socket/outbound
//! ```
//!
//! `canvas` is what a canvas means, pure, over a trait of row access: in memory (`replicated` and `memory` run that) and in tables (`sqlite`).
//! `log` is what `replicated` needs of the engine below it; `redis` is one.
//!
//! Dependencies point one way: `protocol <- backplane <- {room, canvas} <- {socket, sqlite, replicated, memory, http} <- relay <- main`,
//! and `protocol <- log <- {redis, replicated} <- relay`.
//! `docs/ARCHITECTURE.md` tells the rest; `tests/tidy.rs` keeps it true.

pub mod config;
pub mod counts;
pub mod limits;
pub mod protocol;
pub mod tasks;

pub mod auth;

pub mod analytics;
pub mod backplane;
pub mod canvas;
pub mod jobs;
pub mod log;
pub mod memory;
pub mod redis;
pub mod replicated;
pub mod sqlite;

pub mod hooks;
pub mod webhooks;

pub mod room;
pub mod socket;

pub mod telemetry;

pub mod http;
pub mod relay;

pub mod cli;
pub mod load;
