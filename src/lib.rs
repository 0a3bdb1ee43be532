//! scumble: a WebSocket fan-out relay for canvases that runs as several processes over one SQLite file, or over Redis.
//!
//! The way of a durable message through the modules, which is also the order to read them in:
//!
//! ```text
//! socket/inbound -> backplane/intake -> sqlite/writer -> SQLite -> sqlite/delivery/tail -> room -> socket/outbound
//! ```
//!
//! `canvas` has the rules of a canvas. They are pure, and work on rows through a trait: `memory` and `replicated` hold
//! the rows in memory, `sqlite` in tables. `log` is the interface between `replicated` and the engine below it; `redis`
//! is such an engine. `assets` keeps the images and files that objects name.
//!
//! Dependencies point one way:
//! `protocol <- backplane <- {room, canvas} <- {socket, sqlite, replicated, memory, http} <- relay <- main`,
//! and `protocol <- log <- {redis, replicated} <- relay`.
//! `docs/ARCHITECTURE.md` says the rest; `tests/tidy.rs` checks the dependencies.

pub mod config;
pub mod counts;
pub mod limits;
pub mod protocol;
pub mod tasks;
pub mod time;

pub mod auth;

pub mod analytics;
pub mod assets;
pub mod backplane;
pub mod canvas;
pub mod jobs;
pub mod log;
pub mod memory;
pub mod redis;
pub mod replicated;
pub mod sqlite;
pub mod transfer;

pub mod hooks;
pub mod webhooks;

pub mod room;
pub mod socket;

pub mod telemetry;

pub mod http;
pub mod relay;

pub mod cli;
pub mod load;
