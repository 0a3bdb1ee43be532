//! The durable work queue: messages that back ends push, pop and acknowledge, in the wire of Queen MQ under `/api/v1/`.
//!
//! What an operation means is decided by pure rules ([`apply`]) over a [`store`] of tables: no clock, no randomness of their own, no threads. The
//! SQLite file is such a store, in the transaction that its writer has open anyway; so is memory, for `--queue off` and for the simulation.
//! `docs/JOBS.md` has the contract in words.
//!
//! Reading order: [`rows`] (the tables), [`work`] (one call's rows), `push`, `pop` (with `fifo` and `unordered`), `ack`, `finish`, `sweep`.

pub(crate) mod ack;
pub(crate) mod apply;
pub(crate) mod cells;
pub(crate) mod dead;
pub(crate) mod effects;
pub(crate) mod fifo;
pub(crate) mod finish;
pub(crate) mod groups;
pub(crate) mod hub;
pub(crate) mod lists;
pub(crate) mod look;
pub(crate) mod manage;
pub(crate) mod memory;
pub mod memory_engine;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod op;
pub(crate) mod options;
pub(crate) mod pop;
pub(crate) mod push;
pub(crate) mod retry;
pub(crate) mod rows;
pub mod service;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod timings;
pub(crate) mod touch;
pub(crate) mod traces;
pub(crate) mod unordered;
pub(crate) mod work;

#[cfg(test)]
mod tests;

pub use service::Jobs;
