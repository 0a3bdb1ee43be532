//! A sink that keeps what it is given, taken apart, and lets a test wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use scumble::backplane::{Delivery, LogBatch, Outcome, Post, PresenceEvent, Refusal, Sink};
use scumble::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};
use serde_json::Value;

/// How long anything may take before a test gives up. Nothing is decided by how long it took.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// One message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub epoch: Epoch,
    pub seq: u64,
    pub op: u64,
    pub origin: ConnId,
    pub text: String,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a frame holds JSON")
    }
}

/// How an appended op ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Committed(u64),
    Outcome(Outcome),
}

/// The answer to a join, and how many presence events had come before it.
pub struct Joined {
    pub conn: ConnId,
    pub acked_op: Result<u64, Refusal>,
    pub events_before: usize,
}

/// Everything a recorder was given.
#[derive(Default)]
pub struct Seen {
    pub log: Vec<Message>,
    pub ended: HashMap<(ConnId, u64), Vec<Ended>>,
    pub presence: Vec<PresenceEvent>,
    pub joined: Vec<Joined>,
    pub signals: Vec<(ClientId, ConnId, Arc<str>)>,
    pub cursors: Vec<(InstanceNumber, ClientId, Arc<str>)>,
    pub resets: usize,
    pub reset_to: Option<Position>,
    pub kicks: Vec<ConnId>,
    pub posts: Vec<(ConnId, Post)>,
    batches: usize,
}

impl Seen {
    /// The youngest message's number, 0 for none.
    pub fn last_seq(&self) -> u64 {
        self.log.last().map_or(0, |message| message.seq)
    }
}

#[derive(Default)]
pub struct Recorder {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// Loses two log batches of three, as a full sink would.
    lossy: bool,
    /// Its place may be lost, as where an engine loses something.
    starts_over: bool,
}

impl Recorder {
    pub fn lossy() -> Self {
        Self {
            lossy: true,
            ..Self::default()
        }
    }

    pub fn starting_over() -> Self {
        Self {
            starts_over: true,
            ..Self::default()
        }
    }

    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.lock())
    }

    /// Waits until `condition` gives something.
    pub fn wait<T>(&self, what: &str, mut condition: impl FnMut(&Seen) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut seen = self.seen.lock();
        loop {
            if let Some(found) = condition(&seen) {
                return found;
            }
            let late = self.changed.wait_until(&mut seen, until).timed_out();
            assert!(
                !late,
                "waited in vain for {what}; the log is at {}",
                seen.last_seq()
            );
        }
    }
}

impl Sink for Recorder {
    fn deliver(&self, delivery: Delivery) {
        let mut seen = self.seen.lock();
        match delivery {
            Delivery::Log(batch) => {
                seen.batches += 1;
                if !self.lossy || seen.batches.is_multiple_of(3) {
                    for message in messages(&batch) {
                        let key = (message.origin, message.op);
                        seen.ended
                            .entry(key)
                            .or_default()
                            .push(Ended::Committed(message.seq));
                        seen.log.push(message);
                    }
                }
            }
            Delivery::Outcome { conn, op, outcome } => {
                seen.ended
                    .entry((conn, op))
                    .or_default()
                    .push(Ended::Outcome(outcome));
            }
            Delivery::Presence(event) => seen.presence.push(event),
            // What was missed shows in the versions.
            Delivery::PresenceMissed { .. } => {}
            Delivery::Joined { conn, acked_op } => {
                let events_before = seen.presence.len();
                seen.joined.push(Joined {
                    conn,
                    acked_op,
                    events_before,
                });
            }
            Delivery::Signal {
                client,
                origin,
                body,
            } => seen.signals.push((client, origin, body)),
            Delivery::Cursors { instance, cursors } => {
                seen.cursors
                    .extend(cursors.into_iter().map(|(client, c)| (instance, client, c)));
            }
            Delivery::PlaceLost { .. } if self.starts_over => {}
            Delivery::PlaceLost { at, .. } => panic!("nothing was lost at {at:?}"),
            Delivery::Reset { epoch, seq } => {
                seen.resets += 1;
                seen.reset_to = Some(Position { epoch, seq });
            }
            Delivery::Kick { conn } => seen.kicks.push(conn),
            Delivery::Post { conn, post } => seen.posts.push((conn, post)),
        }
        self.changed.notify_all();
    }
}

/// The messages of a batch, out of their frames.
pub fn messages(batch: &LogBatch) -> Vec<Message> {
    let mut start = 0;
    let mut out = Vec::new();
    for (seq, mark) in (batch.first_seq..).zip(batch.marks.iter()) {
        let text = payload(&batch.frames[start..mark.end]).to_owned();
        out.push(Message {
            epoch: batch.epoch,
            seq,
            op: mark.op,
            origin: mark.origin,
            text,
        });
        start = mark.end;
    }
    assert_eq!(start, batch.frames.len(), "marks cover the frames");
    out
}

/// The text of one unmasked text frame.
fn payload(frame: &[u8]) -> &str {
    assert_eq!(frame[0], 0x81, "one final text frame");
    let (header, len) = match frame[1] {
        126 => (4, u64::from(u16::from_be_bytes([frame[2], frame[3]]))),
        127 => (
            10,
            u64::from_be_bytes(frame[2..10].try_into().expect("8 bytes")),
        ),
        len => (2, u64::from(len)),
    };
    assert_eq!(
        frame.len() as u64 - header,
        len,
        "the frame's length is that of its payload"
    );
    let header = usize::try_from(header).expect("small");
    std::str::from_utf8(&frame[header..]).expect("a text frame is UTF-8")
}
