//! The presence table of one canvas: who is here, and who was lost a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backplane::{Author, Member, PresenceChange, PresenceEvent};
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::LeaveReason;

/// What becomes of who is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// When it ends, ms since the epoch.
    pub ends_ms: i64,
    /// The client's instance died, too.
    pub lost: bool,
}

/// The table and its version. Each change adds one to the version and is given as an event.
#[derive(Debug, Default)]
pub struct Table {
    version: u64,
    rows: BTreeMap<ClientId, Member>,
    /// Of those who are away.
    graces: BTreeMap<ClientId, Grace>,
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
        !self.graces.is_empty()
    }

    /// When the first of them is gone.
    pub fn due_at_ms(&self) -> Option<i64> {
        self.graces.values().map(|grace| grace.ends_ms).min()
    }

    /// Each member, and its grace if it is away. By client.
    pub fn rows(&self) -> impl Iterator<Item = (&Member, Option<Grace>)> {
        let grace = |member: &Member| self.graces.get(&member.client).copied();
        self.rows
            .values()
            .map(move |member| (member, grace(member)))
    }

    /// The table with that version and those [`Self::rows`]. Who has a grace is away, and nobody else.
    pub fn restore(version: u64, rows: impl IntoIterator<Item = (Member, Option<Grace>)>) -> Self {
        let mut table = Self {
            version,
            ..Self::default()
        };
        for (mut member, grace) in rows {
            member.away = grace.is_some();
            let grace = grace.map(|grace| (member.client.clone(), grace));
            table.graces.extend(grace);
            table.rows.insert(member.client.clone(), member);
        }
        table
    }

    /// The connection takes its client's place. A state that the client had stays its own.
    pub fn join(&mut self, author: &Author) -> PresenceEvent {
        self.graces.remove(&author.client);
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
        let (ends_ms, lost) = (gone_at_ms, false);
        self.graces
            .insert(author.client.clone(), Grace { ends_ms, lost });
        Some(self.event(PresenceChange::Set(member)))
    }

    /// Removes one client whose grace is over, if there is one.
    pub fn pop_expired(&mut self, now_ms: i64) -> Option<PresenceEvent> {
        let mut graces = self.graces.iter();
        let over = graces.find(|(_, grace)| grace.ends_ms <= now_ms);
        let (client, lost) = over.map(|(client, grace)| (client.clone(), grace.lost))?;
        let reason = match lost {
            true => LeaveReason::InstanceLost,
            false => LeaveReason::Timeout,
        };
        Some(self.remove(&client, reason))
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

    /// Everyone whose place is held by that instance turns away, but for those who are. `died`: it did not end in order.
    pub fn lose_instance(
        &mut self,
        instance: u32,
        died: bool,
        gone_at_ms: i64,
    ) -> Vec<PresenceEvent> {
        if died {
            let of_it = self.rows.values().filter(|m| m.conn.instance() == instance);
            for member in of_it {
                if let Some(grace) = self.graces.get_mut(&member.client) {
                    grace.lost = true;
                }
            }
        }
        let here = self.rows.values_mut().filter(|member| !member.away);
        let held = here.filter(|member| member.conn.instance() == instance);
        let lost = held.map(|member| {
            member.away = true;
            member.clone()
        });
        let lost: Vec<Member> = lost.collect();
        let mut events = Vec::with_capacity(lost.len());
        for member in lost {
            let (ends_ms, lost) = (gone_at_ms, died);
            self.graces
                .insert(member.client.clone(), Grace { ends_ms, lost });
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
        self.graces.remove(client);
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
