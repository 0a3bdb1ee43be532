//! Joining, catching up and leaving.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::opening::turn_away;
use super::seat::{Joining, Seat};
use super::wordings::{Recipients, Run, Wordings};
use super::{Effect, Link, State, Stream, conn_of, fan_out};
use crate::backplane::{End, Entry, Read, Refusal, Unavailable};
use crate::limits::BASES_AT_ONCE;
use crate::protocol::close_code::CloseCode;
use crate::protocol::features::Feature;
use crate::protocol::ids::{ClientId, ConnId, Position};
use crate::protocol::server_message as say;
use crate::room::catch_up::Place;
use crate::room::inbox::Retry;
use crate::room::parts::{Parts, Wanted};

/// Said before a snapshot that is empty whatever the canvas holds.
pub(super) const SNAPSHOTS_OFF: &str = "snapshots are switched off: earlier state is not sent";

impl<L: Link> State<L> {
    /// A connection said hello. It is committed to the presence table before anything is answered.
    pub(super) fn join(&mut self, link: Arc<L>, since: Option<Position>) {
        let conn = conn_of(&*link);
        if self.is_full_for(&link.author().client) {
            return close_full(&*link);
        }
        let seat = Seat::new(link, since);
        self.sit(conn, seat);
        if self.canvas.is_some() {
            self.append_join(conn);
        }
    }

    fn sit(&mut self, conn: ConnId, seat: Seat<L>) {
        let client = seat.link.author().client.clone();
        self.clients.entry(client).or_default().push(conn);
        self.seats.insert(conn, Box::new(seat));
    }

    pub(super) fn rise(&mut self, conn: ConnId) -> Option<Box<Seat<L>>> {
        let seat = self.seats.remove(&conn)?;
        let client = &seat.link.author().client;
        if let Some(conns) = self.clients.get_mut(client) {
            conns.retain(|other| *other != conn);
            if conns.is_empty() {
                self.clients.remove(client);
            }
        }
        Some(seat)
    }

    /// Whether others take all places, here and on other instances. Who takes over its own place needs none; who is away has none.
    fn is_full_for(&self, client: &ClientId) -> bool {
        let own = self.clients.get(client).map_or(0, Vec::len);
        let elsewhere = self.roster.remote(self.instance);
        let own_elsewhere = self.roster.is_remote(client, self.instance);
        let others = self.seats.len() - own + elsewhere - usize::from(own_elsewhere);
        others >= self.settings.limits.max_clients
    }

    /// Those who said hello before the room was open, in the order that they came: others may have taken the places elsewhere.
    pub(super) fn admit_early(&mut self) {
        let early: Vec<ConnId> = self.seats.keys().copied().collect();
        for conn in early {
            let Some(seat) = self.seats.get(&conn) else {
                continue;
            };
            if self.is_full_for(&seat.link.author().client) {
                close_full(&*seat.link);
                self.rise(conn);
            } else {
                self.append_join(conn);
            }
        }
    }

    pub(super) fn append_join(&mut self, conn: ConnId) {
        if let Some(seat) = self.seats.get(&conn) {
            let author = seat.link.author().clone();
            self.effects.push(Effect::Append(Entry::Join { author }));
        }
    }

    /// The join is committed (or not): decide between resume and snapshot.
    pub(super) fn joined(&mut self, conn: ConnId, acked: Result<u64, Refusal>, now: Instant) {
        let head = self.head();
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        let unanswered = |joining: &Joining| joining.acked_op.is_none();
        let waits = seat.joining.as_ref().is_some_and(unanswered);
        let acked_op = match acked {
            Ok(op) => op,
            Err(refusal) if refusal.code == say::ErrorCode::Forbidden => {
                seat.link
                    .reply(say::error(refusal.code, &refusal.message, None, None));
                seat.link.close(
                    CloseCode::Forbidden,
                    "this client id belongs to somebody else",
                );
                return;
            }
            Err(refusal) if waits => return turn_away(&*seat.link, &refusal.message),
            // It had a place, and could not take it again.
            Err(_) => return self.effects.push(Effect::Retry(Retry::Members)),
        };
        // The table had its place, though the room may have missed that.
        seat.held();
        let Some(joining) = seat.joining.as_mut().filter(|_| waits) else {
            return;
        };
        joining.acked_op = Some(acked_op);
        match joining.since {
            Some(since) if since == head && self.stream != Stream::Lost => {
                self.welcome(conn, true, since.seq);
                self.seat_live(conn, self.delivered + 1);
            }
            Some(since) if since.epoch == self.epoch => {
                self.read_for(conn, since);
            }
            _ => self.want_snapshot(conn, now),
        }
    }

    fn seat_live(&mut self, conn: ConnId, next: u64) {
        if let Some(seat) = self.seats.get_mut(&conn) {
            seat.place = Place::live(next);
        }
    }

    /// `seq`: what the member has (that the head is not behind it is known, though not to the room yet), or the snapshot's.
    fn welcome(&mut self, conn: ConnId, resume: bool, seq: u64) {
        let Some(canvas) = &self.canvas else { return };
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        let Some(joining) = seat.joining.take() else {
            return;
        };
        let author = seat.link.author();
        let encoding = seat.link.form().encoding;
        let (users, since) = self.roster.welcome(author, encoding);
        let acked_op = joining.acked_op.unwrap_or(0);
        let welcome = say::Welcome {
            instance: &self.settings.instance,
            canvas: &canvas.id,
            client: &author.client,
            user: &author.user,
            role: seat.link.role(),
            epoch: self.epoch,
            seq: if resume { seq.max(self.delivered) } else { seq },
            resume,
            acked_op,
            encoding,
            users,
            limits: &self.settings.limits,
            heartbeat_ms: self.settings.heartbeat_ms,
        };
        seat.link.reply_in_pieces(say::welcome(welcome));
        seat.link.welcomed(acked_op);
        for (lane, client, frame) in since {
            seat.link.latest(lane, &client, &frame);
        }
    }

    /// A read for a member came back: the answer to its `since`, or the next piece of its catch-up.
    pub(super) fn read_done(
        &mut self,
        conn: ConnId,
        read: Result<Read, Unavailable>,
        now: Instant,
    ) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if let Some(joining) = &seat.joining {
            let Some(since) = joining.since else { return };
            match read {
                Ok(Read::Batch(_)) if since.epoch == self.epoch => {
                    self.welcome(conn, true, since.seq);
                    if let Some(seat) = self.seats.get_mut(&conn) {
                        seat.place = Place::reading(since.seq + 1);
                    }
                }
                Ok(_) => return self.want_snapshot(conn, now),
                Err(e) => return turn_away(&*seat.link, &e.to_string()),
            }
        }
        self.caught(conn, read, now);
    }

    fn caught(&mut self, conn: ConnId, read: Result<Read, Unavailable>, now: Instant) {
        let epoch = self.epoch;
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if !seat.place.read_done() {
            return;
        }
        match read {
            Ok(Read::Batch(Some(batch))) if batch.epoch == epoch => {
                let next = seat.place.next();
                if batch.first_seq <= next && next <= batch.last_seq() {
                    let make = |wording, recipients: &Recipients<'_>| {
                        Run::new(&batch, wording, recipients)
                    };
                    let runs = Wordings::new(&self.roster, &make);
                    let form = seat.link.form();
                    let run = match form.deflate {
                        true => runs.lasting(&*seat.link),
                        false => runs.of(&*seat.link),
                    };
                    let shorter = |frames, shared| match form.deflate {
                        true => {
                            let key = (next, form.encoding);
                            self.deflated.of(&batch, key, frames, shared)
                        }
                        false => frames,
                    };
                    let link = &*seat.link;
                    let place = &mut seat.place;
                    fan_out::give(link, conn, place, (&batch, run), next, shorter);
                    if seat.place.next() == next {
                        return; // the outbox is full; it says when it has room
                    }
                }
                self.feed(conn);
            }
            // At the log's head, which the room may not have delivered yet: the place says what to skip.
            Ok(Read::Batch(_)) if seat.place.next() > self.delivered => {
                seat.place = Place::live(seat.place.next());
                self.caught_up();
            }
            Ok(Read::Batch(_)) => self.feed(conn),
            Ok(Read::Gone) => {
                seat.link
                    .reply(say::resync("the messages since were cleaned up"));
                seat.link.started_over();
                // A shared one may be as old as what was lost.
                self.snapshots.forget();
                seat.place.lost(0);
                self.want_snapshot(conn, now);
            }
            Err(_) => self.effects.push(Effect::Retry(Retry::Member(conn))),
        }
    }

    /// A member is where the room is: what is kept for those who are behind goes with the last of them.
    pub(super) fn caught_up(&mut self) {
        let mut seats = self.seats.values();
        if !self.deflated.is_empty() && seats.all(|seat| seat.place.is_live()) {
            self.deflated.forget();
        }
    }

    /// The member gets the room's shared snapshot if that will do, else a new one.
    fn want_snapshot(&mut self, conn: ConnId, now: Instant) {
        if !self.settings.snapshots || self.is_blank() {
            return self.start_empty(conn);
        }
        if let Some(seat) = self.seats.get_mut(&conn) {
            seat.place.lost(self.delivered);
            if let Some(joining) = &mut seat.joining {
                let understood = seat.link.features().has(Feature::Base);
                joining.base = joining.since.take().filter(|_| understood);
            }
        }
        let seat = self.seats.get(&conn);
        let needs = seat.map(|seat| (seat.link.form(), seat.base_in(self.epoch)));
        let made = |parts: &Parts| needs.is_none_or(|(form, base)| parts.has(form, base));
        let crowded = self.snapshots.is_crowded();
        match self.snapshots.take(self.delivered, now) {
            Some(parts) if made(&parts) || crowded => self.give_snapshot(conn, parts),
            _ => self.load_snapshot(),
        }
    }

    /// Nothing was ever written here: the snapshot is known without reading it.
    fn is_blank(&self) -> bool {
        self.delivered == 0 && self.stream != Stream::Lost
    }

    fn start_empty(&mut self, conn: ConnId) {
        self.forgive(conn);
        let head = self.head();
        self.welcome(conn, false, head.seq);
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if !self.settings.snapshots {
            seat.link.reply(say::resync(SNAPSHOTS_OFF));
        }
        for part in say::snapshot_parts(head.epoch, head.seq, &[], &[]) {
            seat.link.reply(part);
        }
        seat.place = Place::live(head.seq + 1);
    }

    /// A member that gets a snapshot in the middle never sees the acks that the snapshot stands for.
    fn forgive(&self, conn: ConnId) {
        if let Some(seat) = self.seats.get(&conn).filter(|seat| seat.is_in()) {
            seat.link.answered(u32::MAX);
        }
    }

    pub(super) fn load_snapshot(&mut self) {
        if !self.snapshot_loading {
            self.snapshot_loading = true;
            let forms = self.seats.values().map(|seat| seat.link.form());
            let bases = self
                .seats
                .values()
                .filter_map(|seat| seat.base_in(self.epoch));
            let mut bases: BTreeSet<u64> = bases.collect();
            while bases.len() > BASES_AT_ONCE {
                bases.pop_first();
            }
            let forms = forms.collect();
            self.effects.push(Effect::Snapshot(Wanted { forms, bases }));
        }
    }

    pub(super) fn snapshot_done(&mut self, parts: Result<Arc<Parts>, Unavailable>, now: Instant) {
        self.snapshot_loading = false;
        let Ok(parts) = parts else {
            return self.effects.push(Effect::Retry(Retry::Snapshot));
        };
        if parts.at.epoch != self.epoch {
            // A reset overtook it, or is on its way: the next one tells.
            return self.effects.push(Effect::Retry(Retry::Snapshot));
        }
        if self.stream == Stream::Lost {
            self.go_on_from(parts.at.seq);
        }
        self.snapshots.put(parts.clone(), now);
        self.effects.push(Effect::Forget);
        let crowded = self.snapshots.is_crowded();
        let waits = |seat: &Seat<L>| {
            let wants = |j: &Joining| j.acked_op.is_some() && j.since.is_none();
            seat.place.is_waiting() && seat.joining.as_ref().is_none_or(wants)
        };
        let waiting: Vec<(ConnId, bool)> = self
            .seats
            .iter()
            .filter(|(_, seat)| waits(seat))
            .map(|(conn, seat)| {
                // It came while this one was being read: after a message that is not in it, or it reads another form.
                let beyond = seat.place.waits_beyond(parts.at.seq);
                (*conn, beyond || !parts.has(seat.link.form(), None))
            })
            .collect();
        for (conn, needs_another) in waiting {
            if needs_another && !crowded {
                self.load_snapshot();
            } else {
                self.give_snapshot(conn, parts.clone());
            }
        }
    }

    /// A room that was lost goes on from the snapshot's place, and reads what came meanwhile. Who
    /// came to be live before that reads what the room jumped over.
    fn go_on_from(&mut self, seq: u64) {
        self.delivered = self.delivered.max(seq);
        self.stream = Stream::Filling(self.delivered);
        self.effects.push(Effect::Read(None, self.head()));
        let jumped: Vec<ConnId> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.place.is_live() && seat.place.next() <= self.delivered)
            .map(|(conn, _)| *conn)
            .collect();
        for conn in jumped {
            if let Some(seat) = self.seats.get_mut(&conn) {
                seat.place = Place::behind(seat.place.next());
            }
            self.feed(conn);
        }
    }

    fn give_snapshot(&mut self, conn: ConnId, parts: Arc<Parts>) {
        self.forgive(conn);
        let seat = self.seats.get(&conn);
        let base = seat.and_then(|seat| seat.base_in(parts.at.epoch));
        self.welcome(conn, false, parts.at.seq);
        if let Some(seat) = self.seats.get_mut(&conn) {
            seat.place.snapshot(parts, seat.link.form(), base);
        }
        self.feed(conn);
    }

    /// A connection ended. Others hear of it when the presence table has it.
    pub(super) fn leave(&mut self, conn: ConnId, end: End) {
        let Some(seat) = self.rise(conn) else {
            return;
        };
        self.pointers.forget(conn);
        if self.canvas.is_some() {
            let author = seat.link.author().clone();
            self.effects
                .push(Effect::Append(Entry::Leave { author, end }));
        }
    }
}

fn close_full<L: Link>(link: &L) {
    link.close(
        CloseCode::Full,
        "this canvas is full (max_clients_per_canvas)",
    );
}
