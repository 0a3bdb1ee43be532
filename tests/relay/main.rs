//! The relay end to end: real `scumble serve` processes over one file, real clients, real signals.
//!
//! [`harness`] is the one door to all of it. Tests run in parallel and in any order: each has its own
//! folder, its own file, its own processes on ports that the system chose.

mod harness;

mod admin;
mod api;
mod assets;
mod auth;
mod base;
mod batches;
mod beginnings;
mod compression;
mod crash;
mod cursors;
mod drain;
mod entries;
mod ephemeral;
mod hooks;
mod joining;
mod keys;
mod limits;
mod logs;
mod members;
mod memory;
mod messages;
mod modes;
mod msgpack;
mod nginx;
mod ops;
mod order;
mod overload;
mod pages;
mod quotas;
mod recorded;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod retention;
mod slow;
mod starting;
mod streams;
mod sweeps;
mod tls;
mod updates;
mod wire;
