//! A connection between a simulated client and a room.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use scumble::backplane::Author;
use scumble::protocol::close_code::CloseCode;
use scumble::protocol::ids::ClientId;
use scumble::room::{Latest, Link};
use serde_json::Value;

/// Bytes of the ordered lane. Small, so that readers are often behind.
const LANE_BYTES: usize = 1_500;

/// See the module's head.
pub struct Wire {
    author: Arc<Author>,
    lane: Mutex<Lane>,
    /// What the client sent and the instance has not read.
    up: Mutex<Option<VecDeque<Vec<Value>>>>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    refused: bool,
    closed: bool,
}

impl Wire {
    pub fn new(author: Arc<Author>) -> Arc<Self> {
        Arc::new(Self {
            author,
            lane: Mutex::default(),
            up: Mutex::new(Some(VecDeque::new())),
        })
    }

    /// Takes up to `frames` pushes' worth of messages; whether the room must be told that there is room again.
    pub fn read(&self, pushes: usize) -> (Vec<Value>, bool) {
        let mut lane = self.lane.lock();
        let mut messages = Vec::new();
        for _ in 0..pushes {
            let Some(frames) = lane.waiting.pop_front() else {
                break;
            };
            lane.bytes -= frames.len();
            messages.extend(payloads(&frames));
        }
        let drained = lane.refused && lane.bytes < LANE_BYTES / 2;
        if drained {
            lane.refused = false;
        }
        (messages, drained)
    }

    /// The client sends those together.
    pub fn send(&self, ops: Vec<Value>) {
        if let Some(up) = &mut *self.up.lock() {
            up.push_back(ops);
        }
    }

    /// The oldest that the instance has not read.
    pub fn sent(&self) -> Vec<Value> {
        let mut up = self.up.lock();
        up.as_mut()
            .and_then(VecDeque::pop_front)
            .unwrap_or_default()
    }

    /// Nothing more arrives.
    pub fn cut(&self) {
        *self.up.lock() = None;
    }

    /// Whether the room has ended it, and everything it said was read.
    pub fn is_over(&self) -> bool {
        let lane = self.lane.lock();
        lane.closed && lane.waiting.is_empty()
    }
}

impl Link for Wire {
    fn author(&self) -> &Arc<Author> {
        &self.author
    }

    fn role(&self) -> &'static str {
        "write"
    }

    fn push(&self, frames: Bytes) -> bool {
        let mut lane = self.lane.lock();
        if lane.closed {
            return true;
        }
        if lane.bytes > 0 && lane.bytes + frames.len() > LANE_BYTES {
            lane.refused = true;
            return false;
        }
        lane.bytes += frames.len();
        lane.waiting.push_back(frames);
        true
    }

    fn reply(&self, frame: Bytes) {
        let mut lane = self.lane.lock();
        if !lane.closed {
            lane.bytes += frame.len();
            lane.waiting.push_back(frame);
        }
    }

    fn reply_in_pieces(&self, pieces: Vec<Bytes>) {
        self.reply(Bytes::from(pieces.concat()));
    }

    fn latest_of_many(&self, frames: Bytes) -> bool {
        self.reply(frames);
        true
    }

    fn latest(&self, _: Latest, _: &ClientId, frame: &Bytes) {
        self.reply(frame.clone());
    }

    fn cursors(&self, frame: &Bytes, _: &[(ClientId, Arc<str>)]) {
        self.reply(frame.clone());
    }

    fn droppable(&self, frames: &Bytes) {
        self.reply(frames.clone());
    }

    fn welcomed(&self, _: u64) {}

    fn answered(&self, _: u32) {}

    fn flush(&self) {}

    fn close(&self, _: CloseCode, _: &'static str) {
        self.lane.lock().closed = true;
    }
}

/// The JSON in WebSocket frames back to back.
fn payloads(mut frames: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    while !frames.is_empty() {
        let (head, len) = match frames[1] {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            127 => {
                let len = u64::from_be_bytes(frames[2..10].try_into().expect("8 bytes"));
                (10, usize::try_from(len).expect("small"))
            }
            len => (2, usize::from(len)),
        };
        out.push(serde_json::from_slice(&frames[head..head + len]).expect("JSON"));
        frames = &frames[head + len..];
    }
    out
}
