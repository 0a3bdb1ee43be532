//! What happens when things break: real processes that are killed at every step, stopped and cut off; disks that are
//! full, read-only or gone; files that are locked, damaged or moved away.
//!
//! It stands on the harness of `tests/relay`: the same clients, which check their own streams, and the same proof
//! over all of them. `scripts/chaos` runs many more rounds of [`rounds`].

#[path = "../relay/harness.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the other test binary uses the rest"
)]
mod harness;

mod assets;
mod attacker;
mod crowd;
mod disk;
mod file;
mod fleet;
mod judged;
mod moved;
mod neighbours;
#[path = "../hostile/raw.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod raw;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod rounds;
mod spilling;
