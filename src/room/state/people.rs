//! Presence, cursors and signals: the ephemeral lane.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::wordings::{self, Recipients, Wording, Wordings};
use super::{Effect, Hold, Link, Reading, Seat, State};
use crate::backplane::{
    Author, End, Entry, PresenceChange, PresenceEvent, PresenceTable, Unavailable,
};
use crate::limits::{MAX_STATE_BYTES, MAX_STATES_BYTES, SMALL_STATE_BYTES};
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::protocol::merge_patch;
use crate::protocol::msgpack;
use crate::protocol::server_message as say;
use crate::room::inbox::Retry;
use crate::room::presence::{Applied, Roster};

impl<L: Link> State<L> {
    pub(super) fn presence_event(&mut self, event: PresenceEvent, now: Instant) {
        let (client, set) = match &event.change {
            PresenceChange::Set(member) => {
                let lost = member.away.then(|| member.client.clone());
                (lost, Some((member.client.clone(), member.conn)))
            }
            PresenceChange::Gone { client, .. } => (Some(client.clone()), None),
        };
        let state = client
            .as_ref()
            .and_then(|client| self.roster.client(client));
        let state = state.and_then(|present| present.member.state.clone());
        let version = event.version;
        let had_remote = self.roster.has_remote(self.instance);
        match self.roster.apply(event) {
            Applied::Notices(told) => self.notices.extend(told),
            Applied::Old => return,
            Applied::Gap => return self.members_missed(version),
        }
        if let Some((client, conn)) = set {
            self.replace_older(&client, conn);
            self.state_committed(conn);
            self.make_room(conn);
        }
        if let Some(client) = client {
            self.back_in_place(&client, state);
        }
        if !had_remote && self.roster.has_remote(self.instance) {
            // Another instance began to listen: it gets where everybody points now.
            self.send_notices();
            self.pointers.mark_all(now);
            self.cursor_tick(now);
        }
    }

    /// Who is away counts as well: with somebody here who is one too many, the one that was lost first gives way.
    fn make_room(&mut self, conn: ConnId) {
        if conn.instance() != self.instance {
            return;
        }
        for member in self.roster.beyond(self.settings.limits.max_clients) {
            let user = "{}".to_owned();
            let subject = String::new();
            let author = Author::new(member.conn, member.client.clone(), user, subject);
            self.effects.push(Effect::Append(Entry::Leave {
                author: author.into(),
                end: End::Clean,
            }));
        }
    }

    /// The table gave the client's place to `conn`: an older one that had it is closed. One that is
    /// still to be seated comes later than `conn`.
    pub(super) fn replace_older(&mut self, client: &ClientId, conn: ConnId) {
        if let Some(seat) = self.seats.get_mut(&conn) {
            seat.held();
        }
        for older in self.clients.get(client).into_iter().flatten() {
            let seat = self.seats.get_mut(older);
            if let Some(seat) = seat.filter(|seat| seat.hold == Hold::Held && *older != conn) {
                seat.hold = Hold::Closing;
                seat.link.close(
                    CloseCode::Replaced,
                    "a newer connection of this client took over",
                );
            }
        }
    }

    /// The table is read again, until it is at `version`: a read that is under way may have begun before that.
    pub(super) fn members_missed(&mut self, version: u64) {
        self.table.missed = self.table.missed.max(Some(version));
        self.load_members();
    }

    pub(super) fn load_members(&mut self) {
        if self.table.reading == Reading::Not {
            self.table.reading = Reading::UnderWay;
            self.effects.push(Effect::Members);
        }
    }

    pub(super) fn members_done(&mut self, members: Result<PresenceTable, Unavailable>) {
        if std::mem::take(&mut self.table.reading) == Reading::Stale {
            return self.load_members();
        }
        let Ok(table) = members else {
            return self.effects.push(Effect::Retry(Retry::Members));
        };
        let version = table.version;
        let places: Vec<(ClientId, ConnId)> = table
            .members
            .iter()
            .map(|m| (m.client.clone(), m.conn))
            .collect();
        // A copy that has gone on meanwhile knows better.
        let told = self.roster.reload(table);
        self.send_all(told.as_deref().unwrap_or_default());
        if self.table.missed.is_some_and(|missed| version < missed) {
            // Whoever came since is not in it yet.
            return self.load_members();
        }
        if told.is_some() {
            for (client, conn) in places {
                self.replace_older(&client, conn);
            }
            self.seat_again();
        }
    }

    /// Whose place is gone, and nobody else's, takes it again: an earlier connection of the client took it late, and left.
    fn seat_again(&mut self) {
        let seats = self.seats.iter();
        let lost = seats.filter(|(conn, seat)| lost_its_place(&self.roster, **conn, seat));
        let lost: Vec<ConnId> = lost.map(|(conn, _)| *conn).collect();
        lost.into_iter().for_each(|conn| self.append_join(conn));
    }

    /// The client is away, or gone, and its connection is here: the others took this instance for dead, while it was stopped or
    /// cut off. The connection takes the place again, with the state that was lost with it.
    fn back_in_place(&mut self, client: &ClientId, state: Option<Arc<str>>) {
        let lost = |conn: &&ConnId| {
            let seat = self.seats.get(*conn);
            seat.is_some_and(|seat| lost_its_place(&self.roster, **conn, seat))
        };
        let conns = self.clients.get(client).into_iter().flatten();
        let Some(conn) = conns.into_iter().find(lost).copied() else {
            return;
        };
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if let Some(state) = state.as_deref()
            && self.roster.client(client).is_none()
            && seat.wish.state().is_none()
        {
            seat.wish.change(state.to_owned());
        }
        self.append_join(conn);
        self.send_state(conn);
    }

    /// A client changes its presence. One change at a time is under way: what comes meanwhile is merged.
    pub(super) fn presence(&mut self, conn: ConnId, patch: &str) {
        let Ok(patch) = serde_json::from_str::<serde_json::Value>(patch) else {
            return;
        };
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        let base = seat.wish.state().or_else(|| {
            let present = self.roster.client(&seat.link.author().client)?;
            present.member.state.as_deref()
        });
        let mut state = base
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
        merge_patch::apply(&mut state, &patch);
        let state = state.to_string();
        let refusal = if state.len() > MAX_STATE_BYTES {
            Some(format!(
                "state is at most {MAX_STATE_BYTES} bytes after the merge"
            ))
        } else if state.len() > SMALL_STATE_BYTES
            && self.roster.state_bytes_beside(&seat.link.author().client) + state.len()
                > MAX_STATES_BYTES
        {
            Some(format!(
                "the states of all on this canvas are at most {MAX_STATES_BYTES} bytes: \
                 yours may have {SMALL_STATE_BYTES} bytes now"
            ))
        } else {
            None
        };
        if let Some(message) = refusal {
            seat.link
                .reply(say::error(say::ErrorCode::TooLarge, &message, None, None));
            return;
        }
        seat.wish.change(state);
        self.send_state(conn);
    }

    pub(super) fn send_state(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if seat.is_in()
            && let Some(state) = seat.wish.send()
        {
            let author = seat.link.author().clone();
            self.effects
                .push(Effect::Append(Entry::State { author, state }));
        }
    }

    /// The table has a row of this connection: what it wanted meanwhile goes next.
    fn state_committed(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        let committed = self.roster.client(&seat.link.author().client);
        let committed = committed.and_then(|p| p.member.state.as_deref());
        if seat.wish.committed(committed) {
            self.send_state(conn);
        }
    }

    pub(super) fn cursor(&mut self, conn: ConnId, fields: String, now: Instant) {
        let Some(seat) = self.seats.get(&conn).filter(|seat| seat.is_in()) else {
            return;
        };
        let client = seat.link.author().client.clone();
        let fields: Arc<str> = fields.into();
        self.roster.point(&client, fields.clone());
        self.pointers.moved(conn, client, fields, now);
        if self.pointers.is_quiet(now) {
            self.cursor_tick(now);
        } else if self.pointers.wants_tick() {
            self.effects.push(Effect::CursorTick);
        }
    }

    /// At most one batch per tick: to own members now, to other instances through the queue.
    pub(super) fn cursor_tick(&mut self, now: Instant) {
        let cursors = self.pointers.take(now);
        if cursors.is_empty() {
            return;
        }
        if self.settings.local_broadcast {
            self.cursors_to_members(&cursors);
        }
        if !self.settings.local_broadcast || self.roster.has_remote(self.instance) {
            self.effects
                .push(Effect::Append(Entry::Cursors { cursors }));
        }
    }

    fn cursors_to_members(&self, cursors: &[(ClientId, Arc<str>)]) {
        let only = (cursors.len() == 1).then(|| &cursors[0].0);
        let make = |wording, recipients: &Recipients<'_>| {
            let cursors = cursors.iter().map(|(client, fields)| (client, &**fields));
            match wording {
                Wording::Json => say::cursor_batch(cursors),
                Wording::Numbered | Wording::Whole => msgpack::cursor_batch(cursors, recipients),
            }
        };
        let frames = Wordings::new(&self.roster, &make);
        for seat in self.seats.values().filter(|seat| seat.is_in()) {
            // Its own cursor alone is nothing to tell a client.
            if only != Some(&seat.link.author().client) {
                seat.link.cursors(frames.of(&*seat.link), cursors);
            }
        }
    }

    pub(super) fn remote_cursors(
        &mut self,
        instance: InstanceNumber,
        cursors: Vec<(ClientId, Arc<str>)>,
    ) {
        if instance == self.instance && self.settings.local_broadcast {
            return;
        }
        for (client, fields) in &cursors {
            self.roster.point(client, fields.clone());
        }
        self.cursors_to_members(&cursors);
    }

    /// A client's ephemeral events, in its order: to own members now, to other instances through the queue.
    pub(super) fn signals(&mut self, conn: ConnId, frames: &Bytes, bodies: Vec<Range<usize>>) {
        let Some(seat) = self.seats.get(&conn).filter(|seat| seat.is_in()) else {
            return;
        };
        let author = seat.link.author().clone();
        if self.settings.local_broadcast {
            self.droppable_to_others(frames, conn);
        }
        if !self.settings.local_broadcast || self.roster.has_remote(self.instance) {
            for body in bodies {
                let body = String::from_utf8_lossy(&frames[body]).into_owned();
                let author = author.clone();
                self.effects
                    .push(Effect::Append(Entry::Signal { author, body }));
            }
        }
    }

    pub(super) fn remote_signal(&mut self, client: &ClientId, origin: ConnId, body: &str) {
        if origin.instance() == self.instance && self.settings.local_broadcast {
            return;
        }
        let mut frame = Vec::with_capacity(body.len() + 64);
        say::signal(&mut frame, client, body);
        self.droppable_to_others(&Bytes::from(frame), origin);
    }

    fn droppable_to_others(&self, frames: &Bytes, sender: ConnId) {
        let make =
            |wording, recipients: &Recipients<'_>| wordings::frames(frames, wording, recipients);
        let frames = Wordings::new(&self.roster, &make);
        for (conn, seat) in &self.seats {
            if *conn != sender && seat.is_in() {
                seat.link.droppable(frames.of(&*seat.link));
            }
        }
    }
}

/// Whether the connection held its client's place, and has lost it to nobody. An orderly end takes the seat away first.
fn lost_its_place<L: Link>(roster: &Roster, conn: ConnId, seat: &Seat<L>) -> bool {
    let lost = match roster.client(&seat.link.author().client) {
        None => true,
        Some(present) => present.member.away && present.member.conn == conn,
    };
    lost && seat.hold == Hold::Held
}
