//! Numbers that a seed repeats (SplitMix64), and random messages made of them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A source of random numbers that tells its seed when the test fails.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// From `SCUMBLE_SEED`, to repeat a failure, else from the clock.
    pub fn new() -> Self {
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
        };
        Self::or_else(clock)
    }

    /// From `SCUMBLE_SEED`, else from that seed.
    pub fn or_seeded(seed: u64) -> Self {
        Self::or_else(|| seed)
    }

    fn or_else(other: impl FnOnce() -> u64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests have no configuration to read it"
        )]
        let given = std::env::var("SCUMBLE_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok());
        Self::seeded(seed.unwrap_or_else(other))
    }

    /// From that seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// An independent source for a part of the test.
    pub fn fork(&mut self) -> Self {
        let state = self.next();
        Self {
            seed: self.seed,
            state,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A durable message of any type, on one of a few objects that all writers share.
    pub fn message(&mut self) -> Value {
        let id = format!("object-{}", self.below(12));
        let n = self.below(1_000);
        match self.below(10) {
            0..=2 => json!({"type": "object-create", "object": {"id": id, "kind": "box", "n": n}}),
            3..=6 => {
                let patch = match self.below(4) {
                    0 => json!({"n": null, "deep": {"a": n}}),
                    1 => json!({"deep": {"a": null, "b": n}}),
                    _ => json!({"n": n}),
                };
                json!({"type": "object-update", "id": id, "patch": patch})
            }
            7 => json!({"type": "object-delete", "id": id}),
            8 => json!({"type": "chat", "text": format!("chat {n}")}),
            _ => json!({"type": "broadcast", "event": "roll", "data": {"n": n}}),
        }
    }
}

impl Drop for Random {
    #[expect(clippy::print_stderr, reason = "how to repeat a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: SCUMBLE_SEED={}", self.seed);
        }
    }
}
