//! The presence table of one canvas: who is here, and who was lost a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backplane::{Author, Member, PresenceChange, PresenceEvent};
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::LeaveReason;

/// The table and its version. Each change adds one to the version and is given as an event.
#[derive(Debug, Default)]
pub struct Table {
    version: u64,
    rows: BTreeMap<ClientId, Member>,
    /// When the grace of those who are away ends, ms since the epoch.
    gone_at_ms: BTreeMap<ClientId, i64>,
}

impl Table {
    /// How many changes there have been.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Everyone in the table, by client.
    pub fn members(&self) -> Vec<Member> {
        self.rows.values().cloned().collect()
    }

    /// Whether the client has a place.
    pub fn has(&self, client: &ClientId) -> bool {
        self.rows.contains_key(client)
    }

    /// Whether someone is away: the only thing here that time changes.
    pub fn waits(&self) -> bool {
        !self.gone_at_ms.is_empty()
    }

    /// When the first of them is gone.
    pub fn due_at_ms(&self) -> Option<i64> {
        self.gone_at_ms.values().min().copied()
    }

    /// Each member, and when it is gone if it is away. By client.
    pub fn rows(&self) -> impl Iterator<Item = (&Member, Option<i64>)> {
        let gone_at_ms = |member: &Member| self.gone_at_ms.get(&member.client).copied();
        self.rows
            .values()
            .map(move |member| (member, gone_at_ms(member)))
    }

    /// The table with that version and those [`Self::rows`]. Who has a time to go is away, and nobody else.
    pub fn restore(version: u64, rows: impl IntoIterator<Item = (Member, Option<i64>)>) -> Self {
        let mut table = Self {
            version,
            ..Self::default()
        };
        for (mut member, gone_at_ms) in rows {
            member.away = gone_at_ms.is_some();
            let gone = gone_at_ms.map(|at_ms| (member.client.clone(), at_ms));
            table.gone_at_ms.extend(gone);
            table.rows.insert(member.client.clone(), member);
        }
        table
    }

    /// The connection takes its client's place. A state that the client had stays its own.
    pub fn join(&mut self, author: &Author) -> PresenceEvent {
        self.gone_at_ms.remove(&author.client);
        let state = self
            .rows
            .remove(&author.client)
            .and_then(|member| member.state);
        let member = Member {
            client: author.client.clone(),
            conn: author.conn,
            user: author.user.as_str().into(),
            state,
            away: false,
        };
        self.rows.insert(author.client.clone(), member.clone());
        self.event(PresenceChange::Set(member))
    }

    /// The client's whole state; `None` if the connection does not hold the place.
    pub fn state(&mut self, author: &Author, state: &str) -> Option<PresenceEvent> {
        let member = self.held(author)?;
        member.state = Some(Arc::from(state));
        let member = member.clone();
        Some(self.event(PresenceChange::Set(member)))
    }

    /// The connection ended; `None` if it does not hold the place.
    pub fn leave(
        &mut self,
        author: &Author,
        clean: bool,
        gone_at_ms: i64,
    ) -> Option<PresenceEvent> {
        let member = self.held(author)?;
        if clean {
            return Some(self.remove(&author.client, LeaveReason::Left));
        }
        member.away = true;
        let member = member.clone();
        self.gone_at_ms.insert(author.client.clone(), gone_at_ms);
        Some(self.event(PresenceChange::Set(member)))
    }

    /// Removes one client whose grace is over, if there is one.
    pub fn pop_expired(&mut self, now_ms: i64) -> Option<PresenceEvent> {
        let over = self
            .gone_at_ms
            .iter()
            .find(|(_, gone_at_ms)| **gone_at_ms <= now_ms);
        let client = over.map(|(client, _)| client.clone())?;
        Some(self.remove(&client, LeaveReason::Timeout))
    }

    /// Removes one client whose place is held by that instance, if there is one.
    pub fn pop_of_instance(&mut self, instance: u32) -> Option<PresenceEvent> {
        let held = self
            .rows
            .values()
            .find(|member| member.conn.instance() == instance);
        let client = held.map(|member| member.client.clone())?;
        Some(self.remove(&client, LeaveReason::Left))
    }

    /// Everyone whose place is held by that instance turns away, but for those who are.
    pub fn lose_instance(&mut self, instance: u32, gone_at_ms: i64) -> Vec<PresenceEvent> {
        let here = self.rows.values_mut().filter(|member| !member.away);
        let held = here.filter(|member| member.conn.instance() == instance);
        let lost = held.map(|member| {
            member.away = true;
            member.clone()
        });
        let lost: Vec<Member> = lost.collect();
        let mut events = Vec::with_capacity(lost.len());
        for member in lost {
            self.gone_at_ms.insert(member.client.clone(), gone_at_ms);
            events.push(self.event(PresenceChange::Set(member)));
        }
        events
    }

    fn held(&mut self, author: &Author) -> Option<&mut Member> {
        self.rows
            .get_mut(&author.client)
            .filter(|member| member.conn == author.conn)
    }

    fn remove(&mut self, client: &ClientId, reason: LeaveReason) -> PresenceEvent {
        self.rows.remove(client);
        self.gone_at_ms.remove(client);
        self.event(PresenceChange::Gone {
            client: client.clone(),
            reason,
        })
    }

    fn event(&mut self, change: PresenceChange) -> PresenceEvent {
        self.version += 1;
        PresenceEvent {
            version: self.version,
            change,
        }
    }
}
