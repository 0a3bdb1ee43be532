//! The events of one transaction for hooks, in its order.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use crate::backplane::CanvasKey;
use crate::canvas::OpenObject;
use crate::hooks::event::{EventSet, EventType, data_of};
use crate::hooks::hook_event::{
    EVENT_BYTES, HookEvent, Missed, Named, Passage, object_id, user_of,
};
use crate::hooks::portion::Portion;
use crate::hooks::{Hooks, Include, Stored};

const NAME: &str = "SELECT canvas_id, epoch FROM canvases WHERE key = ?1";
const HERE: &str = "SELECT count(*) FROM presence WHERE canvas_id = ?1";
const PROPS: &str = "SELECT props FROM canvas_objects WHERE object_id = ?2
     AND canvas_id = (SELECT iif(content = 0, key, content) FROM canvases WHERE key = ?1)";

/// A canvas, which is looked at once a transaction.
#[derive(Debug)]
struct Known {
    named: Named,
    /// What some hook hears of on it.
    events: EventSet,
}

/// Collects what a transaction tells.
#[derive(Debug)]
pub(in crate::sqlite) struct Stage {
    pub(super) stored: Arc<Stored>,
    /// Each with its canvas's key.
    pub(super) events: Vec<(CanvasKey, HookEvent)>,
    known: HashMap<CanvasKey, Known>,
    /// The canvas that was asked about last, and what its hooks hear.
    latest: Option<(CanvasKey, EventSet)>,
    /// What was told of the message of a client that is being done.
    portion: Portion,
    /// The first and last place of each canvas's messages, for hooks that wait until it is quiet.
    pub(super) changed: HashMap<CanvasKey, (u64, u64)>,
}

impl Stage {
    pub(super) fn new(stored: Arc<Stored>) -> Self {
        Self {
            stored,
            events: Vec::new(),
            known: HashMap::new(),
            latest: None,
            portion: Portion::default(),
            changed: HashMap::new(),
        }
    }

    /// Nothing was told.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changed.is_empty()
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.stored.hooks
    }

    /// The canvas's name and epoch.
    pub(super) fn named(&mut self, conn: &Connection, key: CanvasKey) -> rusqlite::Result<Named> {
        Ok(self.known(conn, key)?.named.clone())
    }

    fn known(&mut self, conn: &Connection, key: CanvasKey) -> rusqlite::Result<&Known> {
        let entry = match self.known.entry(key) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let mut statement = conn.prepare_cached(NAME)?;
        let named = statement.query_row([key], |row| {
            let (id, epoch): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Named {
                id: id.into(),
                epoch: epoch.into(),
            })
        })?;
        let about = self
            .stored
            .hooks
            .iter()
            .filter(|hook| hook.is_about(&named.id));
        let events = about.fold(EventSet::default(), |all, hook| all.with(hook.events));
        Ok(entry.insert(Known { named, events }))
    }

    /// The canvas began a new epoch.
    pub(in crate::sqlite) fn renumbered(&mut self, key: CanvasKey) {
        self.known.remove(&key);
    }

    /// A message of a client is done. Gives what it was to tell of it, in bytes beyond its own.
    pub(in crate::sqlite) fn end_message(&mut self) -> usize {
        self.portion.end()
    }

    /// If some hook hears of that event on that canvas: the canvas, how many hooks, and how many of them want whole objects.
    fn wanted(
        &mut self,
        conn: &Connection,
        key: CanvasKey,
        event: EventType,
    ) -> rusqlite::Result<Option<(Named, (usize, usize))>> {
        if !self.hooks().wants(event) {
            return Ok(None);
        }
        // Messages of one canvas come in a row. Most of them are nothing to any hook, which must cost next to nothing.
        let events = match self.latest {
            Some((latest, events)) if latest == key => events,
            _ => self.known(conn, key)?.events,
        };
        self.latest = Some((key, events));
        if !events.has(event) {
            return Ok(None);
        }
        let named = self.named(conn, key)?;
        let mut all = 0;
        let mut whole = 0;
        for hook in self.hooks().wanting(&named.id, event) {
            all += 1;
            whole += usize::from(hook.include == Include::Object);
        }
        Ok(Some((named, (all, whole))))
    }

    /// A message took its place. `open`: the objects that are not written yet.
    pub(in crate::sqlite) fn logged(
        &mut self,
        conn: &Connection,
        key: CanvasKey,
        message: &crate::canvas::Logged<'_>,
        open: &BTreeMap<String, OpenObject>,
    ) -> rusqlite::Result<()> {
        if self.hooks().wants(EventType::CanvasChanged) {
            let (_, last) = self
                .changed
                .entry(key)
                .or_insert((message.seq, message.seq));
            *last = message.seq;
        }
        let event = EventType::of(message.kind);
        let Some((named, hooks)) = self.wanted(conn, key, event)? else {
            return Ok(());
        };
        let client = &message.author.client;
        let mut told = HookEvent::of_message(named, event, message.seq, client);
        let author = message.author;
        let bytes = message.body.len() + author.user.len() + EVENT_BYTES;
        if self.portion.takes_event(bytes, hooks.0) {
            told.user = Some(user_of(&author.user, &author.subject));
            told.data = data_of(&message.body);
            (told.object, told.missed) = self.object(conn, key, message, hooks.1, open)?;
        }
        self.events.push((key, told));
        Ok(())
    }

    /// The whole object that a message has made or changed, if some hooks want it and it has room.
    fn object(
        &mut self,
        conn: &Connection,
        key: CanvasKey,
        message: &crate::canvas::Logged<'_>,
        hooks: usize,
        open: &BTreeMap<String, OpenObject>,
    ) -> rusqlite::Result<(Option<String>, Missed)> {
        let event = EventType::of(message.kind);
        let of_objects = matches!(event, EventType::ObjectCreated | EventType::ObjectUpdated);
        if hooks == 0 || !of_objects {
            return Ok((None, Missed::Nothing));
        }
        let Some(id) = object_id(&message.body) else {
            return Ok((None, Missed::Nothing));
        };
        let open = open.get(&id);
        // One that is written already was put as its message says.
        let bytes = open.map_or(message.body.len(), OpenObject::bytes);
        if !self.portion.takes_object(bytes, hooks) {
            return Ok((None, Missed::Object));
        }
        let text = match open {
            Some(open) => open.text(),
            None => conn
                .prepare_cached(PROPS)?
                .query_row((key, &id), |row| row.get(0))?,
        };
        Ok((Some(text), Missed::Nothing))
    }

    /// A client came for the first time, or is gone: `joined` is its user. With that the canvas may be opened, or idle. Called when
    /// the table says so.
    pub(in crate::sqlite) fn presence(
        &mut self,
        conn: &Connection,
        key: CanvasKey,
        (seq, version): (u64, u64),
        client: &str,
        joined: Option<&str>,
    ) -> rusqlite::Result<()> {
        let (event, canvas) = Passage::kinds(joined.is_some());
        let one = self.wanted(conn, key, event)?;
        let all = self.wanted(conn, key, canvas)?;
        let Some((named, _)) = one.clone().or_else(|| all.clone()) else {
            return Ok(());
        };
        let here: u64 = conn
            .prepare_cached(HERE)?
            .query_row([key], |row| row.get::<_, i64>(0))?
            .cast_unsigned();
        let passage = Passage {
            named,
            seq,
            version,
            client,
            joined,
            here,
        };
        let events = passage.events(one.is_some(), all.is_some());
        self.events.extend(events.map(|event| (key, event)));
        Ok(())
    }

    /// The canvas was deleted.
    pub(in crate::sqlite) fn deleted(
        &mut self,
        conn: &Connection,
        key: CanvasKey,
        seq: u64,
    ) -> rusqlite::Result<()> {
        if let Some((named, _)) = self.wanted(conn, key, EventType::CanvasDeleted)? {
            let told = HookEvent::deleted(named, seq);
            self.events.push((key, told));
        }
        Ok(())
    }
}
