//! A relay in virtual time: N pure rooms (`scumble::room::state`) over the pure model of a canvas
//! (`scumble::canvas`), with clients that join, drop, read slowly and write; with wakes that are lost, late or
//! doubled, reads that fail, instances that stop or die. A seed makes all of it, and nothing else does: no clock, no
//! thread, no socket. At the end everyone must have seen one history. In two of three seeds far more goes wrong.
//!
//! The same with what a relay of several hosts is made of ([`relays`]): rooms' tasks and copies of canvases over a log in memory.
//!
//! `SCUMBLE_SEED=n` plays one seed, `SCUMBLE_SEEDS=n` so many (200; 20 over a log), both together so many from there.

#[path = "../relay/harness/model.rs"]
mod model;
#[path = "../relay/harness/random.rs"]
#[allow(dead_code, reason = "the other test binaries use the rest")]
mod random;

mod client;
mod link;
mod proof;
mod relays;
mod world;

use proof::Rest;
use relays::Relays;
use world::World;

fn given(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no configuration to read it"
    )]
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect(name))
}

/// The seeds that are asked for; so many, if nobody asks.
fn seeds(many: u64) -> std::ops::Range<u64> {
    let first = given("SCUMBLE_SEED");
    let count = given("SCUMBLE_SEEDS").unwrap_or(if first.is_some() { 1 } else { many });
    let first = first.unwrap_or(0);
    first..first + count
}

#[test]
fn every_seed_makes_one_history() {
    for seed in seeds(200) {
        let world = World::play(seed);
        proof::check(&Rest {
            seed,
            clients: &world.clients,
            canvas: world.canvas.snapshot(),
            members: world.canvas.members().members,
        });
    }
}

#[test]
fn every_seed_makes_one_history_over_a_log() {
    for seed in seeds(20) {
        Relays::play(seed);
    }
}

/// The same seed makes the same actions: what failed once fails again.
#[test]
fn a_seed_repeats_itself() {
    let traces: Vec<_> = (0..2).map(|_| World::play(11).trace()).collect();
    assert_eq!(traces[0], traces[1]);
    let traces: Vec<_> = (0..2).map(|_| Relays::play(11)).collect();
    assert_eq!(traces[0], traces[1]);
}
