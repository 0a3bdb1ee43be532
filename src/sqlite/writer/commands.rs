//! The commands that the writer runs beside messages, in the same transactions.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::backplane::CanvasKey;
use crate::protocol::ids::ClientId;
use crate::sqlite::apply::{Held, Txn};
use crate::sqlite::command::Command;
use crate::sqlite::delivery::tail::Tail;
use crate::sqlite::hooks;
use crate::sqlite::jobs;
use crate::sqlite::membership::instances::Registration;
use crate::sqlite::storage::stopped::{Fatal, Stopped};
use crate::sqlite::storage::store_error::StoreResult;
use crate::sqlite::storage::{hosts, samples, sql};

/// Gives up to 2 MiB back to the file system.
const VACUUM: &str = "PRAGMA incremental_vacuum(512)";
/// Watermarks of instances that are not in the registry.
const FORGET_WATERMARKS: &str = "DELETE FROM canvas_watermarks WHERE server_instance_id NOT IN
     (SELECT instance_id FROM instances)";

/// The places of this process's clients, for the case that a peer takes this process for dead.
pub(in crate::sqlite) type Places = HashMap<(CanvasKey, ClientId), Held>;

/// What commands are done with.
pub(in crate::sqlite) struct Parts {
    pub(in crate::sqlite) own: Arc<Registration>,
    pub(in crate::sqlite) tail: Arc<Tail>,
    pub(in crate::sqlite) jobs: Arc<jobs::Lane>,
    pub(in crate::sqlite) lane: Arc<jobs::Parts>,
    pub(in crate::sqlite) hooks: hooks::Dispatcher,
}

/// Does a command.
pub(in crate::sqlite) fn run(
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
        Command::ForgetWatermarks => forget_watermarks(conn)?,
        Command::ForgetClients { after, upto, old } => {
            let mut forget = conn.prepare_cached(sql::FORGET_CLIENTS)?;
            forget.execute(params![after.0, after.1, upto.0, upto.1, old])?;
        }
        Command::Delete { key, epoch, head } => head.is(txn.delete_canvas(*key, *epoch)?),
        Command::EndCanvases => txn.end_canvases()?,
        Command::SweepContent => drop(txn.sweep_content()?),
        Command::EmptyIdle { key, before } => txn.empty_idle(*key, *before)?,
        Command::Vacuum => vacuum(conn)?,
        Command::Jobs => drop(parts.jobs.run(&parts.lane, conn, txn.now_ms)?),
        Command::FireHooks => parts.hooks.fire(conn, txn.now_ms)?,
        Command::StoreHooks {
            texts,
            over,
            change,
        } => change.is(hooks::store(conn, texts, *over)?),
        Command::TurnOffHook { name, why, was_on } => {
            was_on.is(hooks::turn_off(conn, name, why, txn.now_ms)?);
        }
        Command::Sample(rows) => samples::write(conn, parts.own.setup.number, rows)?,
        // The first is done above, the second behind the batch, the last not within a transaction.
        Command::Beat | Command::DispatchAside | Command::RestartWal => {}
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
    parts.own.insert(txn.conn, txn.now_ms)?;
    for ((key, _), held) in places {
        txn.retake(*key, held)?;
    }
    parts.tail.forget_watermarks();
    let marks = parts.tail.take_watermarks();
    Ok(watermarks(txn.conn, parts, &marks, txn.now_ms)?)
}

/// Registers this instance again if a peer has taken it for dead, without waiting for the next heartbeat.
pub(in crate::sqlite) fn stay_registered(
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

/// Gives free pages back. SQLite frees one at each step of the statement, so it has to be stepped to its end.
fn vacuum(conn: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = conn.prepare_cached(VACUUM)?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// Forgets watermarks of instances that are gone.
fn forget_watermarks(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(FORGET_WATERMARKS, [])?;
    Ok(())
}
