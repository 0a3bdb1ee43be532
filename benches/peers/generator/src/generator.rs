//! The generator's state, what it sends, and the check of every message that comes.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use memchr::memmem::Finder;
use rustix::fd::OwnedFd;

use crate::args::Args;
use crate::connection::Connection;
use crate::count::{Count, Latencies, OwnCount};
use crate::frame;
use crate::peer::{self, Lane, Protocol};
use crate::token::{self, Token};

/// The letters of the two streams in tokens.
const STREAMS: [u8; 2] = [b'c', b'o'];

/// A client that sends.
pub struct Sender {
    pub connection: usize,
    /// Messages sent; cursors are numbered apart.
    pub numbers: [u32; 2],
    /// Deliveries and acks that are owed for what was sent, and those that came.
    pub owed: u64,
    pub paid: u64,
    pub last_progress: u64,
    pub op: u64,
    pub unacked: VecDeque<Op>,
    /// When to say what was refused again, and from which op on.
    pub retry: Option<(u64, u64)>,
}

/// One of our ops without an ack.
pub struct Op {
    pub op: u64,
    /// When it was due; 0 for what prepares the load.
    pub at: u64,
    pub frame: Vec<u8>,
    pub sent: u32,
    pub refused: u32,
}

/// A stream's message with a place for the token.
struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    fn new(protocol: Protocol, lane: Lane, stream: &str, payload: usize) -> Self {
        let token = "@".repeat(token::LEN);
        let (before, after) = match (protocol, lane) {
            (Protocol::Scumble, Lane::Cursor) => ("\"".to_owned(), "\""),
            (Protocol::Scumble, _) => ("{\"t\":\"".to_owned(), "\",\"p\":\"#\"}"),
            _ => {
                let before = format!("{{\"type\":\"{stream}\",\"id\":\"");
                (before, "\",\"x\":123.5,\"y\":456.25,\"pad\":\"#\"}")
            }
        };
        let bare = before.len() + token.len() + after.replace('#', "").len();
        let pad = "p".repeat(payload.saturating_sub(bare));
        let bytes = format!("{before}{token}{}", after.replace('#', &pad)).into_bytes();
        Self {
            bytes,
            at: before.len(),
        }
    }
}

/// Everything.
pub struct Generator {
    pub args: Args,
    pub connections: Vec<Connection>,
    pub senders: Vec<Sender>,
    pub epoll: OwnedFd,
    pub count: Count,
    pub own: OwnCount,
    pub latencies: Latencies,
    /// The measured time, on [`Self::now`]'s clock.
    pub measured: (u64, u64),
    /// Senders that have something to say again.
    pub retrying: Vec<usize>,
    started: Instant,
    templates: [Template; 2],
    /// For each client and each sender of its room, the number that comes next.
    next: Vec<u32>,
    next_cursor: Vec<u32>,
    missing: HashMap<usize, Vec<u32>>,
    find_token: Finder<'static>,
    message: Vec<u8>,
    out: Vec<u8>,
    pub scratch: Vec<u8>,
}

impl Generator {
    /// All clients have joined.
    pub fn new(args: Args, connections: Vec<Connection>, epoll: OwnedFd) -> Self {
        let senders = args.senders();
        let sending = |(number, connection): (usize, &Connection)| {
            (connection.member < senders).then(|| Sender::new(number))
        };
        let pairs = connections.len() * senders;
        let template =
            |lane, stream| Template::new(args.protocol, lane, stream, args.payload as usize);
        Self {
            templates: [
                template(args.lane, "cursor"),
                template(args.lane2, "object"),
            ],
            next: vec![0; pairs],
            next_cursor: vec![0; if args.uses(Lane::Cursor) { pairs } else { 0 }],
            senders: connections.iter().enumerate().filter_map(sending).collect(),
            connections,
            epoll,
            args,
            count: Count::default(),
            own: OwnCount::default(),
            latencies: Latencies::default(),
            measured: (u64::MAX, u64::MAX),
            retrying: Vec::new(),
            started: Instant::now(),
            missing: HashMap::new(),
            find_token: Finder::new(b"@@"),
            message: Vec::new(),
            out: Vec::new(),
            scratch: vec![0; 256 * 1024],
        }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Whether a time is within the measured.
    pub fn counts(&self, at: u64) -> bool {
        (self.measured.0..self.measured.1).contains(&at)
    }

    /// What a stream is published as; `None` where there are no lanes.
    pub fn lane(&self, stream: usize) -> Option<Lane> {
        let lane = [self.args.lane, self.args.lane2][stream];
        (self.args.protocol == Protocol::Scumble).then_some(lane)
    }

    /// Deliveries and acks that complete one message.
    pub fn owed(&self, stream: usize) -> u64 {
        let ack = self.lane(stream).is_some_and(Lane::is_acked);
        u64::from(self.args.clients_per_room) - 1 + u64::from(ack)
    }

    /// Bytes on their way to a client.
    pub fn send(&mut self, connection: usize, bytes: &[u8]) {
        let waits = self.connections[connection].send(&self.epoll, connection, bytes);
        self.count.blocked_writes += u64::from(waits);
    }

    /// Sends one message of a sender's that was due at that time.
    pub fn publish(&mut self, sender: usize, stream: usize, at: u64) {
        let lane = self.lane(stream);
        let cursor = lane == Some(Lane::Cursor);
        let owed = self.owed(stream);
        let x = &mut self.senders[sender];
        let (connection, op, number) = (x.connection, x.op + 1, x.numbers[usize::from(cursor)]);
        x.numbers[usize::from(cursor)] += 1;
        x.owed += owed;
        let others = u64::from(self.args.clients_per_room) - 1;
        let counts = u64::from(self.counts(at));
        self.count.sent += counts;
        if cursor {
            self.own.cursors_sent += counts;
        } else {
            self.count.expected_all += others;
        }
        let template = &mut self.templates[stream];
        let token = Token {
            sender: sender as u32,
            number,
            at,
            stream: STREAMS[stream],
        };
        token.write(&mut template.bytes[template.at..]);
        self.message.clear();
        match lane {
            Some(lane) => {
                peer::wrap_lane(lane, sender, number, op, &template.bytes, &mut self.message)
            }
            None => {
                let room = self.connections[connection].room;
                peer::wrap(self.args.protocol, room, &template.bytes, &mut self.message);
            }
        }
        if lane.is_some_and(Lane::is_acked) {
            let message = std::mem::take(&mut self.message);
            self.send_op(sender, at, &message);
            self.message = message;
        } else {
            let binary = self.args.protocol == Protocol::Nats;
            let mut out = std::mem::take(&mut self.out);
            out.clear();
            frame::encode(
                if binary { frame::BINARY } else { frame::TEXT },
                &self.message,
                &mut out,
            );
            self.send(connection, &out);
            self.out = out;
        }
    }

    /// Every token in a payload that a client got. Returns how many there were.
    pub fn take_tokens(&mut self, connection: usize, payload: &[u8], now: u64) -> usize {
        let (mut count, mut at) = (0, 0);
        while let Some(found) = self.find_token.find(&payload[at..]) {
            let Some(bytes) = payload.get(at + found..at + found + token::LEN) else {
                break;
            };
            self.got(connection, Token::read(bytes), now);
            count += 1;
            at += found + token::LEN;
        }
        count
    }

    fn got(&mut self, connection: usize, token: Token, now: u64) {
        let sender = token.sender as usize;
        let Some(x) = self.senders.get_mut(sender) else {
            self.count.other_frames += 1;
            return;
        };
        if x.connection == connection {
            self.count.echo += 1;
            return;
        }
        let per_room = self.args.senders();
        let pair = connection * per_room + sender % per_room;
        if self.lane(usize::from(token.stream == b'o')) == Some(Lane::Cursor) {
            self.got_cursor(connection, pair, token, now);
            return;
        }
        let expected = self.next[pair];
        if token.number >= expected {
            if token.number > expected {
                self.missing
                    .entry(pair)
                    .or_default()
                    .extend(expected..token.number);
            }
            self.next[pair] = token.number + 1;
        } else if !self.was_missing(pair, token.number) {
            self.count.duplicated += 1;
            return;
        } else {
            self.count.disordered += 1;
        }
        self.count.delivered_all += 1;
        self.senders[sender].paid += 1;
        self.time(connection, token, now);
    }

    fn was_missing(&mut self, pair: usize, number: u32) -> bool {
        let Some(missing) = self.missing.get_mut(&pair) else {
            return false;
        };
        let at = missing.iter().position(|m| *m == number);
        at.map(|at| missing.swap_remove(at)).is_some()
    }

    /// A cursor stands for the older ones that never came.
    fn got_cursor(&mut self, connection: usize, pair: usize, token: Token, now: u64) {
        let expected = self.next_cursor[pair];
        if token.number < expected {
            self.count.duplicated += 1;
            return;
        }
        self.next_cursor[pair] = token.number + 1;
        self.own.cursors_superseded += u64::from(token.number - expected);
        self.own.cursors += u64::from(self.counts(now));
        self.senders[token.sender as usize].paid += u64::from(token.number - expected) + 1;
        self.time(connection, token, now);
    }

    fn time(&mut self, connection: usize, token: Token, now: u64) {
        let sender = &mut self.senders[token.sender as usize];
        sender.last_progress = now;
        let from = sender.connection;
        self.count.in_time += u64::from(self.counts(now));
        if !self.counts(token.at) {
            return;
        }
        let ns = now.saturating_sub(token.at);
        self.latencies.all.record_ns(ns);
        if token.stream == b'o' {
            self.latencies.second.record_ns(ns);
        }
        if self.connections[from].target != self.connections[connection].target {
            self.latencies.cross.record_ns(ns);
        }
    }
}

impl Sender {
    fn new(connection: usize) -> Self {
        Self {
            connection,
            numbers: [0; 2],
            owed: 0,
            paid: 0,
            last_progress: 0,
            op: 0,
            unacked: VecDeque::new(),
            retry: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for() {
        for lane in [Lane::Durable, Lane::Signal, Lane::Object] {
            assert_eq!(
                Template::new(Protocol::Scumble, lane, "x", 200).bytes.len(),
                200
            );
        }
        let raw = Template::new(Protocol::Raw, Lane::Durable, "cursor", 200);
        assert_eq!(raw.bytes.len(), 200);
        assert!(raw.bytes[raw.at..].starts_with(&[b'@'; token::LEN]));
        serde_json::from_slice::<serde_json::Value>(&raw.bytes).expect("JSON");
    }
}
