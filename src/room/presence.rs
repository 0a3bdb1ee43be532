//! Who is here, over all instances: the room's copy of the presence table, and what others are told when it changes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Latest;
use crate::backplane::{Author, Member, PresenceChange, PresenceEvent};
use crate::protocol::ids::{ClientId, ConnId};
use crate::protocol::server_message::{
    LeaveReason, presence, user_connected, user_disconnected, user_fields,
};

/// A client in the roster.
#[derive(Debug, Clone)]
pub struct Present {
    /// Its row.
    pub member: Member,
    /// Where it points, if it was heard: the inside of a JSON object.
    pub cursor: Option<Arc<str>>,
}

impl Present {
    fn new(member: Member) -> Box<Self> {
        Box::new(Self {
            member,
            cursor: None,
        })
    }
}

/// A message about a client for everyone else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// About whom.
    pub client: ClientId,
    /// Which slot of the latest-wins lane it has.
    pub lane: Latest,
    /// The framed message.
    pub frame: Bytes,
}

/// The table's copy.
#[derive(Debug, Default)]
pub struct Roster {
    version: u64,
    /// Boxed, as a room's seats are.
    present: BTreeMap<ClientId, Box<Present>>,
    users: Option<Arc<str>>,
}

/// What an event means for the copy.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one: tell these.
    Told(Vec<Told>),
    /// It is part of the copy already.
    Old,
    /// One before it was missed: the table must be read again.
    Gap,
}

impl Roster {
    /// The copy at `version`.
    pub fn new(version: u64, members: Vec<Member>) -> Self {
        let present = members
            .into_iter()
            .map(|member| (member.client.clone(), Present::new(member)))
            .collect();
        Self {
            version,
            present,
            users: None,
        }
    }

    /// The client's row, if it is here or away.
    pub fn client(&self, client: &ClientId) -> Option<&Present> {
        self.present.get(client).map(|present| &**present)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Present> {
        self.present.values().map(|present| &**present)
    }

    /// Who is on another instance, and not away.
    pub fn remote(&self, instance: u32) -> impl Iterator<Item = &Present> {
        self.iter()
            .filter(move |p| !p.member.away && p.member.conn.instance() != instance)
    }

    /// Whether somebody is there.
    pub fn has_remote(&self, instance: u32) -> bool {
        self.remote(instance).next().is_some()
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
        Applied::Told(told)
    }

    /// Replaces the copy by a table that may be older; what differs is told.
    pub fn replace(&mut self, version: u64, members: Vec<Member>) -> Vec<Told> {
        self.version = version;
        self.reload(version, members).unwrap_or_default()
    }

    /// Replaces the copy by the table read again; what differs is told. `None` if the copy is younger.
    pub fn reload(&mut self, version: u64, members: Vec<Member>) -> Option<Vec<Told>> {
        if version < self.version {
            return None;
        }
        let mut told = Vec::new();
        self.version = version;
        let gone: Vec<ClientId> = self
            .present
            .keys()
            .filter(|client| members.iter().all(|m| m.client != **client))
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

    fn set(&mut self, member: Member, told: &mut Vec<Told>) {
        self.users = None;
        let client = member.client.clone();
        let mut tell = |lane, frame| {
            told.push(Told {
                client: client.clone(),
                lane,
                frame,
            })
        };
        let state = member.state.as_deref();
        match self.present.get_mut(&client) {
            Some(known) => {
                let old = &known.member;
                if old.user != member.user {
                    tell(Latest::Roster, user_connected(&client, &member.user, state));
                } else if old.state != member.state {
                    tell(
                        Latest::State,
                        presence(&client, Some(state.unwrap_or("{}")), None),
                    );
                }
                if old.away != member.away {
                    tell(Latest::Away, presence(&client, None, Some(member.away)));
                }
                known.member = member;
            }
            None => {
                tell(Latest::Roster, user_connected(&client, &member.user, state));
                if member.away {
                    tell(Latest::Away, presence(&client, None, Some(true)));
                }
                self.present.insert(client, Present::new(member));
            }
        }
    }

    fn gone(&mut self, client: &ClientId, reason: LeaveReason, told: &mut Vec<Told>) {
        self.users = None;
        if self.present.remove(client).is_some() {
            let frame = user_disconnected(client, reason);
            told.push(Told {
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
        self.users = None;
        present.cursor = Some(cursor);
        true
    }

    /// `welcome.users`: a JSON array, kept until something changes.
    pub fn users(&mut self) -> Arc<str> {
        if let Some(users) = &self.users {
            return users.clone();
        }
        let users: Arc<str> = list(self.present.values().map(|present| &**present)).into();
        self.users = Some(users.clone());
        users
    }

    /// The same for somebody who has just taken a place. The copy may be a moment behind: what is missing of others is told
    /// later, but nobody is told of itself.
    pub fn users_for(&mut self, author: &Author) -> Arc<str> {
        if self.holds(&author.client, author.conn) {
            return self.users();
        }
        let known = self.client(&author.client);
        let own = Present::new(Member {
            client: author.client.clone(),
            conn: author.conn,
            user: author.user.as_str().into(),
            state: known.and_then(|present| present.member.state.clone()),
            away: false,
        });
        let others = self.iter().filter(|p| p.member.client != author.client);
        list(others.chain([&*own])).into()
    }

    /// Whether `conn` holds its client's place.
    pub fn holds(&self, client: &ClientId, conn: ConnId) -> bool {
        self.client(client).is_some_and(|p| p.member.conn == conn)
    }
}

/// A JSON array of them.
fn list<'a>(people: impl Iterator<Item = &'a Present>) -> String {
    let mut out = String::from("[");
    for (i, p) in people.enumerate() {
        out.push_str(if i > 0 { ",{" } else { "{" });
        let m = &p.member;
        user_fields(
            &mut out,
            &m.client,
            &m.user,
            m.state.as_deref(),
            p.cursor.as_deref(),
            m.away,
        );
        out.push('}');
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(conn: u64, away: bool) -> Member {
        Member {
            client: ClientId::parse("client-aa").expect("id"),
            conn: ConnId::new(1, conn),
            user: "{}".into(),
            state: None,
            away,
        }
    }

    fn set(version: u64, member: Member) -> PresenceEvent {
        PresenceEvent {
            version,
            change: PresenceChange::Set(member),
        }
    }

    fn told(applied: Applied) -> Vec<String> {
        let Applied::Told(told) = applied else {
            panic!("{applied:?}")
        };
        told.iter()
            .map(|t| String::from_utf8_lossy(&t.frame[2..]).into_owned())
            .collect()
    }

    #[test]
    fn a_lost_client_that_comes_back_does_not_flicker() {
        let mut roster = Roster::default();
        assert_eq!(told(roster.apply(set(1, member(1, false)))).len(), 1);
        let away = told(roster.apply(set(2, member(1, true))));
        assert_eq!(
            away,
            [r#"{"type":"presence","client":"client-aa","away":true}"#]
        );
        let back = told(roster.apply(set(3, member(2, false))));
        assert_eq!(
            back,
            [r#"{"type":"presence","client":"client-aa","away":false}"#]
        );
        assert!(
            told(roster.apply(set(4, member(3, false)))).is_empty(),
            "a takeover is silent"
        );
    }

    #[test]
    fn old_events_are_dropped_and_gaps_are_seen() {
        let mut roster = Roster::new(5, vec![member(1, false)]);
        assert_eq!(roster.apply(set(5, member(1, true))), Applied::Old);
        assert_eq!(roster.apply(set(7, member(1, true))), Applied::Gap);
        assert_eq!(roster.reload(4, vec![]), None);
        assert_eq!(roster.reload(7, vec![]).map(|told| told.len()), Some(1));
        assert_eq!(&*roster.users(), "[]");
    }
}
