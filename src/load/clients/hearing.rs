//! How a load client handles the messages that it receives: no sockets here, only text in and text out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Utf8Bytes;

use super::client::Plan;
use super::ledger::STRANGER;
use super::tally::Shared;
use crate::load::msgpack::{Frame, Reader};
use crate::load::ops::{Op, Ops};
use crate::load::wire::{self, Heard};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{Epoch, Position};

/// A client's side of the conversation.
#[derive(Debug)]
pub struct Hearing {
    shared: Arc<Shared>,
    canvas: usize,
    member: usize,
    name: String,
    object: bool,
    created: bool,
    told_ready: bool,
    acked_op: u64,
    /// Its own ops.
    pub ops: Ops,
    /// Whether it has joined on this connection.
    pub live: bool,
    /// On how many connections it has joined.
    pub times_live: u64,
    /// When to leave a server that is going away.
    pub leave_at: Option<Instant>,
    /// When it lost a connection and has not yet got what it missed since.
    lost_us: Option<u64>,
    /// The head it was welcomed at: with it, it has what it missed.
    welcomed_at: u64,
    reader: Reader,
}

impl Hearing {
    /// A client that has heard nothing.
    pub fn new(plan: &Plan, shared: Arc<Shared>) -> Self {
        Self {
            name: shared.names.client(plan.canvas, plan.member),
            shared,
            canvas: plan.canvas,
            member: plan.member,
            object: plan.object,
            created: false,
            told_ready: false,
            acked_op: 0,
            ops: Ops::default(),
            live: false,
            times_live: 0,
            leave_at: None,
            lost_us: None,
            welcomed_at: 0,
            reader: Reader::default(),
        }
    }

    /// The connection is gone.
    pub fn lost_connection(&mut self) {
        if !std::mem::take(&mut self.live) || self.lost_us.is_some() {
            return;
        }
        let now = self.shared.us(Instant::now());
        self.lost_us = Some(now);
        self.shared.lost(self.canvas, self.member);
        self.shared.tally.lock().returns.lost(now);
    }

    /// It hears nothing from now on, and so misses nothing.
    pub fn stall(&self) {
        self.shared.ledger(self.canvas).lock().left(self.member);
    }

    /// Looks whether a client that came back has what it missed.
    fn caught_up(&mut self, now: u64) {
        let Some(lost_us) = self.lost_us.filter(|_| self.live) else {
            return;
        };
        let at = self.shared.ledger(self.canvas).lock().position(self.member);
        if at.is_some_and(|(_, seq)| seq >= self.welcomed_at) {
            self.lost_us = None;
            self.shared.tally.lock().returns.back(lost_us, now);
        }
    }

    /// The first thing to say on a new connection.
    pub fn hello(&mut self) -> String {
        self.live = false;
        self.leave_at = None;
        self.reader = Reader::default();
        let at = self.shared.ledger(self.canvas).lock().position(self.member);
        let since = at.map(|(epoch, seq)| Position {
            epoch: Epoch(epoch),
            seq,
        });
        wire::hello(&self.name, self.member, since)
    }

    /// Whether the load can begin for this client; true once.
    pub fn is_ready(&mut self) -> bool {
        let ready = self.live && !self.told_ready && (!self.object || self.ops.is_empty());
        self.told_ready |= ready;
        ready
    }

    /// Takes one message. Returns what to say to it.
    pub fn hear(&mut self, text: &str) -> Vec<Utf8Bytes> {
        let now = self.shared.us(Instant::now());
        let Ok(heard) = serde_json::from_str::<Heard<'_>>(text) else {
            self.shared.tally.lock().unreadable += 1;
            return Vec::new();
        };
        let texts = self.take(&heard, now);
        self.caught_up(now);
        texts
    }

    /// Takes one message in MessagePack. Returns what to say to it.
    pub fn hear_msgpack(&mut self, frame: &[u8]) -> Vec<Utf8Bytes> {
        let now = self.shared.us(Instant::now());
        let mut reader = std::mem::take(&mut self.reader);
        let texts = match reader.read(frame) {
            Some(Frame::Frequent(heard)) => self.take(&heard, now),
            Some(Frame::Other(json)) => self.hear(&json),
            None => {
                self.shared.tally.lock().unreadable += 1;
                Vec::new()
            }
        };
        self.reader = reader;
        self.caught_up(now);
        texts
    }

    fn take(&mut self, heard: &Heard<'_>, now: u64) -> Vec<Utf8Bytes> {
        match &*heard.kind {
            kind if Kind::parse(kind).is_some() => self.delivered(heard, now),
            "ack" => self.acked(heard, now),
            "cursor-batch" => self.cursors(heard, now),
            "welcome" => return self.welcomed(heard),
            "snapshot" if heard.last => return self.snapshot(heard),
            "error" => self.refused(heard, now),
            "resync" => self.shared.tally.lock().resyncs += 1,
            "goaway" => {
                let wait = Duration::from_millis(heard.retry_after_ms.unwrap_or(0).min(60_000));
                self.leave_at = Some(Instant::now() + wait);
            }
            _ => {}
        }
        Vec::new()
    }

    fn welcomed(&mut self, heard: &Heard<'_>) -> Vec<Utf8Bytes> {
        self.shared.moved(self.canvas, self.member, &heard.instance);
        self.acked_op = heard.acked_op;
        self.welcomed_at = heard.seq;
        {
            let mut tally = self.shared.tally.lock();
            tally.reconnects += u64::from(self.times_live > 0);
            tally.resumes += u64::from(heard.mode == "resume");
        }
        if heard.mode != "resume" {
            return Vec::new();
        }
        let at = self.shared.ledger(self.canvas).lock().position(self.member);
        if let Some((epoch, seq)) = at {
            self.goes_on(Epoch(epoch), seq);
        }
        self.shared
            .ledger(self.canvas)
            .lock()
            .resumed(self.member, heard.seq);
        self.joined()
    }

    fn snapshot(&mut self, heard: &Heard<'_>) -> Vec<Utf8Bytes> {
        let epoch = Epoch::parse(&heard.epoch).map_or(0, |epoch| epoch.0);
        self.goes_on(Epoch(epoch), heard.seq);
        self.shared
            .ledger(self.canvas)
            .lock()
            .snapshot(self.member, epoch, heard.seq);
        self.shared.tally.lock().snapshots += 1;
        if self.live { Vec::new() } else { self.joined() }
    }

    /// For the history: its stream goes on behind `seq`.
    fn goes_on(&self, epoch: Epoch, seq: u64) {
        self.shared.record(
            self.canvas,
            "joined",
            || json!({"client": self.name, "epoch": epoch.to_string(), "seq": seq}),
        );
    }

    /// For the history: a new durable message, before it leaves.
    pub fn sent(&self, op: u64, text: &str) {
        self.shared.record(self.canvas, "sent", || {
            let message: Value = serde_json::from_str(text).unwrap_or_default();
            json!({"client": self.name, "op": op, "message": message})
        });
    }

    fn joined(&mut self) -> Vec<Utf8Bytes> {
        self.live = true;
        self.times_live += 1;
        let (done, mut texts) = self.ops.reconnected(self.acked_op);
        self.shared.tally.lock().resent += texts.len() as u64;
        done.iter().for_each(|op| self.answered(op));
        if self.object && !self.created {
            self.created = true;
            let create = wire::create(self.ops.next(), self.member);
            self.sent(self.ops.next(), &create);
            texts.extend(self.ops.push(create.into(), None));
        }
        texts
    }

    fn delivered(&mut self, heard: &Heard<'_>, now: u64) {
        self.shared.record(self.canvas, "seen", || {
            json!({"client": self.name, "seq": heard.seq, "author": heard.client, "op": heard.op})
        });
        let author = self.shared.member(&heard.client);
        let by = author.unwrap_or(STRANGER);
        if !self
            .shared
            .ledger(self.canvas)
            .lock()
            .got(self.member, heard.seq, by, heard.op)
        {
            return;
        }
        if author == u32::try_from(self.member).ok() {
            // Its own, through an earlier connection.
            return;
        }
        let due = author.zip(heard.due_us());
        if author.is_some() && due.is_none() {
            // Another client's object, made before the load began.
            return;
        }
        let mut tally = self.shared.tally.lock();
        tally.deliveries += 1;
        if let Some((author, due)) = due {
            let us = now.saturating_sub(due);
            if self
                .shared
                .undisturbed(self.canvas, author as usize, self.member)
            {
                tally.returns.others(due, us);
            }
            if self
                .shared
                .together(self.canvas, author as usize, self.member)
            {
                tally.same.record(us);
            } else {
                tally.cross.record(us);
            }
        }
    }

    fn acked(&mut self, heard: &Heard<'_>, now: u64) {
        self.shared.record(self.canvas, "acked", || {
            json!({"client": self.name, "op": heard.op, "seq": heard.seq, "status": heard.status})
        });
        if heard.status == "ok" {
            let by = u32::try_from(self.member).unwrap_or(STRANGER);
            self.shared
                .ledger(self.canvas)
                .lock()
                .got(self.member, heard.seq, by, heard.op);
        }
        let Some(op) = self.ops.answered(heard.op) else {
            return;
        };
        let Some(due) = op.due_us else { return };
        self.answered(&op);
        let mut tally = self.shared.tally.lock();
        match &*heard.status {
            "ok" => tally.acks += 1,
            "dup" => tally.acks_dup += 1,
            _ => tally.acks_ignored += 1,
        }
        tally.ack.record(now.saturating_sub(due));
    }

    fn refused(&mut self, heard: &Heard<'_>, now: u64) {
        {
            let mut tally = self.shared.tally.lock();
            let count = tally
                .errors
                .entry(heard.code.clone().into_owned())
                .or_default();
            *count += 1;
            if *count == 1 {
                tracing::warn!(code = %heard.code, message = %heard.message, "first error of its kind");
            }
        }
        if heard.op == 0 {
            return;
        }
        self.shared.record(
            self.canvas,
            "refused",
            || json!({"client": self.name, "op": heard.op, "code": heard.code}),
        );
        if matches!(&*heard.code, "overloaded" | "rate-limited") {
            let wait = heard
                .retry_after_ms
                .unwrap_or(crate::limits::RETRY_AFTER_MS);
            self.ops
                .refused(heard.op, now + wait.clamp(1, 60_000) * 1000);
        } else if let Some(op) = self.ops.answered(heard.op) {
            self.shared.tally.lock().refused += 1;
            self.answered(&op);
        }
    }

    fn answered(&self, op: &Op) {
        if op.due_us.is_some() {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn cursors(&self, heard: &Heard<'_>, now: u64) {
        let mut tally = self.shared.tally.lock();
        tally.cursor_frames += 1;
        for cursor in heard.cursors.iter().filter(|c| c.client != self.name) {
            tally.cursors += 1;
            let (Some(author), Some(due)) = (self.shared.member(&cursor.client), cursor.t) else {
                continue;
            };
            let us = now.saturating_sub(due);
            if self
                .shared
                .together(self.canvas, author as usize, self.member)
            {
                tally.cursor_same.record(us);
            } else {
                tally.cursor_cross.record(us);
            }
        }
    }

    /// What must be said again now, after a refusal.
    pub fn again(&mut self) -> Vec<Utf8Bytes> {
        let texts = self.ops.again(self.shared.us(Instant::now()));
        self.shared.tally.lock().resent += texts.len() as u64;
        texts
    }
}
