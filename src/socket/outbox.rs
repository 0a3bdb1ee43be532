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
    parted: Parted,
}

/// Where the one frame is that stands on the ordered lane in pieces.
#[derive(Debug, Default)]
struct Parted {
    /// Frames before it.
    before: usize,
    /// Its pieces; 0: there is no such frame.
    pieces: usize,
    /// The socket has some of them.
    begun: bool,
}

impl Parted {
    /// The first on the lane was sent.
    fn sent_one(&mut self) {
        match self.before {
            0 => (self.pieces, self.begun) = (self.pieces - 1, true),
            _ => self.before -= 1,
        }
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
            parted: Parted::default(),
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
        if pieces.len() < 2 || self.parted.pieces > 0 {
            return self.append(Bytes::from(pieces.concat()));
        }
        self.parted = Parted {
            before: self.ordered.len(),
            pieces: pieces.len(),
            begun: false,
        };
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
    pub fn is_told(&self) -> bool {
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
            if self.parted.pieces > 0 {
                self.parted.sent_one();
            }
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
        let Parted {
            before,
            pieces,
            begun,
        } = self.parted;
        match before == 0 && pieces > 0 {
            true if begun || self.sent > 0 => pieces,
            true => 0,
            false => usize::from(self.sent > 0),
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(n: u8) -> ClientId {
        ClientId::parse(&format!("client-{n:02}")).expect("id")
    }

    /// Takes up to `n` bytes as a socket would.
    fn take(outbox: &mut Outbox, n: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = outbox.gather(&mut slices);
        let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        bytes.truncate(n);
        outbox.advance(bytes.len());
        bytes
    }

    proptest! {
        /// Whatever the sizes of frames and writes: what was taken comes out whole and in order, the bound
        /// holds, and who was refused hears of room.
        #[test]
        fn ordered_and_bounded(steps in prop::collection::vec((any::<bool>(), 1..60_usize), 1..200)) {
            let mut outbox = Outbox::new(100, 100);
            let (mut pushed, mut got, mut n, mut waiting) = (Vec::new(), Vec::new(), 0_u8, false);
            for (push, len) in steps {
                if push {
                    n = n.wrapping_add(1);
                    if outbox.push(Bytes::from(vec![n; len])) {
                        pushed.extend(std::iter::repeat_n(n, len));
                    } else {
                        waiting = true;
                    }
                    prop_assert!(outbox.bytes() <= 100);
                } else {
                    got.extend(take(&mut outbox, len));
                    waiting &= !outbox.take_drained();
                }
            }
            while outbox.bytes() > 0 {
                got.extend(take(&mut outbox, 7));
            }
            waiting &= !outbox.take_drained();
            prop_assert!(!waiting);
            prop_assert_eq!(pushed, got);
        }

        /// A stalled reader's latest lane holds one value a slot, and the last one wins.
        #[test]
        fn latest_wins(values in prop::collection::vec((0..5_u8, any::<u8>()), 1..100)) {
            let mut outbox = Outbox::new(100, 100);
            assert!(outbox.push(Bytes::from(vec![0; 90])));
            let mut last = BTreeMap::new();
            for (who, value) in values {
                outbox.latest(Latest::State, &client(who), &Bytes::from(vec![value]));
                last.insert(who, value);
            }
            take(&mut outbox, 90);
            let mut got = Vec::new();
            while !outbox.is_empty() {
                got.extend(take(&mut outbox, 100));
            }
            prop_assert_eq!(got, last.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_stalled_reader_gets_one_batch_with_the_last_cursors() {
        let mut outbox = Outbox::new(100, 100);
        assert!(outbox.push(Bytes::from(vec![0; 90])));
        for x in ["\"x\":1", "\"x\":2"] {
            outbox.cursors(&Bytes::from_static(b"frame"), &[(client(1), x.into())]);
        }
        take(&mut outbox, 90);
        let frame = take(&mut outbox, 500);
        assert_eq!(
            std::str::from_utf8(&frame[2..]),
            Ok(r#"{"type":"cursor-batch","cursors":[{"client":"client-01","x":2}]}"#)
        );
    }

    #[test]
    fn who_is_told_of_room_is_not_refused_again() {
        let mut outbox = Outbox::new(100, 100);
        assert!(outbox.push(Bytes::from(vec![0; 40])));
        assert!(!outbox.push(Bytes::from(vec![1; 110])), "a snapshot's part");
        take(&mut outbox, 30);
        assert!(!outbox.take_drained(), "there is room, but not for this");
        take(&mut outbox, 10);
        assert!(outbox.take_drained());
        assert!(outbox.push(Bytes::from(vec![1; 110])));
    }

    #[test]
    fn a_close_comes_after_the_frame_that_was_begun() {
        let mut outbox = Outbox::new(10, 100);
        assert!(outbox.push(Bytes::from_static(b"aaaa")));
        assert!(outbox.push(Bytes::from_static(b"bbbb")));
        take(&mut outbox, 2);
        outbox.close(Bytes::from_static(b"X"));
        assert!(
            outbox.push(Bytes::from_static(b"cccc")),
            "taken and dropped"
        );
        assert_eq!(take(&mut outbox, 100), b"aaX");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_in_pieces_is_whole_before_the_close() {
        for (taken, left) in [
            (0, "X"),
            (1, "nX"),
            (2, "X"),
            (3, "bcdefX"),
            (4, "cdefX"),
            (7, "fX"),
            (8, "X"),
            (9, "gggggggggX"),
        ] {
            let mut outbox = Outbox::new(10, 100);
            outbox.raw(Bytes::from("nn"));
            outbox.raw_in_pieces(["ab", "cd", "ef"].map(Bytes::from).to_vec());
            outbox.raw(Bytes::from("gggggggggg"));
            for _ in 0..taken {
                take(&mut outbox, 1);
            }
            outbox.close(Bytes::from("X"));
            let mut got = Vec::new();
            while outbox.bytes() > 0 {
                got.extend(take(&mut outbox, 100));
            }
            assert_eq!(String::from_utf8_lossy(&got), left, "{taken}");
        }
    }

    /// Clients that come and go while a reader is stuck are as many as anybody likes.
    #[test]
    fn the_slots_are_counted() {
        let mut outbox = Outbox::new(100, 2);
        assert!(outbox.push(Bytes::from(vec![0; 90])));
        let frame = Bytes::from_static(b"frame");
        outbox.cursors(&frame, &[(client(1), "\"x\":1".into())]);
        assert!(outbox.latest(Latest::Away, &client(1), &frame));
        assert!(
            outbox.latest(Latest::Roster, &client(1), &frame),
            "instead of both"
        );
        assert!(outbox.latest(Latest::Roster, &client(2), &frame));
        assert!(!outbox.latest(Latest::Roster, &client(3), &frame));
    }

    #[test]
    fn what_may_be_lost_is_within_the_bound_too() {
        let mut outbox = Outbox::new(100, 2);
        assert!(!outbox.droppable(&Bytes::from(vec![0; 101])));
        assert!(outbox.droppable(&Bytes::from(vec![0; 40])));
        assert!(!outbox.droppable(&Bytes::from(vec![0; 61])));
        assert!(outbox.droppable(&Bytes::from(vec![0; 60])));
        assert!(!outbox.droppable(&Bytes::from(vec![0; 1])));
    }
}
