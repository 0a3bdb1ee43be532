//! One client's socket, never blocking: what can't be written now waits for epoll.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::join::Joined;

/// A client.
pub struct Connection {
    stream: Option<TcpStream>,
    pub room: usize,
    /// Its place in the room.
    pub member: usize,
    pub target: usize,
    /// Bytes that end in the middle of a frame.
    pub partial: Vec<u8>,
    /// NATS: bytes that end in the middle of a message.
    pub nats: Vec<u8>,
    /// Our protocol: the last seq it saw.
    pub seq: u64,
    unsent: Vec<u8>,
    written: usize,
}

/// What a read brought.
pub enum Taken {
    /// So many bytes; there may be more.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The connection is gone.
    Ended,
}

impl Connection {
    /// Takes over a client that has joined.
    pub fn new(
        joined: Joined,
        (room, member, target): (usize, usize, usize),
    ) -> std::io::Result<Self> {
        joined.stream.set_nonblocking(true)?;
        Ok(Self {
            stream: Some(joined.stream),
            room,
            member,
            target,
            partial: joined.unread,
            nats: Vec::new(),
            seq: joined.seq,
            unsent: Vec::new(),
            written: 0,
        })
    }

    /// Has epoll tell what comes, under that number.
    pub fn watch(&self, epoll: &OwnedFd, number: usize) -> std::io::Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        let data = EventData::new_u64(number as u64);
        Ok(epoll::add(
            epoll,
            stream,
            data,
            EventFlags::IN | EventFlags::RDHUP,
        )?)
    }

    fn rewatch(&self, epoll: &OwnedFd, number: usize, and: EventFlags) {
        let Some(stream) = &self.stream else { return };
        let data = EventData::new_u64(number as u64);
        // It is watched since the start; a failure would show as messages that are lost.
        let _ = epoll::modify(
            epoll,
            stream,
            data,
            EventFlags::IN | EventFlags::RDHUP | and,
        );
    }

    /// Writes, or keeps what doesn't fit. Returns whether something had to wait.
    pub fn send(&mut self, epoll: &OwnedFd, number: usize, bytes: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        if self.written < self.unsent.len() {
            self.unsent.extend_from_slice(bytes);
            return false;
        }
        let n = match stream.write(bytes) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            // The reading side will see the end.
            Err(_) => return false,
        };
        if n == bytes.len() {
            return false;
        }
        self.unsent.clear();
        self.unsent.extend_from_slice(&bytes[n..]);
        self.written = 0;
        self.rewatch(epoll, number, EventFlags::OUT);
        true
    }

    /// Writes what waited.
    pub fn resume_sending(&mut self, epoll: &OwnedFd, number: usize) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        while self.written < self.unsent.len() {
            match stream.write(&self.unsent[self.written..]) {
                Ok(n) if n > 0 => self.written += n,
                _ => return,
            }
        }
        self.unsent.clear();
        self.written = 0;
        self.rewatch(epoll, number, EventFlags::empty());
    }

    /// Reads once.
    pub fn take(&mut self, into: &mut [u8]) -> Taken {
        let Some(stream) = &mut self.stream else {
            return Taken::Nothing;
        };
        match stream.read(into) {
            Ok(n) if n > 0 => Taken::Bytes(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Taken::Nothing,
            _ => {
                // Closing it takes it out of epoll.
                self.stream = None;
                Taken::Ended
            }
        }
    }
}
