//! A small pool of connections for snapshots, history and statistics. Reading never waits for writers.

use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::Duration;

use r2d2::Pool;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tokio::sync::Semaphore;

use crate::backplane::{
    CanvasKey, EntriesOf, Lately, LogBuilder, Packing, PresenceTable, Read, Snapshot, Unavailable,
};
use crate::canvas::ObjectLog;
use crate::limits;
use crate::protocol::client_message::Kind;
use crate::protocol::features::Features;
use crate::protocol::ids::{ConnId, Epoch, Position};
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::stopped::Fatal;
use crate::sqlite::storage::{schema, sql};

/// Connections at most; each reads for milliseconds.
const CONNECTIONS: u32 = 4;
/// Threads that may read or wait to; the others wait without one.
const THREADS: usize = 16;
/// How long anybody waits for a turn.
const WAIT: Duration = Duration::from_secs(5);

/// The pool.
#[derive(Debug)]
pub(super) struct Reader {
    pool: Pool<SqliteConnectionManager>,
    turns: Arc<Semaphore>,
    files: Arc<Files>,
    /// Told of a damaged file.
    ending: Arc<Ending>,
}

/// A failure of any kind is "not now" for rooms.
pub(super) fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable::NotNow(error.to_string())
}

impl Reader {
    /// A pool that opens connections when they are needed.
    pub(super) fn new(files: Arc<Files>, ending: Arc<Ending>) -> Result<Self, r2d2::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manager = SqliteConnectionManager::file(&files.db)
            .with_flags(flags)
            .with_init(|conn| schema::tune_reader(conn));
        let pool = Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(0))
            .idle_timeout(Some(Duration::from_secs(60)))
            .connection_timeout(WAIT)
            .test_on_check_out(false)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build(manager)?;
        Ok(Self {
            pool,
            turns: Arc::new(Semaphore::new(THREADS)),
            files,
            ending,
        })
    }

    /// Runs `work` on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Pool<SqliteConnectionManager>) -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let turn = tokio::time::timeout(WAIT, self.turns.clone().acquire_owned());
        let turn = turn.await.map_err(unavailable)?.map_err(unavailable)?;
        let pool = self.pool.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&pool)
        });
        work.await.map_err(unavailable)?
    }

    /// Runs `query` in one read transaction: everything it sees is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let ending = self.ending.clone();
        let files = self.files.clone();
        let run = move |pool: &Pool<SqliteConnectionManager>| {
            let conn = pool.get().map_err(unavailable)?;
            at_one_moment(&conn, query).map_err(|error| {
                if let Err(Fatal(reason)) = files.damaged(&error) {
                    ending.fail(reason);
                }
                unavailable(error)
            })
        };
        self.run(run).await
    }
}

/// Runs `query` in one read transaction.
pub(super) fn at_one_moment<T>(
    conn: &Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let tx = conn.unchecked_transaction()?;
    let result = query(&tx)?;
    tx.commit()?;
    Ok(result)
}

/// A canvas's head as readers see it.
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    /// The row of its youngest message; `None` if its log is empty.
    head_id: Option<NonZeroI64>,
    pub(super) presence_version: u64,
    /// Rows up to this one are no part of its log.
    log_from: i64,
    /// Its name in the tables of what is on it.
    content: i64,
    /// How many of its objects have a log.
    logs: i64,
}

/// The canvas's head.
pub(super) fn head(conn: &Connection, key: CanvasKey) -> rusqlite::Result<Head> {
    conn.prepare_cached(sql::HEAD)?.query_row([key], |row| {
        Ok(Head {
            epoch: Epoch::parse(row.get_ref(0)?.as_str()?).unwrap_or(Epoch(0)),
            seq: row.get::<_, i64>(1)?.cast_unsigned(),
            head_id: NonZeroI64::new(row.get(2)?),
            presence_version: row.get::<_, i64>(3)?.cast_unsigned(),
            log_from: row.get(7)?,
            content: row.get(11)?,
            logs: row.get(14)?,
        })
    })
}

/// Who is here.
pub(super) fn members(conn: &Connection, key: CanvasKey) -> rusqlite::Result<PresenceTable> {
    Ok(PresenceTable {
        version: head(conn, key)?.presence_version,
        members: crate::sqlite::membership::presence::members(conn, key)?,
    })
}

/// The whole state.
pub(super) fn snapshot(conn: &Connection, key: CanvasKey) -> rusqlite::Result<Snapshot> {
    let head = head(conn, key)?;
    let mut texts = Packing::default();
    let places: Vec<(i64, i64)> = conn
        .prepare_cached(sql::OBJECTS)?
        .query_map([head.content], |row| {
            texts.push(row.get_ref(1)?.as_str()?);
            Ok((row.get(0)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut objects: Vec<_> = places.into_iter().zip(texts.done()).collect();
    objects.sort_by_key(|((created_seq, _), _)| *created_seq);
    let changed = objects.iter().map(|((_, seq), _)| seq.cast_unsigned());
    let lately = lately(conn, head.content, changed.collect())?;
    let mut chat: Vec<String> = conn
        .prepare_cached(sql::CHAT)?
        .query_map(params![head.content, limits::CHAT_HISTORY], |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    chat.reverse();
    let at = Position {
        epoch: head.epoch,
        seq: head.seq,
    };
    Ok(Snapshot {
        at,
        objects: objects.into_iter().map(|(_, text)| text).collect(),
        logs: match head.logs {
            0 => Vec::new(),
            _ => logs(conn, head.content)?
                .into_iter()
                .map(|(_, log)| log)
                .collect(),
        },
        chat,
        lately,
    })
}

/// The logs of a canvas's objects, by the objects' ids.
pub(super) fn logs(
    conn: &Connection,
    content: i64,
) -> rusqlite::Result<Vec<(ObjectLog, EntriesOf)>> {
    let mut statement = conn.prepare_cached(sql::OBJECT_LOGS)?;
    let logs = statement.query_map([content], |row| {
        let log = ObjectLog {
            entries: row.get::<_, i64>(1)?.cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
            upto: row.get::<_, i64>(3)?.cast_unsigned(),
            compacted_seq: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        let of = EntriesOf {
            id: row.get_ref(0)?.as_str()?.into(),
            compacted_seq: log.compacted_seq,
            entries: Vec::new(),
        };
        Ok((log, of))
    })?;
    let mut logs: Vec<_> = logs.collect::<Result<_, _>>()?;
    let mut statement = conn.prepare_cached(sql::ENTRIES)?;
    let mut rows = statement.query([content])?;
    // Both are in the order of the objects' ids.
    let mut at = 0;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        while logs.get(at).is_some_and(|(_, log)| &*log.id != id) {
            at += 1;
        }
        if let Some((_, log)) = logs.get_mut(at) {
            let seq = row.get::<_, i64>(1)?.cast_unsigned();
            log.entries.push((seq, row.get_ref(2)?.as_str()?.into()));
        }
    }
    Ok(logs)
}

/// What was deleted lately, beside when objects were changed.
pub(super) fn lately(
    conn: &Connection,
    content: i64,
    changed: Vec<u64>,
) -> rusqlite::Result<Lately> {
    let mut statement = conn.prepare_cached(sql::DELETIONS)?;
    let mut rows = statement.query([content])?;
    let mut deleted = Vec::new();
    let mut from = 0;
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        match row.get_ref(1)?.as_str()? {
            "" => from = seq,
            id => deleted.push((seq, id.into())),
        }
    }
    Ok(Lately {
        changed,
        deleted,
        from,
    })
}

/// The log after a position. A walk begins at the next anchor at or after the first message wanted (or at the head,
/// which is nearer than an anchor then) and goes back to it: at most 64 steps for up to 64 messages.
pub(super) fn log(
    conn: &Connection,
    key: CanvasKey,
    after: Position,
    max_bytes: usize,
    now_ms: i64,
) -> rusqlite::Result<Read> {
    log_with(conn, key, after, max_bytes, now_ms, |run, row| {
        run.push(
            row.kind, row.origin, row.op, row.client, row.at_ms, row.body,
        );
        Ok(())
    })
}

/// The same for a client with those features: see [`crate::backplane::Reader::read_for`].
pub(super) fn log_for(
    conn: &Connection,
    key: CanvasKey,
    (after, understood): (Position, Features),
    max_bytes: usize,
    now_ms: i64,
) -> rusqlite::Result<Read> {
    let content = head(conn, key)?.content;
    log_with(conn, key, after, max_bytes, now_ms, |run, row| {
        let by = (row.origin, row.op);
        let when = (row.client, row.at_ms);
        run.push_for(understood, row.kind, by, when, row.body, |id| {
            let mut object = conn.prepare_cached(sql::OBJECT)?;
            object
                .query_row(params![content, id], |row| row.get(0))
                .optional()
        })
    })
}

/// A row of the log.
struct LogRow<'a> {
    kind: Kind,
    origin: ConnId,
    op: u64,
    client: &'a str,
    at_ms: i64,
    body: &'a [u8],
}

fn log_with(
    conn: &Connection,
    key: CanvasKey,
    after: Position,
    max_bytes: usize,
    now_ms: i64,
    push: impl Fn(&mut LogBuilder, &LogRow<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<Read> {
    let head = head(conn, key)?;
    if after.epoch != head.epoch || after.seq > head.seq {
        return Ok(Read::Gone);
    }
    let mut run = LogBuilder::new(head.epoch, after.seq + 1);
    let mut message = conn.prepare_cached(sql::MESSAGE)?;
    while run.next_seq() <= head.seq && (run.is_empty() || run.len() < max_bytes) {
        let Some(ids) = walk(conn, key, &head, run.next_seq(), now_ms)? else {
            // Rows that went between what was read and the head would leave a gap.
            return Ok(if run.is_empty() {
                Read::Gone
            } else {
                Read::Batch(run.finish())
            });
        };
        let before = run.next_seq();
        for id in ids {
            if !run.is_empty() && run.len() >= max_bytes {
                break;
            }
            let mut rows = message.query([id])?;
            let Some(row) = rows.next()? else { break };
            let Some(kind) = Kind::parse(row.get_ref(0)?.as_str()?) else {
                break;
            };
            let row = LogRow {
                kind,
                origin: ConnId(row.get::<_, i64>(1)?.cast_unsigned()),
                op: row.get::<_, i64>(2)?.cast_unsigned(),
                client: row.get_ref(3)?.as_str()?,
                at_ms: row.get(4)?,
                body: row.get_ref(5)?.as_str()?.as_bytes(),
            };
            push(&mut run, &row)?;
        }
        if run.next_seq() == before {
            // A row of a later version's kind: this version cannot tell the log from here.
            return Ok(Read::Gone);
        }
    }
    Ok(Read::Batch(run.finish()))
}

/// The rows from `seq` to the next anchor or the head, oldest first; `None` if one of them is gone or expired.
fn walk(
    conn: &Connection,
    key: CanvasKey,
    head: &Head,
    seq: u64,
    now_ms: i64,
) -> rusqlite::Result<Option<Vec<i64>>> {
    let anchor = conn
        .prepare_cached(sql::ANCHOR)?
        .query_row(params![key, seq.cast_signed()], |row| row.get(0))
        .optional()?;
    let mut next = anchor.or(head.head_id);
    let mut step = conn.prepare_cached(sql::STEP)?;
    let mut ids = Vec::with_capacity(64);
    while let Some(id) = next.map(NonZeroI64::get) {
        let mut rows = step.query([id])?;
        let Some(row) = rows.next()? else { break };
        let found: i64 = row.get(0)?;
        let over = row.get::<_, i64>(4)? <= now_ms || id <= head.log_from;
        if over || found.cast_unsigned() < seq {
            break;
        }
        ids.push(id);
        if found.cast_unsigned() == seq {
            ids.reverse();
            return Ok(Some(ids));
        }
        next = NonZeroI64::new(row.get(1)?);
    }
    Ok(None)
}
