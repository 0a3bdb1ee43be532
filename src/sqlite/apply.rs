//! One transaction of the writer. It stores each entry's message, its place, its effect on the canvas and its author's
//! `op`, together. [`crate::canvas`] decides what these are. Heads, clients and merged objects are read and written
//! once a transaction, however many entries name them.

mod canvas;
mod clients;
mod ends;
mod ephemeral;
mod head;
mod logs;
mod queued;
mod quotas;
mod sweeps;

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroI64, NonZeroU64};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::hooks::Stage;
use crate::backplane::intake::Waiting;
use crate::backplane::{Author, CanvasKey, Entry, Refusal};
use crate::canvas::{ClientRow, Head, Moment, ObjectLog, OpenObject, Rules};
use crate::limits::Quotas;
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::sqlite::delivery::carried::QueueRow;
use crate::sqlite::delivery::tail::{Committed, Ids};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::{StoreError, StoreResult};
use canvas::Rows;
pub(super) use clients::Counted;
use queued::Queued;
use quotas::OpenTotals;

/// What does not change from one transaction to the next.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) instance_id: String,
    pub(super) number: InstanceNumber,
    pub(super) cursor_ttl_ms: i64,
    pub(super) rules: Rules,
    pub(super) quotas: Quotas,
    pub(super) counted: Counted,
}

/// A canvas while the transaction runs.
#[derive(Debug)]
struct OpenCanvas {
    key: CanvasKey,
    /// Its name in the tables of what is on it.
    content: i64,
    /// Places of clients' ops at or below it mean nothing any more.
    places_from: u64,
    head: Head,
    /// The row of its youngest message; `None` if its log is empty.
    head_id: Option<NonZeroI64>,
    /// What its rows behind `log_from` are charged with.
    log_bytes: u64,
    log_from: i64,
    /// Of its rows that are in nobody's log.
    ephemeral_bytes: u64,
    used_at: i64,
    chat_bytes: u64,
    /// When it goes if nobody is there.
    ends_at: Option<i64>,
    ends_set: bool,
    /// Bytes of objects and chat when they were last added to those of all.
    counted: u64,
    /// Why it takes no message in this transaction.
    full: Option<Refusal>,
    chatted: bool,
    deleted: bool,
    dirty: bool,
    /// Objects that are taken apart. What has changed in them is written at the end.
    objects: BTreeMap<String, OpenObject>,
    /// What there is once a log, of those that were asked for. What is `true` has changed, and is written at the end.
    logs: BTreeMap<String, (ObjectLog, bool)>,
}

/// A client's idempotence row while the transaction runs.
#[derive(Debug)]
struct OpenClient {
    key: CanvasKey,
    name: ClientId,
    row: ClientRow,
    /// It has a row.
    known: bool,
    dirty: bool,
}

/// A place in the presence table that this process has taken, to take it again should the table forget.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) author: Arc<Author>,
    pub(super) state: Option<Arc<str>>,
}

/// How the set of held places changes when the transaction is committed.
#[derive(Debug)]
pub(super) enum HeldChange {
    Take(CanvasKey, Held),
    Drop(CanvasKey, ClientId, ConnId),
}

/// An open transaction.
pub(super) struct Txn<'a> {
    pub(super) conn: &'a Connection,
    pub(super) setup: &'a Setup,
    pub(super) now_ms: i64,
    pub(super) out: Committed,
    pub(super) held: Vec<HeldChange>,
    /// What back ends are to be told, if there are hooks.
    pub(super) hooks: Option<Stage>,
    queued: Queued<'a>,
    totals: Option<OpenTotals>,
    canvases: Vec<OpenCanvas>,
    canvas_of: HashMap<CanvasKey, usize>,
    clients: Vec<OpenClient>,
    client_of: HashMap<(CanvasKey, ClientId), usize>,
    /// The one that was asked for last.
    last_client: usize,
}

impl<'a> Txn<'a> {
    pub(super) fn new(conn: &'a Connection, setup: &'a Setup, now_ms: i64) -> Self {
        let out = Committed {
            now_ms,
            ..Committed::default()
        };
        Self {
            conn,
            setup,
            now_ms,
            out,
            held: Vec::new(),
            hooks: None,
            queued: Queued::new(conn),
            totals: None,
            canvases: Vec::new(),
            canvas_of: HashMap::new(),
            clients: Vec::new(),
            client_of: HashMap::new(),
            last_client: 0,
        }
    }

    /// The canvas at this moment, for the rules to decide on. What there is once a canvas is read once a transaction.
    pub(super) fn canvas(&mut self, key: CanvasKey) -> StoreResult<Moment<'a, Rows<'_, 'a>>> {
        let rules = &self.setup.rules;
        let now_ms = self.now_ms;
        let rows = Rows::of(self, key)?;
        Ok(Moment::new(rows, rules, now_ms))
    }

    /// Does what an entry asks for. Gives the work that it was beyond its own bytes.
    pub(super) fn apply(&mut self, waiting: &Waiting) -> StoreResult<usize> {
        let key = waiting.key;
        match &waiting.entry {
            Entry::Signal { author, body } => self.signal(key, author, body)?,
            Entry::Cursors { cursors } => self.cursors(key, cursors)?,
            Entry::Kick { conn } => self.kick(key, *conn)?,
            Entry::Post { conn, post } => self.post(key, *conn, post)?,
            Entry::Durable { author, message } => {
                let spare = self.spare()?;
                let mut canvas = self.canvas(key)?.with_spare(spare);
                canvas.durable(author, message)?;
                let work = canvas.work();
                self.count_stored(key)?;
                let told = self.hooks.as_mut().map_or(0, Stage::end_message);
                return Ok(work + told);
            }
            Entry::Join { author } => {
                let mut canvas = self.canvas(key)?;
                let place = canvas.join(author)?;
                let work = canvas.work();
                self.hold(key, author, place.map(|place| place.state));
                return Ok(work);
            }
            Entry::State { author, state } => {
                let place = self.canvas(key)?.state(author, state)?;
                self.hold(key, author, place.map(|place| place.state));
            }
            Entry::Leave { author, end } => {
                self.let_go(key, author);
                self.canvas(key)?.leave(author, *end)?;
            }
        }
        Ok(0)
    }

    /// The connection holds its client's place, with that state, if it is `Some`.
    pub(super) fn hold(
        &mut self,
        key: CanvasKey,
        author: &Arc<Author>,
        state: Option<Option<Arc<str>>>,
    ) {
        if let Some(state) = state {
            let author = author.clone();
            self.held
                .push(HeldChange::Take(key, Held { author, state }));
        }
    }

    /// It holds no place any more.
    pub(super) fn let_go(&mut self, key: CanvasKey, author: &Author) {
        let client = author.client.clone();
        let conn = author.conn;
        self.held.push(HeldChange::Drop(key, client, conn));
    }

    /// Writes what was collected, and gives what the rooms are to be told once it is committed.
    pub(super) fn finish(mut self) -> StoreResult<(Committed, Vec<HeldChange>)> {
        self.queued.write()?;
        self.trim_chats()?;
        self.close_totals()?;
        let mut set_head = self.conn.prepare_cached(sql::SET_HEAD)?;
        let changed = self.canvases.into_iter().filter(|canvas| canvas.dirty);
        for canvas in changed {
            let Head {
                seq,
                presence_version,
                totals,
            } = canvas.head;
            set_head.execute(params![
                canvas.key,
                seq.cast_signed(),
                canvas.head_id.map_or(0, NonZeroI64::get),
                presence_version.cast_signed(),
                totals.objects.cast_signed(),
                totals.bytes.cast_signed(),
                canvas.log_bytes.cast_signed(),
                canvas.log_from,
                canvas.used_at,
                canvas.chat_bytes.cast_signed(),
                canvas.ephemeral_bytes.cast_signed(),
                totals.logs.cast_signed()
            ])?;
            if canvas.ends_set {
                let mut set = self.conn.prepare_cached(sql::SET_END)?;
                set.execute(params![canvas.key, canvas.ends_at])?;
            }
            if canvas.deleted {
                trim_deletions(self.conn, canvas.content)?;
            }
            logs::close(self.conn, &canvas)?;
            close_objects(self.conn, canvas)?;
        }
        let mut set_client = self.conn.prepare_cached(sql::SET_CLIENT)?;
        for client in self.clients.iter().filter(|client| client.dirty) {
            let ClientRow {
                subject,
                last_op,
                last_seq,
            } = &client.row;
            let op = last_op.cast_signed();
            let seq = last_seq.map_or(0, NonZeroU64::get).cast_signed();
            let name = client.name.as_str();
            set_client.execute(params![client.key, name, subject, op, seq, self.now_ms])?;
        }
        Ok((self.out, self.held))
    }

    /// Puts a row into the queue; gives its id.
    fn insert(&mut self, row: &QueueRow<'_>, previous: Option<NonZeroI64>) -> StoreResult<i64> {
        let id = self.queued.push(row, previous)?;
        let first = self.out.ids.map_or(id, |ids| ids.first);
        self.out.ids = Some(Ids { first, last: id });
        self.out.carried.push(row);
        Ok(id)
    }
}

/// Keeps the latest names of what was deleted.
fn trim_deletions(conn: &Connection, content: i64) -> StoreResult<()> {
    let beyond = params![content, crate::limits::DELETIONS_KEPT];
    if conn.prepare_cached(sql::MARK_DELETIONS)?.execute(beyond)? > 0 {
        conn.prepare_cached(sql::TRIM_DELETIONS)?.execute(beyond)?;
    }
    Ok(())
}

/// An object, taken apart.
///
/// # Errors
/// An object that can't be parsed is none that was written: the file is damaged.
fn read_object(txn: &Txn<'_>, content: i64, id: &str) -> StoreResult<Option<OpenObject>> {
    let mut statement = txn.conn.prepare_cached(sql::OBJECT)?;
    let mut rows = statement.query(params![content, id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let text = row.get_ref(0)?.as_bytes()?;
    let value = serde_json::from_slice(text).map_err(|why| StoreError::Object {
        id: id.to_owned(),
        why,
    })?;
    Ok(Some(OpenObject::new(value, text.len())))
}

/// Writes what has changed in the objects that were taken apart, once each.
fn close_objects(conn: &Connection, canvas: OpenCanvas) -> StoreResult<()> {
    for (id, object) in canvas.objects {
        if let Some((seq, text)) = object.written() {
            let mut put = conn.prepare_cached(sql::PUT_OBJECT)?;
            put.execute(params![canvas.content, id, seq.cast_signed(), text])?;
        }
    }
    Ok(())
}
