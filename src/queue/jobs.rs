//! What the writer does beside messages, in the same transactions.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::apply::{Held, Txn};
use super::cleanup::Place;
use super::{Shared, cleanup, hosts, sql};
use crate::backplane::intake::Intake;
use crate::protocol::ids::{CanvasId, ClientId, Epoch};

/// Something else that the writer does in its transaction: there is one writer a process, and one place where the
/// turnstile is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Gives the canvas a key. The answer is the key.
    CreateCanvas(CanvasId),
    /// Says that this instance lives. The answer is 0 if it had been reaped.
    Beat,
    /// Writes how far this instance is: `(canvas, row)`; `None` where it has no room any more.
    Watermarks(Vec<(i64, Option<i64>)>),
    /// Removes a dead instance. The answer is 0 if another was first.
    Reap {
        number: i64,
        /// For one that is silent: only if it has not been heard since.
        silent_since: Option<i64>,
    },
    /// Removes those who were away for too long. The answer is how many.
    Sweep,
    /// Deletes expired rows with `after < id <= upto`.
    Clean { after: i64, upto: i64 },
    /// Forgets watermarks that nobody will ask for.
    ForgetWatermarks,
    /// Forgets clients that were used before `old`, of those behind `after` up to `upto`.
    ForgetClients { after: Place, upto: Place, old: i64 },
    /// Empties a canvas and begins this epoch. The answer is the head.
    Delete { key: i64, epoch: Epoch },
    /// Gives pages back to the file system. The answer is how many.
    Vacuum,
    /// Starts the write-ahead log from its beginning.
    RestartWal,
}

/// Called with a job's answer once it is committed; dropped if it is not.
pub(super) type Reply = Box<dyn FnOnce(i64) + Send>;

/// A job and who waits for its answer.
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) reply: Option<Reply>,
}

impl Intake<Task> {
    /// Takes a job; `false` if there are too many. One that nobody waits for is taken once, however often it is asked for.
    pub(super) fn submit(&self, job: Job, reply: Option<Reply>) -> bool {
        self.put(Task { job, reply }, |waiting, new| {
            new.reply.is_none() && waiting.job == new.job
        })
    }
}

/// The places of this process's clients, for the case that a peer takes this process for dead.
pub(super) type Places = HashMap<(i64, ClientId), Held>;

/// Does a job; gives its answer.
pub(super) fn run(
    shared: &Shared,
    txn: &mut Txn<'_>,
    places: &Places,
    job: &Job,
) -> rusqlite::Result<i64> {
    let conn = txn.conn;
    match job {
        Job::CreateCanvas(id) => {
            let mut create = conn.prepare_cached(sql::CREATE_CANVAS)?;
            create.execute(params![
                id.as_str(),
                Epoch::random().to_string(),
                txn.now_ms
            ])?;
            conn.prepare_cached(sql::CANVAS)?
                .query_row([id.as_str()], |row| row.get(0))
        }
        Job::Beat => beat(shared, txn, places),
        Job::Watermarks(marks) => watermarks(conn, shared, marks, txn.now_ms),
        Job::Reap {
            number,
            silent_since,
        } => txn.reap(*number, *silent_since),
        Job::Sweep => txn.sweep(),
        Job::Clean { after, upto } => {
            let mut delete = conn.prepare_cached(sql::DELETE_EXPIRED)?;
            let deleted = delete.execute(params![after, upto, txn.now_ms])?;
            Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
        }
        Job::ForgetWatermarks => cleanup::forget_watermarks(conn),
        Job::ForgetClients { after, upto, old } => {
            let mut forget = conn.prepare_cached(sql::FORGET_CLIENTS)?;
            let forgotten = forget.execute(params![after.0, after.1, upto.0, upto.1, old])?;
            Ok(i64::try_from(forgotten).unwrap_or(i64::MAX))
        }
        Job::Delete { key, epoch } => txn.delete_canvas(*key, *epoch),
        Job::Vacuum => cleanup::vacuum(conn),
        // Not within a transaction.
        Job::RestartWal => Ok(0),
    }
}

/// Says that this instance lives. If a peer has taken it for dead (it was stopped for a while), it comes back
/// under its old number, since that is in its connections' numbers, and its clients take their places again.
fn beat(shared: &Shared, txn: &mut Txn<'_>, places: &Places) -> rusqlite::Result<i64> {
    if hosts::used_under(txn.conn)?.as_deref() != Some(shared.own.boot_id.as_str()) {
        let reason = "another host has taken this file: one file is for the processes of one host";
        return Err(ended(shared, reason.to_owned()));
    }
    let number = shared.own.setup.number;
    let mut beat = txn.conn.prepare_cached(sql::BEAT)?;
    if beat.execute(params![number, txn.now_ms])? > 0 {
        return Ok(1);
    }
    let name = &shared.own.setup.instance_id;
    if txn.conn.prepare(sql::INSTANCE_OF_NAME)?.exists([name])? {
        let reason = format!(
            "this process was taken for dead, and another has started as {name} (--instance-id) meanwhile"
        );
        return Err(ended(shared, reason));
    }
    tracing::warn!("a peer took this instance for dead: was it stopped? It registers again");
    shared.own.insert(txn.conn, Some(number), txn.now_ms)?;
    for ((key, _), held) in places {
        txn.retake(*key, held)?;
    }
    shared.tail.forget_watermarks();
    watermarks(txn.conn, shared, &shared.tail.take_watermarks(), txn.now_ms)
}

/// Registers this instance again if a peer has taken it for dead, without waiting for the next heartbeat.
pub(super) fn stay_registered(
    shared: &Shared,
    txn: &mut Txn<'_>,
    places: &Places,
) -> rusqlite::Result<()> {
    let number = shared.own.setup.number;
    if !txn.conn.prepare_cached(sql::INSTANCE)?.exists([number])? {
        beat(shared, txn, places)?;
    }
    Ok(())
}

/// The process must not go on.
fn ended(shared: &Shared, reason: String) -> rusqlite::Error {
    shared.failed.send_replace(Some(reason.clone()));
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_PERM),
        Some(reason),
    )
}

fn watermarks(
    conn: &Connection,
    shared: &Shared,
    marks: &[(i64, Option<i64>)],
    now_ms: i64,
) -> rusqlite::Result<i64> {
    let own = &shared.own.setup.instance_id;
    let mut set = conn.prepare_cached(sql::SET_WATERMARK)?;
    let mut delete = conn.prepare_cached(sql::DELETE_WATERMARK)?;
    for (key, position) in marks {
        match position {
            Some(id) => set.execute(params![key, own, id, now_ms])?,
            // A room that has come back meanwhile is not gone.
            None if shared.tail.wants([*key]) => 0,
            None => delete.execute(params![key, own])?,
        };
    }
    Ok(0)
}
