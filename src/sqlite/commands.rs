//! The commands that the writer runs beside messages, in the same transactions.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, params};

use super::apply::{Held, Txn};
use super::cleanup::Place;
use super::instances::{InstanceNumber, Registration};
use super::stopped::Stopped;
use super::tail::Tail;
use super::{Fatal, analytics, cleanup, hooks, hosts, jobs, sql};
use crate::backplane::CanvasKey;
use crate::backplane::intake::Intake;
use crate::hooks::Change;
use crate::hooks::file::HookText;
use crate::protocol::ids::{CanvasId, ClientId, Epoch};
use crate::sqlite::store_error::StoreResult;

/// Something else that the writer does in its transaction: there is one writer a process, and one place where the
/// turnstile is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Gives the canvas a key. The answer is the key; `None` if there is no room for another one.
    CreateCanvas {
        id: CanvasId,
        key: Answer<Option<CanvasKey>>,
    },
    /// Says that this instance lives.
    Beat,
    /// Writes how far this instance is: `(canvas, row)`; `None` where it has no room any more.
    Watermarks(Vec<(CanvasKey, Option<i64>)>),
    /// Removes a dead instance, unless another was first.
    Reap {
        number: InstanceNumber,
        /// For one that is silent: only if it has not been heard since.
        silent_since: Option<i64>,
    },
    /// Removes those who were away for too long.
    Sweep,
    /// Deletes expired rows with `after < id <= upto`.
    Clean { after: i64, upto: i64 },
    /// Forgets watermarks that nobody will ask for.
    ForgetWatermarks,
    /// Forgets clients that were used before `old`, of those behind `after` up to `upto`.
    ForgetClients { after: Place, upto: Place, old: i64 },
    /// Empties a canvas and begins this epoch. The answer is the head.
    Delete {
        key: CanvasKey,
        epoch: Epoch,
        head: Answer<u64>,
    },
    /// Removes canvases whose time has come.
    EndCanvases,
    /// Removes a piece of what was on deleted canvases.
    SweepContent,
    /// Empties a canvas if nobody was on it since then.
    EmptyIdle { key: CanvasKey, before: i64 },
    /// Gives pages back to the file system.
    Vacuum,
    /// Keeps what this process did, for the analytics.
    Sample(analytics::Rows),
    /// Starts the write-ahead log from its beginning.
    RestartWal,
    /// Does what waits for the work queue.
    Jobs,
    /// Tells hooks of canvases that became quiet, and of gaps.
    FireHooks,
    /// Tells hooks some of what is set aside.
    TellAside,
    /// These are the hooks from here on, `over` others if need be.
    StoreHooks {
        texts: Vec<HookText>,
        over: bool,
        change: Answer<Change>,
    },
    /// The hook is told nothing more. The answer is whether it was on.
    TurnOffHook {
        name: String,
        why: String,
        was_on: Answer<bool>,
    },
}

impl Command {
    /// Whether other hooks may be followed from here on.
    pub(super) fn is_of_hooks(&self) -> bool {
        matches!(self, Self::StoreHooks { .. } | Self::TurnOffHook { .. })
    }
}

/// What a command finds within its transaction. Whoever asks reads it once that is committed.
#[derive(Debug)]
pub(super) struct Answer<T>(Arc<OnceLock<T>>);

impl<T> Answer<T> {
    fn is(&self, found: T) {
        // A command is done once.
        let _ = self.0.set(found);
    }
}

impl<T: Clone> Answer<T> {
    pub(super) fn read(&self) -> Option<T> {
        self.0.get().cloned()
    }
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Two who ask are told each its own.
impl<T> PartialEq for Answer<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Answer<T> {}

/// Called once a command is committed; dropped if it is not.
pub(super) type Reply = Box<dyn FnOnce() + Send>;

/// A command and who waits for its commit.
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) reply: Option<Reply>,
}

impl Intake<Task> {
    /// Takes a command; `false` if there are too many. One that nobody waits for is taken once, however often it is asked for;
    /// so is a sample, whatever is in it: while nothing can be committed, none but the first waits.
    pub(super) fn submit(&self, command: Command, reply: Option<Reply>) -> bool {
        self.put(Task { command, reply }, |waiting, new| {
            let samples = matches!(waiting.command, Command::Sample(_))
                && matches!(new.command, Command::Sample(_));
            new.reply.is_none() && (samples || waiting.command == new.command)
        })
    }
}

/// The places of this process's clients, for the case that a peer takes this process for dead.
pub(super) type Places = HashMap<(CanvasKey, ClientId), Held>;

/// What commands are done with.
pub(super) struct Parts {
    pub(super) own: Arc<Registration>,
    pub(super) tail: Arc<Tail>,
    pub(super) jobs: Arc<jobs::Lane>,
    pub(super) hooks: hooks::Teller,
}

/// Does a command.
pub(super) fn run(
    parts: &Parts,
    txn: &mut Txn<'_>,
    places: &Places,
    command: &Command,
) -> Result<(), Stopped> {
    match command {
        Command::Beat => beat(parts, txn, places),
        other => Ok(perform(parts, txn, other)?),
    }
}

fn perform(parts: &Parts, txn: &mut Txn<'_>, command: &Command) -> StoreResult<()> {
    let conn = txn.conn;
    match command {
        Command::CreateCanvas { id, key } => key.is(txn.create_canvas(id)?),
        Command::Watermarks(marks) => watermarks(conn, parts, marks, txn.now_ms)?,
        Command::Reap {
            number,
            silent_since,
        } => drop(txn.reap(*number, *silent_since)?),
        Command::Sweep => txn.sweep()?,
        Command::Clean { after, upto } => txn.clean(*after, *upto)?,
        Command::ForgetWatermarks => cleanup::forget_watermarks(conn)?,
        Command::ForgetClients { after, upto, old } => {
            let mut forget = conn.prepare_cached(sql::FORGET_CLIENTS)?;
            forget.execute(params![after.0, after.1, upto.0, upto.1, old])?;
        }
        Command::Delete { key, epoch, head } => head.is(txn.delete_canvas(*key, *epoch)?),
        Command::EndCanvases => txn.end_canvases()?,
        Command::SweepContent => drop(txn.sweep_content()?),
        Command::EmptyIdle { key, before } => txn.empty_idle(*key, *before)?,
        Command::Vacuum => cleanup::vacuum(conn)?,
        Command::Jobs => drop(parts.jobs.run(&parts.hooks.limits, conn, txn.now_ms)?),
        Command::FireHooks => parts.hooks.fire(conn, txn.now_ms)?,
        Command::StoreHooks {
            texts,
            over,
            change,
        } => change.is(hooks::store(conn, texts, *over)?),
        Command::TurnOffHook { name, why, was_on } => {
            was_on.is(hooks::turn_off(conn, name, why, txn.now_ms)?);
        }
        Command::Sample(rows) => analytics::write(conn, parts.own.setup.number, rows)?,
        // The first is done above, the second behind the batch, the last not within a transaction.
        Command::Beat | Command::TellAside | Command::RestartWal => {}
    }
    Ok(())
}

/// Says that this instance lives. If a peer has taken it for dead (it was stopped for a while), it comes back
/// under its old number, since that is in its connections' numbers, and its clients take their places again.
fn beat(parts: &Parts, txn: &mut Txn<'_>, places: &Places) -> Result<(), Stopped> {
    if hosts::used_under(txn.conn)?.as_deref() != Some(parts.own.boot_id.as_str()) {
        let reason = "another host has taken this file: one file is for the processes of one host";
        return Err(Stopped::Fatal(Fatal(reason.to_owned())));
    }
    let number = parts.own.setup.number;
    let mut beat = txn.conn.prepare_cached(sql::BEAT)?;
    if beat.execute(params![number, txn.now_ms])? > 0 {
        return Ok(());
    }
    let name = &parts.own.setup.instance_id;
    if txn.conn.prepare(sql::INSTANCE_OF_NAME)?.exists([name])? {
        let reason = format!(
            "this process was taken for dead, and another has started as {name} (--instance-id) meanwhile"
        );
        return Err(Stopped::Fatal(Fatal(reason)));
    }
    tracing::warn!("a peer took this instance for dead: was it stopped? It registers again");
    parts.own.insert(txn.conn, Some(number), txn.now_ms)?;
    for ((key, _), held) in places {
        txn.retake(*key, held)?;
    }
    parts.tail.forget_watermarks();
    let marks = parts.tail.take_watermarks();
    Ok(watermarks(txn.conn, parts, &marks, txn.now_ms)?)
}

/// Registers this instance again if a peer has taken it for dead, without waiting for the next heartbeat.
pub(super) fn stay_registered(
    parts: &Parts,
    txn: &mut Txn<'_>,
    places: &Places,
) -> Result<(), Stopped> {
    let number = parts.own.setup.number;
    if !txn.conn.prepare_cached(sql::INSTANCE)?.exists([number])? {
        beat(parts, txn, places)?;
    }
    Ok(())
}

fn watermarks(
    conn: &Connection,
    parts: &Parts,
    marks: &[(CanvasKey, Option<i64>)],
    now_ms: i64,
) -> StoreResult<()> {
    let own = &parts.own.setup.instance_id;
    let mut set = conn.prepare_cached(sql::SET_WATERMARK)?;
    let mut delete = conn.prepare_cached(sql::DELETE_WATERMARK)?;
    for (key, position) in marks {
        match position {
            Some(id) => set.execute(params![key, own, id, now_ms])?,
            // A room that has come back meanwhile is not gone.
            None if parts.tail.wants([*key]) => 0,
            None => delete.execute(params![key, own])?,
        };
    }
    Ok(())
}
