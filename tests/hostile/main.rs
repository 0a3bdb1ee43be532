//! What somebody who means harm can send, and how much, on real processes: each test ends with a relay that serves on.
//!
//! [`raw`] sends any bytes; [`harness`] is the relay tests' own. Loads are bounded; nothing here asserts how long
//! something took, but where a bound is promised, only that it ends within it (with much slack).

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
#[path = "../relay/harness.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the other test binary uses the rest"
)]
mod harness;
mod raw;
mod relay;

mod answers;
mod content;
mod corpus;
mod flood;
mod frames;
mod freeze;
mod places;
mod slow;
mod stalled;
mod storm;
mod streams;
