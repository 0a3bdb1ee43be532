//! Many clients that join at once. They share one list of members, and the other members are told of all of them in one
//! piece.
//!
//! Everything that comes between two rounds is taken in first, then told and answered.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::wordings::{self, Frames, Recipients, Wordings};
use super::{Link, Seat, State};
use crate::backplane::{Delivery, Read, Unavailable};
use crate::limits::NOTICES_AT_ONCE_BYTES;
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::{ClientId, ConnId};
use crate::room::Latest;
use crate::room::inbox::Event;
use crate::room::presence::Notice;

/// Something that ends in a welcome.
pub(super) enum Arrival {
    /// The join is committed; the client's highest committed op.
    Joined(ConnId, u64),
    /// What came since the place that it wants to go on from.
    Read(ConnId, Result<Read, Unavailable>),
}

impl<L: Link> State<L> {
    /// Takes in what happened; [`State::settle`] says what follows from it, once a round.
    pub fn absorb(&mut self, event: Event<L>, now: Instant) {
        self.roster.it_is(now);
        match event {
            Event::Delivery(Delivery::Joined {
                conn,
                acked_op: Ok(acked_op),
            }) if self.canvas.is_some() => self.arrived.push(Arrival::Joined(conn, acked_op)),
            Event::ReadDone(Some(conn), read) if self.is_joining(conn) => {
                self.arrived.push(Arrival::Read(conn, read));
            }
            about_nobody @ (Event::Join { .. }
            | Event::Leave { .. }
            | Event::Drained(_)
            | Event::Presence(..)
            | Event::Delivery(Delivery::Presence(_) | Delivery::Outcome { .. })) => {
                self.happened(about_nobody, now);
            }
            other => {
                // It may be about somebody whom others have not heard of yet, or for somebody who is not welcomed yet.
                self.settle(now);
                self.happened(other, now);
            }
        }
    }

    /// Tells others who came, went and changed, and welcomes who came.
    pub fn settle(&mut self, now: Instant) {
        self.send_notices();
        for arrival in std::mem::take(&mut self.arrived) {
            match arrival {
                Arrival::Joined(conn, acked_op) => self.joined(conn, Ok(acked_op), now),
                Arrival::Read(conn, read) => self.read_done(conn, read, now),
            }
        }
    }

    /// Tells what members have not been told yet.
    pub(super) fn send_notices(&mut self) {
        let told = std::mem::take(&mut self.notices);
        self.send_all(&told);
    }

    fn is_joining(&self, conn: ConnId) -> bool {
        let seat = self.seats.get(&conn);
        seat.is_some_and(|seat| !seat.is_in())
    }

    /// Tells all members, but nobody of itself.
    pub(super) fn send_all(&self, told: &[Notice]) {
        let mut rest = told;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |told: &&Notice| {
                bytes += told.frame.len();
                bytes <= NOTICES_AT_ONCE_BYTES
            };
            let together = rest.iter().take_while(fits).count().max(1);
            let (piece, later) = rest.split_at(together);
            self.send_piece(piece);
            rest = later;
        }
    }

    fn send_piece(&self, told: &[Notice]) {
        let make = |wording, recipients: &Recipients<'_>| {
            let json = told.iter().map(|told| &*told.frame);
            Frames::new(json, wording, recipients)
        };
        let together = Wordings::new(&self.roster, &make);
        let makes: Vec<_> = told
            .iter()
            .map(|told| {
                |wording, recipients: &Recipients<'_>| {
                    wordings::frames(&told.frame, wording, recipients)
                }
            })
            .collect();
        let alone = makes.iter().map(|make| Wordings::new(&self.roster, make));
        let alone: Vec<Wordings<'_, Bytes>> = alone.collect();
        let mut about: BTreeMap<&ClientId, Vec<usize>> = BTreeMap::new();
        for (place, told) in told.iter().enumerate() {
            about.entry(&told.client).or_default().push(place);
        }
        for seat in self.seats.values().filter(|seat| seat.is_in()) {
            let own = about.get(&seat.link.author().client);
            let own = own.map_or(&[][..], Vec::as_slice);
            let left_out = own
                .iter()
                .filter(|place| !self.learns_its_number(seat, &told[**place]));
            let link = &*seat.link;
            let mut from = 0;
            for until in left_out.copied().chain([told.len()]) {
                let many = until > from + 1;
                if !(many && link.latest_of_many(together.of(link).part(from..until))) {
                    for (told, frames) in told.iter().zip(&alone).take(until).skip(from) {
                        link.latest(told.lane, &told.client, frames.of(link));
                    }
                }
                from = until + 1;
            }
        }
    }

    /// Nobody is told of itself, but for the number it has.
    fn learns_its_number(&self, seat: &Seat<L>, told: &Notice) -> bool {
        let numbered = seat.link.form().encoding == Encoding::Msgpack;
        let came = told.lane == Latest::Roster && self.roster.client(&told.client).is_some();
        numbered && came
    }
}
