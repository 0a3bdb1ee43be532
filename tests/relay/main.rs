//! The relay end to end: real `scumble serve` processes over one file, real clients, real signals.
//!
//! [`harness`] is the one door to all of it. Tests run in parallel and in any order: each has its own
//! folder, its own file, its own processes on ports that the system chose.

mod harness;

mod api;
mod auth;
mod crash;
mod cursors;
mod drain;
mod joining;
mod limits;
mod members;
mod memory;
mod messages;
mod nginx;
mod ops;
mod order;
mod overload;
mod pages;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod retention;
mod slow;
mod starting;
mod wire;
