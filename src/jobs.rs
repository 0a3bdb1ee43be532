//! The durable work queue: messages that back ends push, pop and acknowledge. The HTTP API under `/api/v1/` is Queen
//! MQ's.
//!
//! Pure rules decide what an operation means ([`apply`]), over a [`store`] of tables: no clock, no randomness of their
//! own, no threads. There are three stores: the SQLite file, within the transaction that its writer has open anyway;
//! tables in Redis; and memory, for `--queue off` and for the simulation. `docs/JOBS.md` has the contract in words.
//!
//! Reading order: [`rows`] (the tables), [`work`] (the rows of one call), `push`, `pop` (with `fifo` and `unordered`),
//! `ack`, `finish`, `sweep`.

pub(crate) mod ack;
pub(crate) mod apply;
pub(crate) mod assets;
pub(crate) mod cells;
pub(crate) mod copy;
pub(crate) mod dead;
pub(crate) mod deliveries;
pub(crate) mod dispatch;
pub(crate) mod effects;
pub(crate) mod fifo;
pub(crate) mod finish;
pub(crate) mod groups;
pub(crate) mod hub;
pub(crate) mod kinds;
pub(crate) mod lists;
pub(crate) mod look;
pub(crate) mod manage;
pub(crate) mod memory;
pub mod memory_engine;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod op;
pub(crate) mod options;
pub(crate) mod pairs;
pub(crate) mod pop;
pub(crate) mod push;
pub(crate) mod removal;
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
