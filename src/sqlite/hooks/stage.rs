//! The events of one transaction for hooks, in its order.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::backplane::Author;
use crate::hooks::event::{EventType, data_of};
use crate::hooks::{Hooks, Include, Stored};

const NAME: &str = "SELECT canvas_id, epoch FROM canvases WHERE key = ?1";
const HERE: &str = "SELECT count(*) FROM presence WHERE canvas_id = ?1";
const PROPS: &str = "SELECT props FROM canvas_objects WHERE object_id = ?2
     AND canvas_id = (SELECT iif(content = 0, key, content) FROM canvases WHERE key = ?1)";

/// Something that happened, and that some hook wants to hear of.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) key: i64,
    /// The canvas as it was called then: its epoch may change within the transaction.
    pub(super) named: Named,
    pub(super) event: EventType,
    /// The head of the canvas when it happened; of a durable message its own place.
    pub(super) seq: u64,
    /// Tells events without a place of their own apart: the canvas's presence version.
    pub(super) version: u64,
    pub(super) client: Option<String>,
    /// Name and colour, and the subject of a token, in JSON.
    pub(super) user: Option<String>,
    /// What the author said, or what there is to say of it, in JSON.
    pub(super) data: String,
    /// The whole object after the change, in JSON, if some hook wants that.
    pub(super) object: Option<String>,
}

/// A canvas's name and epoch.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: Arc<str>,
    pub(super) epoch: Arc<str>,
}

/// Collects what a transaction tells.
#[derive(Debug)]
pub(in crate::sqlite) struct Stage {
    pub(super) stored: Arc<Stored>,
    pub(super) told: Vec<Told>,
    names: HashMap<i64, Named>,
    /// The first and last place of each canvas's messages, for hooks that wait until it is quiet.
    pub(super) changed: HashMap<i64, (u64, u64)>,
}

impl Stage {
    pub(super) fn new(stored: Arc<Stored>) -> Self {
        Self {
            stored,
            told: Vec::new(),
            names: HashMap::new(),
            changed: HashMap::new(),
        }
    }

    /// Nothing was told.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.changed.is_empty()
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.stored.hooks
    }

    /// The canvas's name and epoch, read once a transaction.
    pub(super) fn named(&mut self, conn: &Connection, key: i64) -> rusqlite::Result<Named> {
        if let Some(named) = self.names.get(&key) {
            return Ok(named.clone());
        }
        let mut statement = conn.prepare_cached(NAME)?;
        let named = statement.query_row([key], |row| {
            let (id, epoch): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Named {
                id: id.into(),
                epoch: epoch.into(),
            })
        })?;
        self.names.insert(key, named.clone());
        Ok(named)
    }

    /// The canvas began a new epoch.
    pub(in crate::sqlite) fn renumbered(&mut self, key: i64) {
        self.names.remove(&key);
    }

    /// If some hook hears of that event on that canvas: the canvas, and whether one of them wants whole objects.
    fn wanted(
        &mut self,
        conn: &Connection,
        key: i64,
        event: EventType,
    ) -> rusqlite::Result<Option<(Named, bool)>> {
        if !self.hooks().hear(event) {
            return Ok(None);
        }
        let named = self.named(conn, key)?;
        let (mut any, mut whole) = (false, false);
        for hook in self.hooks().wanting(&named.id, event) {
            any = true;
            whole |= hook.include == Include::Object;
        }
        Ok(any.then_some((named, whole)))
    }

    /// A message took its place. `object_id`: what it created or changed; `open`: its text, where that is not written yet.
    pub(in crate::sqlite) fn logged(
        &mut self,
        conn: &Connection,
        key: i64,
        message: &crate::canvas::Logged<'_>,
        open: impl FnOnce(&str) -> Option<String>,
    ) -> rusqlite::Result<()> {
        if self.hooks().hear(EventType::CanvasChanged) {
            let (_, last) = self
                .changed
                .entry(key)
                .or_insert((message.seq, message.seq));
            *last = message.seq;
        }
        let event = EventType::of(message.kind);
        let Some((named, whole)) = self.wanted(conn, key, event)? else {
            return Ok(());
        };
        let of_objects = matches!(event, EventType::ObjectCreated | EventType::ObjectUpdated);
        let object = match object_id(message.text).filter(|_| whole && of_objects) {
            Some(id) => match open(&id) {
                Some(text) => Some(text),
                None => Some(
                    conn.prepare_cached(PROPS)?
                        .query_row((key, &id), |row| row.get(0))?,
                ),
            },
            None => None,
        };
        self.told.push(Told {
            key,
            named,
            event,
            seq: message.seq,
            version: 0,
            client: Some(message.author.client.as_str().to_owned()),
            user: Some(user_of(message.author)),
            data: data_of(message.text),
            object,
        });
        Ok(())
    }

    /// A client came for the first time, or is gone: `joined` is its user. With that the canvas may be opened, or idle. Called when
    /// the table says so.
    pub(in crate::sqlite) fn presence(
        &mut self,
        conn: &Connection,
        key: i64,
        (seq, version): (u64, u64),
        client: &str,
        joined: Option<&str>,
    ) -> rusqlite::Result<()> {
        let (event, canvas) = match joined {
            Some(_) => (EventType::ClientJoined, EventType::CanvasOpened),
            None => (EventType::ClientLeft, EventType::CanvasIdle),
        };
        let (one, all) = (
            self.wanted(conn, key, event)?,
            self.wanted(conn, key, canvas)?,
        );
        let Some((named, _)) = one.clone().or_else(|| all.clone()) else {
            return Ok(());
        };
        let here: u64 = conn
            .prepare_cached(HERE)?
            .query_row([key], |row| row.get::<_, i64>(0))?
            .cast_unsigned();
        let told = |event, client: Option<&str>, user: Option<&str>| Told {
            key,
            named: named.clone(),
            event,
            seq,
            version,
            client: client.map(str::to_owned),
            user: user.map(str::to_owned),
            data: format!("{{\"clients\":{here}}}"),
            object: None,
        };
        let (opens, empties) = (joined.is_some() && here == 1, joined.is_none() && here == 0);
        if all.is_some() && opens {
            self.told.push(told(canvas, None, None));
        }
        if one.is_some() {
            self.told.push(told(event, Some(client), joined));
        }
        if all.is_some() && empties {
            self.told.push(told(canvas, None, None));
        }
        Ok(())
    }

    /// The canvas was deleted.
    pub(in crate::sqlite) fn deleted(
        &mut self,
        conn: &Connection,
        key: i64,
        seq: u64,
    ) -> rusqlite::Result<()> {
        if let Some((named, _)) = self.wanted(conn, key, EventType::CanvasDeleted)? {
            self.told.push(Told {
                key,
                named,
                event: EventType::CanvasDeleted,
                seq,
                version: 0,
                client: None,
                user: None,
                data: "{}".to_owned(),
                object: None,
            });
        }
        Ok(())
    }
}

/// What a message says of its author, and whose token it was.
fn user_of(author: &Author) -> String {
    if author.subject.is_empty() {
        return author.user.to_string();
    }
    let subject = serde_json::Value::from(author.subject.as_str());
    let fields = author.user.trim_start_matches('{');
    let comma = if fields.starts_with('}') { "" } else { "," };
    format!("{{\"sub\":{subject}{comma}{fields}")
}

/// The id of the object that a message is about.
fn object_id(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = value.get("object").unwrap_or(&value).get("id")?;
    id.as_str().map(str::to_owned)
}
