//! Decides what a room does at each event. Pure: no clock, no I/O. Pushes go to [`Link`]s (in memory), everything else
//! comes out as [`Effect`]s for the actor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::catch_up::Step;
use super::cursors::Pointers;
use super::inbox::{Event, Retry};
use super::parts::Wanted;
use super::presence::{Notice, Roster};
use super::{Link, Settings, conn_of};
use crate::backplane::{
    Author, Delivery, End, Entry, LogBatch, Outcome, Read, Refusal, Unavailable,
};
use crate::protocol::close_code::CloseCode;
use crate::protocol::features::Features;
use crate::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};
use crate::protocol::server_message as say;

mod arrivals;
mod deflated;
mod fan_out;
mod join;
mod opening;
mod people;
mod place_lost;
mod seat;
mod shared;
mod wordings;

use arrivals::Arrival;
use deflated::Deflated;
use opening::Early;
use seat::{Hold, Seat};
use shared::Shared;

/// What the actor does for the room.
#[derive(Debug)]
pub enum Effect {
    /// Append to the backplane.
    Append(Entry),
    /// Read the log, for a member or for the room itself.
    Read(Option<ConnId>, Position),
    /// Read the log for that member, who understands only those features.
    ReadFor(ConnId, Position, Features),
    /// Read and frame a snapshot, for members that need this.
    Snapshot(Wanted),
    /// Read the presence table.
    Members,
    /// Try that again after a pause.
    Retry(Retry),
    /// Say [`Event::Forget`] when the snapshot that was read is [`crate::limits::SNAPSHOT_REUSE`] old.
    Forget,
    /// Have the flusher tick this room.
    CursorTick,
}

/// What an entry was about, for when the backplane does not take it.
pub enum About {
    /// A join.
    Join(ConnId),
    /// A presence state.
    State(ConnId),
    /// A leave, which must not be lost.
    Leave(Arc<Author>, End),
    /// What may be lost.
    Ephemeral,
}

impl About {
    /// What that entry is about.
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Join { author } => Self::Join(author.conn),
            Entry::State { author, .. } => Self::State(author.conn),
            Entry::Leave { author, end } => Self::Leave(author.clone(), *end),
            Entry::Durable { .. }
            | Entry::Signal { .. }
            | Entry::Cursors { .. }
            | Entry::Kick { .. }
            | Entry::Post { .. } => Self::Ephemeral,
        }
    }
}

/// How a room stands to its canvas's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// It is told what follows what it delivered.
    Live,
    /// It reads the log itself: live batches were missed, up to this `seq` at least.
    Filling(u64),
    /// What it delivered can't be continued: the next snapshot gives it its place.
    Lost,
}

/// What is known of the presence table.
#[derive(Debug, Default)]
struct Table {
    reading: Reading,
    /// The highest version that was heard of and not applied.
    missed: Option<u64>,
}

/// Whether the presence table is being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    Not,
    UnderWay,
    /// It is, and it may be the table of before: it is read once more.
    Stale,
}

/// A room.
pub struct State<L> {
    settings: Arc<Settings>,
    /// This instance's number.
    instance: InstanceNumber,
    canvas: Option<crate::backplane::Canvas>,
    epoch: Epoch,
    /// The last `seq` that was fanned out.
    delivered: u64,
    stream: Stream,
    /// A snapshot is being read.
    snapshot_loading: bool,
    snapshots: Shared,
    table: Table,
    /// Boxed: the map's nodes have room for eleven, and most rooms have fewer members.
    seats: BTreeMap<ConnId, Box<Seat<L>>>,
    /// The seats of each client: one, and another while it is being replaced.
    clients: BTreeMap<ClientId, Vec<ConnId>>,
    /// Welcomes that are due.
    arrived: Vec<Arrival>,
    /// What members have not been told yet.
    notices: Vec<Notice>,
    roster: Roster,
    early: Early,
    /// For whom the canvas is being opened.
    opener: Option<String>,
    deflated: Deflated,
    pointers: Pointers,
    /// Leaves that the queue did not take.
    leaves: Vec<Entry>,
    effects: Vec<Effect>,
}

impl<L: Link> State<L> {
    /// A room that is not open yet.
    pub fn new(settings: Arc<Settings>, instance: InstanceNumber) -> Self {
        let quiet = settings.cursor_quiet;
        Self {
            settings,
            instance,
            canvas: None,
            epoch: Epoch(0),
            delivered: 0,
            stream: Stream::Live,
            snapshot_loading: false,
            snapshots: Shared::default(),
            table: Table::default(),
            seats: BTreeMap::new(),
            clients: BTreeMap::new(),
            arrived: Vec::new(),
            notices: Vec::new(),
            roster: Roster::default(),
            early: Early::default(),
            opener: None,
            deflated: Deflated::default(),
            pointers: Pointers::new(quiet),
            leaves: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Whether nobody is here and nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.leaves.is_empty()
    }

    /// Takes what is to be done. Empty once everything is.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Everything that happens to a room, one by one.
    pub fn handle(&mut self, event: Event<L>, now: Instant) {
        self.absorb(event, now);
        self.settle(now);
    }

    fn happened(&mut self, event: Event<L>, now: Instant) {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Delivery(delivery) => self.delivery(delivery, now),
            Event::Lagged(epoch, seq) if self.canvas.is_none() => {
                self.early.log = Some((epoch, seq))
            }
            Event::Lagged(epoch, seq) => self.missed(epoch, seq),
            Event::Join { link, since } => self.join(link, since),
            Event::Leave { conn, end } => self.leave(conn, end),
            Event::Drained(conn) => self.feed(conn),
            Event::Cursor(conn, fields) => self.cursor(conn, fields, now),
            Event::Presence(conn, patch) => self.presence(conn, &patch),
            Event::Signals {
                conn,
                frames,
                bodies,
            } => self.signals(conn, &frames, bodies),
            Event::CursorTick => self.cursor_tick(now),
            Event::ReadDone(Some(conn), read) => self.read_done(conn, read, now),
            Event::ReadDone(None, read) => self.filled(read),
            Event::SnapshotDone(parts) => self.snapshot_done(parts, now),
            Event::MembersDone(members) => self.members_done(members),
            Event::Retry(retry) => self.retry(retry),
            Event::Forget => self.snapshots.old(now),
        }
    }

    /// The backplane did not take an entry.
    pub fn not_taken(&mut self, about: About, refusal: &Refusal, now: Instant) {
        match about {
            About::Join(conn) => self.joined(conn, Err(refusal.clone()), now),
            About::State(conn) => {
                if let Some(seat) = self.seats.get_mut(&conn) {
                    seat.wish.not_sent();
                    self.effects.push(Effect::Retry(Retry::Member(conn)));
                }
            }
            About::Leave(author, end) => {
                self.leaves.push(Entry::Leave { author, end });
                self.effects.push(Effect::Retry(Retry::Leaves));
            }
            About::Ephemeral => {}
        }
    }

    fn delivery(&mut self, delivery: Delivery, now: Instant) {
        if self.canvas.is_none() {
            return self.early.note(&delivery);
        }
        match delivery {
            Delivery::Log(batch) => self.log(&batch),
            Delivery::Presence(event) => self.presence_event(event, now),
            Delivery::PresenceMissed { version } => self.members_missed(version),
            Delivery::Joined { conn, acked_op } => self.joined(conn, acked_op, now),
            Delivery::Outcome { conn, op, outcome } => self.outcome(conn, op, &outcome),
            Delivery::Signal {
                client,
                origin,
                body,
            } => self.remote_signal(&client, origin, &body),
            Delivery::Cursors { instance, cursors } => self.remote_cursors(instance, cursors),
            Delivery::Kick { conn } => {
                if let Some(seat) = self.seats.get_mut(&conn) {
                    seat.hold = Hold::Closing;
                    let reason = "the application ended this connection";
                    seat.link.close(CloseCode::Forbidden, reason);
                }
            }
            Delivery::Post { conn, post } => {
                if let Some(seat) = self.seats.get(&conn) {
                    seat.link.posted(post);
                }
            }
            Delivery::Reset { epoch, seq } => self.reset(epoch, seq),
            Delivery::PlaceLost { at, presence } => self.place_lost(at, presence),
        }
    }

    fn outcome(&mut self, conn: ConnId, op: u64, outcome: &Outcome) {
        let Some(seat) = self.seats.get(&conn) else {
            return;
        };
        let frame = match outcome {
            Outcome::Ack { seq, status } => {
                let mut out = Vec::with_capacity(64);
                say::ack(&mut out, op, *seq, *status);
                Bytes::from(out)
            }
            Outcome::Refused(r) => say::error(r.code, &r.message, Some(op), r.retry_after_ms),
        };
        seat.link.reply(frame);
        seat.link.answered(1);
    }

    /// A contiguous run of the log, live.
    fn log(&mut self, batch: &LogBatch) {
        if batch.epoch != self.epoch || batch.last_seq() <= self.delivered {
            return;
        }
        if self.stream != Stream::Live || batch.first_seq > self.delivered + 1 {
            return self.missed(batch.epoch, batch.last_seq());
        }
        self.fan_out(batch);
    }

    /// Live batches up to `seq` were missed: the room reads them from the log.
    fn missed(&mut self, epoch: Epoch, seq: u64) {
        if epoch != self.epoch || seq <= self.delivered {
            return;
        }
        match &mut self.stream {
            Stream::Lost => {}
            Stream::Filling(highest) => *highest = seq.max(*highest),
            Stream::Live => {
                self.stream = Stream::Filling(seq);
                self.effects.push(Effect::Read(None, self.head()));
            }
        }
    }

    fn filled(&mut self, read: Result<Read, Unavailable>) {
        let Stream::Filling(highest) = self.stream else {
            return;
        };
        match read {
            Ok(Read::Batch(Some(batch))) if batch.epoch == self.epoch => {
                if batch.last_seq() > self.delivered {
                    self.fan_out(&batch);
                }
                self.effects.push(Effect::Read(None, self.head()));
            }
            Ok(Read::Batch(_)) if self.delivered >= highest => self.stream = Stream::Live,
            Ok(Read::Batch(_)) | Err(_) => self.effects.push(Effect::Retry(Retry::Room)),
            Ok(Read::Gone) => self.all_lost("the messages since were cleaned up"),
        }
    }

    fn head(&self) -> Position {
        Position {
            epoch: self.epoch,
            seq: self.delivered,
        }
    }

    /// Nobody can be continued: all wait for a snapshot, which also gives the room its place.
    fn all_lost(&mut self, reason: &str) {
        let off = !self.settings.snapshots;
        let reason = if off { join::SNAPSHOTS_OFF } else { reason };
        for seat in self.seats.values_mut().filter(|seat| seat.is_in()) {
            seat.link.reply(say::resync(reason));
            seat.link.started_over();
            seat.place.lost(0);
        }
        self.snapshots.forget();
        self.stream = Stream::Lost;
        self.load_snapshot();
    }

    fn reset(&mut self, epoch: Epoch, seq: u64) {
        if epoch == self.epoch {
            // Only messages were missed, all of them expired: reading them tells.
            return self.missed(epoch, seq);
        }
        self.epoch = epoch;
        self.delivered = seq;
        self.all_lost("the canvas began anew");
    }

    fn retry(&mut self, retry: Retry) {
        match retry {
            Retry::Member(conn) => {
                self.send_state(conn);
                self.feed(conn);
            }
            Retry::Room => self.effects.push(Effect::Read(None, self.head())),
            Retry::Snapshot => self.load_snapshot(),
            Retry::Members => self.load_members(),
            Retry::Leaves => {
                let leaves = std::mem::take(&mut self.leaves);
                self.effects.extend(leaves.into_iter().map(Effect::Append));
            }
        }
    }

    /// Reads the log for a member, as it understands it.
    fn read_for(&mut self, conn: ConnId, after: Position) {
        let Some(seat) = self.seats.get(&conn) else {
            return;
        };
        let understood = seat.link.features();
        self.effects
            .push(match understood.has_all(Features::OF_MESSAGES) {
                true => Effect::Read(Some(conn), after),
                false => Effect::ReadFor(conn, after, understood),
            });
    }

    /// Feeds a member that is not live, as far as its outbox takes it.
    fn feed(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        loop {
            match seat.place.step(self.delivered) {
                Step::None => return self.caught_up(),
                Step::Read(after) => {
                    let after = Position {
                        epoch: self.epoch,
                        seq: after,
                    };
                    return self.read_for(conn, after);
                }
                Step::Part(part) => {
                    if !seat.link.push(part) {
                        return;
                    }
                    seat.place.part_taken();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
