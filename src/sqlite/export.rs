//! Reads everything in a file as plain rows, which carry it to another store. All of it is of one moment.

use std::fs::File;
use std::num::{NonZeroI64, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};
use rustix::fs::{FlockOperation, flock};

use super::hooks;
use super::jobs::store::SqlStore;
use super::reader;
use crate::backplane::CanvasKey;
use crate::canvas::{ClientRow, Contents, KeptClient, KeptMessage, KeptObject};
use crate::hooks::Stored;
use crate::jobs::dispatch::Part;
use crate::jobs::dispatch::due::PARKED;
use crate::jobs::dispatch::kept::KeptHooks;
use crate::jobs::rows::{HookChange, HookGap, HookSet};
use crate::limits::CHAT_HISTORY;
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{CanvasId, ClientId, ConnId, Epoch, InstanceNumber, Position};
use crate::sqlite::membership::instances::next_number;
use crate::sqlite::storage::clock;
use crate::sqlite::storage::generation::Generation;
use crate::sqlite::storage::store_error::StoreResult;
use crate::sqlite::storage::{locks, sql};

/// What another process may take with its turn.
const WAIT: Duration = Duration::from_secs(5);

const CANVASES: &str = "SELECT key, canvas_id FROM canvases ORDER BY canvas_id";
const OBJECTS: &str =
    "SELECT created_seq, object_id, props, updated_seq FROM canvas_objects WHERE canvas_id = ?1";
const CLIENTS: &str = "SELECT client, user_id, last_op, iif(last_seq > ?2, last_seq, 0), used_at
    FROM canvas_clients WHERE canvas_id = ?1 ORDER BY client";
const MESSAGE: &str =
    "SELECT seq, prev_id, expires_at, message_type, origin, op, client, created_at, payload
    FROM message_queue WHERE id = ?1";
const CHANGES: &str =
    "SELECT h.hook, c.canvas_id, c.epoch, h.from_seq, h.to_seq, h.first_at, h.due_at
    FROM hook_changes AS h JOIN canvases AS c ON c.key = h.canvas_id";
const GAPS: &str = "SELECT h.hook, c.canvas_id, h.epoch, h.from_seq, h.to_seq
    FROM hook_gaps AS h JOIN canvases AS c ON c.key = h.canvas_id";

/// The turn of all writers of a file, kept from them: nobody can start on the file, and nobody writes. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Keeps everybody from a file; `None` if somebody else has the turn for too long.
///
/// # Errors
/// When the file of the turnstile can't be opened.
pub(crate) fn hold(db: &Path) -> std::io::Result<Option<Held>> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock_of(db))?;
    let until = Instant::now() + WAIT;
    while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(Some(Held { _lock: lock }))
}

fn lock_of(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// A file that is read.
pub(crate) struct Export {
    conn: Connection,
    /// By the relay's clock, ms since the epoch.
    now_ms: i64,
}

impl Export {
    /// Everything that is read from here on is what is in the file now.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn begin(conn: Connection, now_ms: i64) -> rusqlite::Result<Self> {
        conn.execute_batch("BEGIN")?;
        // The moment is that of the first read.
        conn.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
        Ok(Self { conn, now_ms })
    }

    /// The same for a file that nobody uses; what has expired is read, too.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn open(db: &Path) -> rusqlite::Result<Self> {
        Self::begin(crate::sqlite::storage::schema::open_reader(db)?, 0)
    }

    /// An instance that uses the file.
    pub(crate) fn user(&self) -> rusqlite::Result<Option<String>> {
        locks::user(&self.conn, self.now_ms)
    }

    /// Whether the next start would begin new epochs: the host stopped while the file was in use, or it was put back from a copy.
    pub(crate) fn begins_anew(&self, db: &Path) -> rusqlite::Result<bool> {
        let meta = |key: &str| {
            let sql = "SELECT value FROM meta WHERE key = ?1";
            let value = self.conn.query_row(sql, [key], |row| row.get(0));
            value.optional().map(Option::<String>::unwrap_or_default)
        };
        let boot = clock::boot_id().unwrap_or_default();
        if meta("boot_id")? != boot && meta("clean")? == "0" && meta("synchronous")? != "full" {
            return Ok(true);
        }
        match lock_of(db).exists() {
            true => match Generation::open(&lock_of(db)) {
                Ok(generation) => generation.was_put_back(&self.conn, db),
                Err(_) => Ok(true),
            },
            false => Ok(!meta("generation")?.is_empty()),
        }
    }

    /// The number of the next instance: connections are named by it.
    pub(crate) fn next_instance(&self) -> rusqlite::Result<InstanceNumber> {
        next_number(&self.conn)
    }

    /// The rules that its processes agreed on, in the words of the flags.
    pub(crate) fn rules(&self) -> rusqlite::Result<Option<String>> {
        crate::sqlite::storage::rules::kept(&self.conn)
    }

    /// All canvases, by name.
    pub(crate) fn canvases(&self) -> StoreResult<Vec<(CanvasKey, CanvasId)>> {
        let mut statement = self.conn.prepare(CANVASES)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let rows: Vec<(CanvasKey, String)> = rows.collect::<Result<_, _>>()?;
        let named = rows.into_iter();
        Ok(named
            .filter_map(|(key, name)| Some((key, CanvasId::parse(&name).ok()?)))
            .collect())
    }

    /// What a canvas is.
    pub(crate) fn canvas(&self, key: CanvasKey) -> StoreResult<Contents> {
        let conn = &self.conn;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Head {
                at: Position {
                    epoch: Epoch::parse(row.get_ref(0)?.as_str()?).unwrap_or_else(Epoch::random),
                    seq: row.get::<_, i64>(1)?.cast_unsigned(),
                },
                row: NonZeroI64::new(row.get(2)?),
                presence_version: row.get::<_, i64>(3)?.cast_unsigned(),
                log_from: row.get(7)?,
                content: row.get(11)?,
                places_from: row.get(12)?,
            })
        };
        let head = conn.prepare_cached(sql::HEAD)?.query_row([key], read)?;
        let mut objects: Vec<KeptObject> = conn
            .prepare_cached(OBJECTS)?
            .query_map([head.content], |row| {
                Ok(KeptObject {
                    place: row.get::<_, i64>(0)?.cast_unsigned(),
                    id: row.get(1)?,
                    text: row.get::<_, Box<str>>(2)?.into(),
                    changed: row.get::<_, i64>(3)?.cast_unsigned(),
                })
            })?
            .collect::<Result<_, _>>()?;
        objects.sort_by_key(|object| object.place);
        let lately = reader::lately(conn, head.content, Vec::new())?;
        let mut chat: Vec<String> = conn
            .prepare_cached(sql::CHAT)?
            .query_map(params![head.content, CHAT_HISTORY], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        chat.reverse();
        Ok(Contents {
            at: head.at,
            presence_version: head.presence_version,
            objects,
            logs: reader::logs(conn, head.content)?,
            chat,
            clients: self.clients(key, head.places_from)?,
            messages: self.messages(&head)?,
            deleted: lately.deleted,
            from: lately.from,
        })
    }

    fn clients(&self, key: CanvasKey, places_from: i64) -> StoreResult<Vec<KeptClient>> {
        let mut statement = self.conn.prepare_cached(CLIENTS)?;
        let mut rows = statement.query(params![key, places_from])?;
        let mut clients = Vec::new();
        while let Some(row) = rows.next()? {
            let Ok(name) = ClientId::parse(row.get_ref(0)?.as_str()?) else {
                continue;
            };
            clients.push(KeptClient {
                name,
                row: ClientRow {
                    subject: row.get(1)?,
                    last_op: row.get::<_, i64>(2)?.cast_unsigned(),
                    last_seq: NonZeroU64::new(row.get::<_, i64>(3)?.cast_unsigned()),
                },
                used_at_ms: row.get(4)?,
            });
        }
        Ok(clients)
    }

    /// The log, walked from its end: as far back as it has no gap.
    fn messages(&self, head: &Head) -> StoreResult<Vec<KeptMessage>> {
        let mut statement = self.conn.prepare_cached(MESSAGE)?;
        let mut messages = Vec::new();
        let mut next = head.row;
        let mut seq = head.at.seq;
        while let Some(id) = next.map(NonZeroI64::get)
            && id > head.log_from
            && seq > 0
        {
            let mut rows = statement.query([id])?;
            let Some(row) = rows.next()? else { break };
            let over = row.get::<_, i64>(2)? <= self.now_ms;
            if over || row.get::<_, Option<i64>>(0)? != Some(seq.cast_signed()) {
                break;
            }
            let kind = Kind::parse(row.get_ref(3)?.as_str()?);
            let client = ClientId::parse(row.get_ref(6)?.as_str()?);
            let (Some(kind), Ok(client)) = (kind, client) else {
                break;
            };
            messages.push(KeptMessage {
                kind,
                origin: ConnId(row.get::<_, i64>(4)?.cast_unsigned()),
                op: row.get::<_, i64>(5)?.cast_unsigned(),
                client,
                at_ms: row.get(7)?,
                body: row.get::<_, String>(8)?.into(),
            });
            next = NonZeroI64::new(row.get(1)?);
            seq -= 1;
        }
        messages.reverse();
        Ok(messages)
    }

    /// The work queue.
    pub(crate) fn jobs(&self) -> SqlStore<'_> {
        SqlStore(&self.conn)
    }

    /// The hooks, and what is still to be told to them; `None` if there never were any.
    pub(crate) fn hooks(&self) -> StoreResult<Option<KeptHooks>> {
        let stored = hooks::read(&self.conn)?;
        if !stored.is_stored() {
            return Ok(None);
        }
        // Lists of texts: there is nothing that can't be written.
        let set = HookSet {
            version: stored.version,
            texts: serde_json::to_string(&stored.texts).unwrap_or_default(),
            off: serde_json::to_string(&stored.off).unwrap_or_default(),
        };
        let mut statement = self.conn.prepare(CHANGES)?;
        let changes = statement.query_map([], |row| {
            Ok(HookChange {
                hook: row.get(0)?,
                canvas: row.get(1)?,
                epoch: row.get(2)?,
                from_seq: row.get(3)?,
                to_seq: row.get(4)?,
                first_at: row.get(5)?,
                // Without room it waits for that, not for a time: a store of rows has another word for it.
                due_at: row.get::<_, i64>(6)?.min(PARKED),
            })
        })?;
        let changes = changes.collect::<Result<_, _>>()?;
        let mut statement = self.conn.prepare(GAPS)?;
        let gaps = statement.query_map([], |row| {
            Ok(HookGap {
                hook: row.get(0)?,
                canvas: row.get(1)?,
                epoch: row.get(2)?,
                from_seq: row.get(3)?,
                to_seq: row.get(4)?,
            })
        })?;
        let gaps = gaps.collect::<Result<_, _>>()?;
        Ok(Some(KeptHooks { set, changes, gaps }))
    }

    /// What is still to be told of what happened, in its order.
    ///
    /// # Errors
    /// SQLite's, or what is done with it.
    pub(crate) fn set_aside<E: From<rusqlite::Error>>(
        &self,
        hooks: Stored,
        tell: impl FnMut(Vec<Part>) -> Result<(), E>,
    ) -> Result<(), E> {
        hooks::each_aside(&self.conn, hooks, tell)
    }
}

/// A canvas's row.
struct Head {
    at: Position,
    /// The row of its last message; `None` if its log is empty.
    row: Option<NonZeroI64>,
    presence_version: u64,
    /// Rows up to this one are no part of its log.
    log_from: i64,
    content: i64,
    places_from: i64,
}
