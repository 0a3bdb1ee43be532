//! A connection as its room sees it, over a real outbox, and what its client makes of the frames.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use scumble::backplane::{self, Author};
use scumble::protocol::close_code::CloseCode;
use scumble::protocol::frame;
use scumble::protocol::ids::{ClientId, InstanceNumber};
use scumble::room::{Latest, Link};
use scumble::socket::outbox::Outbox;
use serde_json::Value;

use super::super::frames::{Frame, take};

/// Small, so that every run meets it.
const BOUND: usize = 700;

/// See the module's head.
pub struct Member {
    /// Who.
    pub author: Arc<Author>,
    /// Which room it is in.
    pub room: usize,
    since: Option<u64>,
    inner: Mutex<Inner>,
}

struct Inner {
    outbox: Outbox,
    read: Vec<u8>,
    welcomed: Option<u64>,
    closed: bool,
    last_op: u64,
    /// Ops that wait for their answer, with how often they were sent.
    in_flight: BTreeMap<u64, u32>,
    unanswered: u32,
    /// It got a snapshot in the middle.
    forgiven: bool,
}

impl Member {
    /// A connection that said hello.
    pub fn new(room: usize, author: Author, since: Option<u64>) -> Self {
        let inner = Inner {
            outbox: Outbox::new(BOUND, 64),
            read: Vec::new(),
            welcomed: None,
            closed: false,
            last_op: 0,
            in_flight: BTreeMap::new(),
            unanswered: 0,
            forgiven: false,
        };
        Self {
            author: Arc::new(author),
            room,
            since,
            inner: Mutex::new(inner),
        }
    }

    /// Whether it was not told to go.
    pub fn is_open(&self) -> bool {
        !self.inner.lock().closed
    }

    /// Whether its hello was answered.
    pub fn is_welcome(&self) -> bool {
        self.inner.lock().welcomed.is_some()
    }

    /// The number of an op that it sends now.
    pub fn next_op(&self, again: bool) -> u64 {
        let mut inner = self.inner.lock();
        let last = inner.last_op.max(inner.welcomed.unwrap_or(0));
        let op = if again && last > 0 { last } else { last + 1 };
        inner.last_op = op;
        *inner.in_flight.entry(op).or_default() += 1;
        inner.unanswered += 1;
        op
    }

    /// The socket takes some bytes; how many, and whether the room is to be told.
    pub fn read(&self, most: usize) -> (usize, bool) {
        let mut inner = self.inner.lock();
        let Inner { outbox, read, .. } = &mut *inner;
        let mut taken = 0;
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = outbox.gather(&mut slices);
        for slice in &slices[..filled] {
            let n = slice.len().min(most - taken);
            read.extend_from_slice(&slice[..n]);
            taken += n;
        }
        if taken > 0 {
            outbox.advance(taken);
        }
        (taken, outbox.take_drained())
    }

    /// What it read, against what was committed and who is here.
    pub fn check(&self, head: u64, committed: &[Value], present: &[backplane::Member]) {
        let inner = self.inner.lock();
        assert!(inner.welcomed.is_some(), "its hello was never answered");
        assert_eq!(
            inner.unanswered, 0,
            "{:?} were not answered",
            inner.in_flight
        );
        let mut view = View {
            member: self,
            at: None,
            here: BTreeSet::new(),
            away: BTreeSet::new(),
        };
        let mut bytes = &inner.read[..];
        while let Some(frame) = take(&mut bytes) {
            let Frame::Text(message) = frame else {
                panic!("{frame:?}")
            };
            view.take(&message, committed);
        }
        assert!(bytes.is_empty(), "half a frame");
        assert_eq!(view.at, Some(head), "it is not at the head");
        let others = present
            .iter()
            .filter(|other| other.client != self.author.client);
        let here = others.clone().map(|other| other.client.to_string());
        assert_eq!(view.here, here.collect(), "who is here");
        let away = others
            .filter(|other| other.away)
            .map(|other| other.client.to_string());
        assert_eq!(view.away, away.collect(), "who is away");
    }
}

/// What a client knows.
struct View<'a> {
    member: &'a Member,
    at: Option<u64>,
    here: BTreeSet<String>,
    away: BTreeSet<String>,
}

impl View<'_> {
    fn take(&mut self, message: &Value, committed: &[Value]) {
        let seq = message["seq"].as_u64();
        match message["type"].as_str().expect("a type") {
            "welcome" => {
                let resumes = message["mode"] == "resume";
                self.at = if resumes { self.member.since } else { None };
                assert!(!resumes || self.at.is_some());
                self.here.clear();
                self.away.clear();
                for user in message["users"].as_array().expect("users") {
                    self.came(user);
                }
            }
            "resync" => self.at = None,
            "snapshot" => self.at = if message["last"] == true { seq } else { None },
            "ack" if message["status"] != "ok" => {}
            "ack" => {
                let committed = self.next(seq, message, committed);
                assert_eq!(committed["client"], self.member.author.client.as_str());
                assert_eq!(committed["op"], message["op"]);
            }
            "object-create" | "object-update" | "object-delete" | "chat" | "broadcast" => {
                assert_eq!(self.next(seq, message, committed), message);
            }
            "user-connected" => self.came(message),
            "user-disconnected" => {
                let client = message["client"].as_str().expect("a client");
                self.here.remove(client);
                self.away.remove(client);
            }
            "presence" => self.away_mark(message),
            "cursor-batch" | "signal" => {}
            other => panic!("{other}: {message}"),
        }
    }

    fn next<'c>(&mut self, seq: Option<u64>, message: &Value, committed: &'c [Value]) -> &'c Value {
        assert_eq!(
            seq,
            self.at.map(|at| at + 1),
            "a gap or a repeat: {message}"
        );
        self.at = seq;
        &committed[usize::try_from(seq.expect("a seq") - 1).expect("small")]
    }

    fn came(&mut self, user: &Value) {
        let client = user["client"].as_str().expect("a client");
        if client != self.member.author.client.as_str() {
            // All that there is to say of somebody: without the mark it is not away.
            self.here.insert(client.to_owned());
            self.away.remove(client);
            self.away_mark(user);
        }
    }

    fn away_mark(&mut self, message: &Value) {
        let client = message["client"].as_str().expect("a client").to_owned();
        match message["away"].as_bool() {
            Some(true) => drop(self.away.insert(client)),
            Some(false) => drop(self.away.remove(&client)),
            None => {}
        }
    }
}

impl Link for Member {
    fn author(&self) -> &Arc<Author> {
        &self.author
    }

    fn role(&self) -> &'static str {
        "write"
    }

    fn push(&self, frames: Bytes) -> bool {
        self.inner.lock().outbox.push(frames)
    }

    fn reply(&self, frame: Bytes) {
        self.inner.lock().outbox.reply(frame);
    }

    fn reply_in_pieces(&self, pieces: Vec<Bytes>) {
        self.inner.lock().outbox.raw_in_pieces(pieces);
    }

    fn latest_of_many(&self, frames: Bytes) -> bool {
        self.inner.lock().outbox.latest_of_many(frames)
    }

    fn latest(&self, lane: Latest, client: &ClientId, frame: &Bytes) {
        self.inner.lock().outbox.latest(lane, client, frame);
    }

    fn cursors(&self, frame: &Bytes, cursors: &[(ClientId, Arc<str>)]) {
        self.inner.lock().outbox.cursors(frame, cursors);
    }

    fn droppable(&self, frames: &Bytes) {
        self.inner.lock().outbox.droppable(frames);
    }

    fn welcomed(&self, acked_op: u64) {
        let mut inner = self.inner.lock();
        assert!(inner.welcomed.is_none(), "welcome twice");
        inner.welcomed = Some(acked_op);
    }

    fn answered(&self, ops: u32) {
        let mut inner = self.inner.lock();
        if ops == u32::MAX {
            // A snapshot stands for some of them, which ones the server can't know: the client sends them again.
            inner.forgiven = true;
            inner.unanswered = 0;
        } else if inner.forgiven {
            inner.unanswered = inner.unanswered.saturating_sub(ops);
        } else {
            let left = inner.unanswered.checked_sub(ops);
            inner.unanswered = left.expect("more answers than ops");
        }
    }

    fn flush(&self) {}

    fn close(&self, code: CloseCode, reason: &'static str) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner
            .outbox
            .close(frame::close(code.number(), reason).into());
    }
}

/// The number of the instance that has that room.
pub(super) fn number(room: usize) -> InstanceNumber {
    InstanceNumber(u32::try_from(room).expect("a few") + 1)
}
