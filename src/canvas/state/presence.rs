//! The presence table of one canvas: the clients that are here, and those that lost their connection a moment ago.

use std::collections::{BTreeMap, BTreeSet};

use super::sum::{self, Sum};
use crate::backplane::Member;
use crate::canvas::{Away, Place};
use crate::protocol::ids::{ClientId, InstanceNumber};

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<ClientId, Place>,
    /// Those who are away, by when they were lost.
    away: BTreeSet<(i64, ClientId)>,
    sum: Sum,
}

impl Table {
    /// Whether nobody is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Everyone in the table, by client.
    pub(super) fn members(&self) -> Vec<Member> {
        let rows = self.rows.iter();
        rows.map(|(client, place)| place.member(client)).collect()
    }

    /// Everyone's place, by client.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&ClientId, &Place)> {
        self.rows.iter()
    }

    /// What they add up to.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// A client's place.
    pub(super) fn get(&self, client: &ClientId) -> Option<&Place> {
        self.rows.get(client)
    }

    /// Whether the client has a place.
    pub(super) fn has(&self, client: &ClientId) -> bool {
        self.rows.contains_key(client)
    }

    /// Who was lost first, and when.
    pub(super) fn first_away(&self) -> Option<(i64, &ClientId)> {
        let (since_ms, client) = self.away.first()?;
        Some((*since_ms, client))
    }

    /// Whose places connections of that instance hold.
    pub(super) fn of_instance(&self, instance: InstanceNumber) -> Vec<ClientId> {
        let held = self.rows.iter();
        let held = held.filter(|(_, place)| place.conn.instance() == instance);
        held.map(|(client, _)| client.clone()).collect()
    }

    /// Writes a client's place.
    pub(super) fn set(&mut self, client: &ClientId, place: Place) {
        self.remove(client);
        if let Some(Away { since_ms, .. }) = place.away {
            self.away.insert((since_ms, client.clone()));
        }
        self.sum.add(sum_of(client, &place));
        self.rows.insert(client.clone(), place);
    }

    /// Removes it.
    pub(super) fn remove(&mut self, client: &ClientId) {
        let Some(place) = self.rows.remove(client) else {
            return;
        };
        if let Some(Away { since_ms, .. }) = place.away {
            self.away.remove(&(since_ms, client.clone()));
        }
        self.sum.remove(sum_of(client, &place));
    }
}

fn sum_of(client: &ClientId, place: &Place) -> u64 {
    let (since_ms, lost) = match place.away {
        None => (0, 0),
        Some(away) => (away.since_ms, 1 + u64::from(away.instance_lost)),
    };
    let numbers = [place.conn.0, since_ms.cast_unsigned(), lost];
    let state = place.state.as_deref().unwrap_or_default();
    sum::row(&numbers, &[client.as_str(), &place.user, state])
}
