//! A room's beginning: the events that came before the backplane's answer, and what follows from the answer.

use super::{Link, Seat, State, conn_of, say};
use crate::backplane::{Delivery, Opened, PresenceEvent, PresenceTable, Refusal, Unavailable};
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::{ConnId, Epoch, Position};
use crate::room::presence::Roster;

/// What came before the answer to the opening: the backplane delivers from the moment that it decides on one.
#[derive(Default)]
pub(super) struct Early {
    pub(super) log: Option<(Epoch, u64)>,
    reset: Option<(Epoch, u64)>,
    place_lost: Option<(Position, PresenceTable)>,
    presence_version: u64,
}

impl Early {
    pub(super) fn note(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Log(batch) => self.log = Some((batch.epoch, batch.last_seq())),
            Delivery::Reset { epoch, seq } => self.reset = Some((*epoch, *seq)),
            Delivery::Presence(PresenceEvent { version, .. })
            | Delivery::PresenceMissed { version } => self.presence_version = *version,
            Delivery::PlaceLost { at, presence } => {
                // It stands for all before it.
                *self = Self {
                    place_lost: Some((*at, presence.clone())),
                    ..Self::default()
                };
            }
            // Answers come to those who asked, and nobody has; nobody is in to be sent away; the rest may be lost.
            Delivery::Joined { .. }
            | Delivery::Outcome { .. }
            | Delivery::Kick { .. }
            | Delivery::Post { .. }
            | Delivery::Signal { .. }
            | Delivery::Cursors { .. } => {}
        }
    }
}

impl<L: Link> State<L> {
    /// Whom the canvas counts for if it has to be made: the first who came. `None` while nobody is here.
    pub fn opener(&mut self) -> Option<String> {
        let first = self.seats.values().next()?;
        self.opener = Some(first.link.maker());
        self.opener.clone()
    }

    pub(super) fn opened(&mut self, opened: Result<Opened, Unavailable>) {
        match opened {
            Ok(opened) => {
                self.canvas = Some(opened.canvas);
                self.epoch = opened.head.epoch;
                self.delivered = opened.head.seq;
                let version = opened.presence.version;
                self.roster = Roster::new(opened.presence);
                self.catch_up_early(version);
                self.admit_early();
            }
            Err(Unavailable::Full(refusal)) if refusal.code == say::ErrorCode::RateLimited => {
                self.not_made(&refusal);
            }
            Err(e) => {
                for seat in self.seats.values() {
                    match &e {
                        Unavailable::NotNow(_) => turn_away(&*seat.link, &e.to_string()),
                        Unavailable::Full(refusal) => no_room(&*seat.link, refusal),
                    }
                }
            }
        }
    }

    /// One of those who came has made too many canvases. Others who came have not, so the next of them is asked for.
    fn not_made(&mut self, refusal: &Refusal) {
        let maker = self.opener.take();
        let theirs = |seat: &Seat<L>| Some(seat.link.maker()) == maker;
        let seats = self.seats.iter().filter(|(_, seat)| theirs(seat));
        let conns: Vec<ConnId> = seats.map(|(conn, _)| *conn).collect();
        for conn in conns {
            if let Some(seat) = self.rise(conn) {
                no_room(&*seat.link, refusal);
            }
        }
    }

    /// What was delivered while the room was being opened is read now.
    fn catch_up_early(&mut self, mut presence_version: u64) {
        let early = std::mem::take(&mut self.early);
        if let Some((at, presence)) = early.place_lost {
            presence_version = presence.version;
            self.place_lost(at, presence);
        }
        if let Some((epoch, seq)) = early.reset {
            self.reset(epoch, seq);
        }
        if let Some((epoch, seq)) = early.log {
            self.missed(epoch, seq);
        }
        if early.presence_version > presence_version {
            self.members_missed(early.presence_version);
        }
    }
}

/// Says that there is no room for another canvas (for this member), and ends the connection.
fn no_room<L: Link>(link: &L, refusal: &Refusal) {
    link.reply(say::error(
        refusal.code,
        &refusal.message,
        None,
        refusal.retry_after_ms,
    ));
    link.close(CloseCode::Full, "no room for another canvas");
}

/// Says that the queue can't take a connection now, and ends it.
pub(super) fn turn_away<L: Link>(link: &L, reason: &str) {
    tracing::warn!(conn = conn_of(link).0, reason, "a join failed");
    let retry_after_ms = Some(crate::limits::RETRY_AFTER_MS);
    link.reply(say::error(
        say::ErrorCode::Overloaded,
        reason,
        None,
        retry_after_ms,
    ));
    link.close(CloseCode::Restarting, "the queue is not available");
}
