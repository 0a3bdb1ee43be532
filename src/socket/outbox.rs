//! The messages that wait for one socket. Pure.
//!
//! Two lanes. The ordered lane holds frames in their order, bounded in bytes. The latest-wins lane holds at most one
//! value per slot and client, shared with every other outbox, and is emptied when the ordered lane has room.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::encoding::Encoding;
use crate::protocol::ids::ClientId;
use crate::protocol::msgpack;
use crate::protocol::server_message::cursor_batch;
use crate::room::Latest;

/// See the module's head.
#[derive(Debug)]
pub struct Outbox {
    ordered: VecDeque<Bytes>,
    /// Bytes of the first frame that the socket has already.
    sent: usize,
    bytes: usize,
    bound: usize,
    latest: BTreeMap<(Latest, ClientId), Bytes>,
    /// Of both kinds, at most.
    slots: usize,
    cursors: BTreeMap<ClientId, Arc<str>>,
    /// Bytes of what was refused last; 0 for nothing.
    refused: usize,
    closed: bool,
    encoding: Encoding,
    parted: Option<Parted>,
}

/// Where the one frame is that stands on the ordered lane in pieces.
#[derive(Debug)]
struct Parted {
    /// Frames before it.
    before: usize,
    /// Its pieces that are still there, and there is one.
    pieces: usize,
    /// The socket has some of them.
    begun: bool,
}

impl Parted {
    /// The first on the lane was sent. What is left of the frame.
    fn after_one(mut self) -> Option<Self> {
        if self.before > 0 {
            self.before -= 1;
            return Some(self);
        }
        self.pieces -= 1;
        self.begun = true;
        (self.pieces > 0).then_some(self)
    }
}

impl Outbox {
    /// An empty outbox whose ordered lane holds `bound` bytes and whose latest-wins lane has so many `slots`.
    pub fn new(bound: usize, slots: usize) -> Self {
        Self {
            ordered: VecDeque::new(),
            sent: 0,
            bytes: 0,
            bound,
            latest: BTreeMap::new(),
            slots,
            cursors: BTreeMap::new(),
            refused: 0,
            closed: false,
            encoding: Encoding::Json,
            parted: None,
        }
    }

    /// The same for a client that reads messages in that encoding.
    pub fn speaking(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// Bytes that wait on the ordered lane.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits at all.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty() && self.latest.is_empty() && self.cursors.is_empty()
    }

    /// Puts frames on the ordered lane. `false`: they would pass the bound, nothing was taken. An
    /// empty lane takes anything, so that a message larger than the bound gets through.
    pub fn push(&mut self, frames: Bytes) -> bool {
        if self.closed {
            return true;
        }
        if self.bytes > 0 && self.bytes + frames.len() > self.bound {
            self.refused = frames.len();
            return false;
        }
        self.append(frames);
        true
    }

    /// Puts an answer on the ordered lane, full or not. It is in JSON, and goes out as the client reads it.
    pub fn reply(&mut self, frame: Bytes) {
        match self.encoding {
            Encoding::Json => self.raw(frame),
            Encoding::Msgpack => self.raw(msgpack::frame(&frame)),
        }
    }

    /// Puts a frame on the ordered lane as it is, full or not.
    pub fn raw(&mut self, frame: Bytes) {
        if !self.closed {
            self.append(frame);
        }
    }

    /// Puts one frame, in pieces, on the ordered lane as it is, full or not.
    pub fn raw_in_pieces(&mut self, pieces: Vec<Bytes>) {
        if self.closed {
            return;
        }
        if pieces.len() < 2 || self.parted.is_some() {
            return self.append(Bytes::from(pieces.concat()));
        }
        self.parted = Some(Parted {
            before: self.ordered.len(),
            pieces: pieces.len(),
            begun: false,
        });
        pieces.into_iter().for_each(|piece| self.append(piece));
    }

    /// Puts frames about several clients on the ordered lane in one piece, if that is moving. `false`: it is not, nothing was taken.
    pub fn latest_of_many(&mut self, frames: Bytes) -> bool {
        let moving = self.has_room() && self.latest.is_empty();
        if moving && !self.closed {
            self.append(frames);
        }
        moving || self.closed
    }

    /// Whether all that was said about who comes and goes is on the ordered lane, before whatever is put there next.
    pub fn has_sent_roster(&self) -> bool {
        let first = self.latest.first_key_value();
        first.is_none_or(|((lane, _), _)| *lane != Latest::Roster)
    }

    /// Puts a frame about a client on the ordered lane if it is moving, else in its slot. `false`: there are too many clients
    /// that have come and gone meanwhile; the reader has to begin anew.
    pub fn latest(&mut self, lane: Latest, client: &ClientId, frame: &Bytes) -> bool {
        match self.has_room() && self.latest.is_empty() {
            _ if self.closed => {}
            true => self.append(frame.clone()),
            false => {
                if lane == Latest::Roster {
                    // Who comes or goes makes what was said about it before meaningless.
                    self.latest.remove(&(Latest::State, client.clone()));
                    self.latest.remove(&(Latest::Away, client.clone()));
                    self.cursors.remove(client);
                }
                self.latest.insert((lane, client.clone()), frame.clone());
            }
        }
        self.latest.len() + self.cursors.len() <= self.slots
    }

    /// Puts a cursor batch on the ordered lane if it is moving, else each cursor in its slot.
    pub fn cursors(&mut self, frame: &Bytes, cursors: &[(ClientId, Arc<str>)]) {
        match self.has_room() && self.cursors.is_empty() {
            _ if self.closed => {}
            true => self.append(frame.clone()),
            false => self.cursors.extend(cursors.iter().cloned()),
        }
    }

    /// Puts frames that may be lost on the ordered lane if it is moving and they are within its bound. `false`: they are not.
    pub fn droppable(&mut self, frames: &Bytes) -> bool {
        let fits = self.has_room() && self.bytes + frames.len() <= self.bound;
        if fits && !self.closed {
            self.append(frames.clone());
        }
        fits || self.closed
    }

    /// Drops what has not begun to be sent, puts `close` last and takes nothing more.
    pub fn close(&mut self, close: Bytes) {
        if self.closed {
            return;
        }
        let keep = self.begun();
        // What is small goes out before: the goaway or the error that says why.
        if self.bytes > self.bound / 2 {
            self.ordered.truncate(keep);
        }
        self.latest.clear();
        self.cursors.clear();
        self.append(close);
        self.bytes = self.ordered.iter().map(Bytes::len).sum::<usize>() - self.sent;
        self.closed = true;
    }

    /// The frames to write next, as many as fit. Returns how many were put into `slices`.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.ordered) {
            let from = if filled == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(&frame[from..]);
            filled += 1;
        }
        filled
    }

    /// The socket took so many bytes.
    pub fn advance(&mut self, mut taken: usize) {
        self.bytes -= taken;
        taken += self.sent;
        while let Some(front) = self.ordered.front() {
            if taken < front.len() {
                break;
            }
            taken -= front.len();
            self.ordered.pop_front();
            self.parted = self.parted.take().and_then(Parted::after_one);
        }
        self.sent = taken;
        if self.ordered.is_empty() {
            self.emit_latest();
            self.shed();
        }
    }

    /// Whether what was refused would be taken now; says so once. Half a lane of room is not enough for a
    /// snapshot's part: who is told too early asks again, and again.
    pub fn take_drained(&mut self) -> bool {
        let fits = self.bytes == 0 || self.bytes + self.refused <= self.bound;
        let drained = self.refused > 0 && fits && self.has_room();
        if drained {
            self.refused = 0;
        }
        drained
    }

    fn has_room(&self) -> bool {
        self.bytes <= self.bound / 2
    }

    fn append(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.ordered.push_back(frame);
    }

    /// How many belong to the frame that has begun to be sent.
    fn begun(&self) -> usize {
        let some = self.sent > 0;
        match self.parted.as_ref().filter(|parted| parted.before == 0) {
            Some(parted) if parted.begun || some => parted.pieces,
            Some(_) => 0,
            None => usize::from(some),
        }
    }

    fn emit_latest(&mut self) {
        while self.has_room()
            && let Some((_, frame)) = self.latest.pop_first()
        {
            self.append(frame);
        }
        while self.has_room() && !self.cursors.is_empty() {
            let batch = self.next_cursors();
            let cursors = batch.iter().map(|(client, fields)| (client, &**fields));
            self.append(match self.encoding {
                Encoding::Json => cursor_batch(cursors),
                Encoding::Msgpack => msgpack::cursor_batch(cursors, &msgpack::Nobody),
            });
        }
    }

    /// As many cursors as half of the bound holds, at least one.
    fn next_cursors(&mut self) -> Vec<(ClientId, Arc<str>)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes <= self.bound / 2
            && let Some((client, fields)) = self.cursors.pop_first()
        {
            bytes += fields.len();
            batch.push((client, fields));
        }
        batch
    }

    /// An idle connection holds no buffer.
    fn shed(&mut self) {
        if self.ordered.is_empty() && self.ordered.capacity() > 16 {
            self.ordered = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests;
