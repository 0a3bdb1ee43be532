//! Hooks over the file. The events of a transaction are put into the queues of back ends in the same transaction, or
//! set aside in it if they are many. All processes follow one version of the hooks, which is in the file.

mod aside;
mod carry;
mod due;
mod enqueue;
mod pace;
mod packed;
mod stage;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::jobs::Lane;
use crate::config::Step;
use crate::hooks::file::HookText;
use crate::hooks::{Change, Stored};
use crate::limits::JobLimits;
use crate::sqlite::delivery::wake::Peers;
use crate::sqlite::storage::fail_point::FailPoints;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::{StoreError, StoreResult};
pub(super) use aside::count as count_aside;
pub(super) use carry::each_aside;
pub(super) use due::PARKED;
use pace::Pace;
pub(super) use stage::Stage;

const VERSION: &str = "SELECT version FROM hooks";
const STORED: &str = "SELECT version, hooks FROM hooks";
const STORE: &str = "INSERT OR REPLACE INTO hooks (one, version, hooks)
    VALUES (1, coalesce((SELECT version FROM hooks), 0) + 1, ?1)";
const OFF: &str = "SELECT hook, reason FROM hooks_off";
const TURN_OFF: &str = "INSERT OR REPLACE INTO hooks_off (hook, reason, at) VALUES (?1, ?2, ?3)";
const TOUCH: &str = "UPDATE hooks SET version = version + 1";

/// The version that this process follows.
#[derive(Debug)]
pub(super) struct HookState {
    current: watch::Sender<Arc<Stored>>,
    /// How many events had no room, since this process began.
    pub(super) dropped: AtomicU64,
    /// After a full queue refused what had to be told.
    rest: Mutex<Rest>,
    pace: Mutex<Pace>,
    /// Something may be set aside.
    aside: AtomicBool,
    /// Others are busy, and have had what they owe to it.
    waits: AtomicBool,
}

/// No more is tried until then.
#[derive(Debug, Default)]
struct Rest {
    until_ms: i64,
    wait_ms: i64,
}

/// How long the first rest is, and the longest: each is twice the one before.
const RESTS_MS: (i64, i64) = (1_000, 60_000);

impl Default for HookState {
    fn default() -> Self {
        Self {
            current: watch::Sender::new(Arc::default()),
            dropped: AtomicU64::new(0),
            rest: Mutex::default(),
            pace: Mutex::default(),
            aside: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        }
    }
}

impl HookState {
    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        !self.current.borrow().hooks.is_empty()
    }

    /// Whether time brought something that can be told now.
    pub(super) fn is_due(&self, conn: &Connection, now_ms: i64) -> rusqlite::Result<bool> {
        if !self.any() || now_ms < self.rest.lock().until_ms {
            return Ok(false);
        }
        let stored = self.current.borrow().clone();
        due::is_due(conn, &stored, now_ms)
    }

    /// The first row that is set aside, whoever did that.
    pub(super) fn first_aside(&self, conn: &Connection) -> rusqlite::Result<Option<i64>> {
        aside::first(conn)
    }

    /// Whether the last transaction has left something aside.
    pub(super) fn left_aside(&self) -> bool {
        self.aside.load(Ordering::Relaxed)
    }

    /// Whether another turn for it follows at once.
    pub(super) fn goes_on(&self) -> bool {
        self.left_aside() && !self.waits.load(Ordering::Relaxed)
    }

    /// All queues together are full, or were not.
    fn rest(&self, refused: bool, now_ms: i64) {
        let mut rest = self.rest.lock();
        rest.wait_ms = match refused {
            true => (rest.wait_ms * 2).clamp(RESTS_MS.0, RESTS_MS.1),
            false => 0,
        };
        rest.until_ms = now_ms + rest.wait_ms;
    }

    /// Tells of each new version.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Stored>> {
        self.current.subscribe()
    }

    /// What collects a transaction's events; `None` if there are no hooks. The version in the file is looked at in each
    /// transaction, so all processes change over at one place in the order of commits.
    pub(super) fn stage(&self, conn: &Connection) -> rusqlite::Result<Option<Stage>> {
        let mut statement = conn.prepare_cached(VERSION)?;
        let version: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
        let version = version.unwrap_or(0);
        if self.current.borrow().version != version {
            let stored = read(conn)?;
            self.current.send_replace(Arc::new(stored));
        }
        let stored = self.current.borrow().clone();
        Ok((!stored.hooks.is_empty()).then(|| Stage::new(stored)))
    }
}

/// Tells hooks, within the writer's transactions.
pub(super) struct Dispatcher {
    pub(super) state: Arc<HookState>,
    pub(super) jobs: Arc<Lane>,
    pub(super) limits: JobLimits,
    pub(super) peers: Arc<Peers>,
    pub(super) fail_points: Arc<FailPoints>,
}

impl Dispatcher {
    /// Puts a transaction's events into their queues, or sets them aside.
    pub(super) fn dispatch(
        &self,
        mut stage: Stage,
        conn: &Connection,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        if stage.is_empty() {
            return Ok(());
        }
        enqueue::mark_changes(&mut stage, conn, now_ms)?;
        let Stage { stored, events, .. } = stage;
        if events.is_empty() {
            return Ok(());
        }
        let at_once = events.len() <= aside::AT_ONCE && aside::first(conn)?.is_none();
        let dropped = self.jobs.in_txn(&self.limits, conn, now_ms, |push| {
            if at_once {
                return enqueue::enqueue(&events, stored.hooks.iter(), conn, push, now_ms);
            }
            self.state.aside.store(true, Ordering::Relaxed);
            self.state.waits.store(false, Ordering::Relaxed);
            aside::set_aside(&events, &stored, conn, push, now_ms)
        })?;
        self.state.dropped.fetch_add(dropped, Ordering::Relaxed);
        Ok(())
    }

    /// Tells some of what is set aside, in a transaction that has so many entries of its own.
    pub(super) fn dispatch_aside(
        &self,
        own: usize,
        conn: &Connection,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        self.fail_points.note(Step::BeforeTell);
        let stored = self.state.current.borrow().clone();
        let last: Option<i64> = conn
            .prepare_cached(sql::LAST_ID)?
            .query_row([], |row| row.get(0))
            .optional()?;
        let mut pace = self.state.pace.lock();
        pace.begin(own, last.unwrap_or(0), self.peers.list().len() + 1);
        let turn = self.jobs.in_txn(&self.limits, conn, now_ms, |push| {
            aside::dispatch(&stored, conn, push, &mut pace, now_ms)
        })?;
        self.state.aside.store(turn.more, Ordering::Relaxed);
        let waits = own == 0 && turn.rows == 0;
        self.state.waits.store(waits, Ordering::Relaxed);
        self.state
            .dropped
            .fetch_add(turn.dropped, Ordering::Relaxed);
        Ok(())
    }

    /// Tells hooks of canvases that became quiet, and of gaps.
    pub(super) fn fire(&self, conn: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        let stored = self.state.current.borrow().clone();
        let fired = self.jobs.in_txn(&self.limits, conn, now_ms, |push| {
            due::fire(&stored, conn, push, now_ms)
        })?;
        self.state.rest(fired.refused, now_ms);
        Ok(())
    }
}

/// The version in the file.
pub(super) fn read(conn: &Connection) -> rusqlite::Result<Stored> {
    let mut statement = conn.prepare_cached(STORED)?;
    let row = statement.query_row([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let Some((version, json)) = row.optional()? else {
        return Ok(Stored::default());
    };
    let mut statement = conn.prepare_cached(OFF)?;
    let off = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let off: Vec<(String, String)> = off.collect::<Result<_, _>>()?;
    Ok(Stored::new(version, texts(&json), off))
}

/// Hooks as they were written.
fn texts(json: &str) -> Vec<HookText> {
    serde_json::from_str(json).unwrap_or_else(|error| {
        // A newer version of the program may have written what this one does not know.
        tracing::error!(%error, "the hooks in the file can't be read: no events are sent");
        Vec::new()
    })
}

/// Puts these hooks in the place of all others; all of them are on. Only `over` the hooks of others, if there are some.
pub(super) fn store(conn: &Connection, texts: &[HookText], over: bool) -> StoreResult<Change> {
    let before = read(conn)?;
    if before.texts == texts && (before.off.is_empty() || !over) {
        return Ok(Change::None);
    }
    if before.is_stored() && !over {
        return Ok(Change::OthersStay);
    }
    let json = serde_json::to_string(texts).map_err(StoreError::Hooks)?;
    versions::keep(conn, &before)?;
    conn.execute("DELETE FROM hooks_off", [])?;
    conn.execute(STORE, [json])?;
    Ok(Change::Stored)
}

/// The hook is told nothing more, until the hooks are stored anew. `false` if it was not on.
pub(super) fn turn_off(
    conn: &Connection,
    name: &str,
    why: &str,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let before = read(conn)?;
    let known = before.texts.iter().any(|text| text.name == name);
    if !known || before.off.iter().any(|(off, _)| off == name) {
        return Ok(false);
    }
    conn.execute(TURN_OFF, params![name, why, now_ms])?;
    conn.execute(TOUCH, [])?;
    Ok(true)
}
