//! Our own protocol: acks, refusals, and the check of every connection's `seq`.

use memchr::memchr;

use crate::field;
use crate::frame;
use crate::generator::{Generator, Op};
use crate::peer;

impl Generator {
    /// Sends a sender's next op, or keeps it while a refused one waits.
    pub fn send_op(&mut self, sender: usize, at: u64, message: &[u8]) {
        let mut bytes = Vec::with_capacity(message.len() + 14);
        frame::encode(frame::TEXT, message, &mut bytes);
        let x = &mut self.senders[sender];
        x.op += 1;
        self.own.pending += 1;
        let (op, connection, now) = (x.op, x.connection, x.retry.is_none());
        if now {
            self.send(connection, &bytes);
        }
        let op = Op {
            op,
            at,
            frame: bytes,
            sent: u32::from(now),
            refused: 0,
        };
        self.senders[sender].unacked.push_back(op);
    }

    /// Makes an object for each sender.
    pub fn create_objects(&mut self) {
        for sender in 0..self.senders.len() {
            let op = self.senders[sender].op + 1;
            self.send_op(sender, 0, &peer::create_object(sender, op));
        }
    }

    /// Says refused ops again, with all that follow them. Returns when the next are due.
    pub fn resend(&mut self, now: u64) -> u64 {
        let mut next = u64::MAX;
        for sender in std::mem::take(&mut self.retrying) {
            let x = &mut self.senders[sender];
            match x.retry {
                Some((at, _)) if at > now => {
                    next = next.min(at);
                    self.retrying.push(sender);
                }
                retry => {
                    x.retry = None;
                    let from = retry.map_or(u64::MAX, |(_, op)| op);
                    let connection = x.connection;
                    let mut frames = Vec::new();
                    for op in x.unacked.iter_mut().filter(|op| op.op >= from) {
                        self.own.resent += u64::from(op.sent > 0);
                        op.sent += 1;
                        frames.extend_from_slice(&op.frame);
                    }
                    self.send(connection, &frames);
                }
            }
        }
        next
    }

    /// Takes one message of ours.
    pub fn scumble(&mut self, connection: usize, message: &[u8], now: u64) {
        // As our server writes them: `type` first, then what a kind begins with.
        let (kind, rest) = match message.strip_prefix(b"{\"type\":\"") {
            Some(rest) => rest.split_at(memchr(b'"', rest).unwrap_or(rest.len())),
            None => (field::text(message, "type").unwrap_or_default(), message),
        };
        match kind {
            b"broadcast" | b"chat" | b"object-create" | b"object-update" | b"object-delete" => {
                self.check_seq(connection, rest);
                self.take_tokens(connection, message, now);
            }
            b"signal" => {
                self.take_tokens(connection, message, now);
            }
            b"cursor-batch" => {
                self.own.cursor_frames += u64::from(self.counts(now));
                self.take_tokens(connection, message, now);
            }
            b"ack" => self.acked(connection, message, now),
            b"error" => self.refused(connection, message, now),
            b"snapshot" => {
                self.connections[connection].seq = field::number(message, "seq").unwrap_or(0);
            }
            b"resync" => self.own.resyncs += 1,
            _ => self.count.other_frames += 1,
        }
    }

    /// `rest` is the message, or what follows its kind.
    fn check_seq(&mut self, connection: usize, rest: &[u8]) {
        let last = self.connections[connection].seq;
        // A search for each delivery would be a tenth of the generator's time.
        let seq = match rest.strip_prefix(b"\",\"seq\":") {
            Some(value) => field::whole(value),
            None => field::number(rest, "seq"),
        };
        let seq = seq.unwrap_or(0);
        if seq <= last {
            self.own.seq_repeats += 1;
            return;
        }
        self.own.seq_gaps += seq - last - 1;
        self.connections[connection].seq = seq;
    }

    /// The sender that a connection belongs to, if it sends.
    fn sender_of(&self, connection: usize) -> Option<usize> {
        let (c, per_room) = (&self.connections[connection], self.args.senders());
        (c.member < per_room).then_some(c.room * per_room + c.member)
    }

    fn acked(&mut self, connection: usize, message: &[u8], now: u64) {
        match field::text(message, "status") {
            Some(b"dup") => self.own.acks_dup += 1,
            Some(b"ignored") => self.own.acks_ignored += 1,
            _ => {
                self.check_seq(connection, message);
                self.own.acks += 1;
                self.own.acks_in_time += u64::from(self.counts(now));
            }
        }
        let op = field::number(message, "op");
        let Some(sender) = self.sender_of(connection) else {
            return;
        };
        let x = &mut self.senders[sender];
        let at = x.unacked.iter().position(|o| Some(o.op) == op);
        let Some(op) = at.and_then(|at| x.unacked.remove(at)) else {
            return;
        };
        self.own.pending -= 1;
        if op.at > 0 {
            x.paid += 1;
            x.last_progress = now;
        }
        if self.counts(op.at) {
            self.latencies.ack.record_ns(now.saturating_sub(op.at));
        }
    }

    fn refused(&mut self, connection: usize, message: &[u8], now: u64) {
        let code = String::from_utf8_lossy(field::text(message, "code").unwrap_or_default());
        let again = code == "overloaded" || code == "rate-limited";
        let count = self.own.errors.entry(code.into_owned()).or_default();
        *count += 1;
        if *count == 1 {
            eprintln!("client {connection}: {}", String::from_utf8_lossy(message));
        }
        let Some(sender) = self.sender_of(connection) else {
            return;
        };
        let x = &mut self.senders[sender];
        let op = field::number(message, "op");
        let Some(at) = x.unacked.iter().position(|o| Some(o.op) == op) else {
            return;
        };
        if !again {
            x.unacked.remove(at);
            self.own.pending -= 1;
            return;
        }
        let refused = &mut x.unacked[at];
        refused.refused += 1;
        if refused.refused < refused.sent {
            // A later copy of it is on its way.
            return;
        }
        let op = refused.op;
        match &mut x.retry {
            Some((_, from)) => *from = op.min(*from),
            None => {
                let ms = field::number(message, "retry_after_ms")
                    .unwrap_or(100)
                    .clamp(1, 10_000);
                x.retry = Some((now + ms * 1_000_000, op));
                self.retrying.push(sender);
            }
        }
    }
}
