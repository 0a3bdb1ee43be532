//! A room's beginning: what came before the backplane's answer, and what follows from it.

use super::{Link, State, conn_of, say};
use crate::backplane::{Delivery, Member, Opened, PresenceEvent, Unavailable};
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::{Epoch, Position};
use crate::room::presence::Roster;

/// What came before the answer to the opening: the backplane delivers from the moment that it decides on one.
#[derive(Default)]
pub(super) struct Early {
    pub(super) log: Option<(Epoch, u64)>,
    reset: Option<(Epoch, u64)>,
    astray: Option<(Position, u64, Vec<Member>)>,
    presence_version: u64,
}

impl Early {
    pub(super) fn note(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Log(batch) => self.log = Some((batch.epoch, batch.last_seq())),
            Delivery::Reset { epoch, seq } => self.reset = Some((*epoch, *seq)),
            Delivery::Presence(PresenceEvent { version, .. })
            | Delivery::PresenceMissed { version } => self.presence_version = *version,
            Delivery::Astray {
                at,
                presence_version,
                members,
            } => {
                // It stands for all before it.
                *self = Self {
                    astray: Some((*at, *presence_version, members.clone())),
                    ..Self::default()
                };
            }
            // Answers come to those who asked, and nobody has; nobody is in to be sent away; the rest may be lost.
            Delivery::Joined { .. }
            | Delivery::Outcome { .. }
            | Delivery::Kick { .. }
            | Delivery::Signal { .. }
            | Delivery::Cursors { .. } => {}
        }
    }
}

impl<L: Link> State<L> {
    pub(super) fn opened(&mut self, opened: Result<Opened, Unavailable>) {
        match opened {
            Ok(opened) => {
                self.canvas = Some(opened.canvas);
                self.epoch = opened.head.epoch;
                self.delivered = opened.head.seq;
                self.roster = Roster::new(opened.presence_version, opened.members);
                self.catch_up_early(opened.presence_version);
                self.admit_early();
            }
            Err(e) => {
                for seat in self.seats.values() {
                    turn_away(&*seat.link, &e.to_string());
                }
            }
        }
    }

    /// What was delivered while the room was being opened is read now.
    fn catch_up_early(&mut self, mut presence_version: u64) {
        let early = std::mem::take(&mut self.early);
        if let Some((at, version, members)) = early.astray {
            presence_version = version;
            self.astray(at, version, members);
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
