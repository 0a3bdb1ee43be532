//! The state that all clients of a load share: its clock, its ledgers, and its counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use super::ledger::{Faults, Ledger};
use super::returns::Returns;
use crate::load::history::History;
use crate::load::latency::Latency;
use crate::load::wire::Names;

/// Counts by name, and latencies.
#[derive(Debug, Default)]
pub struct Tally {
    /// Durable messages said, each once.
    pub messages: u64,
    /// Durable messages of others that clients got.
    pub deliveries: u64,
    /// Answers to durable messages that gave them their place.
    pub acks: u64,
    /// Answers that said the message was there already (after a reconnect or a refusal).
    pub acks_dup: u64,
    /// Answers that said there was nothing to change.
    pub acks_ignored: u64,
    /// Durable messages refused for good.
    pub refused: u64,
    /// Durable messages said again.
    pub resent: u64,
    /// Cursors said.
    pub cursors_sent: u64,
    /// Cursors of others that clients got; a newer one may have stood for several.
    pub cursors: u64,
    /// The frames that brought them.
    pub cursor_frames: u64,
    /// What was due and never said: a client had too much waiting, or a cursor was too old to be worth it.
    pub skipped: u64,
    /// Bytes of all messages that clients got, without the frames around them.
    pub bytes: u64,
    /// Snapshots that were complete.
    pub snapshots: u64,
    /// Joins that went on from what the client held.
    pub resumes: u64,
    /// `resync` frames.
    pub resyncs: u64,
    /// Connections after a client's first.
    pub reconnects: u64,
    /// Clients that were told to stop.
    pub stopped: u64,
    /// Frames that were no message of the protocol.
    pub unreadable: u64,
    /// Connections that ended as the server had announced, or since it was restarted.
    pub planned: u64,
    /// `error` frames by code, and connections that ended otherwise, by close code.
    pub errors: BTreeMap<String, u64>,
    /// From due to received, sender and receiver on one process.
    pub same: Latency,
    /// From due to received, on two processes.
    pub cross: Latency,
    /// From due to the ack.
    pub ack: Latency,
    /// Cursors on one process.
    pub cursor_same: Latency,
    /// Cursors on two processes.
    pub cursor_cross: Latency,
    /// Connections lost, and how their clients came back.
    pub returns: Returns,
    /// From due to said: the generator's own lateness, in every latency above.
    pub lag: Latency,
}

/// Shared by all clients of a run.
#[derive(Debug)]
pub struct Shared {
    start: Instant,
    /// Who is whom.
    pub names: Names,
    members: usize,
    ledgers: Vec<Mutex<Ledger>>,
    /// The number of the process that each client is on, from 1; 0 before its first welcome.
    places: Vec<AtomicU32>,
    /// Who has lost a connection.
    lost: Vec<AtomicBool>,
    instances: Mutex<Vec<String>>,
    /// What was counted.
    pub tally: Mutex<Tally>,
    /// What was due and has no answer yet.
    pub open: AtomicI64,
    /// Where all of it is written down, with `--record`.
    pub history: Option<History>,
}

impl Shared {
    /// A load of that many canvases, with that many members each.
    pub fn new(canvases: usize, members: usize) -> Self {
        Self {
            start: Instant::now(),
            names: Names::new(),
            members,
            ledgers: (0..canvases)
                .map(|_| Mutex::new(Ledger::new(members)))
                .collect(),
            places: (0..canvases * members).map(|_| AtomicU32::new(0)).collect(),
            lost: (0..canvases * members)
                .map(|_| AtomicBool::new(false))
                .collect(),
            instances: Mutex::new(Vec::new()),
            tally: Mutex::new(Tally::default()),
            open: AtomicI64::new(0),
            history: None,
        }
    }

    /// Writes down what a client sent or was told now.
    pub fn record(&self, canvas: usize, what: &str, fields: impl FnOnce() -> Value) {
        if let Some(history) = &self.history {
            history.add(self.us(Instant::now()), canvas, what, fields());
        }
    }

    /// Microseconds of the load's clock.
    pub fn us(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    /// The time `us` of the load's clock.
    pub fn at(&self, us: u64) -> Instant {
        self.start + std::time::Duration::from_micros(us)
    }

    /// The canvas's ledger.
    pub fn ledger(&self, canvas: usize) -> &Mutex<Ledger> {
        &self.ledgers[canvas]
    }

    /// The member of the canvas that has this name, if it is of this run.
    pub fn member(&self, client: &str) -> Option<u32> {
        self.names
            .member(client)
            .filter(|m| (*m as usize) < self.members)
    }

    /// Notes which process a client is on.
    pub fn moved(&self, canvas: usize, member: usize, instance: &str) {
        let mut instances = self.instances.lock();
        let known = instances.iter().position(|i| i == instance);
        let at = known.unwrap_or_else(|| {
            instances.push(instance.to_owned());
            instances.len() - 1
        });
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        self.places[canvas * self.members + member].store(number, Ordering::Relaxed);
    }

    /// Whether two members of a canvas are on the same process.
    pub fn together(&self, canvas: usize, a: usize, b: usize) -> bool {
        let place = |m: usize| self.places[canvas * self.members + m].load(Ordering::Relaxed);
        place(a) == place(b)
    }

    /// Notes that a client has lost a connection.
    pub fn lost(&self, canvas: usize, member: usize) {
        self.lost[canvas * self.members + member].store(true, Ordering::Relaxed);
    }

    /// Whether neither of two members of a canvas has ever lost its connection.
    pub fn undisturbed(&self, canvas: usize, a: usize, b: usize) -> bool {
        let lost = |m: usize| self.lost[canvas * self.members + m].load(Ordering::Relaxed);
        !lost(a) && !lost(b)
    }

    /// How many processes answered.
    pub fn instances(&self) -> usize {
        self.instances.lock().len()
    }

    /// What was wrong so far, over all canvases.
    pub fn faults(&self) -> Faults {
        self.ledgers.iter().fold(Faults::default(), |sum, ledger| {
            let f = ledger.lock().faults();
            Faults {
                lost: sum.lost + f.lost,
                duplicated: sum.duplicated + f.duplicated,
                disordered: sum.disordered + f.disordered,
            }
        })
    }
}
