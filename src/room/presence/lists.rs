//! `welcome.users`: the list of members. It is written once for all clients that join together, and shared by their
//! welcomes.
//!
//! The list of a large room with large states is large, and stays in memory until its slowest reader has it. So once
//! too many bytes of lists are being sent, the room writes no new one. A client that joins then gets the latest list,
//! and after it what changed since.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{People, Present};
use crate::limits::{CURSOR_AGE, LISTS_UNDER_WAY_BYTES};
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::ClientId;
use crate::protocol::msgpack;
use crate::protocol::server_message::{
    LeaveReason, SHARED_LIST_BYTES, Users, presence, user_connected, user_disconnected, user_fields,
};
use crate::room::Latest;

/// How old the ages in `welcome.users` may be: those who come together share one list.
const USERS_AGE: Duration = Duration::from_secs(1);

/// Frames about people, each with its slot.
pub type Since = Vec<(Latest, ClientId, Bytes)>;

/// The entries of everybody at a moment, back to back, as [`Users`] has them.
#[derive(Debug)]
struct List {
    body: Vec<u8>,
    entries: BTreeMap<ClientId, Range<usize>>,
}

/// What a welcome holds of a list.
struct Held(Arc<List>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

/// The latest list in an encoding, and what is not in it.
#[derive(Debug)]
struct Kept {
    list: Arc<List>,
    at: Option<Instant>,
    /// Cursors are in it, which grow old.
    ages: bool,
    /// A cursor moved since.
    moved: bool,
    /// Who came, went or changed since.
    changes: BTreeMap<ClientId, Change>,
}

/// What became of somebody since a list was written.
#[derive(Debug, Default)]
struct Change {
    gone: Option<LeaveReason>,
    /// The frames that say so, made when somebody needs it.
    frames: Option<Vec<(Latest, Bytes)>>,
}

/// The lists of a room.
#[derive(Debug)]
pub(super) struct Lists {
    /// Bytes that may be on their way before no new one is made.
    pub(super) bound: usize,
    /// The latest one in each encoding.
    kept: [Option<Kept>; 2],
    /// Those that welcomes hold, or may.
    under_way: Vec<Weak<List>>,
    /// How many were written.
    #[cfg(test)]
    pub(super) written: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            bound: LISTS_UNDER_WAY_BYTES,
            kept: Default::default(),
            under_way: Vec::new(),
            #[cfg(test)]
            written: 0,
        }
    }
}

impl Lists {
    /// Somebody came or changed; with a reason, it went.
    pub(super) fn changed(&mut self, client: &ClientId, gone: Option<LeaveReason>) {
        self.outdated(|kept| {
            let was_there = kept.list.entries.contains_key(client);
            match gone.is_some() && !was_there {
                true => drop(kept.changes.remove(client)),
                false => drop(
                    kept.changes
                        .insert(client.clone(), Change { gone, frames: None }),
                ),
            }
        });
    }

    /// A cursor moved.
    pub(super) fn moved(&mut self) {
        self.outdated(|kept| kept.moved = true);
    }

    /// A list that nobody holds any more is of no use once it is outdated: a new one takes no more memory.
    fn outdated(&mut self, note: impl Fn(&mut Kept)) {
        for slot in &mut self.kept {
            match slot {
                Some(kept) if Arc::strong_count(&kept.list) > 1 => note(kept),
                _ => *slot = None,
            }
        }
    }

    /// Whether as much is on its way as may be.
    fn is_crowded(&mut self) -> bool {
        self.under_way.retain(|list| list.strong_count() > 0);
        let lists = self.under_way.iter().filter_map(Weak::upgrade);
        lists.map(|list| list.body.len()).sum::<usize>() >= self.bound
    }

    /// For `client`, whose own entry is this if another one may be in the list, or none: the list, and what others did since.
    pub(super) fn welcome(
        &mut self,
        people: &People,
        (client, own): (&ClientId, Option<&Present>),
        encoding: Encoding,
        now: Option<Instant>,
    ) -> (Users, Since) {
        let crowded = self.is_crowded();
        let slot = &mut self.kept[encoding as usize];
        let usable = slot.as_ref().is_some_and(|kept| {
            let age = now.zip(kept.at).map(|(now, at)| now - at);
            let fresh = !kept.ages || age.is_none_or(|age| age < USERS_AGE);
            let exact = kept.changes.is_empty() && !kept.moved && fresh;
            exact || (crowded && !kept.ages)
        });
        if !usable {
            // One that is to be used for long is without cursors: their ages would be wrong.
            let told_at = now.filter(|_| !crowded);
            let kept = Kept::new(people, encoding, told_at);
            if kept.list.body.len() > SHARED_LIST_BYTES {
                self.under_way.push(Arc::downgrade(&kept.list));
            }
            #[cfg(test)]
            {
                self.written += 1;
            }
            *slot = Some(kept);
        }
        let Some(kept) = slot else {
            return Default::default();
        };
        let own = own.or_else(|| {
            let changed = kept.changes.contains_key(client);
            people.get(client).filter(|_| changed).map(|own| &**own)
        });
        let own = own.map(|own| entry(own, encoding, now.filter(|_| kept.ages)));
        (
            kept.list.with(client, own),
            kept.since(people, client, encoding),
        )
    }
}

impl Kept {
    /// Of everybody; with a time, with their cursors.
    fn new(people: &People, encoding: Encoding, at: Option<Instant>) -> Self {
        let mut body = Vec::new();
        let mut entries = BTreeMap::new();
        for (client, present) in people {
            let start = body.len();
            body.extend(entry(present, encoding, at));
            entries.insert(client.clone(), start..body.len());
        }
        let has_cursor = |present: &Present| present.cursor.is_some();
        let ages = at.is_some() && people.values().any(|present| has_cursor(present));
        Self {
            list: Arc::new(List { body, entries }),
            at,
            ages,
            moved: false,
            changes: BTreeMap::new(),
        }
    }

    /// What became of all but one since the list was written.
    fn since(&mut self, people: &People, client: &ClientId, encoding: Encoding) -> Since {
        let mut since = Vec::with_capacity(self.changes.len());
        let others = self
            .changes
            .iter_mut()
            .filter(|(about, _)| *about != client);
        for (about, change) in others {
            let gone = change.gone;
            let worded = change.frames.get_or_insert_with(|| {
                let frames = now_is(people.get(about).map(|present| &**present), about, gone);
                let frames = frames.into_iter();
                let written = |frame: Bytes| match encoding {
                    Encoding::Json => frame,
                    Encoding::Msgpack => msgpack::frames(&frame, &Numbered(people), |_| ()),
                };
                frames.map(|(lane, frame)| (lane, written(frame))).collect()
            });
            since.extend(
                worded
                    .iter()
                    .map(|(lane, frame)| (*lane, about.clone(), frame.clone())),
            );
        }
        since
    }
}

impl List {
    /// The list with another entry for that client, or with one more.
    fn with(self: &Arc<Self>, client: &ClientId, own: Option<Vec<u8>>) -> Users {
        let body = Bytes::from_owner(Held(self.clone()));
        let count = self.entries.len();
        let Some(own) = own.map(Bytes::from) else {
            let pieces = vec![body];
            return Users { count, pieces };
        };
        match self.entries.get(client) {
            Some(at) => {
                let pieces = vec![body.slice(..at.start), own, body.slice(at.end..)];
                Users { count, pieces }
            }
            None => {
                let count = count + 1;
                let pieces = vec![body, own];
                Users { count, pieces }
            }
        }
    }
}

/// How somebody is told who was there in another way, or not at all.
fn now_is(
    present: Option<&Present>,
    client: &ClientId,
    gone: Option<LeaveReason>,
) -> Vec<(Latest, Bytes)> {
    let Some(present) = present else {
        let reason = gone.unwrap_or(LeaveReason::Timeout);
        return vec![(Latest::Roster, user_disconnected(client, reason))];
    };
    let m = &present.member;
    let came = user_connected(client, &m.user, m.state.as_deref());
    let mut frames = vec![(Latest::Roster, came)];
    if m.away {
        frames.push((Latest::Away, presence(client, None, Some(true))));
    }
    frames
}

/// Somebody's entry; with a time, with its cursor. Who has not moved it for long is told without it.
fn entry(p: &Present, encoding: Encoding, now: Option<Instant>) -> Vec<u8> {
    let m = &p.member;
    let mut out = String::from(match encoding {
        Encoding::Json => ",{",
        Encoding::Msgpack => "{",
    });
    let cursor = p.cursor.as_ref().and_then(|cursor| {
        let age = now?.duration_since(cursor.at);
        (age < CURSOR_AGE).then_some((&*cursor.fields, age))
    });
    user_fields(
        &mut out,
        &m.client,
        &m.user,
        m.state.as_deref(),
        cursor,
        m.away,
    );
    match (encoding, p.number) {
        (Encoding::Msgpack, Some(number)) => out.push_str(&format!(",\"n\":{number}}}")),
        _ => out.push('}'),
    }
    match encoding {
        Encoding::Json => out.into_bytes(),
        Encoding::Msgpack => {
            let mut entry = Vec::with_capacity(out.len());
            // Our own JSON: it can be read.
            let _ = msgpack::value(&mut entry, out.as_bytes());
            entry
        }
    }
}

/// Who has which number, for those who are still to be told.
struct Numbered<'a>(&'a People);

impl msgpack::People for Numbered<'_> {
    fn number(&self, client: &str) -> Option<u32> {
        self.0.get(client)?.number
    }

    fn know_numbers(&self) -> bool {
        false
    }
}
