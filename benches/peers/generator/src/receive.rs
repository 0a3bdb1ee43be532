//! From readable sockets to messages.

use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};

use crate::connection::Taken;
use crate::frame::{self, Frame};
use crate::generator::Generator;
use crate::peer::{self, Protocol};

/// Sockets that are looked at in one turn.
const EVENTS: usize = 128;

impl Generator {
    /// Waits for that long at most, and takes what comes.
    pub fn poll(&mut self, ns: u64) {
        let mut events = Vec::<Event>::with_capacity(EVENTS);
        let timeout = Timespec::try_from(Duration::from_nanos(ns)).ok();
        // Interrupted is as good as nothing: the caller looks at the time and comes again.
        let _ = epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        );
        for event in events {
            // The struct is packed: its fields must be copied out.
            let (data, flags) = (event.data, event.flags);
            let number = data.u64() as usize;
            if flags.contains(EventFlags::OUT) {
                self.connections[number].resume_sending(&self.epoll, number);
            }
            if flags
                .intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
            {
                self.read(number);
            }
        }
    }

    fn read(&mut self, connection: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        loop {
            self.count.reads += 1;
            match self.connections[connection].take(&mut scratch) {
                Taken::Bytes(n) => {
                    self.count.bytes_in += n as u64;
                    let now = self.now();
                    self.feed(connection, &scratch[..n], now);
                    if n < scratch.len() {
                        break;
                    }
                }
                Taken::Nothing => break,
                Taken::Ended => {
                    self.count.disconnects += 1;
                    break;
                }
            }
        }
        self.scratch = scratch;
    }

    /// Bytes that a client got.
    pub fn feed(&mut self, connection: usize, bytes: &[u8], now: u64) {
        let mut partial = std::mem::take(&mut self.connections[connection].partial);
        if partial.is_empty() {
            let used = self.frames(connection, bytes, now);
            partial.extend_from_slice(&bytes[used..]);
        } else {
            partial.extend_from_slice(bytes);
            let used = self.frames(connection, &partial, now);
            partial.drain(..used);
        }
        self.connections[connection].partial = partial;
    }

    fn frames(&mut self, connection: usize, bytes: &[u8], now: u64) -> usize {
        let mut at = 0;
        while let Some((frame, len)) = frame::decode(&bytes[at..]) {
            self.frame(connection, &frame, now);
            at += len;
        }
        at
    }

    fn frame(&mut self, connection: usize, frame: &Frame<'_>, now: u64) {
        match (frame.opcode, self.args.protocol) {
            (frame::PING, _) => self.answer(connection, frame::PONG, frame.payload),
            (frame::PONG, _) => {}
            (frame::CLOSE, _) => {
                if self.count.disconnects == 0 {
                    let reason = String::from_utf8_lossy(frame.payload);
                    eprintln!("client {connection} was closed: {reason:?}");
                }
            }
            (_, Protocol::Nats) => self.nats(connection, frame.payload, now),
            (_, Protocol::Scumble) => self.scumble(connection, frame.payload, now),
            (_, protocol) => {
                if self.take_tokens(connection, frame.payload, now) == 0 {
                    self.count.other_frames += 1;
                    if let Some(reply) = peer::reply(protocol, frame.payload) {
                        self.answer(connection, frame::TEXT, reply);
                    }
                }
            }
        }
    }

    fn answer(&mut self, connection: usize, opcode: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::encode(opcode, payload, &mut bytes);
        self.send(connection, &bytes);
    }

    fn nats(&mut self, connection: usize, payload: &[u8], now: u64) {
        let mut stream = std::mem::take(&mut self.connections[connection].nats);
        let (used, pong) = if stream.is_empty() {
            let (used, pong) = self.nats_messages(connection, payload, now);
            stream.extend_from_slice(&payload[used..]);
            (0, pong)
        } else {
            stream.extend_from_slice(payload);
            self.nats_messages(connection, &stream, now)
        };
        stream.drain(..used);
        self.connections[connection].nats = stream;
        if pong {
            self.answer(connection, frame::BINARY, b"PONG\r\n");
        }
    }

    fn nats_messages(&mut self, connection: usize, bytes: &[u8], now: u64) -> (usize, bool) {
        peer::read_nats(bytes, |message| {
            self.take_tokens(connection, message, now);
        })
    }
}
