//! The members of a canvas, over all instances: the room's copy of the presence table, and the news that members get
//! when it changes. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::lists::{Lists, Since};
use self::numbers::Numbers;
use super::Latest;
use crate::backplane::{Author, Member, PresenceChange, PresenceEvent, PresenceTable};
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::protocol::server_message::{
    LeaveReason, Users, presence, user_connected, user_disconnected,
};

mod lists;
mod numbers;

/// A client in the roster.
#[derive(Debug, Clone)]
pub struct Present {
    /// Its row.
    pub member: Member,
    /// Where it points, if it was heard.
    cursor: Option<Cursor>,
    /// What stands for it where people are numbers.
    number: Option<u32>,
    /// The table's version when it was last seen to turn away.
    lost_at: u64,
}

/// Where somebody points.
#[derive(Debug, Clone)]
struct Cursor {
    /// The inside of a JSON object.
    fields: Arc<str>,
    /// When it was heard.
    at: Instant,
}

impl Present {
    fn new(member: Member, number: Option<u32>) -> Box<Self> {
        Box::new(Self {
            member,
            cursor: None,
            number,
            lost_at: 0,
        })
    }
}

/// A message about a client for everyone else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About whom.
    pub client: ClientId,
    /// Which slot of the latest-wins lane it has.
    pub lane: Latest,
    /// The framed message.
    pub frame: Bytes,
}

/// Boxed, as a room's seats are.
type People = BTreeMap<ClientId, Box<Present>>;

/// The table's copy.
#[derive(Debug, Default)]
pub struct Roster {
    version: u64,
    present: People,
    numbers: Numbers,
    /// How many are on each instance, and not away.
    here: BTreeMap<InstanceNumber, usize>,
    lists: Lists,
    /// The time of the latest event.
    now: Option<Instant>,
}

/// What an event means for the copy.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one: tell these.
    Notices(Vec<Notice>),
    /// It is part of the copy already.
    Old,
    /// One before it was missed: the table must be read again.
    Gap,
}

impl Roster {
    /// The copy at `version`.
    pub fn new(table: PresenceTable) -> Self {
        let PresenceTable { version, members } = table;
        let mut numbers = Numbers::default();
        let mut here = BTreeMap::new();
        for member in &members {
            Self::count(&mut here, member, true);
        }
        let present = members
            .into_iter()
            .map(|member| {
                let number = Some(numbers.take());
                (member.client.clone(), Present::new(member, number))
            })
            .collect();
        Self {
            version,
            present,
            numbers,
            here,
            ..Self::default()
        }
    }

    /// Tells the time; it is asked for the age of cursors.
    pub fn it_is(&mut self, now: Instant) {
        self.now = Some(now);
    }

    /// The number of that client, which every other client was told with it.
    pub fn number(&self, client: &str) -> Option<u32> {
        self.present.get(client)?.number
    }

    /// The client's row, if it is here or away.
    pub fn client(&self, client: &ClientId) -> Option<&Present> {
        self.present.get(client).map(|present| &**present)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Present> {
        self.present.values().map(|present| &**present)
    }

    /// Bytes of the presence states of all but that client.
    pub fn state_bytes_beside(&self, client: &ClientId) -> usize {
        let others = self.iter().filter(|p| p.member.client != *client);
        others
            .filter_map(|p| p.member.state.as_deref())
            .map(str::len)
            .sum()
    }

    /// Those beyond `most` who have to go: of those who are away the ones that were lost first.
    pub fn beyond(&self, most: usize) -> Vec<&Member> {
        let over = self.present.len().saturating_sub(most);
        if over == 0 {
            return Vec::new();
        }
        let mut away: Vec<&Present> = self.iter().filter(|p| p.member.away).collect();
        away.sort_by_key(|present| present.lost_at);
        away.into_iter().take(over).map(|p| &p.member).collect()
    }

    /// How many are on other instances, and not away.
    pub fn remote(&self, instance: InstanceNumber) -> usize {
        let others = self.here.iter().filter(|(on, _)| **on != instance);
        others.map(|(_, count)| count).sum()
    }

    /// Whether somebody is there.
    pub fn has_remote(&self, instance: InstanceNumber) -> bool {
        self.remote(instance) > 0
    }

    /// Whether the client is one of them.
    pub fn is_remote(&self, client: &ClientId, instance: InstanceNumber) -> bool {
        let present = self.client(client);
        present.is_some_and(|p| !p.member.away && p.member.conn.instance() != instance)
    }

    fn count(here: &mut BTreeMap<InstanceNumber, usize>, member: &Member, comes: bool) {
        if member.away {
            return;
        }
        let instance = member.conn.instance();
        let count = here.entry(instance).or_default();
        match comes {
            true => *count += 1,
            false => *count = count.saturating_sub(1),
        }
        if *count == 0 {
            here.remove(&instance);
        }
    }

    /// Applies one change of the table.
    pub fn apply(&mut self, event: PresenceEvent) -> Applied {
        if event.version <= self.version {
            return Applied::Old;
        }
        if event.version != self.version + 1 {
            return Applied::Gap;
        }
        self.version = event.version;
        let mut told = Vec::new();
        match event.change {
            PresenceChange::Set(member) => self.set(member, &mut told),
            PresenceChange::Gone { client, reason } => self.gone(&client, reason, &mut told),
        }
        Applied::Notices(told)
    }

    /// Replaces the copy by a table that may be older; what differs is told.
    pub fn replace(&mut self, table: PresenceTable) -> Vec<Notice> {
        self.version = table.version;
        self.reload(table).unwrap_or_default()
    }

    /// Replaces the copy by the table read again; what differs is told. `None` if the copy is younger.
    pub fn reload(&mut self, table: PresenceTable) -> Option<Vec<Notice>> {
        let PresenceTable { version, members } = table;
        if version < self.version {
            return None;
        }
        let mut told = Vec::new();
        self.version = version;
        let there: BTreeSet<&ClientId> = members.iter().map(|m| &m.client).collect();
        let gone: Vec<ClientId> = self
            .present
            .keys()
            .filter(|client| !there.contains(client))
            .cloned()
            .collect();
        for client in gone {
            self.gone(&client, LeaveReason::Timeout, &mut told);
        }
        for member in members {
            self.set(member, &mut told);
        }
        Some(told)
    }

    fn set(&mut self, member: Member, told: &mut Vec<Notice>) {
        let version = self.version;
        let told_before = told.len();
        let client = member.client.clone();
        let mut tell = |lane, frame| {
            told.push(Notice {
                client: client.clone(),
                lane,
                frame,
            })
        };
        let state = member.state.as_deref();
        Self::count(&mut self.here, &member, true);
        match self.present.get_mut(&client) {
            Some(known) => {
                let old = &known.member;
                Self::count(&mut self.here, old, false);
                if old.user != member.user {
                    tell(Latest::Roster, user_connected(&client, &member.user, state));
                } else if old.state != member.state {
                    tell(
                        Latest::State,
                        presence(&client, Some(state.unwrap_or("{}")), None),
                    );
                }
                if old.away != member.away {
                    known.lost_at = version;
                    tell(Latest::Away, presence(&client, None, Some(member.away)));
                }
                known.member = member;
            }
            None => {
                tell(Latest::Roster, user_connected(&client, &member.user, state));
                if member.away {
                    tell(Latest::Away, presence(&client, None, Some(true)));
                }
                let number = Some(self.numbers.take());
                let present = Present::new(member, number);
                self.present.insert(client.clone(), present);
            }
        }
        if told.len() > told_before {
            self.lists.changed(&client, None);
        }
    }

    fn gone(&mut self, client: &ClientId, reason: LeaveReason, told: &mut Vec<Notice>) {
        self.lists.changed(client, Some(reason));
        if let Some(present) = self.present.remove(client) {
            Self::count(&mut self.here, &present.member, false);
            if let Some(number) = present.number {
                self.numbers.give_back(number);
            }
            let frame = user_disconnected(client, reason);
            told.push(Notice {
                client: client.clone(),
                lane: Latest::Roster,
                frame,
            });
        }
    }

    /// Remembers where a client points. `false` if it is not here.
    pub fn point(&mut self, client: &ClientId, cursor: Arc<str>) -> bool {
        let Some(present) = self.present.get_mut(client) else {
            return false;
        };
        let Some(at) = self.now else {
            return true;
        };
        self.lists.moved();
        present.cursor = Some(Cursor { fields: cursor, at });
        true
    }

    /// `welcome.users` for somebody who has just taken a place, and what others did since it was written. The copy may be a moment
    /// behind: what is missing of others is told later, but nobody is told of itself, except for its number.
    pub fn welcome(&mut self, author: &Author, encoding: Encoding) -> (Users, Since) {
        let own = (!self.holds(&author.client, author.conn)).then(|| {
            let known = self.client(&author.client);
            let own = Member {
                client: author.client.clone(),
                conn: author.conn,
                user: author.user.as_str().into(),
                state: known.and_then(|present| present.member.state.clone()),
                away: false,
            };
            Present::new(own, known.and_then(|present| present.number))
        });
        let own = (&author.client, own.as_deref());
        self.lists.welcome(&self.present, own, encoding, self.now)
    }

    /// Whether `conn` holds its client's place.
    pub fn holds(&self, client: &ClientId, conn: ConnId) -> bool {
        self.client(client).is_some_and(|p| p.member.conn == conn)
    }
}

#[cfg(test)]
mod tests;
