//! The backplane has begun anew: all members start over, and the room repeats what may have been forgotten.

use super::arrivals::Arrival;
use super::{Effect, Hold, Link, Reading, State};
use crate::backplane::{Author, End, Entry, PresenceTable};
use crate::protocol::ids::{ClientId, ConnId, Position};

impl<L: Link> State<L> {
    /// What was under way may have been committed, and forgotten; or committed without an answer. Clients send ops again whose
    /// answers they miss; joins, states and leaves are the room's to repeat: each does nothing where it was done.
    pub(super) fn place_lost(&mut self, at: Position, presence: PresenceTable) {
        // They join again, below.
        self.arrived
            .retain(|arrival| matches!(arrival, Arrival::Read(..)));
        self.epoch = at.epoch;
        self.delivered = at.seq;
        self.all_lost("the queue began anew");
        self.table.missed = None;
        if self.table.reading == Reading::UnderWay {
            self.table.reading = Reading::Stale;
        }
        let places: Vec<(ClientId, ConnId)> = presence
            .members
            .iter()
            .filter(|member| !member.away)
            .map(|member| (member.client.clone(), member.conn))
            .collect();
        let told = self.roster.replace(presence);
        self.send_all(&told);
        for (client, conn) in places {
            self.replace_older(&client, conn);
            if conn.instance() == self.instance && !self.seats.contains_key(&conn) {
                // It went, and that was forgotten.
                let author = Author::new(conn, client, "{}".to_owned(), String::new());
                self.effects.push(Effect::Append(Entry::Leave {
                    author: author.into(),
                    end: End::Lost,
                }));
            }
        }
        let conns: Vec<ConnId> = self.seats.keys().copied().collect();
        for conn in conns {
            self.say_again(conn);
        }
    }

    fn say_again(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        seat.wish.not_sent();
        let unanswered = seat.joining.as_ref().is_some_and(|j| j.acked_op.is_none());
        let present = self.roster.client(&seat.link.author().client);
        let seated = present.is_some_and(|p| !p.member.away && p.member.conn == conn);
        let taken = present.is_some_and(|p| !p.member.away && p.member.conn > conn);
        if unanswered || !(seated || taken || seat.hold == Hold::Closing) {
            self.append_join(conn);
        }
        self.send_state(conn);
    }
}
