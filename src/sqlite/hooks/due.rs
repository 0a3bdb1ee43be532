//! Events that time brings: canvases that became quiet, and gaps for which there is room now.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::aside;
use super::enqueue::{dispatch_gap, has_room};
use crate::backplane::CanvasKey;
use crate::hooks::hook_event::Span;
use crate::hooks::{Hook, Stored};
use crate::jobs::dispatch::item;
use crate::jobs::op::Pushed;
use crate::sqlite::jobs::Pusher;

/// Rows of one transaction.
const AT_ONCE: u32 = 100;

const DUE_NOW: &str = "SELECT EXISTS (SELECT 1 FROM hook_changes WHERE due_at <= ?1)";
const DUE: &str = "SELECT d.hook, d.canvas_id, d.from_seq, d.to_seq, c.canvas_id, c.epoch
    FROM hook_changes AS d LEFT JOIN canvases AS c ON c.key = d.canvas_id
    WHERE d.due_at <= ?1 ORDER BY d.due_at LIMIT ?2";
const DONE: &str = "DELETE FROM hook_changes WHERE hook = ?1 AND canvas_id = ?2";
const PARK: &str = "UPDATE hook_changes SET due_at = ?3 WHERE hook = ?1 AND canvas_id = ?2";
const NEXT_PARKED: &str = "SELECT min(hook) FROM hook_changes WHERE due_at = ?2 AND hook > ?1";
const UNPARK: &str = "UPDATE hook_changes SET due_at = ?3 WHERE hook = ?1 AND canvas_id IN
    (SELECT canvas_id FROM hook_changes WHERE due_at = ?2 AND hook = ?1 LIMIT ?4)";
const NEXT_GAP: &str = "SELECT min(hook) FROM hook_gaps WHERE hook > ?1";
const GAPS: &str = "SELECT g.hook, g.canvas_id, g.from_seq, g.to_seq, c.canvas_id, g.epoch
    FROM hook_gaps AS g LEFT JOIN canvases AS c ON c.key = g.canvas_id WHERE g.hook = ?1 LIMIT ?2";
const CLOSED: &str = "DELETE FROM hook_gaps WHERE hook = ?1 AND canvas_id = ?2";
const BACKLOG: &str =
    "SELECT q.messages - q.kept, q.bytes FROM job_queue_names AS n JOIN job_queues AS q ON q.key = n.key
    WHERE n.name = ?1";

/// When a change is due that found no room: once there is some.
pub(in crate::sqlite) const PARKED: i64 = i64::MAX;

/// Whether [`fire`] has something to do. What waits for room is nothing to do until there is some: it costs a few reads.
pub(in crate::sqlite) fn is_due(
    conn: &Connection,
    stored: &Stored,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let due = conn
        .prepare_cached(DUE_NOW)?
        .query_row([now_ms], |row| row.get(0))?;
    if due {
        return Ok(true);
    }
    let waiting = waiting(conn)?;
    for name in &waiting {
        let Some(hook) = stored.hooks.iter().find(|hook| hook.name == *name) else {
            return Ok(true);
        };
        let mut statement = conn.prepare_cached(BACKLOG)?;
        let backlog = statement
            .query_row([hook.queue()], |row| {
                let (messages, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((messages.cast_unsigned(), bytes.cast_unsigned()))
            })
            .optional()?;
        if hook.fits(backlog.unwrap_or_default()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names of hooks that have a gap, or a change without room: each is found by its key, whatever they have.
fn waiting(conn: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut last = String::new();
    let mut gaps = conn.prepare_cached(NEXT_GAP)?;
    while let Some(name) = gaps.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        names.insert(name.clone());
        last = name;
    }
    last.clear();
    let mut parked = conn.prepare_cached(NEXT_PARKED)?;
    while let Some(name) =
        parked.query_row(params![last, PARKED], |row| row.get::<_, Option<String>>(0))?
    {
        names.insert(name.clone());
        last = name;
    }
    Ok(names)
}

/// What [`fire`] came to.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Fired {
    /// A backlog had room, and yet its queue took nothing: all queues together are full.
    pub(in crate::sqlite) refused: bool,
}

/// A row of either table, with the canvas's name if it is still there.
struct Row {
    hook: String,
    key: CanvasKey,
    from: u64,
    to: u64,
    canvas: Option<String>,
    epoch: Option<String>,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        hook: row.get(0)?,
        key: row.get(1)?,
        from: row.get::<_, i64>(2)?.cast_unsigned(),
        to: row.get::<_, i64>(3)?.cast_unsigned(),
        canvas: row.get(4)?,
        epoch: row.get(5)?,
    })
}

/// Tells of canvases that became quiet, and of gaps where there is room now.
pub(in crate::sqlite) fn fire(
    stored: &Stored,
    conn: &Connection,
    push: &mut Pusher<'_>,
    now_ms: i64,
) -> rusqlite::Result<Fired> {
    let mut fired = Fired::default();
    for name in waiting(conn)? {
        let hook = stored.hooks.iter().find(|hook| hook.name == name);
        if let Some(hook) = hook
            && !has_room(push, hook)?
        {
            continue;
        }
        conn.prepare_cached(UNPARK)?
            .execute(params![name, PARKED, now_ms, AT_ONCE])?;
        dispatch_gaps(&name, hook, conn, push, now_ms, &mut fired)?;
    }
    let mut statement = conn.prepare_cached(DUE)?;
    let due = statement.query_map(params![now_ms, AT_ONCE], row)?;
    for due in due.collect::<Result<Vec<_>, _>>()? {
        changed(stored, conn, push, due, now_ms, &mut fired)?;
    }
    Ok(fired)
}

/// Tells a hook of its gaps, as long as there is room. If the hook is gone, nobody is left to be told.
fn dispatch_gaps(
    name: &str,
    hook: Option<&Hook>,
    conn: &Connection,
    push: &mut Pusher<'_>,
    now_ms: i64,
    fired: &mut Fired,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(GAPS)?;
    let gaps = statement.query_map(params![name, AT_ONCE], row)?;
    for gap in gaps.collect::<Result<Vec<_>, _>>()? {
        if let (Some(hook), Some(canvas), Some(epoch)) = (hook, &gap.canvas, &gap.epoch) {
            if !has_room(push, hook)? {
                return Ok(());
            }
            if !dispatch_gap(push, hook, canvas, epoch, (gap.from, gap.to), now_ms)? {
                fired.refused = true;
                return Ok(());
            }
        }
        conn.prepare_cached(CLOSED)?
            .execute(params![gap.hook, gap.key])?;
    }
    Ok(())
}

/// Tells one hook that a canvas changed and is quiet. It is one event however long it waits for room: it needs no gap.
fn changed(
    stored: &Stored,
    conn: &Connection,
    push: &mut Pusher<'_>,
    due: Row,
    now_ms: i64,
    fired: &mut Fired,
) -> rusqlite::Result<()> {
    let hook = stored.hooks.iter().find(|hook| hook.name == due.hook);
    if let (Some(hook), Some(canvas), Some(epoch)) = (hook, &due.canvas, &due.epoch)
        && !aside::quiet_after(conn, &hook.name, due.key, epoch, (due.from, due.to))?
    {
        let span = Span::changed(hook, epoch, (due.from, due.to));
        let item = item(&span, hook, canvas, epoch, now_ms);
        let room = has_room(push, hook)?;
        if !room || matches!(push.push(&item)?, Pushed::Failed { .. }) {
            fired.refused |= room;
            conn.prepare_cached(PARK)?
                .execute(params![due.hook, due.key, PARKED])?;
            return Ok(());
        }
    }
    conn.prepare_cached(DONE)?
        .execute(params![due.hook, due.key])?;
    Ok(())
}

#[cfg(test)]
mod tests;
